"""Token and place objectives: which rows, which tokens and which places enter the loss."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from plait.encoders.patches import Patches
from plait.errors import InputError
from plait.losses.contrastive import info_nce
from plait.losses.local import contrast, gloria_similarity, late_interaction
from plait.losses.mapping import soft_cycle
from plait.losses.transport import wasserstein_alignment
from plait.model import Model
from plait.objectives import Objective, Step, dense
from plait.objectives.dense import DenseInfoNCE, RegionInfoNCE
from plait.objectives.local import GLoRIA, LateInteraction, SoftCycle, WordPatchTransport
from plait.pairs.batch import Batch
from tests.core.battery.worlds import World, double, motions, part, scenes

BOTH = [0, 2, 3, 4, 5]
"""The rows of the scenes' batch that have an image and a text."""


def whole(world: World) -> tuple[Model, Batch]:
    return world.model().double(), double(world.batch())


def loss_of(objective: Objective, model: Model, batch: Batch) -> Tensor:
    (loss,) = objective.double()(Step(model, batch)).values()
    return loss


def tokens(model: Model, batch: Batch, name: str, rows: list[int]) -> tuple[Tensor, Tensor]:
    """A modality's tokens in the shared space and their mask, row by row, as if the others were not there."""
    projected, masks = [], []
    for row in rows:
        features = model.encode(name, part(batch, [row]).values[name])
        projected.append(model.projection(name, features.tokens)[0])
        masks.append(features.mask[0])
    return torch.stack(projected), torch.stack(masks)


def test_gloria_asks_the_rows_that_have_both() -> None:
    model, batch = whole(scenes())
    sides = *tokens(model, batch, "image", BOTH), *tokens(model, batch, "text", BOTH)
    expected = contrast(10 * gloria_similarity(*sides))
    torch.testing.assert_close(loss_of(GLoRIA(("image", "text")), model, batch), expected)


def test_late_interaction_asks_both_directions_their_own_way() -> None:
    model, batch = whole(scenes())
    a, a_mask = tokens(model, batch, "image", BOTH)
    b, b_mask = tokens(model, batch, "text", BOTH)
    a, b = F.normalize(a, dim=-1), F.normalize(b, dim=-1)
    forth = torch.stack([(a[i] @ b[j][b_mask[j]].T).amax(dim=1).mean() for i in range(5) for j in range(5)])
    back = torch.stack([(b[j][b_mask[j]] @ a[i].T).amax(dim=1).mean() for i in range(5) for j in range(5)])
    torch.testing.assert_close(forth.reshape(5, 5), late_interaction(a, a_mask, b, b_mask))
    rows = F.cross_entropy(forth.reshape(5, 5) / 0.1, torch.arange(5))
    columns = F.cross_entropy(back.reshape(5, 5).T / 0.1, torch.arange(5))
    found = loss_of(LateInteraction(("image", "text"), temperature=0.1), model, batch)
    torch.testing.assert_close(found, (rows + columns) / 2, rtol=1e-6, atol=1e-6)


def test_words_are_set_against_the_patches_of_another_row() -> None:
    model, batch = whole(scenes())
    two = part(batch, [2, 4])
    words, patches = tokens(model, two, "text", [0, 1]), tokens(model, two, "image", [0, 1])
    own = wasserstein_alignment(*words, *patches)
    others = wasserstein_alignment(*words, *(side.flip(0) for side in patches))
    found = loss_of(WordPatchTransport(("text", "image")), model, two)
    torch.testing.assert_close(found, (own - others).mean())
    assert float(loss_of(WordPatchTransport(("text", "image")), model, part(batch, [2])).detach()) == 0


def test_soft_cycle_goes_both_ways_in_each_row() -> None:
    model, batch = whole(motions())
    rows = [0, 2, 3, 4, 5]
    a, b = tokens(model, batch, "state", rows), tokens(model, batch, "action", rows)
    expected = (soft_cycle(*a, *b) + soft_cycle(*b, *a)).mean()
    torch.testing.assert_close(loss_of(SoftCycle(("state", "action")), model, batch), expected)


