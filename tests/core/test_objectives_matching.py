"""Matching and misalignment against a model that is shown other inputs outright."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from plait.errors import InputError
from plait.fusion import FUSIONS
from plait.model import Model
from plait.objectives import Objective, Step
from plait.objectives.matching import DistanceMatching, Matching, draw_others
from plait.objectives.misalignment import MisalignmentContrast, MisalignmentMatching, shift
from plait.pairs.batch import Batch, Padded, Value
from tests.core.battery.worlds import double, motions, scenes, vectors

MODEL = vectors().model().double()


def batch(*rows: int, missing: dict[str, list[int]] | None = None) -> Batch:
    return double(vectors().batch(rows, missing or {}))


def prepared[Asked: Objective](objective: Asked, model: Model = MODEL) -> Asked:
    torch.manual_seed(2)
    objective.prepare(model, 32)
    return objective.double()


def shown(rows: Batch, name: str, value: Value) -> Batch:
    """The batch with another value of one modality."""
    return replace(rows, values=rows.values | {name: value})


def entropies(logits: Tensor, answer: int) -> list[float]:
    return F.cross_entropy(logits, torch.full((len(logits),), answer), reduction="none").tolist()


@pytest.mark.parametrize(
    ("world", "names"), [(vectors, ("a", "b")), (scenes, ("image", "text"))], ids=["vectors", "tokens"]
)
def test_matching_is_the_cross_entropy_of_rows_and_of_swapped_rows(world, names) -> None:
    """Against the model itself, given the raw inputs of the rows that were drawn."""
    model, rows = world().model().double(), double(world().batch(missing={names[1]: [2]}))
    objective = prepared(Matching(list(names)), model)
    step = Step(model, rows, seed=(0, 3))
    (found,) = objective(step).values()
    chosen, asked = draw_others(step, names, 1 / 0.07, None)
    kept = [0, 1, *range(3, 8)]
    assert asked[kept].all()
    costs = entropies(objective.head(step.fused(names).pooled)[kept].detach(), 1)
    for name, others in zip(names[::-1], chosen, strict=True):
        swapped = Step(model, shown(rows, name, rows.values[name][others]))
        costs += entropies(objective.head(swapped.fused(names).pooled)[kept].detach(), 0)
    assert float(found.detach()) == pytest.approx(sum(costs) / len(costs), rel=1e-9)


def test_distance_matching_is_two_logits_of_a_distance() -> None:
    rows = batch(0, 1, 2, 3, 4)
    objective = prepared(DistanceMatching(["a", "b"]))
    step = Step(MODEL, rows, seed=(0, 3))
    (found,) = objective(step).values()
    chosen, _ = draw_others(step, ("a", "b"), 0.0, None)
    a, b = (step.embedding(name).tolist() for name in "ab")
    costs = 0.0
    for i in range(5):
        others = (a[i], b[chosen[0][i]]), (b[i], a[chosen[1][i]])
        for (x, y), sign in (((a[i], b[i]), 1), (others[0], -1), (others[1], -1)):
            # The first head says yes below distance 1: logits d - 1 and 1 - d.
            costs += math.log(1 + math.exp(sign * 2 * (math.dist(x, y) - 1))) / 15
    assert float(found.detach()) == pytest.approx(costs, rel=1e-9)


def test_what_is_equal_is_not_drawn() -> None:
    """Rows 0 and 5 have the same c: each is the other's only candidate, and row 2 lacks b."""
    step = Step(MODEL, batch(0, 5, 2, missing={"b": [2]}))
    chosen, asked = draw_others(step, ("a", "b"), 1.0, "c")
    assert not asked.any()
    assert [places.tolist() for places in chosen] == [[0, 1, 2]] * 2
    (loss,) = prepared(Matching(["a", "b"], equal="c"))(step).values()
    assert float(loss.detach()) == 0.0
    chosen, asked = draw_others(step, ("a", "b"), 1.0, None)
    assert asked.tolist() == [[True, True], [True, True], [False, False]]
    assert chosen[0][:2].tolist() == chosen[1][:2].tolist() == [1, 0]


def test_a_row_draws_alike_in_any_order_and_anew_each_step() -> None:
    """Each row's own negatives, by place in the table: 40 steps, with the batch as it is and shuffled."""
    rows, order = list(range(8)), [3, 7, 0, 5, 1, 6, 2, 4]
    drawn: list[list[int]] = []
    for number in range(40):
        one, other = (Step(MODEL, batch(*some), seed=(0, number)) for some in (rows, order))
        (first, _), _ = draw_others(one, ("a", "b"), 0.0, None)
        (second, _), _ = draw_others(other, ("a", "b"), 0.0, None)
        assert [order[place] for place in second.tolist()] == [first.tolist()[row] for row in order]
        drawn.append(first.tolist())
    assert all(len({places[row] for places in drawn}) >= 5 for row in range(8))


def test_low_temperature_draws_the_likest_and_high_draws_any() -> None:
    similarities = (
        Step(MODEL, batch(*range(8))).embedding("a") @ Step(MODEL, batch(*range(8))).embedding("b").T
    ).detach()
    similarities.fill_diagonal_(-2)
    hardest = similarities.argmax(dim=1).tolist()
    shares = []
    for scale in (1e4, 0.0):
        hits = 0
        for number in range(30):
            (chosen, _), _ = draw_others(Step(MODEL, batch(*range(8)), seed=(0, number)), ("a", "b"), scale, None)
            hits += sum(i == j for i, j in zip(chosen.tolist(), hardest, strict=True))
        shares.append(hits / 240)
    assert shares[0] > 0.95
    assert shares[1] == pytest.approx(1 / 7, abs=0.1)


