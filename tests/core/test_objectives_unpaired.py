"""Objectives for rows that were never paired: who stands in for the partner, and who takes no part."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from plait.errors import InputError
from plait.losses.mapping import critic_gap
from plait.losses.transport import transport_alignment
from plait.model import Model
from plait.objectives import Objective, Step, cutmix
from plait.objectives.cutmix import CrossModalCutMix
from plait.objectives.cycle_mapping import CycleMapping
from plait.objectives.semantic import SemanticMatching, TagAnchored
from plait.objectives.unpaired import RetrievedPairs, TransportAlignment
from plait.pairs.batch import Batch
from tests.core.battery.worlds import double, scenes, vectors

APART = {"a": [4, 5, 6, 7], "b": [0, 1, 2, 3]}
"""Not one row has both."""
MIXED = {"a": [5, 6, 7], "b": [0, 1]}
"""Rows 2, 3 and 4 have both."""
LABELS = ["label_x", "label_y"]


def setting(
    missing: Mapping[str, Sequence[int]], labels: Sequence[Sequence[float]] | None = None
) -> tuple[Model, Batch]:
    world = vectors()
    batch = double(world.batch(missing=missing))
    for index, name in enumerate(LABELS if labels is not None else []):
        assert labels is not None
        batch.values[name] = torch.tensor([row[index] for row in labels], dtype=torch.float64)
    return world.model().double(), batch


def loss_of(objective: Objective, model: Model, batch: Batch) -> Tensor:
    (loss,) = objective.double()(Step(model, batch)).values()
    return loss


def sides(model: Model, batch: Batch, missing: Mapping[str, Sequence[int]]) -> list[dict[int, Tensor]]:
    """For each modality the rows that have it and their embeddings."""
    step = Step(model, batch)
    return [{i: step.embedding(n)[i].detach() for i in range(8) if i not in missing[n]} for n in ("a", "b")]


def cross_entropy(asking: dict[int, Tensor], answering: dict[int, Tensor], scale: float, targets: Any) -> float:
    """Mean over the asking rows i of -sum_j targets(i, j) log softmax_j; rows without a target are not asked."""
    total, asked = 0.0, 0
    for i, one in asking.items():
        log_sum = math.log(sum(math.exp(scale * float(one @ other)) for other in answering.values()))
        weights = {j: targets(i, j) for j in answering}
        asked += any(weights.values())
        total -= sum(weight * (scale * float(one @ answering[j]) - log_sum) for j, weight in weights.items())
    return total / asked


def symmetric(a: dict[int, Tensor], b: dict[int, Tensor], scale: float, forth: Any, back: Any) -> float:
    return (cross_entropy(a, b, scale, forth) + cross_entropy(b, a, scale, back)) / 2


SIGNS = [(1, 1), (1, -1), (-1, 1), (0, 0), (1, 1), (1, 0), (0, 0), (-1, -1)]


def cosine(i: int, j: int) -> float:
    """Of the labels above with a third that says that the others are zero."""
    one, other = ((*SIGNS[k], float(SIGNS[k] == (0, 0))) for k in (i, j))
    product = sum(x * y for x, y in zip(one, other, strict=True))
    return product / math.sqrt(sum(x * x for x in one) * sum(y * y for y in other))


def test_semantic_matching_needs_no_pair() -> None:
    model, batch = setting(APART, SIGNS)
    a, b = sides(model, batch, APART)

    def targets(among: dict[int, Tensor]) -> Any:
        return lambda i, j: math.exp(cosine(i, j) / 0.2) / sum(math.exp(cosine(i, k) / 0.2) for k in among)

    expected = symmetric(a, b, 10.0, targets(b), targets(a))
    objective = SemanticMatching(("a", "b"), LABELS, temperature=0.1, target_temperature=0.2)
    assert float(loss_of(objective, model, batch).detach()) == pytest.approx(expected, rel=1e-5)


def test_a_label_that_the_batch_lacks_is_one_that_is_not_known() -> None:
    model, batch = setting(APART, [(x, 0) for x, _ in SIGNS])
    lacking = Batch(
        batch.ids,
        batch.groups,
        {n: v for n, v in batch.values.items() if n != "label_y"},
        batch.present,
        rows=batch.rows,
    )
    one, other = (loss_of(SemanticMatching(("a", "b"), LABELS), model, some) for some in (batch, lacking))
    torch.testing.assert_close(one, other)


def test_a_label_that_is_no_number_is_one_that_is_not_known() -> None:
    nan = float("nan")
    model, batch = setting(APART, [(x, 0) for x, _ in SIGNS])
    _, holed = setting(APART, [(x, nan) for x, _ in SIGNS])
    for objective in (SemanticMatching(("a", "b"), LABELS), RetrievedPairs(("a", "b"), LABELS)):
        torch.testing.assert_close(loss_of(objective, model, holed), loss_of(objective, model, batch))


def test_rows_that_share_a_tag_are_right_answers_and_rows_without_one_take_no_part() -> None:
    model, batch = setting(MIXED, SIGNS)
    a, b = ({i: row for i, row in side.items() if 1 in SIGNS[i]} for side in sides(model, batch, MIXED))

    def targets(among: dict[int, Tensor]) -> Any:
        def target(i: int, j: int) -> float:
            share = [k for k in among if any(x == y == 1 for x, y in zip(SIGNS[i], SIGNS[k], strict=True))]
            return (j in share) / max(len(share), 1)

        return target

    expected = symmetric(a, b, 10.0, targets(b), targets(a))
    found = loss_of(TagAnchored(("a", "b"), LABELS, temperature=0.1), model, batch)
    assert float(found.detach()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("labels", [None, LABELS])
def test_a_row_without_a_partner_takes_the_nearest_for_one(labels: list[str] | None) -> None:
    model, batch = setting(MIXED, SIGNS)
    a, b = sides(model, batch, MIXED)

    def targets(asking: dict[int, Tensor], among: dict[int, Tensor]) -> Any:
        def target(i: int, j: int) -> float:
            if i in among:
                return float(i == j)
            alike = {k: cosine(i, k) if labels else 0.0 for k in among}
            best = [k for k in among if alike[k] > max(alike.values()) - 1e-9]
            return 0.3 * (j == max(best, key=lambda k: float(asking[i] @ among[k])))

        return target

    expected = symmetric(a, b, 10.0, targets(a, b), targets(b, a))
    found = loss_of(RetrievedPairs(("a", "b"), labels, weight=0.3, temperature=0.1), model, batch)
    assert float(found.detach()) == pytest.approx(expected, rel=1e-5)


def test_the_nearest_is_found_in_full_precision_under_autocast() -> None:
    world = vectors()
    # All nearly alike, so that in bfloat16 many would be nearest.
    batch = world.batch([0] * 8, MIXED)
    a, b = (batch.values[name] for name in ("a", "b"))
    assert isinstance(a, Tensor)
    assert isinstance(b, Tensor)
    torch.manual_seed(0)
    for value in (a, b):
        value += 0.01 * torch.randn_like(value)
    step = Step(world.model(), batch)
    for name in ("a", "b"):  # in float32, before autocast begins
        step.embedding(name)
    (exact,) = RetrievedPairs(("a", "b"))(step).values()
    with torch.autocast("cpu", torch.bfloat16):
        (under,) = RetrievedPairs(("a", "b"))(step).values()
    torch.testing.assert_close(under, exact)


def test_transport_takes_all_rows_of_each_side() -> None:
    model, batch = setting(APART)
    a, b = (torch.stack(list(side.values())) for side in sides(model, batch, APART))
    found = loss_of(TransportAlignment(("a", "b"), epsilon=0.1), model, batch)
    torch.testing.assert_close(found, transport_alignment(a, b, 0.1))


def test_the_critic_widens_the_gap_that_mapper_and_encoder_narrow() -> None:
    model, batch = setting(APART)
    torch.manual_seed(0)
    objective = CycleMapping(("a", "b"), adversarial=0.25, width=8)
    objective.prepare(model, 32)
    objective.double()
    loss = objective(Step(model, batch))["cycle_mapping/a~b/critic"]
    learnt = [*objective.critics[1].parameters(), *objective.mappers[0].parameters()]
    encoder = next(model.encoders["a"].parameters())
    found = torch.autograd.grad(loss, [*learnt, encoder])

    step = Step(model, batch)
    a, b = (step.features(name).pooled[step.present(name)] for name in ("a", "b"))
    gap = critic_gap(objective.critics[1](b)[:, 0], objective.critics[1](objective.mappers[0](a))[:, 0])
    plain = torch.autograd.grad(gap, [*learnt, encoder], retain_graph=True)
    critics, mappers = len(list(objective.critics[1].parameters())), len(learnt)
    for mine, slope in zip(found[:critics], plain[:critics], strict=True):
        torch.testing.assert_close(mine, -slope)
    for mine, slope in zip(found[critics:mappers], plain[critics:mappers], strict=True):
        torch.testing.assert_close(mine, 0.25 * slope)
    # What is real for the other critic is held fixed, so this is all that reaches the encoder of a.
    torch.testing.assert_close(found[-1], 0.25 * plain[-1])


def test_critics_are_clipped_after_each_step() -> None:
    model, _ = setting(APART)
    objective = CycleMapping(("a", "b"), clip=0.02)
    objective.prepare(model, 32)
    with torch.no_grad():
        for parameter in objective.parameters():
            parameter.add_(1.0)
    objective.after_step()
    assert max(float(p.detach().abs().max()) for p in objective.critics.parameters()) == pytest.approx(0.02)
    assert min(float(p.detach().abs().max()) for p in objective.mappers.parameters()) > 0.5


def mixed_and_plain(
    monkeypatch: pytest.MonkeyPatch, objective: CrossModalCutMix, batch: Batch, step: int = 0
) -> tuple[Tensor, Tensor]:
    """What the objective contrasts."""
    seen: list[Tensor] = []

    def spy(a: Tensor, b: Tensor, _: object) -> Tensor:
        seen[:] = [a.detach(), b.detach()]
        return a.sum()

    monkeypatch.setattr(cutmix, "info_nce", spy)
    model = scenes().model().double()
    torch.manual_seed(0)
    objective.prepare(model, 32)
    objective.double()(Step(model, batch, seed=(0, step)))
    return seen[0], seen[1]


def scene(missing: Mapping[str, Sequence[int]], red: Sequence[float], changed: int | None = None) -> Batch:
    batch = double(scenes().batch(missing=missing))
    batch.values["label_red"] = torch.tensor(red, dtype=torch.float64)
    if changed is not None:
        image = batch.values["image"]
        assert isinstance(image, Tensor)
        image[changed] *= -1.0
    return batch


def test_a_paired_row_is_mixed_with_its_own_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though every row shares its tag."""
    objective = CrossModalCutMix(("text", "image"), ["label_red"], share=0.5)
    before, plain = mixed_and_plain(monkeypatch, objective, scene({}, [1] * 8))
    after, _ = mixed_and_plain(monkeypatch, objective, scene({}, [1] * 8, changed=3))
    moved = [i for i in range(8) if not torch.allclose(before[i], after[i])]
    assert moved == [3]
    assert not torch.allclose(before, plain)


