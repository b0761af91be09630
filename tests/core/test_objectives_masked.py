"""What masked objectives of texts and images are asked, and from what."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from plait.encoders.patches import Patches
from plait.errors import InputError
from plait.model import Model
from plait.objectives import Objective, Step
from plait.objectives.discrete_tokens import DiscreteTokens
from plait.objectives.masked_autoencoding import MaskedAutoencoding
from plait.objectives.masked_feature import MaskedFeature
from plait.objectives.masked_image import MaskedImage
from plait.objectives.masked_language import DistilledMaskedLanguage, MaskedLanguage
from plait.objectives.masking import hide
from plait.pairs.batch import Batch, Padded
from tests.core.battery.battery import total
from tests.core.battery.worlds import scenes
from tests.core.masked_world import given_to, images_in, prepared, said_by, step_of, with_value, words_in


def test_the_masked_language_loss_is_the_mean_of_the_rows_means() -> None:
    world = scenes()
    model = world.model()
    objective = prepared(MaskedLanguage(["text", "image"], share=0.6), model)
    step = step_of(world, model, text=[3], image=[5])
    (loss,) = objective(step).values()
    shown, words = objective.masking(step, "text")
    masked = step.encode("text", shown)
    fused = step.fuse({"text": masked}, ("text", "image"))
    start, stop = fused.spans["text"]
    logits = objective.head(fused.tokens[:, start:stop]).log_softmax(dim=-1)
    rows = [
        [-logits[b, t, int(words.values[b, t])] for t in range(logits.shape[1]) if bool(words.mask[b, t])]
        for b in range(8)
        if b not in (3, 5)
    ]
    assert all(len(row) == 2 for row in rows)
    torch.testing.assert_close(loss, torch.stack([torch.stack(row).mean() for row in rows]).mean())


def test_alone_the_text_encoder_itself_is_asked() -> None:
    world = scenes()
    model = world.model()
    objective = prepared(MaskedLanguage(["text"], share=0.6), model)
    step = step_of(world, model)
    shown, words = objective.masking(step, "text")
    torch.testing.assert_close(given_to("head", objective, step), step.encode("text", shown).tokens[words.mask])


def test_a_masked_word_is_not_told_and_the_image_is_looked_at() -> None:
    world = scenes()
    model = world.model()
    objective = prepared(MaskedLanguage(["text", "image"], share=0.5), model)
    batch = world.batch(range(8), {})
    shown, words = objective.masking(Step(model, batch), "text")
    was = words_in(batch)
    gone = words.mask & (shown.values == objective.masking.mask_id)
    assert gone.sum() > 5
    other = torch.where(gone, objective.masking.words[0], was.values)
    asked = given_to("head", objective, Step(model, batch))
    torch.testing.assert_close(
        given_to("head", objective, Step(model, with_value(batch, "text", Padded(other, was.mask)))), asked
    )
    image = images_in(batch)
    moved = given_to("head", objective, Step(model, with_value(batch, "image", image.flip(0))))
    assert (moved - asked).abs().max() > 1e-3


@pytest.mark.parametrize("fusion", ["merged_attention", "cross_attention", "bottleneck", "modality_experts"])
def test_fusions_that_keep_tokens_can_be_asked(fusion: str) -> None:
    world = scenes(fusion)
    model = world.model()
    for objective in (
        MaskedLanguage(["text", "image"]),
        MaskedImage(["image", "depth"]),
        MaskedAutoencoding(["image", "depth"]),
    ):
        loss = total(prepared(objective, model)(step_of(world, model, text=[0])))
        loss.backward()
        assert torch.isfinite(loss)


def test_fusions_that_keep_none_are_refused() -> None:
    world = scenes("concat")
    model = world.model()
    for objective in (
        MaskedLanguage(["text", "image"]),
        MaskedImage(["image", "text"]),
        MaskedFeature(["image", "text"]),
    ):
        with pytest.raises(InputError, match="ConcatFusion keeps no tokens"):
            prepared(objective, model)(step_of(world, model))
    with pytest.raises(InputError, match="does not join image:2"):
        MaskedLanguage(["text", "image:2"]).prepare(model, 32)
    model.fusion = None
    with pytest.raises(InputError, match="has no fusion"):
        MaskedLanguage(["text", "image"]).prepare(model, 32)


def test_modality_dropout_takes_the_help_and_never_what_is_asked() -> None:
    world = scenes()
    dropped, whole = world.model().train(), world.model().train()
    dropped.modality_dropout = 1.0
    for kind in (MaskedLanguage(["text", "image"]), MaskedImage(["image", "text"])):
        objective = prepared(kind, whole)
        helped: list[bool] = []
        for number in range(8):
            batch = world.batch([4], {})
            losses = [total(objective(Step(model, batch, seed=(0, number)))) for model in (dropped, whole)]
            assert all(float(loss.detach()) > 0 for loss in losses)
            helped.append(bool(torch.isclose(losses[0], losses[1])))
        assert any(helped)
        assert not all(helped)


def test_the_teachers_head_follows() -> None:
    world = scenes()
    model = world.model()
    objective = prepared(DistilledMaskedLanguage(["text", "image"], share=0.5, momentum=0.75), model)
    before = copy.deepcopy(objective.head)
    with torch.no_grad():
        for parameter in objective.head.parameters():
            parameter.add_(1.0)
    objective.after_step()
    for mine, old in zip(objective.teachers_head.parameters(), before.parameters(), strict=True):
        assert not mine.requires_grad
        torch.testing.assert_close(mine, old + 0.25)


def test_a_teacher_that_agrees_leaves_the_words_alone() -> None:
    world = scenes()
    model = world.model()
    step = Step(model, world.batch(range(8), {}), teacher=copy.deepcopy(model).requires_grad_(False))
    plain = prepared(MaskedLanguage(["text", "image"], share=0.5), model)
    distilled = prepared(DistilledMaskedLanguage(["text", "image"], share=0.5, alpha=0.25), model)
    torch.testing.assert_close(total(distilled(step)), 0.75 * total(plain(step)))


def sensitivity(objective: Objective, batch: Batch, model: Model, of: str, at: str) -> Tensor:
    """(B, T, P), how much what is asked of the head depends on the pixels of each patch of modality ``of``."""
    pixels = images_in(batch, of).clone().requires_grad_()
    asked = given_to(at, objective, Step(model, with_value(batch, of, pixels)))
    # Of random directions, lest what is normalised adds up to nothing.
    (asked * torch.randn(asked.shape, generator=torch.Generator().manual_seed(0))).sum().backward()
    encoder = model.encoder(of)
    assert isinstance(encoder, Patches)
    assert pixels.grad is not None
    return encoder.patchify(pixels.grad).abs().sum(dim=-1)


@pytest.mark.parametrize("make", [lambda of: MaskedImage(of), lambda of: DiscreteTokens(of, codes=4)])
def test_hidden_pixels_are_not_looked_at(make: Callable[[list[str]], Objective]) -> None:
    world = scenes()
    model, batch = world.model(), world.batch(range(8), {})
    objective = prepared(make(["image", "depth"]), model)
    objective(Step(model, batch))
    objective.after_step()
    share = objective.share
    assert isinstance(share, float)
    hidden = hide(Step(model, batch), "image", torch.ones(8, 4, dtype=torch.bool), share)
    looked = sensitivity(objective, batch, model, "image", "head")
    assert torch.equal(looked[hidden], torch.zeros_like(looked[hidden]))
    assert (looked[~hidden] > 0).all()
    assert (sensitivity(objective, batch, model, "depth", "head") > 0).all()


def test_the_masked_image_loss_is_of_normalised_hidden_patches() -> None:
    world = scenes()
    model, batch = world.model(), world.batch(range(8), {"image": [1], "text": [6]})
    objective = prepared(MaskedImage(["image", "text"], share=0.5), model)
    (loss,) = objective(Step(model, batch)).values()
    asked = given_to("head", objective, Step(model, batch))
    predicted = objective.head(asked)
    hidden = hide(Step(model, batch), "image", torch.ones(8, 4, dtype=torch.bool), 0.5)
    images = images_in(batch)
    errors: list[Tensor] = []
    for b in (0, 2, 3, 4, 5, 7):
        for t in range(4):
            if bool(hidden[b, t]):
                patch = images[b, :, 4 * (t // 2) : 4 * (t // 2) + 4, 4 * (t % 2) : 4 * (t % 2) + 4].flatten()
                target = (patch - patch.mean()) / (patch.var(correction=0) + 1e-6).sqrt()
                errors.append((predicted[len(errors)] - target).square().mean())
    assert len(errors) == len(predicted) == 12
    torch.testing.assert_close(loss, torch.stack(errors).mean())


@pytest.mark.parametrize("kind", [MaskedImage, DiscreteTokens, MaskedAutoencoding])
def test_images_without_patches_are_refused(kind: type[Objective]) -> None:
    with pytest.raises(InputError, match="hides patches of 'text'"):
        kind(["text"]).prepare(scenes().model(), 32)


def test_autoencoding_sees_no_hidden_patch() -> None:
    world = scenes()
    model, batch = world.model(), world.batch(range(8), {})
    objective = prepared(MaskedAutoencoding(["image", "depth"], visible=0.5, width=8, heads=2), model)
    all_real = {name: torch.ones(8, 4, dtype=torch.bool) for name in ("image", "depth")}
    visible = objective.seen(Step(model, batch), all_real)
    for name, told in [("image", "image"), ("depth", "image"), ("image", "depth")]:
        looked = sensitivity(objective, batch, model, name, f"decoders.{told}.pixels")
        assert torch.equal(looked > 0, visible[name]), (name, told)


def test_the_autoencoding_loss_is_of_hidden_patches_alone() -> None:
    world = scenes()
    model = world.model()
    step = step_of(world, model, image=[2])
    objective = prepared(MaskedAutoencoding(["image", "depth"], visible=0.5, width=8, heads=2), model)
    losses = objective(step)
    there = {name: step.present(name)[:, None].expand(8, 4) for name in ("image", "depth")}
    for name, visible in objective.seen(step, there).items():
        hidden = there[name] & ~visible
        predicted = said_by(f"decoders.{name}.pixels", objective, step)
        encoder = model.encoder(name)
        assert isinstance(encoder, Patches)
        patches = encoder.patchify(images_in(step.batch, name))
        target = (patches - patches.mean(dim=2, keepdim=True)) / patches.std(dim=2, correction=0, keepdim=True)
        errors = (predicted - target).square().mean(dim=2)
        rows = [errors[b][hidden[b]].mean() for b in range(8) if bool(hidden[b].any())]
        torch.testing.assert_close(losses[f"masked_autoencoding/{name}"], torch.stack(rows).mean(), rtol=1e-4, atol=0.0)


def test_other_masks_leak_what_is_hidden_at_the_same_place_and_equal_ones_do_not() -> None:
    # Where depth is a copy of image, a patch that is hidden in image and seen in depth is told by it.
    world = scenes()
    batch = world.batch(range(8), {})
    masks = {name: torch.ones(8, 4, dtype=torch.bool) for name in ("image", "depth")}
    step = Step(world.model(), batch)
    apart = MaskedAutoencoding(["image", "depth"], visible=0.5).seen(step, masks)
    assert (~apart["image"] & apart["depth"]).any()
    assert all(one.sum() == 4 for one in apart["image"].int() + apart["depth"].int())
    together = MaskedAutoencoding(["image", "depth"], visible=0.5, same_places=True).seen(step, masks)
    assert torch.equal(together["image"], together["depth"])
    assert (together["image"].sum(dim=1) == 2).all()


def test_a_row_takes_part_with_what_it_has() -> None:
    world = scenes()
    model = world.model()
    objective = prepared(MaskedAutoencoding(["image", "depth"], visible=0.5, width=8, heads=2), model)
    step = step_of(world, model, image=[0, 1, 2, 3], depth=[3, 4])
    there = {name: step.present(name)[:, None].expand(8, 4) for name in ("image", "depth")}
    seen = objective.seen(step, there)
    counts = (seen["image"].int() + seen["depth"].int()).sum(dim=1)
    assert counts.tolist() == [2, 2, 2, 0, 2, 4, 4, 4]
    alone = objective(step_of(world, model, depth=list(range(8)), image=[0]))
    assert float(alone["masked_autoencoding/depth"].detach()) == 0.0
    assert float(alone["masked_autoencoding/image"].detach()) > 0.0


def test_same_places_want_one_grid() -> None:
    encoders = {
        "a": Patches(1, patch=4, width=8, layers=1, heads=2),
        "b": Patches(1, patch=2, width=8, layers=1, heads=2),
    }
    there = torch.ones(2, dtype=torch.bool)
    images = {name: torch.randn(2, 1, 8, 8) for name in encoders}
    batch = Batch(("a", "b"), ("a", "b"), images, dict.fromkeys(encoders, there), rows=torch.arange(2))
    objective = MaskedAutoencoding(["a", "b"], same_places=True)
    with pytest.raises(InputError, match="grids that differ"):
        objective.seen(
            Step(Model(encoders, 4), batch), {"a": there[:, None].expand(2, 4), "b": there[:, None].expand(2, 16)}
        )


def test_budgets_that_do_not_fit_are_refused() -> None:
    for settings in ({"budgets": {"image": 1.0}}, {"budgets": {"image": 1.0, "depth": 1.0}, "same_places": True}):
        with pytest.raises(InputError, match="shares out"):
            MaskedAutoencoding(["image", "depth"], **settings)
    with pytest.raises(InputError, match="multiple of 4"):
        MaskedAutoencoding(["image", "depth"], width=6)
