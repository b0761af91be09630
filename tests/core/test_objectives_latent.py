"""What students see, what teachers say, and where the two are compared."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from plait.encoders.patches import Patches
from plait.errors import InputError
from plait.losses.distillation import attention_alignment as alignment
from plait.losses.distillation import attention_map
from plait.losses.latent import layer_average, negative_cosine, smooth_l1_latent
from plait.model import Model
from plait.objectives import InfoNCE, Objective, Step
from plait.objectives.distillation import AttentionAlignment, SoftInfoNCE
from plait.objectives.latent import BYOL, LatentRegression
from plait.pairs.batch import Batch, Padded
from tests.core.battery.worlds import INSTANCES, double, scenes, vectors


def prepared(objective: Objective, model: Model, batch: Batch) -> Step:
    """A step whose teacher is another model of the same kind; the objective is prepared for it."""
    objective.prepare(model, INSTANCES)
    teacher = scenes().model() if "image" in model.encoders else vectors().model()
    with torch.no_grad():
        for parameter in teacher.parameters():
            parameter.mul_(0.7)
    return Step(model, batch, teacher.requires_grad_(False), (0, 3))


def test_byol_is_the_mean_distance_of_predictions_and_the_teachers_projections() -> None:
    world = vectors()
    objective = BYOL(["a", "b"])
    step = prepared(objective, world.model(), world.batch())
    (loss,) = objective(step).values()
    total = 0.0
    for row in (0, 2, 3, 4, 5):
        for student, teacher in (("a", "b"), ("b", "a")):
            said = F.normalize(objective.predictors[student](step.projection(student)[row]), dim=0)
            told = F.normalize(step.teacher.projection(teacher)[row], dim=0)
            total += float((said - told).square().sum().detach()) / 2
    assert float(loss.detach()) == pytest.approx(total / 5, rel=1e-5)


def test_two_views_of_a_modality_share_a_predictor_and_a_teacher_is_asked_for() -> None:
    objective = BYOL(["a", "a:2", ["a", "b"]])
    objective.prepare(vectors().model(), INSTANCES)
    assert set(objective.predictors) == {"a", "a+b"}
    assert objective.needs_teacher
    assert LatentRegression({"a": ["a"]}).needs_teacher


def regression(targets: dict[str, list[str]], **more) -> tuple[LatentRegression, Step, dict[str, Tensor]]:
    world = scenes()
    objective = LatentRegression(targets, **more)
    step = prepared(objective, world.model(), world.batch())
    return objective, step, objective(step)


@pytest.mark.parametrize("kind", ["smooth_l1", "negative_cosine"])
def test_the_student_tells_the_teachers_layers_at_hidden_places_only(kind) -> None:
    """A loop over rows and places, with the same draws."""
    objective, step, losses = regression({"image": ["depth"]}, top_k=2, loss=kind, beta=0.5)
    model, batch = step.model, step.batch
    hidden = step.uniform("latent_regression/image", 4) < 0.5
    told = layer_average(step.teacher.features("depth").layers, 2)
    encoder = cast(Patches, model.encoder("image"))
    per_row: list[float] = []
    for row in range(8):
        if not batch.present["image"][row] or not hidden[row].any():
            continue
        image = batch.values["image"][row : row + 1]
        said = encoder.mix(encoder.embed(image, hidden[row : row + 1]), (2, 2)).tokens[0]
        predicted = objective.predictors["image>depth"](said)
        places = [place for place in range(4) if hidden[row, place]]
        loss = negative_cosine if kind == "negative_cosine" else lambda p, t: smooth_l1_latent(p, t, 0.5)
        per_row.append(sum(float(loss(predicted[p], told[row, p]).detach()) for p in places) / len(places))
    assert 4 < len(per_row) < 8
    assert float(losses["latent_regression/image~depth"].detach()) == pytest.approx(
        sum(per_row) / len(per_row), rel=1e-5
    )


def test_what_is_hidden_does_not_reach_the_student() -> None:
    """The gradient in the input is zero in a hidden patch, and not elsewhere."""
    world = scenes()
    batch = world.batch(missing={})
    image = batch.values["image"]
    assert isinstance(image, Tensor)
    image.requires_grad_()
    objective = LatentRegression({"image": ["image"]})
    step = prepared(objective, world.model(), batch)
    (loss,) = objective(step).values()
    (gradient,) = torch.autograd.grad(loss, image)
    hidden = step.uniform("latent_regression/image", 4) < 0.5
    of_patches = F.unfold(gradient, 4, stride=4).abs().sum(dim=1)
    assert float(of_patches[hidden].max()) == 0.0
    partly = hidden.any(dim=1) & ~hidden.all(dim=1)
    assert bool((of_patches[partly][~hidden[partly]] > 0).all())


def test_ravens_asymmetry_is_expressible() -> None:
    objective, step, losses = regression({"image": ["image", "depth"], "depth": ["image"]}, loss="negative_cosine")
    assert set(losses) == {f"latent_regression/{pair}" for pair in ("image~image", "image~depth", "depth~image")}
    assert objective.modalities == ("image", "depth")
    losses["latent_regression/depth~image"].backward()
    moved = {name for name, p in step.model.named_parameters() if p.grad is not None and bool(p.grad.any())}
    assert {name.split(".")[1] for name in moved} == {"depth"}
    assert all(parameter.grad is None for parameter in step.teacher.model.parameters())


def test_what_is_padded_counts_nowhere() -> None:
    """Texts of which all is hidden: what stands in the padding changes nothing."""
    found: list[float] = []
    for padding in (0, 5):
        world = scenes()
        batch = world.batch(missing={})
        words = cast(Padded, batch.values["text"])
        words.mask[:3, -2:] = False
        words.values[:3, -2:] = padding
        objective = LatentRegression({"text": ["text"]}, hidden=1.0)
        (loss,) = objective(prepared(objective, world.model(), batch)).values()
        found.append(float(loss.detach()))
    assert found[0] == pytest.approx(found[1], rel=1e-6)
    assert found[0] > 0.0


def test_a_teachers_grid_is_resampled_to_the_students() -> None:
    world = scenes()

    def model() -> Model:
        encoders = dict(world.model().encoders) | {"depth": Patches(1, patch=2, width=8, layers=1, heads=2)}
        return Model(encoders, 8)

    objective = LatentRegression({"image": ["depth"]})
    net = model()
    objective.prepare(net, INSTANCES)
    (loss,) = objective(Step(net, world.batch(), model().requires_grad_(False), (0, 3))).values()
    assert torch.isfinite(loss)
    assert float(loss.detach()) > 0


@pytest.mark.parametrize(
    ("targets", "top_k", "match"),
    [({"image": ["image"]}, 3, "more layers"), ({"a": ["a"]}, 1, "another kind")],
)
def test_encoders_without_the_blocks_are_refused(targets: dict[str, list[str]], top_k: int, match: str) -> None:
    model = scenes().model() if "image" in targets else vectors().model()
    with pytest.raises(InputError, match=match):
        LatentRegression(targets, top_k=top_k).prepare(model, INSTANCES)


def test_tokens_that_do_not_lie_over_each_other_are_refused() -> None:
    with pytest.raises(InputError, match="lies over another"):
        regression({"image": ["text"]})
    with pytest.raises(InputError, match="hidden"):
        LatentRegression({"image": ["image"]}, hidden=0.0)


def frozen(*names: str) -> Model:
    return Model(dict(scenes().model().encoders), 8, frozen=names)


def test_a_student_looks_where_frozen_teachers_look() -> None:
    world, model = scenes(), frozen("depth")
    objective = AttentionAlignment("image", ["depth"], blocks=2)
    objective.prepare(model, INSTANCES)
    step = Step(model, world.batch())
    (loss,) = objective(step).values()
    rows = [0, 2, 3, 4, 5, 6, 7]
    image, depth = (step.features(name).layers for name in ("image", "depth"))
    expected = sum(
        alignment(attention_map(own)[rows], [attention_map(other)[rows]]).mean()
        for own, other in zip(image, depth, strict=True)
    )
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert all(p.grad is None for p in model.encoder("depth").parameters())
    assert any(p.grad is not None and bool(p.grad.any()) for p in model.encoder("image").parameters())


def test_a_coarser_teacher_is_resampled() -> None:
    world, model = scenes(), frozen("depth")
    model.encoders["image"] = Patches(1, patch=2, width=8, layers=1, heads=2)
    objective = AttentionAlignment("image", ["depth"])
    (loss,) = objective(Step(model, world.batch())).values()
    assert torch.isfinite(loss)
    assert float(loss.detach()) > 0


def test_what_cannot_teach_attention_is_refused() -> None:
    with pytest.raises(InputError, match=r"model\.frozen"):
        AttentionAlignment("image", ["depth"]).prepare(frozen(), INSTANCES)
    with pytest.raises(InputError, match="image grid"):
        AttentionAlignment("text", ["depth"])(Step(frozen("depth"), scenes().batch()))
    with pytest.raises(InputError, match="blocks"):
        AttentionAlignment("image", ["depth"], blocks=5)(Step(frozen("depth"), scenes().batch()))


def test_without_smoothing_soft_info_nce_is_info_nce() -> None:
    world = vectors()
    step = Step(world.model(), world.batch())
    (soft,), (plain,) = (
        list(objective(step).values())
        for objective in (SoftInfoNCE(["a", "b"], alpha=0.0), InfoNCE(["a", "b"], temperature=0.07))
    )
    torch.testing.assert_close(soft, plain)


def test_the_targets_are_smoothed_in_full_precision_under_autocast() -> None:
    world = vectors()
    step = Step(world.model(), world.batch())
    objective = SoftInfoNCE(["a", "b"], alpha=1.0, target_temperature=0.01)
    (exact,) = objective(step).values()
    with torch.autocast("cpu", torch.bfloat16):
        (under,) = objective(step).values()
    torch.testing.assert_close(under, exact)


def test_twins_share_their_target() -> None:
    """Row 0 twice: with all of the target smoothed each copy is half the answer to the other."""
    world = vectors()
    step = Step(world.model().double(), double(world.batch([0, 0, 1, 2], {})))
    (loss,) = SoftInfoNCE(["a", "b"], alpha=1.0, target_temperature=1e-7)(step).values()
    a, b = step.embedding("a"), step.embedding("b")
    target = torch.eye(4, dtype=torch.float64)
    target[:2, :2] = 0.5
    forth, back = ((x @ y.T / 0.07).log_softmax(dim=1) for x, y in ((a, b), (b, a)))
    expected = -((target * (forth + back)).sum(dim=1).mean() / 2)
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-6)
