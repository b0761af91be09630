"""Corruptions: more of them at each severity, the same for the same seed, and by hand."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.neighbors import KDTree

from plait.errors import InputError
from plait.evaluation.corruptions import CORRUPTIONS, SEVERITIES, within
from plait.pairs.batch import stack

RNG = np.random.default_rng(0)
RAMP = np.linspace(0, 1, 48)
IMAGE = np.stack([np.add.outer(RAMP, RAMP) / 2, RNG.random((48, 48)) ** 2, np.outer(RAMP, 1 - RAMP)])
CLEAN: dict[str, Any] = {
    "image": IMAGE.astype(np.float32),
    "points": (RNG.normal(size=(400, 4)) * (30, 10, 2, 0.2) + (5, 0, 0, 0.5)).astype(np.float32),
    "series": RNG.normal(size=(60, 3)).cumsum(axis=0) * (1, 10, 100),
    "table": RNG.normal(size=50) * 10.0 ** RNG.integers(-3, 4, size=50),
    "text": " ".join(f"{word}{number}" for number in range(12) for word in ("red", "box", "the")),
}
CASES = [(kind, name) for kind, named in CORRUPTIONS.items() for name in named]


def corrupted(kind: str, name: str, severity: int, seed: int = 0) -> Any:
    return CORRUPTIONS[kind][name](CLEAN[kind], severity, np.random.default_rng(seed))


def edits(one: list[Any], other: list[Any]) -> int:
    """Levenshtein's distance, by the textbook."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row = row, [i]
        for j, b in enumerate(other, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (a != b)))
    return row[-1]