def test_a_row_without_an_image_is_given_that_of_a_row_with_its_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    red = [1, -1, 1, -1, 1, -1, -1, -1]
    missing = {"image": [0, 1]}
    objective = CrossModalCutMix(("text", "image"), ["label_red"], share=0.5)
    donors: set[int] = set()
    for step in range(4):
        before, _ = mixed_and_plain(monkeypatch, objective, scene(missing, red), step)
        # Row 1 has no tag and no image, and takes no part.
        assert len(before) == 7
        for changed in range(2, 8):
            after, _ = mixed_and_plain(monkeypatch, objective, scene(missing, red, changed), step)
            donors |= {changed} if not torch.allclose(before[0], after[0]) else set()
    assert donors == {2, 4}


def test_without_tags_only_paired_rows_are_mixed(monkeypatch: pytest.MonkeyPatch) -> None:
    objective = CrossModalCutMix(("text", "image"))
    mixed, plain = mixed_and_plain(monkeypatch, objective, scene({"image": [0, 1], "text": [7]}, [1] * 8))
    assert len(mixed) == len(plain) == 5


def test_almost_no_share_is_the_plain_view(monkeypatch: pytest.MonkeyPatch) -> None:
    mixed, plain = mixed_and_plain(monkeypatch, CrossModalCutMix(("text", "image"), share=1e-9), scene({}, [0] * 8))
    torch.testing.assert_close(mixed, plain)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="'a' does not make tokens before it mixes them"):
        CrossModalCutMix(("a", "b")).prepare(vectors().model(), 32)
    with pytest.raises(InputError, match="share 1"):
        CrossModalCutMix(("text", "image"), share=1.0)
    with pytest.raises(InputError, match=r"'red' is no label column: these are named label_\.\.\., such as label_red"):
        SemanticMatching(("a", "b"), ["red"])
    with pytest.raises(InputError, match="none are given"):
        TagAnchored(("a", "b"), [])


@pytest.mark.parametrize(
    "objective", [SemanticMatching(("a", "b"), LABELS), TagAnchored(("a", "b"), LABELS), RetrievedPairs(("a", "b")),
                  TransportAlignment(("a", "b"))],
)  # fmt: skip
def test_where_a_whole_side_is_absent_there_is_nothing_to_learn(objective: Objective) -> None:
    model, batch = setting({"b": range(8)})
    loss = loss_of(objective, model, batch)
    loss.backward()
    assert float(loss.detach()) == 0
    assert all(bool(torch.isfinite(p.grad).all()) for p in model.parameters() if p.grad is not None)