def twins(width: int = 8) -> World:
    """Image and depth are the same pictures, and their encoders the same."""
    world = scenes()

    def model() -> Model:
        torch.manual_seed(0)
        encoders = {name: Patches(1, patch=2, width=width, layers=1, heads=2) for name in ("image", "depth")}
        made = Model(encoders, 8)
        made.encoders["depth"].load_state_dict(made.encoders["image"].state_dict())
        made.projectors["depth"].load_state_dict(made.projectors["image"].state_dict())
        return made

    image, regions = world.values["image"], world.values["regions"]
    return World(model, {"image": image, "depth": image, "regions": regions}, {"image": [1], "depth": [3]})


def test_both_maps_are_looked_at_in_the_same_places(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []

    def spy(a: Tensor, b: Tensor, *_: object) -> Tensor:
        seen.extend([a, b])
        return a.sum()

    monkeypatch.setattr(dense, "dense_info_nce", spy)
    model, batch = whole(twins())
    loss_of(DenseInfoNCE(("image", "depth"), patches=5, side=2), model, batch)
    a, b = seen
    assert a.shape == (6 * 5, 4, 8)
    torch.testing.assert_close(a, b)
    assert len({round(float(patch.sum().detach()), 6) for patch in a}) > 15


def test_other_steps_look_at_other_places(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []
    monkeypatch.setattr(dense, "dense_info_nce", lambda a, *_: seen.append(a) or a.sum())
    model, batch = whole(twins())
    for step in (0, 0, 1):
        DenseInfoNCE(("image", "depth"))(Step(model, batch, seed=(0, step)))
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])


def test_regions_are_matched_across_rows_and_modalities() -> None:
    """In the scenes a region is a patch, so that its mean is the patch's unit feature."""
    model, batch = whole(scenes())
    batch.present["regions"][4] = False
    rows = [0, 2, 3, 5, 6, 7]
    a, b = (F.normalize(tokens(model, batch, name, rows)[0], dim=-1).flatten(0, 1) for name in ("image", "depth"))
    found = loss_of(RegionInfoNCE(("image", "depth"), temperature=0.2), model, batch)
    torch.testing.assert_close(found, info_nce(a, b, 5.0))


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        (DenseInfoNCE(("image", "text")), "'text' keeps no grid"),
        (DenseInfoNCE(("image", "depth"), side=3), "2 x 2 places, fewer than a patch of side 3"),
        (RegionInfoNCE(("text", "image")), "'text' keeps no grid"),
    ],
)
def test_encoders_that_do_not_fit_are_refused(objective: Objective, words: str) -> None:
    model, batch = whole(scenes())
    with pytest.raises(InputError, match=words):
        loss_of(objective, model, batch)


def test_grids_of_two_sizes_are_refused() -> None:
    world = twins()
    model = Model({"image": Patches(1, patch=4, width=8), "depth": Patches(1, patch=2, width=8)}, 8).double()
    with pytest.raises(InputError, match="the grids differ, 'image' 2 x 2 and 'depth' 4 x 4"):
        loss_of(DenseInfoNCE(("image", "depth")), model, double(world.batch()))


@pytest.mark.parametrize(
    "objective",
    [
        GLoRIA(("image", "text")),
        LateInteraction(("image", "text")),
        WordPatchTransport(("text", "image")),
        DenseInfoNCE(("image", "depth")),
        RegionInfoNCE(("image", "depth")),
    ],
)
def test_where_no_row_has_both_the_loss_is_zero_and_the_gradient_finite(objective: Objective) -> None:
    world = replace(scenes(), missing={"image": [0, 1, 2, 3], "text": [4, 5, 6, 7], "depth": [4, 5, 6, 7]})
    model, batch = whole(world)
    loss = loss_of(objective, model, batch)
    loss.backward()
    assert float(loss.detach()) == 0
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients)
