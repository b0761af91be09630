"""Published embeddings of CLIP and of a ConVIRT have the gap that *Mind the Gap* found (Liang et al., 2022)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from plait.evaluation import modality_gap, retrieval, shift_gap
from plait.losses import info_nce

SHARES = (-0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0, 1.25)


def embeddings(folder: Path, name: str) -> NDArray[np.float64]:
    return np.load(folder / "embeddings" / f"{name}.npy", allow_pickle=False).astype(np.float64)


def curve(folder: Path, name: str, temperature: float) -> dict[float, float]:
    """The symmetric InfoNCE loss by how far the two clouds were moved towards each other."""
    image, text = embeddings(folder, name)
    moved = {share: [torch.from_numpy(rows) for rows in shift_gap(image, text, share)] for share in SHARES}
    return {share: float(info_nce(a, b, 1.0 / temperature)) for share, (a, b) in moved.items()}


@pytest.mark.parametrize(
    ("name", "gap"),
    [("clip", 0.8513519), ("clip_random", 1.1360575), ("convirt", 0.8230764), ("convirt_random", 1.4030194)],
)
def test_the_gap(shared_data: Path, name: str, gap: float) -> None:
    assert modality_gap(*embeddings(shared_data, name)) == pytest.approx(gap, abs=1e-7)


def test_at_the_temperature_of_clip_closing_the_gap_makes_the_loss_worse(shared_data: Path) -> None:
    losses = curve(shared_data, "clip", 0.01)
    assert min(losses, key=losses.__getitem__) == 0.0
    assert losses[0.0] == pytest.approx(1.801, abs=5e-4)
    assert losses[1.0] == pytest.approx(3.800, abs=1e-3)


def test_at_a_warm_temperature_the_loss_wants_the_gap_closed(shared_data: Path) -> None:
    losses = curve(shared_data, "clip", 1.0)
    assert min(losses, key=losses.__getitem__) == 1.0
    assert losses[1.0] == pytest.approx(6.0365, abs=5e-5)
    assert losses[0.0] == pytest.approx(6.0676, abs=5e-5)


def test_the_claim_does_not_hold_for_convirt_whose_pairs_are_weakly_matched(shared_data: Path) -> None:
    losses = curve(shared_data, "convirt", 0.01)
    assert min(losses, key=losses.__getitem__) == 0.75
    assert losses[0.0] == pytest.approx(17.75, abs=5e-3)
    assert losses[0.75] == pytest.approx(16.35, abs=5e-3)


@pytest.mark.parametrize(("name", "there", "back"), [("clip", 0.552, 0.506), ("convirt", 0.006, 0.022)])
def test_retrieval(shared_data: Path, name: str, there: float, back: float) -> None:
    image, text = embeddings(shared_data, name)
    assert retrieval(image, text)["recall@1"] == pytest.approx(there)
    assert retrieval(text, image)["recall@1"] == pytest.approx(back)
