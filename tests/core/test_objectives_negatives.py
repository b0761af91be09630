"""What the objectives with other negatives, bags and margins hand to their losses."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from plait.encoders.features import Features
from plait.errors import InputError
from plait.losses.bags import mil_nce
from plait.losses.margins import batch_triplet, negative_at, siamese_margin, vse_hardest, vse_sum
from plait.losses.negatives import cross_clr, decoupled, hard_negative, influence, nt_xent
from plait.objectives import Objective, Step
from plait.objectives.bags import MILNCE, segment_means, segments_of
from plait.objectives.margins import VSE, BatchTriplet, SiameseMargin, VSEHardest
from plait.objectives.negatives import CrossCLR, Decoupled, HardNegative, NTXent, PrototypeNTXent
from plait.pairs.batch import Padded
from tests.core.battery.battery import total
from tests.core.battery.worlds import World, scenes, vectors


def step_of(world: World, **missing: list[int]) -> Step:
    return Step(world.model(), world.batch(range(8), missing))


def unit(step: Step, view: str) -> Tensor:
    """(8, E) embeddings of a view, by the model's parts."""
    name = view.partition(":")[0]
    pooled = step.model.encoder(name)(step.batch.values[view]).pooled
    return F.normalize(step.model.projectors[name](pooled), dim=1)


PAIRED: dict[str, tuple[Callable[[list[str]], Objective], Callable[[Tensor, Tensor], Tensor]]] = {
    "nt_xent": (lambda of: NTXent(of, 0.2), lambda a, b: nt_xent(a, b, 5.0)),
    "decoupled": (lambda of: Decoupled(of, 0.2), lambda a, b: decoupled(a, b, 5.0)),
    "hard_negative": (
        lambda of: HardNegative(of, 0.25, 0.2, 0.5),
        lambda a, b: hard_negative(a, b, 4.0, tau_plus=0.2, beta=0.5),
    ),
    "cross_clr": (
        lambda of: CrossCLR(of, 0.2, 0.7, 0.5, 0.3),
        lambda a, b: cross_clr(a, b, 5.0, *(influence(x, quantile=0.5, kappa=0.3) for x in (a, b)), intra_weight=0.7),
    ),
    "vse": (lambda of: VSE(of, 0.3), lambda a, b: vse_sum(a, b, 0.3)),
    "vse_hardest": (lambda of: VSEHardest(of, 0.3), lambda a, b: vse_hardest(a, b, 0.3)),
    "batch_triplet": (lambda of: BatchTriplet(of, 0.9), lambda a, b: batch_triplet(a, b, 0.9)),
}
every_kind = pytest.mark.parametrize("kind", PAIRED)


@every_kind
def test_every_two_views_have_their_loss_under_their_names(kind: str) -> None:
    make, loss = PAIRED[kind]
    step = step_of(vectors())
    losses = make(["a", "b", "c"])(step)
    assert list(losses) == [f"{kind}/a~b", f"{kind}/a~c", f"{kind}/b~c"]
    for name, found in losses.items():
        first, second = name.partition("/")[2].split("~")
        assert torch.allclose(found, loss(unit(step, first), unit(step, second)), rtol=1e-5), name


@every_kind
def test_a_row_counts_where_it_has_both_of_the_two_views(kind: str) -> None:
    """Row 2 lacks b: it is left out of a~b and b~c and stays in a~c."""
    make, loss = PAIRED[kind]
    whole = step_of(vectors())
    losses = make(["a", "b", "c"])(step_of(vectors(), b=[2]))
    rest = [0, 1, 3, 4, 5, 6, 7]
    assert torch.allclose(losses[f"{kind}/a~b"], loss(unit(whole, "a")[rest], unit(whole, "b")[rest]), rtol=1e-5)
    assert torch.allclose(losses[f"{kind}/a~c"], loss(unit(whole, "a"), unit(whole, "c")), rtol=1e-5)


@every_kind
def test_all_parameters_of_both_towers_learn(kind: str) -> None:
    step = step_of(vectors())
    total(PAIRED[kind][0](["a", "b"])(step)).backward()
    for name in "ab":
        assert all(p.grad is not None and p.grad.any() for p in step.model.encoder(name).parameters()), name
    assert all(p.grad is None for p in step.model.encoder("c").parameters())


def test_two_views_of_one_modality_are_simclr() -> None:
    step = step_of(scenes())
    (loss,) = NTXent(["image", "image:2"], 0.5)(step).values()
    z = torch.cat([unit(step, "image"), unit(step, "image:2")])
    expected = F.cross_entropy((2.0 * z @ z.T).fill_diagonal_(-math.inf), torch.arange(16).roll(8))
    assert torch.allclose(loss, expected, rtol=1e-5)


