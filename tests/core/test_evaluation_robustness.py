"""What is lost to faults: by hand, and a grid whose draws depend on nothing but their place."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from plait.evaluation.corruptions import CORRUPTIONS, SEVERITIES
from plait.evaluation.degradation import (
    Cell,
    Drop,
    corruption_grid,
    drop,
    mean_corruption_drop,
    missing_modality_drop,
    robustness,
)
from plait.evaluation.ranking import retrieval

SAMPLES = [np.random.default_rng(seed).random((1, 12, 12)) for seed in range(8)]


def flat(samples: list[Any]) -> NDArray[Any]:
    return np.stack([np.ravel(sample) for sample in samples])


def found(embeddings: NDArray[Any]) -> float:
    return retrieval(embeddings, flat(SAMPLES))["recall@1"]


def test_robustness_by_hand() -> None:
    # From 0.8 to 0.6: a fifth of the whole is lost, a quarter of what there was.
    assert drop(0.8, 0.6) == pytest.approx((0.2, 0.25))
    assert robustness(0.8, 0.6) == pytest.approx((0.8, 0.75))
    assert robustness(0.5, 0.5) == (1.0, 1.0)
    assert robustness(0.5, 0.6).relative == pytest.approx(1.2)
    assert robustness(0.5, 0.0) == (0.5, 0.0)
    assert drop(0.0, 0.1).absolute == -0.1
    assert math.isnan(drop(0.0, 0.1).relative)


def test_mean_drop_weighs_corruptions_and_not_cells() -> None:
    grid = [Cell("blur", 1, 0.4), Cell("blur", 2, 0.2), Cell("noise", 1, 0.5)]
    # Means 0.3 and 0.5, so 0.4 of 0.8.
    assert mean_corruption_drop(0.8, grid) == pytest.approx((0.4, 0.5))
    assert all(math.isnan(figure) for figure in mean_corruption_drop(0.8, []))


def test_a_withheld_modality() -> None:
    drops = missing_modality_drop(0.9, {"image": 0.45, "text": 0.9})
    assert drops["image"] == pytest.approx((0.45, 0.5))
    assert drops["text"] == Drop(0.0, 0.0)
    assert missing_modality_drop(0.9, {}) == {}


def test_the_grid_against_a_loop() -> None:
    some = {name: CORRUPTIONS["image"][name] for name in ("contrast", "occlusion", "gaussian_noise")}
    grid = corruption_grid(SAMPLES, some, flat, lambda embeddings: float(embeddings.sum()))
    assert [cell[:2] for cell in grid] == [(name, severity) for name in some for severity in SEVERITIES]
    for name, severity, value in grid:
        if name == "contrast":  # draws nothing
            each = [CORRUPTIONS["image"][name](sample, severity, np.random.default_rng()) for sample in SAMPLES]
            assert value == pytest.approx(float(np.sum(each)))


def test_draws_depend_on_seed_corruption_and_place_alone() -> None:
    noise, shot = CORRUPTIONS["image"]["gaussian_noise"], CORRUPTIONS["image"]["shot_noise"]
    seen: list[NDArray[Any]] = []

    def first_sample(embeddings: NDArray[Any]) -> float:
        seen.append(embeddings[0])
        return 0.0

    for corruptions in ({"noise": noise}, {"shot": shot, "noise": noise}, {"other": noise}):
        corruption_grid(SAMPLES, corruptions, flat, first_sample)
    corruption_grid(SAMPLES, {"noise": noise}, flat, first_sample, seed=1)
    corruption_grid(SAMPLES[::-1], {"noise": noise}, flat, first_sample)
    alone, beside, renamed, reseeded = seen[0], seen[10], seen[15], seen[20]
    np.testing.assert_array_equal(alone, beside)
    assert not np.array_equal(alone, renamed)
    assert not np.array_equal(alone, reseeded)
    # The same draw at the next severity, 0.12 / 0.08 times as large where nothing is clipped.
    inner = (seen[1] > 0) & (seen[1] < 1)
    clean = flat(SAMPLES)[0]
    np.testing.assert_allclose((seen[1] - clean)[inner], 1.5 * (alone - clean)[inner], rtol=1e-9)


def test_equal_samples_draw_each_its_own() -> None:
    noise = {"noise": CORRUPTIONS["image"]["gaussian_noise"]}
    distinct = corruption_grid([SAMPLES[0]] * 3, noise, flat, lambda embeddings: len(np.unique(embeddings, axis=0)))
    assert [cell.value for cell in distinct] == [3] * 5


def test_a_noisier_image_is_found_less() -> None:
    grid = corruption_grid(SAMPLES, CORRUPTIONS["image"], flat, found)
    lost = mean_corruption_drop(found(flat(SAMPLES)), grid)
    assert found(flat(SAMPLES)) == 1
    assert 0 <= lost.absolute == lost.relative < 0.5
    assert corruption_grid([], {}, flat, found) == []