@settings(max_examples=20, deadline=None)
@given(height=st.integers(2, 9), width=st.integers(2, 7), seed=st.integers(0, 1000))
def test_a_shift_is_a_roll_by_at_least_so_much_in_either_direction(height: int, width: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    value = torch.rand(5, 2, height, width, generator=generator)
    draws = torch.rand(5, 2, generator=generator)
    least = min(height, width) // 2
    found = shift(value, [2, 3], least, draws)
    for row in range(5):
        amounts = [
            least + int(float(u) * (n - 2 * least + 1)) for u, n in zip(draws[row], (height, width), strict=True)
        ]
        assert all(least <= amount <= n - least for amount, n in zip(amounts, (height, width), strict=True))
        assert torch.equal(found[row], torch.roll(value[row], amounts, dims=(1, 2)))


def test_all_shifts_are_drawn_as_often() -> None:
    value = torch.arange(8.0).expand(7000, 8)
    draws = torch.rand(7000, 1, generator=torch.Generator().manual_seed(0))
    amounts = torch.bincount(shift(value, [1], 2, draws).argmin(dim=1), minlength=8) / 7000
    assert torch.allclose(amounts, torch.tensor([0, 0, *[0.2] * 5, 0]), atol=0.02)
    extreme = torch.tensor([[0.0], [1 - 2**-24]])
    assert shift(value[:2], [1], 2, extreme).argmin(dim=1).tolist() == [2, 6]


def rolled(rows: Batch, step: Step, copies: int) -> list[Batch]:
    """Batches in which each row's b is rolled as the objective draws it, least shift 1 of 4 places."""
    value = rows.values["b"]
    assert isinstance(value, Tensor)
    draws = step.uniform("misalignment/b", copies, 1)
    return [
        shown(
            rows,
            "b",
            torch.stack([row.roll(1 + int(float(u) * 3)) for row, u in zip(value, draws[:, k, 0], strict=True)]),
        )
        for k in range(copies)
    ]


def test_misalignment_matching_tells_a_row_from_itself_shifted() -> None:
    rows = batch(0, 1, 2, 3, missing={"a": [1], "b": [3]})
    objective = prepared(MisalignmentMatching(["a", "b"], [1], 1))
    step = Step(MODEL, rows, seed=(0, 3))
    (found,) = objective(step).values()
    (other,) = rolled(rows, step, 1)
    aligned, shifted = (
        objective.head(Step(MODEL, some).fused(("a", "b")).pooled)[[0, 2]].detach() for some in (rows, other)
    )
    assert float(found.detach()) == pytest.approx(sum(entropies(aligned, 1) + entropies(shifted, 0)) / 4, rel=1e-9)


def test_misalignment_contrast_is_a_softmax_over_shifted_copies() -> None:
    rows = batch(0, 1, 2, 3, missing={"a": [1]})
    objective = prepared(MisalignmentContrast(["a", "b"], [1], 1, copies=3, temperature=0.5))
    step = Step(MODEL, rows, seed=(0, 3))
    (found,) = objective(step).values()
    places = [Step(MODEL, some).embedding("b").detach() for some in (rows, *rolled(rows, step, 3))]
    slow = 0.0
    for i in (0, 2, 3):
        scores = [math.exp(2 * float(step.embedding("a")[i].detach() @ place[i])) for place in places]
        slow -= math.log(scores[0] / sum(scores)) / 3
    assert float(found.detach()) == pytest.approx(slow, rel=1e-9)


def test_a_shift_that_cannot_be_is_refused() -> None:
    draws = torch.zeros(2, 1)
    for length, least in ((3, 2), (4, 0)):
        with pytest.raises(InputError, match="needs an axis of at least"):
            shift(torch.zeros(2, length), [1], least, draws)
    step = Step(MODEL, batch(0, 1))
    for dims in ([0], [2]):
        with pytest.raises(InputError, match="cannot be shifted along"):
            MisalignmentContrast(["a", "b"], dims, 1)(step)
    world = motions()
    rows = world.batch()
    assert isinstance(rows.values["action"], Padded)
    with pytest.raises(InputError, match="it must be a tensor"):
        MisalignmentContrast(["state", "action"], [1], 1)(Step(world.model(), rows))


def test_a_model_that_cannot_be_asked_is_refused() -> None:
    with pytest.raises(InputError, match="has no fusion"):
        Matching(["state", "action"]).prepare(motions().model(), 32)
    encoders = {name: scenes().model().encoder(name) for name in ("image", "depth")}
    early = FUSIONS["early"](dict.fromkeys(encoders, 8), encoders["image"], dict.fromkeys(encoders, 1))
    with pytest.raises(InputError, match="choose another fusion"):
        Matching(["image", "depth"]).prepare(Model(encoders, 8, early), 32)
    for make in (Matching, DistanceMatching):
        with pytest.raises(InputError, match="takes two modalities"):
            make(["a"])