def test_the_prototype_is_the_unit_mean_of_two_views() -> None:
    world = vectors()
    a = world.values["a"]
    assert isinstance(a, Tensor)
    step = step_of(replace(world, values=dict(world.values) | {"a:2": -9 * a}))  # far enough from a to matter
    (loss,) = PrototypeNTXent("a", "b", 0.2)(step).values()
    mean = (unit(step, "a") + unit(step, "a:2")) / 2
    assert torch.allclose(loss, nt_xent(mean / mean.norm(dim=1, keepdim=True), unit(step, "b"), 5.0), rtol=1e-5)
    assert not torch.allclose(loss, nt_xent(mean, unit(step, "b"), 5.0), rtol=1e-3)


def test_a_prototype_wants_both_views_and_the_other() -> None:
    world = vectors()
    batch = world.batch(range(8), {"b": [0]})
    batch.present["a:2"][5] = False
    whole = step_of(world)
    (loss,) = PrototypeNTXent("a", "b", 0.2)(Step(world.model(), batch)).values()
    rest = [1, 2, 3, 4, 6, 7]
    mean = F.normalize(unit(whole, "a") + unit(whole, "a:2"), dim=1)
    assert torch.allclose(loss, nt_xent(mean[rest], unit(whole, "b")[rest], 5.0), rtol=1e-5)


def test_the_siamese_negatives_are_as_hard_as_the_curriculum_says() -> None:
    step = step_of(vectors())
    objective = SiameseMargin(["a", "b"], margin=2.5, hardness=0.5)  # more than any distance: every negative counts
    (loss,) = objective(step).values()
    a, b = unit(step, "a"), unit(step, "b")
    same = torch.tensor([True] * 8 + [False] * 8)
    expected = torch.zeros(())
    for asking, answering in ((a, b), (b, a)):
        negatives = answering[negative_at(asking, answering, 0.5)]
        expected += siamese_margin(torch.cat([asking] * 2), torch.cat([answering, negatives]), same, 2.5) / 2
    assert torch.allclose(loss, expected, rtol=1e-6)


def test_the_hardness_grows_with_the_steps_taken_and_survives_a_checkpoint() -> None:
    """Learnable PINs: 0.3, then 0.1 more each time, up to 0.8."""
    objective = SiameseMargin(["a", "b"], hardness=0.3, hardest=0.8, growth=0.1, every=2)
    seen: list[float] = []
    for _ in range(14):
        objective(step_of(vectors()))
        seen.append(objective.hardness)
        objective.after_step()
    assert seen == pytest.approx([0.3, 0.3, 0.4, 0.4, 0.5, 0.5, 0.6, 0.6, 0.7, 0.7, 0.8, 0.8, 0.8, 0.8])
    again = SiameseMargin(["a", "b"], hardness=0.3, every=5)
    again.load_state_dict(objective.state_dict())
    assert again.hardness == pytest.approx(0.5)


def test_one_row_alone_is_drawn_to_its_partner() -> None:
    world = vectors()
    step = Step(world.model(), world.batch([3], {}))
    (loss,) = SiameseMargin(["a", "b"])(step).values()
    assert torch.allclose(loss, (unit(step, "a") - unit(step, "b")).square().sum(), rtol=1e-5)


def with_segments(world: World, ids: list[list[int]], given: list[bool]) -> World:
    """Texts of six tokens with segments, padded to the right; a row that is not ``given`` has none."""
    values = torch.tensor([row + [0] * (6 - len(row)) for row in ids])
    mask = torch.tensor([[says and t < len(row) for t in range(6)] for row, says in zip(ids, given, strict=True)])
    return replace(world, values=dict(world.values) | {"text_segments": Padded(values * mask, mask)})


def test_a_bag_is_the_projected_means_of_the_segments_tokens() -> None:
    ids = [[-1, 0, 0, 1, 1, -1]] * 31 + [[-1, 2, 0, 0, 0, -1]]
    world = with_segments(scenes(), ids, [True] * 31 + [False])
    step = Step(world.model(), world.batch([0, 9, 31], {}))
    (loss,) = MILNCE("image", "text", 0.5, "text_segments")(step).values()
    tokens = step.features("text").tokens
    project = step.model.projectors["text"]
    bags = torch.zeros(3, 6, 8)
    for row in (0, 1):
        for k, places in enumerate(([1, 2], [3, 4])):
            bags[row, k] = F.normalize(project(tokens[row, places].mean(dim=0)), dim=0)
    bags[2, 0] = F.normalize(project(tokens[2, 1:5].mean(dim=0)), dim=0)  # it says nothing: it is one sentence
    mask = torch.tensor([[True] * 2 + [False] * 4] * 2 + [[True] + [False] * 5])
    assert torch.allclose(loss, mil_nce(unit(step, "image"), bags, 2.0, mask), rtol=1e-5)