def distance(kind: str, name: str, value: Any) -> float:
    """How far a corrupted value is from the clean one."""
    clean = CLEAN[kind]
    if name == "missing_values":
        return float(np.isnan(value).mean())
    if kind == "text":
        return float(edits(clean.split(), value.split()) if name != "typos" else edits(list(clean), list(value)))
    if kind == "points":
        there, back = KDTree(value[:, :3]).query(clean[:, :3])[0], KDTree(clean[:, :3]).query(value[:, :3])[0]
        return float(np.mean(there) + np.mean(back))  # chamfer
    return float(np.sqrt(np.mean((value - clean) ** 2)))


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_severity_is_monotone(kind: str, name: str) -> None:
    graded = [np.mean([distance(kind, name, corrupted(kind, name, s, seed)) for seed in range(4)]) for s in SEVERITIES]
    assert graded[0] > 0
    assert (np.diff(graded) > 0).all(), graded


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_the_seed_says_everything_and_the_clean_value_stays(kind: str, name: str) -> None:
    before = CLEAN[kind] if kind == "text" else CLEAN[kind].copy()
    first, again, other = (corrupted(kind, name, 3, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(CLEAN[kind], before)
    if name not in ("blur", "pixelate", "contrast", "brightness"):
        assert not np.array_equal(first, other)
    if kind != "text":
        assert first.dtype == CLEAN[kind].dtype


@pytest.mark.parametrize("name", CORRUPTIONS["image"])
def test_images_stay_images(name: str) -> None:
    for image in (CLEAN["image"], np.zeros((1, 5, 3)), np.ones((2, 1, 1)), np.full((1, 4, 4), 0.5)):
        for severity in SEVERITIES:
            changed = CORRUPTIONS["image"][name](image, severity, np.random.default_rng(0))
            assert changed.shape == image.shape
            assert ((changed >= 0) & (changed <= 1)).all()


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_severities_are_five(kind: str) -> None:
    for name in CORRUPTIONS[kind]:
        for severity in (0, 6):
            with pytest.raises(InputError, match=f"severity {severity}"):
                corrupted(kind, name, severity)


def test_images_by_hand() -> None:
    image, rng = np.asarray([[[0.0, 0.2], [0.4, 1.0]]]), np.random.default_rng(0)
    of = CORRUPTIONS["image"]
    np.testing.assert_allclose(of["brightness"](image, 2, rng), [[[0.2, 0.4], [0.6, 1.0]]])
    np.testing.assert_allclose(of["contrast"](image, 1, rng), 0.4 + 0.4 * (image - 0.4))
    np.testing.assert_allclose(of["pixelate"](image, 2, rng), 0.4)  # one cell
    wide = np.arange(4.0).reshape(1, 1, 4) / 4
    np.testing.assert_allclose(of["pixelate"](wide, 2, rng), [[[0.125, 0.125, 0.625, 0.625]]])
    uneven = np.asarray([[[0.0, 0.2, 0.4, 0.6, 1.0]]])  # three cells, of two, two and one
    np.testing.assert_allclose(of["pixelate"](uneven, 1, rng), [[[0.1, 0.1, 0.5, 0.5, 1.0]]])
    np.testing.assert_allclose(of["blur"](np.full((2, 30, 20), 0.3), 5, rng), 0.3)
    flat = np.full((1, 200, 200), 0.5)
    assert float(of["gaussian_noise"](flat, 2, rng).std()) == pytest.approx(0.12, rel=0.02)
    assert float(of["shot_noise"](flat, 1, rng).std()) == pytest.approx(math.sqrt(0.5 / 60), rel=0.02)
    hidden = of["occlusion"](IMAGE, 5, rng)
    assert float((hidden[0] != IMAGE[0]).mean()) == pytest.approx(0.5, abs=0.03)
    assert len(np.unique(hidden[1][hidden[1] != IMAGE[1]])) == 1


def test_blur_spreads_a_point_as_a_normal_density() -> None:
    point = np.zeros((1, 112, 224))
    point[0, 56, 100] = 1
    spread = CORRUPTIONS["image"]["blur"](point, 4, np.random.default_rng(0))[0]
    sigma = 4 * 112 / 224
    expected = [
        [math.exp(-((i - 56) ** 2 + (j - 100) ** 2) / 2 / sigma**2) / (2 * math.pi * sigma**2) for j in range(224)]
        for i in range(112)
    ]
    np.testing.assert_allclose(spread, expected, atol=1e-4 * float(spread.max()))
    assert float(spread.sum()) == pytest.approx(1.0)


def test_an_occlusion_lies_within_the_next() -> None:
    for seed in range(10):
        boxes = [corrupted("image", "occlusion", severity, seed)[1] != CLEAN["image"][1] for severity in SEVERITIES]
        # A pixel of rounding at an edge is forgiven.
        assert all((small & ~large).sum() <= 48 for small, large in pairwise(boxes))


def test_images_of_another_range() -> None:
    low, high = 3.6, 4.0  # float32 carries 4.0 to 1 + 2e-7 of this range
    scaled = (low + (high - low) * IMAGE / IMAGE.max()).astype(np.float32)
    with pytest.raises(InputError, match=r"from 3\.6 to 4, not in \[0, 1\].*within"):
        CORRUPTIONS["image"]["blur"](scaled, 1, np.random.default_rng(0))
    with pytest.raises(InputError, match="within"):
        CORRUPTIONS["image"]["blur"](np.full((1, 2, 2), np.nan), 1, np.random.default_rng(0))
    for name, corruption in within(low, high, CORRUPTIONS["image"]).items():
        changed = corruption(scaled, 3, np.random.default_rng(0))
        direct = CORRUPTIONS["image"][name](IMAGE / IMAGE.max(), 3, np.random.default_rng(0))
        assert changed.dtype == np.float32
        if name != "shot_noise":  # a photon more or less where float32 rounds
            np.testing.assert_allclose((changed - low) / (high - low), direct, atol=1e-5)


def test_points_by_hand() -> None:
    of, clean = CORRUPTIONS["points"], CLEAN["points"]
    kept = of["drop_points"](clean, 3, np.random.default_rng(0))
    assert len(kept) == 200
    assert {tuple(row) for row in kept} <= {tuple(row) for row in clean}
    moved = of["jitter"](clean, 2, np.random.default_rng(0))
    size = math.sqrt(sum(float(clean[:, axis].var()) for axis in range(3)))
    assert float((moved - clean)[:, :3].std()) == pytest.approx(0.02 * size, rel=0.1)
    astray = of["outliers"](clean, 4, np.random.default_rng(0))
    assert (astray != clean).any(axis=1).sum() == 80
    assert (astray[:, :3] >= clean[:, :3].min(axis=0)).all()
    for changed in (moved, astray):
        np.testing.assert_array_equal(changed[:, 3], clean[:, 3])
    # A higher severity loses what a lower one loses, and more.
    first, more = (corrupted("points", "outliers", severity) for severity in (2, 4))
    astray = (first != clean).any(axis=1)
    np.testing.assert_array_equal(more[astray], first[astray])
    lower, higher = ({tuple(row) for row in corrupted("points", "drop_points", severity)} for severity in (2, 4))
    assert higher < lower


def test_series_and_tables_by_hand() -> None:
    of, clean = CORRUPTIONS["series"], np.stack([np.tile([-3.0, 3.0], 5000), np.full(10000, 7.0)], axis=1)
    clean[0, 0] = np.nan
    noisy = of["noise"](clean, 3, np.random.default_rng(0))
    assert float(np.nanstd((noisy - clean)[:, 0])) == pytest.approx(0.4 * 3, rel=0.03)
    np.testing.assert_array_equal(noisy[:, 1], 7.0)  # a constant column has no deviation
    assert np.isnan(noisy).sum() == 1
    assert float(np.isnan(of["missing_values"](clean, 4, np.random.default_rng(0))).mean()) == pytest.approx(
        0.5, abs=0.02
    )
    table = CORRUPTIONS["table"]["noise"](np.asarray([0.0, np.nan, *[2.0] * 10000]), 3, np.random.default_rng(0))
    assert table[0] == 0
    assert np.isnan(table[1])
    assert float(table[2:].std()) == pytest.approx(0.1 * 2, rel=0.03)


@pytest.mark.parametrize(("kind", "name"), [case for case in CASES if case[0] not in ("image", "text")])
def test_few_and_whole_numbers(kind: str, name: str) -> None:
    shape = {"points": (4,), "series": (3,), "table": ()}[kind]
    for rows in (0, 1, 2):
        changed = CORRUPTIONS[kind][name](np.zeros((rows, *shape)), 5, np.random.default_rng(0))
        assert changed.shape == (rows if name != "drop_points" else min(rows, 1), *shape)
        assert name == "missing_values" or np.isfinite(changed).all()
    assert CORRUPTIONS[kind][name](np.ones((8, *shape), dtype=int), 3, np.random.default_rng(0)).dtype == np.float64


def test_what_comes_out_is_collated_as_tensors_are() -> None:
    images = [
        CORRUPTIONS["image"]["blur"](torch.from_numpy(CLEAN["image"]), s, np.random.default_rng(0)) for s in (1, 2)
    ]
    assert stack(images).shape == (2, 3, 48, 48)
    assert stack(images).dtype == torch.float32
