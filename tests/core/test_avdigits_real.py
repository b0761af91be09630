"""Digits heard and seen: both modalities beat either, either may be missing, and a speaker may be unheard of.

Recordings and images are real; which image goes with which recording was drawn within each class.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from plait.encoders.tables import Table
from plait.fusion import FUSIONS
from plait.heads import FUSED, Classes
from plait.model import Model
from plait.objectives import OBJECTIVES, Objective
from plait.objectives.step import Step
from plait.pairs.batch import Batch, Value
from plait.training.learner import Learner, Sealed

pytestmark = pytest.mark.real

LABEL = "label_digit"
COLUMNS = {"image": 64, "audio": 992}
BOTH = tuple(COLUMNS)
STEPS, ROWS, RATE = 100, 128, 3e-3

type Digits = dict[str, NDArray[Any]]


@pytest.fixture(scope="module")
def digits(shared_data: Path) -> Digits:
    with np.load(shared_data / "sentiment" / "avdigits" / "avdigits.npz", allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.fixture(scope="module")
def train(digits: Digits) -> Batch:
    return batch(digits, digits["split"] == 0)


@pytest.fixture(scope="module")
def unseen(digits: Digits) -> Batch:
    return batch(digits, digits["split"] == 1)


@pytest.fixture(scope="module")
def attention(train: Batch) -> Model:
    return trained(train, BOTH, supervised(), fusion="directional_attention")


def batch(digits: Digits, chosen: NDArray[np.bool_]) -> Batch:
    """The chosen rows: image and log-mel spectrogram, each flat, and the label."""

    def column(name: str) -> Tensor:
        return torch.from_numpy(digits[name][chosen].astype(np.float32)).flatten(start_dim=1)

    values: dict[str, Value] = {"image": column("image"), "audio": column("audio_logmel")}
    values[LABEL] = torch.from_numpy(digits["label"][chosen].astype(np.float32))
    ids, rows = tuple(map(str, digits["recording"][chosen])), torch.arange(int(chosen.sum()))
    return Batch(ids, ids, values, dict.fromkeys(values, torch.ones(len(rows), dtype=torch.bool)), rows=rows)


def some(whole: Batch, rows: Tensor) -> Batch:
    ids = tuple(whole.ids[row] for row in rows.tolist())
    values = {name: value[rows] for name, value in whole.values.items()}
    return Batch(ids, ids, values, {name: flags[rows] for name, flags in whole.present.items()}, rows=rows)


def supervised(name: str = FUSED) -> Objective:
    return OBJECTIVES["supervised"](target=LABEL, of=[name])


def trained(
    train: Batch, names: Sequence[str], *objectives: Objective, fusion: str | None = None, dropout: float = 0.3
) -> Model:
    """A perceptron and a head a modality, and one of their fusion where there is one; ``dropout`` withholds either."""
    torch.manual_seed(0)
    encoders = {name: Table(COLUMNS[name], width=32, hidden=64) for name in names}
    for name, encoder in encoders.items():
        encoder.fit([train.values[name]])
    joined = None if fusion is None else FUSIONS[fusion](dict.fromkeys(names, 32), width=32)
    target = Classes(of=[*names] if fusion is None else [*names, FUSED], classes=10, dropout=0.0)
    model = Model(encoders, 8, joined, modality_dropout=dropout, targets={LABEL: target})
    learner = Learner(model, [(objective, 1.0) for objective in objectives], len(train)).train()
    optimiser = torch.optim.AdamW(learner.parameters(), RATE, weight_decay=0.05, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, STEPS)
    shuffled = torch.cat([torch.randperm(len(train)) for _ in range(-(-STEPS * ROWS // len(train)))])
    for step, rows in enumerate(shuffled[: STEPS * ROWS].split(ROWS)):
        total, _ = learner(Sealed(some(train, rows)), (0, step))
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        schedule.step()
        learner.after_step()
    return model.eval()


@torch.no_grad()
def accuracy(model: Model, test: Batch, name: str = FUSED, withheld: str = "") -> float:
    present = {key: flags & (key != withheld) for key, flags in test.present.items()}
    step = Step(model, Batch(test.ids, test.ids, test.values, present, rows=test.rows))
    said = step.prediction(LABEL, name)
    assert torch.isfinite(said).all()
    truth, known = step.truth(LABEL)
    assert known.all()
    return said.argmax(dim=1).eq(truth).float().mean().item()


def alone(train: Batch, test: Batch, name: str) -> float:
    return accuracy(trained(train, [name], supervised(name)), test, name)


def test_no_recording_and_no_image_crosses_the_split_and_every_speaker_does(digits: Digits) -> None:
    train, test = digits["split"] == 0, digits["split"] == 1
    assert (train.sum(), test.sum()) == (2700, 300)
    for name in ("recording", "image_index"):
        assert not set(digits[name][train]) & set(digits[name][test])
    assert set(digits["speaker"][train]) == set(digits["speaker"][test])


def test_both_modalities_beat_either_and_either_may_be_missing(train: Batch, unseen: Batch, attention: Model) -> None:
    image, audio = (alone(train, unseen, name) for name in BOTH)
    assert min(image, audio) > 0.9
    late = trained(train, BOTH, supervised(), fusion="late")
    for model, floor in ((late, 0.96), (attention, 0.94)):
        assert accuracy(model, unseen) > max(floor, image + 0.005, audio + 0.005)
        for name in BOTH:
            assert 0.7 < accuracy(model, unseen, withheld=name) < accuracy(model, unseen)


def test_what_was_never_missing_in_training_is_missed_more(train: Batch, unseen: Batch, attention: Model) -> None:
    sheltered = trained(train, BOTH, supervised(), fusion="directional_attention", dropout=0.0)
    assert accuracy(sheltered, unseen) > 0.93
    assert accuracy(sheltered, unseen, withheld="image") < accuracy(attention, unseen, withheld="image") - 0.2


def test_self_made_labels_beside_the_true_ones_cost_nothing(train: Batch, unseen: Batch) -> None:
    made = OBJECTIVES["ulg"](target=LABEL, of=[*BOTH])
    model = trained(train, BOTH, supervised(), made, fusion="late")
    assert accuracy(model, unseen) > 0.95
    assert min(accuracy(model, unseen, name) for name in BOTH) > 0.5  # heads that self-made labels alone train


def test_a_speaker_who_was_never_heard_is_understood_better_by_both(digits: Digits) -> None:
    """No speaker, no recording and no image is in both parts."""
    theo = digits["speaker"] == "theo"
    train, test = batch(digits, (digits["split"] == 0) & ~theo), batch(digits, (digits["split"] == 1) & theo)
    model = trained(train, BOTH, supervised(), fusion="late")
    assert alone(train, test, "audio") + 0.1 < accuracy(model, test) > 0.85
