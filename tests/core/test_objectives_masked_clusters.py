"""Masked clusters: what is hidden, whose units are asked, and with which modalities."""

from __future__ import annotations

import copy
from typing import cast

import pytest
import torch
from torch import Tensor

from plait.encoders.patches import Patches
from plait.objectives.masked_clusters import MaskedClusters, Units
from plait.objectives.masking import encode_hidden
from plait.objectives.step import Step
from tests.core.battery.worlds import double, scenes
from tests.core.clustering_world import EVERY, prepared, see


def test_spans_hide_the_share_that_they_should() -> None:
    world = scenes()
    for span in (1, 3):
        objective = MaskedClusters(["image"], hide=0.4, span=span)
        model = prepared(objective, world)
        shares, lengths = [], []
        for number in range(100):
            step = Step(model, double(world.batch(EVERY, {})), model, (0, number))
            hidden = objective._hidden(step, "image")
            shares.append(hidden[:, -1].double().mean())
            lengths.append((hidden[:, :-1] & hidden[:, 1:]).double().mean())
        # The last token may lie in spans that began at any of the ``span`` places up to it.
        assert float(torch.stack(shares).mean()) == pytest.approx(0.4, abs=0.03)
        together = float(torch.stack(lengths).mean())
        assert together == pytest.approx(0.16, abs=0.03) if span == 1 else together > 0.2


def test_what_is_hidden_is_not_seen() -> None:
    """Changing hidden patches changes nothing that the student says; changing others does."""
    objective, world = MaskedClusters(["image", "text"], clusters=4, modality_dropout=0.0), scenes()
    model = prepared(objective, world)
    batch = double(world.batch(range(8), {}))
    step = Step(model, batch, model)
    hidden = objective._hidden(step, "image")
    assert hidden.any()
    assert not hidden.all()
    image = batch.values["image"]
    assert isinstance(image, Tensor)
    said = []
    for changed in (None, hidden, ~hidden):
        values = dict(batch.values)
        if changed is not None:
            pixels = changed.reshape(8, 1, 2, 2).repeat_interleave(4, 2).repeat_interleave(4, 3)
            values["image"] = torch.where(pixels, 7.0, image)
        other = copy.copy(batch)
        object.__setattr__(other, "values", values)
        said.append(encode_hidden(Step(model, other, model), "image", hidden).tokens)
    assert torch.equal(said[0], said[1])
    assert not torch.allclose(said[0], said[2])


def test_units_are_the_teachers_and_only_hidden_tokens_are_asked() -> None:
    objective, world = MaskedClusters(["image"], clusters=3, modality_dropout=0.0, recluster_every=1), scenes()
    model = prepared(objective, world)
    losses, _ = see(objective, model, world, EVERY)
    assert float(losses["masked_clusters/image"].detach()) == 0.0, "there are no units yet"
    centroids = cast(Units, objective.units["image"]).centroids.clone()
    batch = double(world.batch(range(8), {}))
    teacher = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in teacher.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    step = Step(model, batch, teacher, (0, 1))
    loss = objective(step)["masked_clusters/image"]
    hidden = objective._hidden(step, "image")
    start, stop = step.teacher.fused(("image",)).spans["image"]
    targets = step.teacher.fused(("image",)).tokens[:, start:stop]
    image = batch.values["image"]
    assert isinstance(image, Tensor)
    encoder = cast(Patches, model.encoder("image"))
    streams = {"image": encoder.mix(encoder.embed(image, hidden), (2, 2))}
    said = objective.heads["image"](step.fuse(streams, ("image",)).tokens[:, start:stop]).log_softmax(dim=2)
    rows = []
    for row in range(8):
        asked = [t for t in range(4) if hidden[row, t]]
        units = [int((targets[row, t] - centroids).square().sum(dim=1).argmin()) for t in asked]
        if asked:
            rows.append(-sum(float(said[row, t, u].detach()) for t, u in zip(asked, units, strict=True)) / len(asked))
    assert float(loss.detach()) == pytest.approx(sum(rows) / len(rows), rel=1e-6)


def test_modality_dropout_leaves_one_modality_that_the_row_has() -> None:
    objective, world = MaskedClusters(["image", "text"], modality_dropout=1.0), scenes()
    model = prepared(objective, world)
    images = 0
    for number in range(20):
        step = Step(model, double(world.batch(range(8), {"image": [1], "text": [2, 3]})), model, (0, number))
        left = objective._left(step)
        assert (left["image"].long() + left["text"].long() == 1).all()
        assert not left["image"][1]
        assert left["image"][2]
        images += int(left["image"][4:].sum())
    assert 20 < images < 60
