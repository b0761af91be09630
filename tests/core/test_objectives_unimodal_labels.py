"""What is kept of each training row, when labels are made of it, and what is learnt of them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from plait.errors import InputError
from plait.heads import Regression, Target
from plait.losses.unimodal_labels import Bank, class_labels, literal_labels, stable_labels
from plait.model import Model
from plait.objectives import ULG, LiteralULG, Step
from plait.objectives.unimodal_labels import UnimodalLabels
from plait.pairs.batch import Batch
from tests.core.battery.battery import some_rows
from tests.core.battery.labelled_world import KIND, OF, VALUE, labelled
from tests.core.battery.worlds import INSTANCES, Vector, double

WORLD = labelled()
MODEL = WORLD.model().double()
STEPS = [some_rows(number, 24) for number in range(5)]


def batch(rows: list[int], missing: dict[str, list[int]] | None = None) -> Batch:
    return double(WORLD.batch(rows, missing or {}))


def prepared(objective: UnimodalLabels, model: Model = MODEL) -> UnimodalLabels:
    objective.prepare(model, INSTANCES)
    return objective.double()


def meet(objective: UnimodalLabels, *batches: list[int], model: Model = MODEL) -> UnimodalLabels:
    for number, rows in enumerate(batches):
        objective(Step(model, batch(rows), seed=(0, number)))
        objective.after_step()
    return objective


class Diary:
    """The same by dictionaries: features of each view, labels and visits, by row."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.features: dict[str, dict[int, Tensor]] = {name: {} for name in OF}
        self.labels: dict[str, dict[int, Tensor]] = {name: {} for name in OF}
        self.visits: dict[tuple[str, int], int] = {}

    def bank(self, view: str) -> Bank:
        rows = sorted(self.features[view])
        return Bank(
            torch.stack([self.features[view][row] for row in rows]),
            torch.stack([self.labels["fused"][row] for row in rows]),
        )

    def made(self, view: str, truth: Tensor, own: Tensor, fused: Tensor) -> Tensor:
        given = (truth[None], own[None], fused[None], self.bank(view), self.bank("fused"))
        if self.kind == "classes":
            return class_labels(*given)[0]
        return stable_labels(*given, 3.0, 0.2)[0] if self.kind == "stable" else literal_labels(*given, 3.0)[0]

    def write(self, rows: list[int], truth: Tensor, features: dict[str, Tensor], absent: dict[str, list[int]]) -> None:
        new: dict[tuple[str, int], Tensor] = {}
        for view in ("a", "b"):
            for i, row in enumerate(rows):
                if i in absent[view]:
                    continue
                visit = self.visits[view, row] = self.visits.get((view, row), 0) + 1
                if visit == 1:
                    new[view, row] = truth[i]
                else:
                    made = self.made(view, truth[i], features[view][i], features["fused"][i])
                    new[view, row] = ((visit - 1) * self.labels[view][row] + 2 * made) / (visit + 1)
        for (view, row), label in new.items():
            self.labels[view][row] = label
            self.features[view][row] = features[view][rows.index(row)]
        for i, row in enumerate(rows):
            if i not in absent["fused"]:
                self.labels["fused"][row], self.features["fused"][row] = truth[i], features["fused"][i]


