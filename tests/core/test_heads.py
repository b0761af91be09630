"""Targets: what heads say of labels, which labels are shown, and that no head is asked that was not trained."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from plait.errors import InputError
from plait.fusion import FUSIONS
from plait.heads import Classes, Regression, Target
from plait.model import Model
from plait.objectives import Step
from plait.objectives.supervised import Supervised
from plait.pairs.batch import Batch, Sample
from plait.pairs.layout import Row
from plait.pairs.table import PairTable, TableInfo
from plait.subjects import ModelSubject
from tests.core.battery.worlds import Vector

SCORE = "label_score"


def model(targets: Mapping[str, Target], fusion: bool = True) -> Model:
    torch.manual_seed(0)
    encoders = {"a": Vector(3), "b": Vector(4)}
    joined = FUSIONS["concat"](dict.fromkeys(encoders, 6), width=6) if fusion else None
    return Model(encoders, 8, joined, targets=targets)


def batch(labels: list[float | None], lacks_b: tuple[int, ...] = ()) -> Batch:
    rows, rng = len(labels), np.random.default_rng(0)
    there = torch.tensor([label is not None for label in labels])
    has_b = torch.tensor([row not in lacks_b for row in range(rows)])
    values: dict[str, Tensor] = {
        "a": torch.tensor(rng.normal(size=(rows, 3))).float(),
        "b": torch.tensor(rng.normal(size=(rows, 4))).float() * has_b[:, None],
        SCORE: torch.tensor([0.0 if label is None else label for label in labels]),
    }
    present = {"a": torch.ones(rows, dtype=torch.bool), "b": has_b, SCORE: there}
    names = tuple(map(str, range(rows)))
    return Batch(names, names, dict(values), present, rows=torch.arange(rows))


def regression(**more: object) -> dict[str, Target]:
    return {SCORE: Regression(**{"low": -3.0, "high": 3.0, "of": ["fused", "a", "b"], "dropout": 0.0, **more})}


def test_the_regression_loss_is_the_mean_absolute_error_of_rows_with_a_known_label() -> None:
    step = Step(model(regression()), batch([1.0, None, -2.0, math.nan], lacks_b=(2,)))
    losses = Supervised(SCORE, ["fused", "b"])(step)
    said = {name: step.prediction(SCORE, name).squeeze(1) for name in ("fused", "b")}
    torch.testing.assert_close(
        losses["supervised/fused"], ((said["fused"][0] - 1).abs() + (said["fused"][2] + 2).abs()) / 2
    )
    torch.testing.assert_close(losses["supervised/b"], (said["b"][0] - 1).abs())


def test_the_fused_head_tells_from_what_a_row_has() -> None:
    made = model(regression()).eval()
    step = Step(made, batch([1.0, 1.0], lacks_b=(1,)))
    alone = Step(made, batch([1.0, 1.0])).fused(("a",)).pooled
    torch.testing.assert_close(step.prediction(SCORE, "fused")[1], made.predict(SCORE, "fused", alone)[1])


def test_class_losses_are_cross_entropies_and_answers_probabilities() -> None:
    logits, truth = torch.tensor([[2.0, 0.0, 0.0], [0.0, 0.0, 5.0]]), torch.tensor([0.0, 1.0])
    target = Classes(classes=3)
    by_hand = [math.log(math.exp(2) + 2) - 2.0, math.log(2 + math.exp(5))]
    torch.testing.assert_close(target.losses(logits, truth), torch.tensor(by_hand))
    torch.testing.assert_close(target.answers(logits).sum(dim=1), torch.ones(2))
    with pytest.raises(InputError, match="A label is 3 and the target has classes 0 to 2"):
        target.losses(logits, torch.tensor([0.0, 3.0]))


def test_regression_answers_stay_in_the_label_range() -> None:
    target = Regression(low=-1, high=1)
    torch.testing.assert_close(target.answers(torch.tensor([[4.0], [-0.5]])), torch.tensor([[1.0], [-0.5]]))


def test_of_few_labels_the_same_are_shown_in_every_epoch_and_to_everyone() -> None:
    made, rows = model(regression(labelled=0.25)), batch([1.0] * 400)
    shown = [Step(made, rows, seed=(3, number)).truth(SCORE)[1] for number in (0, 7)]
    assert torch.equal(*shown)
    assert 70 < int(shown[0].sum()) < 130
    other = Step(made, rows, seed=(4, 0)).truth(SCORE)[1]
    assert not torch.equal(other, shown[0])


def test_nothing_known_is_a_zero_loss_with_a_finite_gradient() -> None:
    made = model(regression())
    loss = Supervised(SCORE)(Step(made, batch([None, None])))["supervised/fused"]
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert all(bool(torch.isfinite(p.grad).all()) for p in made.parameters() if p.grad is not None)


@pytest.mark.parametrize(
    ("of", "fusion", "said"),
    [(["fused"], False, "the model lacks a fusion"), (["c"], True, "the model lacks an encoder of 'c'")],
)
def test_a_head_needs_what_it_reads(of: list[str], fusion: bool, said: str) -> None:
    with pytest.raises(InputError, match=said):
        model({SCORE: Regression(low=-1, high=1, of=of)}, fusion)


def test_an_objective_says_which_target_or_head_is_lacking() -> None:
    made = model({SCORE: Regression(low=-1, high=1)})
    with pytest.raises(InputError, match=r"lack .label_other. .there is label_score"):
        Supervised("label_other").prepare(made, 4)
    with pytest.raises(InputError, match=r"has no head of b: add it to model\.targets\.label_score\.of"):
        Supervised(SCORE, ["fused", "b"]).prepare(made, 4)


@pytest.mark.parametrize("spec", [{"low": 1, "high": 1}, {"low": -1, "high": math.inf}])
def test_a_range_is_low_to_high(spec: dict[str, float]) -> None:
    with pytest.raises(InputError, match="give low < high"):
        Regression(**spec)


def table(rows: int) -> PairTable:
    info = TableInfo("toy", "toy", ".", {"a": ("a",), "b": ("b",)}, "none", "none")
    made = [{"id": str(k), "group": str(k), "split": "val", "a": "x", "b": "x" if k else None} for k in range(rows)]
    return PairTable.from_rows(made, info)


def load(row: Row, root: Path, names: object = None) -> Sample:
    rng = np.random.default_rng(int(row["id"]))
    sizes = {"a": 3, "b": 4}
    return {name: None if row[name] is None else torch.tensor(rng.normal(size=n)).float() for name, n in sizes.items()}


def test_a_subject_answers_by_its_trained_heads_alone() -> None:
    made = model(regression(of=["fused", "b"]))
    subject = ModelSubject("m", made, load, table(3))
    fused, own = subject.predictions(SCORE, ("a", "b")), subject.predictions(SCORE, "b")
    assert fused is not None
    assert own is not None
    expected = made.predict(SCORE, "fused", torch.from_numpy(subject.fused(("a", "b")))).clamp(-3, 3)
    np.testing.assert_allclose(fused, expected.detach().numpy(), rtol=1e-6)
    assert np.isnan(own[0]).all(), "row 0 lacks b"
    assert np.isfinite(own[1:]).all()
    assert subject.predictions(SCORE, "a") is None, "no head of its own"
    assert ModelSubject("twin", made, load, table(3), trained=False).predictions(SCORE, ("a", "b")) is None
