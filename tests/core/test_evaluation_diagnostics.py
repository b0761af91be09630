"""Diagnostics of a shared space: by hand, against slow loops, and on published embeddings."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import plait
from plait.evaluation import alignment, effective_rank, modality_gap, uniformity


def test_modality_gap_by_hand() -> None:
    east, north = np.asarray([[2.0, 0.0], [7.0, 0.0]]), np.asarray([[0.0, 1.0]])
    assert plait.evaluation.modality_gap(east, north) == pytest.approx(math.sqrt(2))
    assert modality_gap(east, -east) == pytest.approx(2.0)
    assert modality_gap(east, 3 * east) == 0.0


def test_alignment_by_hand() -> None:
    x = np.asarray([[1.0, 0.0], [1.0, 0.0]])
    assert alignment(x, np.asarray([[5.0, 0.0], [0.0, 1.0]])) == pytest.approx((0 + 2) / 2)


def test_uniformity_is_the_mean_over_distinct_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(size=(30, 5))
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    pairs = [math.exp(-2 * float(np.sum((unit[i] - unit[j]) ** 2))) for i in range(30) for j in range(30) if i != j]
    assert uniformity(x) == pytest.approx(math.log(sum(pairs) / len(pairs)))
    monkeypatch.setattr("plait.evaluation.diagnostics._BLOCK", 7)
    assert uniformity(x) == pytest.approx(math.log(sum(pairs) / len(pairs)))
    assert uniformity(np.ones((4, 3))) == pytest.approx(0.0)
    assert uniformity(np.asarray([[1.0, 0.0], [-1.0, 0.0]])) == pytest.approx(-8.0)
    assert math.isnan(uniformity(x[:1]))


def test_effective_rank_counts_equal_directions() -> None:
    assert effective_rank(np.eye(6)[:, :4]) == pytest.approx(4.0)
    assert effective_rank(5 * np.eye(6)) == pytest.approx(6.0)
    assert effective_rank(np.ones((6, 4))) == pytest.approx(1.0)
    # Singular values 3 and 1: entropy of (3/4, 1/4).
    assert effective_rank(np.diag([3.0, 1.0])) == pytest.approx(
        math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))
    )
    assert math.isnan(effective_rank(np.zeros((3, 3))))


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "gap"),
    [("clip", 0.8513519), ("clip_random", 1.1360575), ("convirt", 0.8230764), ("convirt_random", 1.4030194)],
)
def test_modality_gaps_of_published_models(shared_data: Path, name: str, gap: float) -> None:
    """The authors' own embeddings (Liang et al., 2022), and networks before training."""
    image, text = np.load(shared_data / "embeddings" / f"{name}.npy", allow_pickle=False)
    assert modality_gap(image, text) == pytest.approx(gap, abs=5e-7)