@pytest.mark.parametrize("kind", ["stable", "literal", "classes"])
def test_it_keeps_what_a_diary_keeps(kind: str) -> None:
    """Five steps in which rows come again, with b missing in one row and the label of another unknown."""
    target = "label_kind" if kind == "classes" else "label_value"
    objective = prepared(LiteralULG(target, ["a", "b"]) if kind == "literal" else ULG(target, ["a", "b"], 0.2))
    diary = Diary(kind)
    for number, rows in enumerate(STEPS):
        step = Step(MODEL, batch(rows, {"b": [3], target: [5]}), seed=(0, number))
        losses = objective(step)
        known = WORLD.values[target]
        assert isinstance(known, Tensor)
        truth = known[rows].double()
        if kind == "classes":
            truth = torch.eye(3).double()[truth.long()]
        absent = {"a": [5], "b": [3, 5], "fused": [5]}
        for view in ("a", "b"):
            said, slow = step.prediction(target, view).detach(), []
            for i, row in enumerate(rows):
                if i in absent[view]:
                    continue
                label = diary.labels[view].get(row, truth[i])
                if kind == "classes":
                    weight = math.tanh(float((label - truth[i]).abs().sum()) / 2)
                    slow.append(-weight * float((label * said[i].log_softmax(dim=0)).sum()))
                else:
                    weight = math.tanh(abs(float(label - truth[i])))
                    slow.append(weight * abs(float(said[i, 0] - label)))
            assert float(losses[f"ulg/{view}"].detach()) == pytest.approx(sum(slow) / len(slow), rel=1e-9)
            assert number < 2 or sum(slow) > 0.01
        features = {name: step.features(name).pooled.detach() for name in ("a", "b")}
        diary.write(rows, truth, features | {"fused": step.fused().pooled.detach()}, absent)
        objective.after_step()
    kept = objective.keep()
    for row in range(INSTANCES):
        known = row in diary.labels["fused"]
        expected = diary.labels["fused"][row] if known else torch.full_like(kept["ulg/truth"][row], math.nan)
        assert kept["ulg/truth"][row].tolist() == pytest.approx(expected.tolist(), nan_ok=True)
        for view in ("a", "b"):
            was_made = diary.visits.get((view, row), 0) > 1
            expected = diary.labels[view][row] if was_made else torch.full_like(expected, math.nan)
            assert kept[f"ulg/labels/{view}"][row].tolist() == pytest.approx(expected.tolist(), nan_ok=True, rel=1e-9)


def test_until_a_rows_second_visit_is_over_its_label_is_the_multimodal_one() -> None:
    objective = prepared(ULG("label_value", ["a", "b", "c"]))
    for number in range(3):
        losses = objective(Step(MODEL, batch(list(range(INSTANCES))), seed=(0, number)))
        assert all((float(loss.detach()) > 0.01) == (number == 2) for loss in losses.values())
        objective.after_step()


def test_evaluation_writes_nothing() -> None:
    objective = meet(prepared(ULG("label_value", ["a"])), *STEPS[:2])
    before = {name: value.clone() for name, value in objective.state_dict().items()}
    objective.eval()
    meet(objective, *STEPS[2:])
    assert all(torch.equal(value, before[name]) for name, value in objective.state_dict().items())
    objective.train()
    meet(objective, STEPS[2])
    assert not torch.equal(objective.memory("a").labels, before["memories.a.labels"])


def test_of_a_row_that_comes_twice_in_a_batch_the_first_counts() -> None:
    """The second time it looks otherwise, as augmented."""
    twice, once = (meet(prepared(ULG("label_value", ["a"])), list(range(8))) for _ in range(2))
    repeated = batch([4, 2, 4])
    shown = repeated.values["a"]
    assert isinstance(shown, Tensor)
    shown[2] += 1.0
    twice(Step(MODEL, repeated))
    twice.after_step()
    meet(once, [2, 4])
    assert twice.memory("a").visits.tolist()[:8] == [1, 1, 2, 1, 2, 1, 1, 1]
    for name, value in twice.state_dict().items():
        assert torch.equal(value, once.state_dict()[name]), name


def with_target(target: Target) -> Model:
    model = WORLD.model().double()
    model.targets["label_value"] = target
    return model


@pytest.mark.parametrize("kind", [ULG, LiteralULG])
def test_neutral_is_the_middle_of_the_range(kind: type[ULG | LiteralULG]) -> None:
    """Labels from 10 to 16 are made as those from -3 to 3 are."""
    plain = meet(prepared(kind("label_value", ["a", "b"])), *STEPS)
    moved_target = Regression(of=VALUE.of, low=10, high=16, hidden=8, dropout=0.0)
    model = with_target(moved_target)
    moved = prepared(kind("label_value", ["a", "b"]), model)
    for number, rows in enumerate(STEPS):
        shifted = batch(rows)
        shifted.values["label_value"] = shifted.values["label_value"] + 13.0  # type: ignore[operator]
        moved(Step(model, shifted, seed=(0, number)))
        moved.after_step()
    for name in ("truth", "labels/a", "labels/b"):
        torch.testing.assert_close(moved.keep()[f"ulg/{name}"], plain.keep()[f"ulg/{name}"] + 13.0, equal_nan=True)
    assert moved.figures() == pytest.approx(plain.figures())


