"""Queues against a deque; contrast with a teacher, with neighbours and with mixtures against loops."""

from __future__ import annotations

import copy
import math
from collections import deque

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from plait.encoders.patches import Patches
from plait.errors import InputError
from plait.model import Model
from plait.objectives import InfoNCE, Step
from plait.objectives.mixup import MixupContrast, mixed_features, partners
from plait.objectives.momentum_contrast import MomentumContrast
from plait.objectives.nearest_neighbour import NearestNeighbour
from plait.objectives.queue import Queue
from plait.pairs.batch import Batch, Padded
from tests.core.battery.worlds import INSTANCES, double, scenes, vectors

DOUBLE = torch.float64


def models() -> tuple[Model, Model]:
    """A model and a teacher that differs from it."""
    model = vectors().model().double()
    teacher = copy.deepcopy(model).requires_grad_(False)
    generator = torch.Generator().manual_seed(1)
    for parameter in teacher.parameters():
        parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator, dtype=DOUBLE))
    return model, teacher


def batch(*rows: int, missing: dict[str, list[int]] | None = None) -> Batch:
    return double(vectors().batch(rows, missing or {}))


def softmax(scores: list[float]) -> list[float]:
    total = sum(math.exp(score) for score in scores)
    return [math.exp(score) / total for score in scores]


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(0, 11), max_size=8), size=st.integers(1, 7))
def test_a_queue_is_a_deque(sizes: list[int], size: int) -> None:
    """Wherever a batch wraps around, and also where it is larger than the queue: no row is dropped or kept too long."""
    queue, expected, count = Queue(size, 2), deque[int](maxlen=size), 0
    for some in sizes:
        keys = torch.arange(count, count + some)
        queue.push(torch.stack([keys.float(), -keys.float()], dim=1), keys)
        expected.extend(keys.tolist())
        count += some
        places, held = queue.contents()
        assert sorted(held.tolist()) == sorted(expected)
        assert places.tolist() == [[key, -key] for key in held.tolist()]


def test_a_queue_starts_empty_and_its_pointer_is_saved() -> None:
    """Others start with random rows as negatives, and forget after a kill where the oldest row is."""
    queue, after = Queue(5, 2), Queue(5, 2)
    assert queue.contents()[0].shape == (0, 2)
    queue.push(torch.arange(14.0).reshape(7, 2), torch.arange(7))
    after.load_state_dict(queue.state_dict())
    for one in (queue, after):
        one.push(torch.zeros(2, 2), torch.tensor([7, 8]))
    assert sorted(after.contents()[1].tolist()) == sorted(queue.contents()[1].tolist()) == [4, 5, 6, 7, 8]


def test_the_nearest_in_a_queue_is_of_another_key() -> None:
    queue = Queue(4, 2)
    places = torch.eye(2)
    assert torch.equal(queue.nearest(places, torch.tensor([0, 1])), places)
    queue.push(F.normalize(torch.tensor([[1.0, 0.1], [1.0, 1.0]]), dim=1), torch.tensor([0, 1]))
    found = queue.nearest(places, torch.tensor([0, 2]))
    assert torch.equal(found, queue.contents()[0][[1, 1]])
    alone = Queue(4, 2)
    alone.push(places[:1], torch.tensor([0]))
    assert torch.equal(alone.nearest(places, torch.tensor([0, 0])), places)


