"""Stitching: a fusion that runs the trunk of another encoder, which need not learn."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from plait.encoders.conv import Conv
from plait.encoders.features import Encoder, Features
from plait.encoders.patches import Patches
from plait.encoders.text import Text
from plait.errors import InputError
from plait.fusion.fusion import Fusion
from plait.fusion.inserted_cross_attention import InsertedCrossAttentionFusion
from plait.fusion.prompt import PromptFusion
from plait.model import Model
from plait.pairs.batch import Batch, Padded
from tests.core.fusion_world import fuse, random_features

WIDTHS = {"image": 8, "a": 3, "b": 5}
PRESENT = {"image": [1, 1, 0], "a": [1, 0, 1], "b": [1, 1, 1]}
ROWS = range(3)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def host() -> Patches:
    return Patches(patch=4, width=8, layers=2, heads=2).double()


@pytest.fixture
def said(host: Patches) -> dict[str, Features]:
    images = host(torch.randn(3, 3, 8, 8, dtype=torch.float64))
    return {"image": images, "a": random_features(3, 4), "b": random_features(5, 2)}


def hosted(fusion: Fusion, host: Encoder) -> Fusion:
    fusion.host({"image": host})
    return fusion.double()


def open_gates(fusion: Fusion) -> None:
    for name, parameter in fusion.named_parameters():
        if name.endswith("gates"):
            torch.nn.init.normal_(parameter)


def others(fusion: Any, said: dict[str, Features], row: int) -> Tensor:
    """What the host is shown of the other modalities: leads and real tokens, or what has been learnt."""
    tokens: list[Tensor] = []
    for name in "ab":
        lead = fusion.streams.leads.missing[name][None]
        if PRESENT[name][row]:
            lead = fusion.streams.leads.projections[name](said[name].pooled[row : row + 1])
        tokens.append(lead + fusion.streams.kinds[name])
        if PRESENT[name][row]:
            real = said[name].tokens[row][said[name].mask[row]]
            tokens.append(fusion.streams.projections[name](real) + fusion.streams.kinds[name])
    return torch.cat(tokens)


def own(fusion: Any, said: dict[str, Features], row: int) -> Tensor:
    embedded = said["image"].embedded
    assert embedded is not None
    return embedded[row] if PRESENT["image"][row] else fusion.host_tokens.missing["image"][None]


def whole(tokens: Tensor) -> tuple[Tensor, Tensor]:
    return tokens[None], torch.ones(1, len(tokens), dtype=torch.bool)


@pytest.mark.parametrize("projector", ["linear", "mlp"])
def test_a_prompt_is_put_before_the_tokens_that_the_host_embedded(
    host: Patches, said: dict[str, Features], projector: Any
) -> None:
    fusion: Any = hosted(PromptFusion(WIDTHS, into="image", projector=projector), host)
    fused = fuse(fusion, said, PRESENT)
    for row in ROWS:
        prompt = fusion.second(others(fusion, said, row))
        tokens = host.trunk(*whole(torch.cat([prompt, own(fusion, said, row)])))[0]
        torch.testing.assert_close(fused.pooled[row], tokens.mean(dim=0))
        start, stop = fused.spans["image"]
        if PRESENT["image"][row]:
            torch.testing.assert_close(fused.tokens[row, start:stop], tokens[len(prompt) :])


def test_what_is_inserted_runs_before_each_block_of_the_host(host: Patches, said: dict[str, Features]) -> None:
    fusion: Any = hosted(InsertedCrossAttentionFusion(WIDTHS, into="image", heads=2), host)
    open_gates(fusion)
    fused = fuse(fusion, said, PRESENT)
    for row in ROWS:
        tokens = own(fusion, said, row)[None]
        context = others(fusion, said, row)[None]
        seen = torch.ones(1, 1, context.shape[1], dtype=torch.bool)
        for inserted, block in zip(fusion.inserted, host.trunk.blocks, strict=True):
            look, think = inserted.gates.tanh()
            tokens = tokens + look * inserted.attention(tokens, context, seen)
            tokens = tokens + think * inserted.perceptron(inserted.norm(tokens))
            tokens = block(tokens, torch.ones(1, 1, tokens.shape[1], dtype=torch.bool), None, None)
        tokens = host.trunk.last_norm(tokens)[0]
        torch.testing.assert_close(fused.pooled[row], tokens.mean(dim=0))
        torch.testing.assert_close(fused.tokens[row, 0], fused.pooled[row])
        if PRESENT["image"][row]:
            torch.testing.assert_close(fused.tokens[row, 1:], tokens)


def test_with_closed_gates_the_host_says_exactly_what_it_says_alone(host: Patches, said: dict[str, Features]) -> None:
    fused = fuse(hosted(InsertedCrossAttentionFusion(WIDTHS, into="image"), host), said, PRESENT)
    assert torch.equal(fused.pooled[:2], said["image"].pooled[:2])
    assert torch.equal(fused.tokens[:2, 1:], said["image"].tokens[:2])


def test_closed_gates_learn_to_open(host: Patches, said: dict[str, Features]) -> None:
    fusion: Any = hosted(InsertedCrossAttentionFusion(WIDTHS, into="image"), host)
    fuse(fusion, said, PRESENT).pooled[:, 0].sum().backward()
    assert all((inserted.gates.grad != 0).all() for inserted in fusion.inserted)


def words(rows: int = 3, length: int = 5) -> Padded:
    mask = torch.arange(length) < torch.tensor([length, 2, 3])[:rows, None]
    return Padded(torch.randint(0, 30, (rows, length)) * mask, mask)


def test_a_bert_can_be_the_host(said: dict[str, Features]) -> None:
    host = Text(layers=2, width=8, heads=2, vocabulary=30, max_tokens=32).double()
    value = words()
    said["image"] = host(value)
    present = {"image": [1, 1, 1], "a": [1, 0, 1], "b": [1, 1, 1]}
    inserted = hosted(InsertedCrossAttentionFusion(WIDTHS, into="image"), host)
    alone = fuse(inserted, said, present)
    torch.testing.assert_close(alone.pooled, said["image"].pooled, rtol=1e-12, atol=1e-12)
    open_gates(inserted)
    prompted = hosted(PromptFusion(WIDTHS, into="image"), host)
    for fusion in (inserted, prompted):
        told = fuse(fusion, said, present)
        assert (told.pooled - alone.pooled).abs().amax(dim=1).min() > 1e-3
        start, stop = told.spans["image"]
        assert torch.equal(told.mask[:, start:stop], value.mask)


def model(fusion: Fusion, frozen: tuple[str, ...] = ()) -> tuple[Model, Batch]:
    encoders: dict[str, Encoder] = {
        "image": Patches(patch=4, width=8, layers=2, heads=2),
        "a": Conv(in_channels=1, widths=(3,), strides=(2,)),
        "b": Conv(in_channels=1, widths=(5,), strides=(2,)),
    }
    present = {name: torch.tensor(flags).bool() for name, flags in PRESENT.items()}
    values = {name: torch.randn(3, 3 if name == "image" else 1, 8, 8) for name in WIDTHS}
    ids = ("x", "y", "z")
    return Model(encoders, 4, fusion, frozen=frozen), Batch(ids, ids, dict(values), present)


def run(model: Model, batch: Batch) -> Tensor:
    said = {name: model.encode(name, value) for name, value in batch.values.items()}
    return model.fuse(batch, said.__getitem__, batch.present).pooled


STITCHED = [
    lambda: PromptFusion(WIDTHS, into="image"),
    lambda: InsertedCrossAttentionFusion(WIDTHS, into="image"),
]


@pytest.mark.parametrize("make", STITCHED)
def test_the_host_is_a_part_of_the_model_once(make: Any) -> None:
    built, _ = model(make())
    names = [name for name, _ in built.named_parameters(remove_duplicate=False)]
    assert len(names) == len({id(parameter) for parameter in built.parameters()})
    assert not any("trunk" in name for name in built.state_dict() if name.startswith("fusion."))


@pytest.mark.parametrize("make", STITCHED)
def test_a_copied_model_runs_the_copied_host(make: Any) -> None:
    """An average of past weights would otherwise run the weights of today."""
    built, batch = model(make())
    copied = deepcopy(built)
    before = run(built, batch)
    torch.testing.assert_close(run(copied, batch), before)
    with torch.no_grad():
        for parameter in copied.encoders["image"].parameters():
            parameter.normal_()
    assert torch.equal(run(built, batch), before)
    said = {name: built.encode(name, value) for name, value in batch.values.items()}
    changed = copied.fuse(batch, said.__getitem__, batch.present).pooled
    assert not torch.allclose(changed, before, atol=1e-3)


@pytest.mark.parametrize("make", STITCHED)
def test_a_frozen_host_lets_the_gradient_through_and_takes_none(make: Any) -> None:
    built, batch = model(make(), frozen=("image",))
    open_gates(built.fusion)
    before = {name: parameter.clone() for name, parameter in built.encoders["image"].named_parameters()}
    optimiser = torch.optim.SGD([p for p in built.parameters() if p.requires_grad], lr=0.1)
    run(built, batch)[:, 0].sum().backward()
    optimiser.step()
    assert all(torch.equal(before[name], p) for name, p in built.encoders["image"].named_parameters())
    reached = {name for name, p in built.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert any(name.startswith("encoders.a.") for name in reached)
    assert any(name.startswith("fusion.streams.leads.missing.a") for name in reached)


def test_a_model_comes_back_from_its_state() -> None:
    one, batch = model(STITCHED[1]())
    open_gates(one.fusion)
    other, _ = model(STITCHED[1]())
    other.load_state_dict(one.state_dict())
    assert torch.equal(run(one, batch), run(other, batch))


@pytest.mark.parametrize("fusion", [PromptFusion, InsertedCrossAttentionFusion])
def test_hosts_that_cannot_be_run_are_refused(fusion: Any) -> None:
    with pytest.raises(InputError, match="'image', and a Conv takes none: choose a transformer"):
        fusion(WIDTHS, into="image").host({"image": Conv(widths=(8,), strides=(2,))})
    with pytest.raises(InputError, match="into 'text' and there is image, a, b"):
        fusion(WIDTHS, into="text")
    said = {name: replace(random_features(width), embedded=None) for name, width in WIDTHS.items()}
    with pytest.raises(InputError, match="an objective shows it features without them"):
        fuse(fusion(WIDTHS, into="image").double(), said, PRESENT)


@pytest.mark.parametrize("make", STITCHED)
def test_what_is_hidden_from_the_host_stays_hidden(make: Any) -> None:
    """An objective that masks patches must not find them in the fusion by another way."""
    built, batch = model(make())
    host, hidden = built.encoders["image"], torch.zeros(3, 4, dtype=torch.bool)
    assert isinstance(host, Patches)
    hidden[:, 1] = True
    said = {name: built.encode(name, batch.values[name]) for name in "ab"}
    pooled: list[Tensor] = []
    for corner in (0.0, 5.0):
        image = batch.values["image"]
        assert isinstance(image, Tensor)
        image[:, :, :4, 4:] = corner
        told = {**said, "image": host.mix(host.embed(image, hidden))}
        pooled.append(built.fuse(batch, told.__getitem__, batch.present).pooled)
    assert torch.equal(*pooled)


def test_what_is_inserted_needs_blocks_and_heads_that_fit() -> None:
    fusion = InsertedCrossAttentionFusion(WIDTHS, into="image")
    with pytest.raises(InputError, match="'image' has no blocks"):
        fusion.host({"image": Patches(patch=4, width=8, layers=0, heads=2)})
    with pytest.raises(InputError, match="width 8 of 'image' is not a multiple of the fusion's 3 heads"):
        InsertedCrossAttentionFusion(WIDTHS, into="image", heads=3)