def test_figures_by_hand() -> None:
    """Of six rows five have labels of their own; one is turned round, one neutral, one clipped, two at 2.5 or more."""
    objective = prepared(ULG("label_value", ["a"]))
    assert objective.figures() == {}
    memory, truth = objective.memory("a"), objective.memory("fused")
    truth.visits[:6] = 2
    truth.labels[:6] = torch.tensor([1.0, -2.0, 0.0, 3.0, 2.6, -1.0])
    memory.visits[:6] = torch.tensor([2, 3, 2, 2, 2, 1])
    memory.labels[:5] = torch.tensor([-0.5, -2.5, 0.5, 2.9, 0.0])
    memory.latest[:5] = torch.tensor([-1.0, -2.7, 0.5, 3.0, -1.0])
    assert objective.figures() == pytest.approx(
        {
            "ulg/flipped/a": 1 / 4,
            "ulg/clipped/a": 1 / 5,
            "ulg/inflated/a": 2 / 5,
            "ulg/moved/a": (1.5 + 0.5 + 0.5 + 0.1 + 2.6) / 5,
            "ulg/undefined/a": 0.0,
            "ulg/clipped/truth": 1 / 6,
            "ulg/inflated/truth": 2 / 6,
        }
    )


def test_a_literal_label_that_is_no_number_ends_training_and_names_the_mend() -> None:
    values = WORLD.values["label_value"]
    assert isinstance(values, Tensor)
    positive = (values > 0).nonzero().squeeze(1).tolist()[:8]
    with pytest.raises(InputError, match=r"Labels made for a are not finite.*ulg has"):
        meet(prepared(LiteralULG("label_value", ["a"])), positive, positive)
    meet(prepared(ULG("label_value", ["a"])), positive, positive)


def test_figures_of_classes_by_hand() -> None:
    objective = prepared(ULG("label_kind", ["a"]))
    memory, truth = objective.memory("a"), objective.memory("fused")
    truth.visits[:2], memory.visits[:2] = 2, 2
    truth.labels[:2] = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    memory.labels[:2] = torch.tensor([[0.3, 0.6, 0.1], [0.0, 0.9, 0.1]])
    memory.latest[:2] = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.8, 0.2]])
    expected = {"ulg/flipped/a": 0.5, "ulg/clipped/a": 0.5, "ulg/moved/a": (0.7 + 0.1) / 2, "ulg/clipped/truth": 1.0}
    assert objective.figures() == pytest.approx(expected)


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(InputError, match="each named once"):
        ULG("label_value", [])
    with pytest.raises(InputError, match="each named once"):
        ULG("label_value", ["a", "fused"])
    with pytest.raises(InputError, match="delta: 0 is no share"):
        ULG("label_value", ["a"], delta=0)
    with pytest.raises(InputError, match="use ulg"):
        prepared(LiteralULG("label_kind", ["a"]))
    with pytest.raises(InputError, match="no head of b"):
        prepared(ULG("label_value", ["a", "b"]), with_target(replace(VALUE, of=["fused", "a"])))
    with pytest.raises(InputError, match="has classes 0 to 2"):
        prepared(ULG("label_kind", ["a"])).labelling.multimodal(torch.tensor([0.0, 3.0]))
    towers = Model({"a": Vector(3)}, 8, targets={"label_kind": replace(KIND, of=["a"])})
    with pytest.raises(InputError, match=r"set the recipe's model\.fusion"):
        prepared(ULG("label_kind", ["a"]), towers)