def test_the_nearest_is_told_in_full_precision() -> None:
    """The angles 0.010 and 0.011: one cosine to bfloat16."""
    queue = Queue(2, 2)
    queue.push(torch.tensor([[math.cos(x), math.sin(x)] for x in (0.011, 0.010)]), torch.tensor([0, 1]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = queue.nearest(torch.tensor([[1.0, 0.0]]), torch.tensor([2]))
    assert torch.equal(found, queue.contents()[0][1:])


def slow_direction(
    student: Tensor,
    teacher: Tensor,
    columns: list[tuple[int, Tensor]],
    keys: list[int],
    scales: list[float],
    alpha: float,
) -> float:
    """The papers' double sum, over (key, place) columns; ``scales`` are the student's and the teacher's."""
    total = 0.0
    for x, said, key in zip(student, teacher, keys, strict=True):
        likely = softmax([scales[0] * float(x @ place) for _, place in columns])
        taught = softmax([scales[1] * float(said @ place) for _, place in columns])
        right = [float(other == key) for other, _ in columns]
        targets = [alpha * t + (1 - alpha) * r / sum(right) for t, r in zip(taught, right, strict=True)]
        total -= sum(target * math.log(p) for target, p in zip(targets, likely, strict=True))
    return total / len(keys)


@pytest.mark.parametrize("equal", [None, "c"])
def test_momentum_contrast_is_the_papers_loss_over_teacher_and_queue(equal: str | None) -> None:
    """Three steps of batches that meet rows again, lack some, and wrap a queue of 5 around; rows 0 and 5 share c."""
    model, teacher = models()
    objective = MomentumContrast(["a", "b"], temperature=0.5, queue=5, alpha=0.4, ramp_steps=4, equal=equal).double()
    objective.prepare(model, INSTANCES)
    objective.double()
    queues = {name: deque[tuple[int, Tensor]](maxlen=5) for name in "ab"}
    scales = [2.0, 2.0]
    for number, rows in enumerate([(0, 1, 2), (5, 2, 6, 7), (0, 3, 5, 8)]):
        step = Step(model, batch(*rows, missing={"b": [1]}), teacher)
        (found,) = objective(step).values()
        kept = [0, *range(2, len(rows))]
        keys = [0 if equal and rows[i] == 5 else rows[i] for i in kept]
        both = 0.0
        for asking, answering in ("ab", "ba"):
            held = [(key, place) for key, place in zip(keys, step.teacher.embedding(answering)[kept], strict=True)]
            student, taught = step.embedding(asking)[kept].detach(), step.teacher.embedding(asking)[kept]
            columns = held + list(queues[answering])
            both += slow_direction(student, taught, columns, keys, scales, 0.4 * number / 4)
        assert float(found.detach()) == pytest.approx(both / 2, rel=1e-9)
        with torch.no_grad():
            objective.scale.log_scale.fill_(math.log(3.0))
        objective.after_step()
        scales = [3.0, math.exp(0.996 * math.log(scales[1]) + 0.004 * math.log(3.0))]
        for name in "ab":
            queues[name].extend(zip(keys, step.teacher.embedding(name)[kept], strict=True))


def test_no_gradient_reaches_the_teacher_or_its_temperature() -> None:
    model, teacher = models()
    objective = MomentumContrast(["a", "b"], queue=5, alpha=0.4)
    objective.prepare(model, INSTANCES)
    (loss,) = objective.double()(Step(model, batch(0, 1, 2), teacher)).values()
    loss.backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert "teacher_log_scale" not in dict(objective.named_parameters())


def test_nearest_neighbour_is_info_nce_with_the_neighbour_in_the_partners_place() -> None:
    model, _ = models()
    objective = NearestNeighbour(["a", "b"], temperature=0.5, queue=6)
    objective.prepare(model, INSTANCES)
    objective.double()
    queue: dict[str, list[tuple[int, Tensor]]] = {"a": [], "b": []}
    for rows in [(0, 1, 2), (2, 3, 4, 5)]:
        step = Step(model, batch(*rows), None)
        (found,) = objective(step).values()
        said = {name: step.embedding(name).detach() for name in "ab"}
        near = {name: slow_nearest(said[name], rows, queue[name]) for name in "ab"}
        slow = 0.0
        for asking, answering in (
            (said["a"], near["b"]),
            (near["b"], said["a"]),
            (near["a"], said["b"]),
            (said["b"], near["a"]),
        ):
            for i, x in enumerate(asking):
                slow -= math.log(softmax([2.0 * float(x @ y) for y in answering])[i]) / len(rows) / 4
        assert float(found.detach()) == pytest.approx(slow, rel=1e-9)
        objective.after_step()
        for name in "ab":
            queue[name] += zip(rows, said[name], strict=True)


def slow_nearest(places: Tensor, rows: tuple[int, ...], queue: list[tuple[int, Tensor]]) -> list[Tensor]:
    near: list[Tensor] = []
    for row, place in zip(rows, places, strict=True):
        others = [other for key, other in queue if key != row]
        near.append(max(others, key=lambda other, place=place: float(place @ other)) if others else place)
    return near


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(0, 9))
def test_mixing_partners_are_others_whatever_the_order(seed: int, n: int) -> None:
    draws = torch.rand(n, generator=torch.Generator().manual_seed(seed))
    paired = torch.arange(n) % 3 != 1
    partner = partners(draws, paired)
    count = int(paired.sum())
    assert sorted(partner.tolist()) == list(range(n))
    assert all((partner[i] == i) == (not paired[i] or count == 1) for i in range(n))
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed + 1))
    shuffled = partners(draws[order], paired[order])
    assert torch.equal(order[shuffled], partner[order])


