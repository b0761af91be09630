"""Pruning by prototypes: the right end is kept, in the right number, and no group is cut away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics.pairwise import cosine_distances

from plait.errors import InputError
from plait.pairs.table import PairTable
from plait.pruning import prototype_distances, prune


def directions(sizes: tuple[int, ...], spread: float, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Rows about as many axes as there are sizes, and each row's axis."""
    truth = np.repeat(np.arange(len(sizes)), sizes)
    noise = np.random.default_rng(seed).normal(size=(len(truth), len(sizes)))
    return np.eye(len(sizes))[truth] + spread * noise, truth


def test_distances_are_cosines_to_the_mean_direction_of_the_cluster() -> None:
    embeddings, truth = directions((30, 20, 10), 0.1)
    distances, clusters = prototype_distances(embeddings * np.arange(1, 61)[:, None], clusters=3)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    for group in range(3):
        rows = truth == group
        assert len(np.unique(clusters[rows])) == 1
        expected = cosine_distances(unit[rows], unit[rows].mean(axis=0, keepdims=True))[:, 0]
        np.testing.assert_allclose(distances[rows], expected, atol=1e-9)


@pytest.mark.parametrize(("keep", "expected"), [("far", [3, 4, 5]), ("near", [0, 1, 2])])
def test_far_keeps_the_hard_rows_and_near_the_easy_ones(keep: Literal["far", "near"], expected: list[int]) -> None:
    kept = prune(np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]), np.zeros(6), 0.5, keep)
    assert kept.tolist() == expected


def test_an_outlier_of_a_blob_is_kept_first_and_dropped_first() -> None:
    embeddings, _ = directions((30, 30), 0.05)
    embeddings[7] = [1.0, 0.9]
    distances, clusters = prototype_distances(embeddings, clusters=2)
    assert distances.argmax() == 7
    assert 7 in prune(distances, clusters, 0.1, "far")
    assert 7 not in prune(distances, clusters, 0.9, "near")


def test_a_group_that_is_all_easy_keeps_its_floor() -> None:
    distances = np.concatenate([np.linspace(0.0, 0.1, 20), np.linspace(0.5, 1.0, 20)])
    groups = np.repeat(["easy", "hard"], 20)
    assert (prune(distances, groups, 0.5, floor=0.0) >= 20).all()
    kept = prune(distances, groups, 0.5, floor=0.5)
    # An even cut would leave it 10; half of that, and the hardest of it.
    assert kept[kept < 20].tolist() == [15, 16, 17, 18, 19]
    assert len(kept) == 20
    assert (prune(distances, groups, 0.5, floor=1.0) < 20).sum() == 10


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 40), st.floats(0.01, 1.0), st.floats(0.0, 1.0), st.sampled_from(["far", "near"]), st.integers(0, 99)
)
def test_as_many_are_kept_as_were_asked_for(
    n: int, share: float, floor: float, keep: Literal["far", "near"], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    distances, groups = rng.random(n), rng.integers(5, size=n)
    kept = prune(distances, groups, share, keep, floor)
    assert len(kept) == round(share * n)
    assert (np.diff(kept) > 0).all()
    for group in np.unique(groups):
        assert (groups[kept] == group).sum() >= int(floor * share * (groups == group).sum())


def test_rows_that_are_all_the_same_are_cut_in_order() -> None:
    distances, clusters = prototype_distances(np.ones((10, 3)), clusters=2)
    np.testing.assert_allclose(distances, 0.0, atol=1e-12)
    assert len(prune(np.zeros(10), np.zeros(10), 0.3)) == 3
    assert prune(np.zeros(10), np.zeros(10), 0.3).tolist() == [0, 1, 2]
    assert clusters.shape == (10,)


def test_the_same_seed_gives_the_same_prototypes() -> None:
    embeddings, _ = directions((30, 20, 10), 0.5)
    once, again = (prototype_distances(embeddings, clusters=8, seed=3) for _ in range(2))
    assert np.array_equal(once[0], again[0])
    assert np.array_equal(once[1], again[1])


def test_what_makes_no_sense_is_refused() -> None:
    embeddings, _ = directions((3, 3), 0.1)
    with pytest.raises(InputError, match="6 embeddings for 7 prototypes"):
        prototype_distances(embeddings, clusters=7)
    embeddings[0, 0] = np.nan
    with pytest.raises(InputError, match="not finite"):
        prototype_distances(embeddings, clusters=2)
    with pytest.raises(InputError, match="The share to keep is"):
        prune(np.zeros(3), np.zeros(3), 0.0)
    with pytest.raises(InputError, match="The floor of a group is"):
        prune(np.zeros(3), np.zeros(3), 0.5, floor=1.5)
    with pytest.raises(InputError, match="3 distances and 2 groups"):
        prune(np.zeros(3), np.zeros(2), 0.5)


def test_the_verb_prunes_the_training_rows_alone(
    plait: Callable[..., tuple[int, str, str]], toy_pairs: Path, tmp_path: Path
) -> None:
    run, out = tmp_path / "run", tmp_path / "fewer.parquet"
    assert plait("toy", "pretrain", "toy_contrast", "--pairs", toy_pairs, "--out", run, "--max-steps", 3)[0] == 0
    command = ["toy", "prune", run, "--pairs", toy_pairs, "--out", out, "--modality", "barometer", "--share", 0.5]
    code, printed, _ = plait(*command)
    whole, fewer = PairTable.read(toy_pairs), PairTable.read(out)
    assert code == 0
    assert f"kept {round(0.5 * (whole.splits == 'train').sum())} of {(whole.splits == 'train').sum()}" in printed
    assert set(fewer.ids) < set(whole.ids)
    assert (fewer.splits == "val").sum() == (whole.splits == "val").sum()
    code, _, errors = plait(*[*command[:-3], "hygrometer", "--share", 0.5])
    assert code == 2
    assert "has no modality 'hygrometer'" in errors
