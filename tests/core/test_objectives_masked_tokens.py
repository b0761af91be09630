"""Codes of patches, and tokens to be found among all others."""

from __future__ import annotations

import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from torch.nn import functional as F

from plait.encoders.patches import Patches
from plait.encoders.text import Text
from plait.errors import InputError
from plait.losses.masked import masked_nce
from plait.model import Model
from plait.objectives import Step
from plait.objectives.codebook import Codebook
from plait.objectives.discrete_tokens import DiscreteTokens
from plait.objectives.masked_feature import MaskedFeature, content_keys
from plait.objectives.masking import hide
from plait.pairs.batch import Padded
from tests.core.battery.battery import total
from tests.core.battery.worlds import Vector, scenes
from tests.core.masked_world import given_to, images_in, prepared, step_of, with_value


def test_the_codebook_is_a_running_mean() -> None:
    book = Codebook(2, 1, decay=0.75)
    assert book(torch.tensor([[5.0]])).tolist() == [0]
    book.learn(book.see(torch.tensor([[0.0], [10.0]]), torch.tensor([[0.0], [10.0]])))
    # Both began with mass 1. Two points near 0 and one near 10:
    points = torch.tensor([[1.0], [3.0], [8.0]])
    assert book(points).tolist() == [0, 0, 1]
    book.learn(book.see(points, points[:0]))
    masses = [0.75 + 0.25 * 2, 0.75 + 0.25]
    torch.testing.assert_close(book.masses, torch.tensor(masses))
    torch.testing.assert_close(book.sums[:, 0] / book.masses, torch.tensor([(0.25 * 4) / masses[0], 7.5 + 2.0]))


def test_the_codes_move_to_the_means_of_their_clusters() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = 10 * torch.randn(4, 3, generator=generator)
    book = Codebook(4, 3, decay=0.5)
    batches = [
        centres[torch.randint(4, (64,), generator=generator)] + 0.1 * torch.randn(64, 3, generator=generator)
        for _ in range(30)
    ]
    for points in batches:
        book.learn(book.see(points, centres + 1.0))
    torch.testing.assert_close(book.sums / book.masses[:, None], centres, atol=0.1, rtol=0.0)
    reference = KMeans(4, n_init=4, random_state=0).fit_predict(batches[0].numpy())
    assert adjusted_rand_score(reference, book(batches[0]).numpy()) == 1.0


def test_a_code_that_is_hardly_used_begins_anew() -> None:
    book = Codebook(3, 1, decay=0.5)
    start = torch.tensor([[0.0], [10.0], [20.0]])
    book.learn(book.see(start, start))
    for _ in range(20):
        book.learn(book.see(torch.tensor([[1.0], [9.0]]), torch.tensor([[15.0], [16.0]])))
    codes = (book.sums / book.masses[:, None])[:, 0]
    torch.testing.assert_close(codes, torch.tensor([1.0, 9.0, 15.0]), atol=0.01, rtol=0.0)
    assert book.alive.all()


def test_nothing_is_asked_before_there_are_codes() -> None:
    world = scenes()
    model = world.model()
    objective = prepared(DiscreteTokens(["image", "text"], codes=5), model)
    assert float(total(objective(step_of(world, model))).detach()) == 0.0
    objective.after_step()
    assert float(total(objective(step_of(world, model))).detach()) > 0.0


def test_equal_contents_have_equal_keys_wherever_they_lie() -> None:
    encoder = Patches(1, patch=2, width=8, layers=1, heads=2)
    image = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    image[1, :, 2:, 2:] = image[0, :, :2, :2]
    keys = content_keys(encoder, image)
    assert keys[1, 3] == keys[0, 0]
    assert len(keys.unique()) == 7
    words = Padded(torch.tensor([[2, 5, 5], [2, 7, 0]]), torch.ones(2, 3, dtype=torch.bool))
    keys = content_keys(Text(layers=1, width=8, heads=2), words)
    assert keys[0, 1] == keys[0, 2]
    assert keys[0, 0] == keys[1, 0]
    assert len(keys.unique()) == 4


def test_where_all_is_the_same_there_is_nothing_to_tell() -> None:
    world = scenes()
    model, batch = world.model(), world.batch(range(8), {})
    objective = prepared(MaskedFeature(["image", "text"], share=0.5), model)
    assert float(total(objective(Step(model, batch))).detach()) > 1.0
    still = with_value(batch, "image", torch.ones(8, 1, 8, 8))
    assert float(total(objective(Step(model, still))).detach()) == pytest.approx(0.0, abs=1e-5)


def test_the_masked_feature_loss_knows_contents_and_no_places() -> None:
    world = scenes()
    model, batch = world.model(), world.batch(range(8), {"image": [2]})
    objective = prepared(MaskedFeature(["image", "text"], share=0.5, temperature=0.2), model)
    (loss,) = objective(Step(model, batch)).values()
    encoder, images = model.encoder("image"), images_in(batch)
    assert isinstance(encoder, Patches)
    rows = [0, 1, 3, 4, 5, 6, 7]
    contents = encoder.project(encoder.patchify(images[rows])) - encoder.mask_token
    hidden = hide(Step(model, batch), "image", torch.ones(8, 4, dtype=torch.bool), 0.5)[rows]
    predicted = F.normalize(objective.head(given_to("head", objective, Step(model, batch))), dim=-1)
    expected = masked_nce(
        predicted,
        F.normalize(contents.flatten(0, 1), dim=-1),
        hidden.flatten().nonzero().squeeze(1),
        torch.arange(28),
        hidden,
        5.0,
    )
    torch.testing.assert_close(loss, expected.mean(), rtol=1e-4, atol=1e-5)


def test_an_encoder_without_tokens_before_mixing_is_refused() -> None:
    with pytest.raises(InputError, match="makes none before"):
        MaskedFeature(["a"]).prepare(Model({"a": Vector(3)}, 4), 32)