def test_without_segments_every_token_is_a_member() -> None:
    step = step_of(scenes(), depth=[2])
    (loss,) = MILNCE("image", "depth", 0.5)(step).values()
    features = step.features("depth")
    bags = F.normalize(step.model.projectors["depth"](features.tokens), dim=2)
    rest = [0, 1, 3, 4, 5, 6, 7]
    expected = mil_nce(unit(step, "image")[rest], bags[rest], 2.0, features.mask[rest])
    assert torch.allclose(loss, expected, rtol=1e-5)


def test_a_row_all_of_whose_tokens_are_in_no_segment_takes_no_part() -> None:
    ids = [[-1, 0, 0, 1, 1, -1] for _ in range(32)]
    ids[4] = [-1] * 6
    world = with_segments(scenes(), ids, [True] * 32)
    losses = [
        total(MILNCE("image", "text", segments="text_segments")(Step(world.model(), world.batch(rows, {}))))
        for rows in (range(8), [0, 1, 2, 3, 5, 6, 7])
    ]
    assert torch.allclose(losses[0], losses[1], rtol=1e-5)


def test_segment_means_by_hand() -> None:
    tokens = torch.tensor([[[1.0], [3.0], [5.0], [9.0]], [[2.0], [4.0], [7.0], [7.0]]], dtype=torch.bfloat16)
    features = Features(tokens, torch.ones(2, 4, dtype=torch.bool), tokens[:, 0])
    means = segment_means(features, torch.tensor([[0, 0, 2, -1], [1, 1, -1, -1]]))
    assert means.values.squeeze(2).tolist() == [[2.0, 0.0, 5.0], [0.0, 3.0, 0.0]]
    assert means.mask.tolist() == [[True, False, True], [False, True, False]]
    assert means.values.dtype == torch.float32
    nothing = segment_means(features, torch.full((2, 4), -1))
    assert nothing.mask.tolist() == [[False], [False]]


def test_segments_come_with_the_sample() -> None:
    """Through the collators that a run asks for, one row without them, one without a text."""
    model, objective = scenes().model(), MILNCE("image", "text", segments="text_segments")
    image = torch.zeros(1, 8, 8)
    samples = [
        {"image": image, "text": "red green blue", "text_segments": torch.tensor([-1, 0, 0, 1, -1])},
        {"image": image, "text": "red green blue white", "text_segments": None},
        {"image": image, "text": None, "text_segments": None},
    ]
    batch = model.collate(samples, "abc", "abc", extra=objective.collators)
    assert segments_of(Step(model, batch), "text", objective.segments).tolist() == [
        [-1, 0, 0, 1, -1, -1],
        [-1, 0, 0, 0, 0, -1],  # one sentence
        [-1, -1, -1, -1, -1, -1],
    ]


@pytest.mark.parametrize(
    "ids", [[-1, 0, 0, 1], [-1, 0, 0, 1, 1, 1, 1], [-1, 0, 0, 1, 1, 6]], ids=["short", "long", "no count"]
)
def test_segments_that_do_not_fit_the_tokens_are_refused(ids: list[int]) -> None:
    model, objective = scenes().model(), MILNCE("image", "text", segments="text_segments")
    samples = [{"image": torch.zeros(1, 8, 8), "text": "red green blue white", "text_segments": torch.tensor(ids)}]
    step = Step(model, model.collate(samples, ["scene 4"], ["g"], extra=objective.collators))
    with pytest.raises(InputError, match="Row 'scene 4': 'text_segments' does not fit the tokens of 'text'"):
        objective(step)


@pytest.mark.parametrize(
    "make",
    [
        lambda: NTXent(["a", "b"], temperature=0.0),
        lambda: MILNCE("a", "b", temperature=-1.0),
        lambda: HardNegative(["a", "b"], tau_plus=1.0),
        lambda: HardNegative(["a", "b"], beta=-0.1),
        lambda: CrossCLR(["a", "b"], quantile=1.5),
        lambda: CrossCLR(["a", "b"], kappa=0.0),
        lambda: SiameseMargin(["a", "b"], hardness=0.9, hardest=0.8),
        lambda: SiameseMargin(["a", "b"], every=0),
        lambda: VSE(["a"]),
        lambda: BatchTriplet(["a", "a"]),
        lambda: NTXent(["a"]),
    ],
)
def test_settings_that_mean_nothing_are_refused(make: Callable[[], Objective]) -> None:
    with pytest.raises(InputError, match=r"give|let|name them"):
        make()