def test_mixup_is_the_papers_two_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = models()
    rows = batch(0, 1, 2, 3, missing={"b": [1]})
    step = Step(model, rows, seed=(0, 7))
    objective = MixupContrast(["a", "b"], temperature=0.5).double()
    monkeypatch.setattr(objective, "_draw", lambda step: (True, 0.3))
    (found,) = objective(step).values()
    kept = torch.tensor([0, 2, 3])
    partner = partners(step.uniform("mixup_contrast/order"), rows.present["b"])[kept]
    value = rows.values["a"]
    assert isinstance(value, Tensor)
    u = Step(
        model, Batch(rows.ids, rows.ids, {"a": 0.3 * value[kept] + 0.7 * value[partner]}, {"a": kept >= 0})
    ).embedding("a")
    v = step.embedding("b")
    slow = 0.0
    for i in range(3):
        for weight, right in ((0.3, v[kept]), (0.7, v[partner])):
            forth = softmax([2.0 * float(u[i].detach() @ y) for y in right.detach()])[i]
            back = softmax([2.0 * float(x @ right[i].detach()) for x in u.detach()])[i]
            slow -= weight * (math.log(forth) + math.log(back)) / 6
    assert float(found.detach()) == pytest.approx(slow, rel=1e-9)


@pytest.mark.parametrize("heads", [True, False], ids=["image", "text"])
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_mixture_with_nothing_of_the_other_is_no_mixture(
    monkeypatch: pytest.MonkeyPatch, heads: bool, share: float
) -> None:
    """Tokens of patches and of words come back as they were."""
    world = scenes()
    model, rows = world.model().double(), double(world.batch())
    objective, plain = MixupContrast(["image", "text"]).double(), InfoNCE(["image", "text"]).double()
    monkeypatch.setattr(objective, "_draw", lambda step: (heads, share))
    step = Step(model, rows)
    (found,), (expected,) = objective(step).values(), plain(step).values()
    assert torch.allclose(found, expected, rtol=1e-9)


def test_to_mix_the_tokens_of_patches_is_to_mix_the_pixels() -> None:
    world = scenes()
    model, rows = world.model().double(), double(world.batch(missing={}))
    assert isinstance(model.encoder("image"), Patches)
    partner, image = torch.arange(8).roll(3), rows.values["image"]
    assert isinstance(image, Tensor)
    found = mixed_features(Step(model, rows), "image", partner, 0.3)
    assert torch.allclose(found.pooled, model.encode("image", 0.3 * image + 0.7 * image[partner]).pooled, rtol=1e-9)


def test_a_short_text_mixed_with_a_long_one_is_as_long() -> None:
    world = scenes()
    model, rows = world.model(), world.batch(range(4), {})
    text = rows.values["text"]
    assert isinstance(text, Padded)
    text.mask[0, 3:] = False
    found = mixed_features(Step(model, rows), "text", torch.tensor([1, 0, 3, 2]), 0.3)
    assert torch.equal(found.mask, text.mask | text.mask[[1, 0, 3, 2]])
    assert found.mask[0].sum() == found.mask[1].sum() > text.mask[0].sum()


def test_both_modalities_are_mixed_in_some_steps() -> None:
    model, rows = vectors().model(), vectors().batch()
    draws = [MixupContrast(["a", "b"], alpha=0.1)._draw(Step(model, rows, seed=(0, step))) for step in range(60)]
    assert {heads for heads, _ in draws} == {True, False}
    assert sum(0.1 < lam < 0.9 for _, lam in draws) < 25


def test_too_few_views_or_too_many_are_refused() -> None:
    for make in (MomentumContrast, NearestNeighbour):
        for of in ([], ["a"], ["a", "a"]):
            with pytest.raises(InputError, match="two views or more"):
                make(of)
    with pytest.raises(InputError, match="takes two modalities"):
        MixupContrast(["a", "b", "c"])
