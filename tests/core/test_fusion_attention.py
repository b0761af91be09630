"""The fusions in which tokens look at each other, against slow references: one row, real tokens only, no masks."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from plait.encoders.features import Features
from plait.encoders.transformer import Attention, Block
from plait.errors import InputError
from plait.fusion.bottleneck import BottleneckFusion
from plait.fusion.cross_attention import CrossAttentionFusion
from plait.fusion.decoder import DecoderFusion
from plait.fusion.film import FilmFusion
from plait.fusion.fusion import Fusion
from plait.fusion.merged_attention import MergedAttentionFusion
from plait.fusion.modality_experts import ModalityExpertsFusion
from plait.fusion.streams import Streams
from tests.core.fusion_world import fuse, random_features

WIDTHS = {"a": 3, "b": 5, "c": 2}
PRESENT = {"a": [1, 0, 1, 0], "b": [1, 1, 0, 0], "c": [1, 1, 0, 0]}
ROWS = range(4)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def said() -> dict[str, Features]:
    lengths = {"a": 4, "b": 6, "c": 3}
    return {name: random_features(width, lengths[name], rows=4) for name, width in WIDTHS.items()}


def stirred[T: Fusion](fusion: T) -> T:
    """In double precision, and no normalisation or bias as it was at first."""
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return fusion.double()


def streams_of(streams: Streams, said: dict[str, Features], row: int) -> dict[str, Tensor]:
    """Each modality's lead and real tokens, or what has been learnt in their place."""
    result: dict[str, Tensor] = {}
    for name in streams.projections:
        tokens = [streams.leads.missing[name][None]]
        if PRESENT[name][row]:
            features = said[name]
            tokens = [
                streams.leads.projections[name](features.pooled[row : row + 1]),
                streams.projections[name](features.tokens[row][features.mask[row]]),
            ]
        result[name] = torch.cat(tokens) + streams.kinds[name]
    return result


def look(layer: Attention, tokens: Tensor, others: Tensor) -> Tensor:
    """(T, D) tokens look at all (S, D) others, softmax and all."""
    query = layer.query(layer.norm(tokens))
    key, value = layer.key_value(layer.context_norm(others)).chunk(2, dim=-1)
    size = query.shape[1] // layer.heads
    heads: list[Tensor] = []
    for head in range(layer.heads):
        part = slice(head * size, (head + 1) * size)
        scores = query[:, part] @ key[:, part].T / math.sqrt(size)
        weights = scores.exp() / scores.exp().sum(dim=1, keepdim=True)
        heads.append(weights @ value[:, part])
    return layer.out(torch.cat(heads, dim=1))


def through(block: Block, tokens: Tensor, context: Tensor | None = None) -> Tensor:
    tokens = tokens + look(block.own, tokens, tokens)
    if context is not None:
        assert block.other is not None
        tokens = tokens + look(block.other, tokens, context)
    return tokens + block.perceptron(block.norm(tokens))


def check(fused: Features, said: dict[str, Features], row: int, norm: torch.nn.Module, last: dict[str, Tensor]) -> None:
    """The fusion's real tokens and pooled vector are those of the reference's streams."""
    pooled = torch.stack([stream[0] for stream in last.values()]).mean(dim=0)
    torch.testing.assert_close(fused.pooled[row], norm(pooled))
    for name, (start, stop) in fused.spans.items():
        assert stop - start == said[name].mask.shape[1]
        if PRESENT[name][row]:
            real = fused.tokens[row, start:stop][said[name].mask[row]]
            torch.testing.assert_close(torch.cat([fused.tokens[row, start - 1 : start], real]), norm(last[name]))
        assert fused.mask[row, start - 1].item() == bool(PRESENT[name][row])


def test_cross_attention_lets_each_stream_look_at_the_others(said: dict[str, Features]) -> None:
    fusion: Any = stirred(CrossAttentionFusion(WIDTHS, width=8, layers=2, heads=2))
    fused = fuse(fusion, said, PRESENT)
    for row in ROWS:
        streams = streams_of(fusion.streams, said, row)
        for layer in fusion.layers:
            before, streams = streams, {}
            for name, stream in before.items():
                others = torch.cat([other for key, other in before.items() if key != name])
                hidden = stream + look(layer.attention, stream, others)
                streams[name] = hidden + layer.perceptron(layer.norm(hidden))
        check(fused, said, row, fusion.last_norm, streams)


def test_merged_attention_is_one_transformer_over_all_tokens(said: dict[str, Features]) -> None:
    fusion = stirred(MergedAttentionFusion(WIDTHS, width=8, layers=2, heads=2))
    fused = fuse(fusion, said, PRESENT)
    for row in ROWS:
        streams = streams_of(fusion.streams, said, row)
        tokens = torch.cat(list(streams.values()))
        for block in fusion.trunk.blocks:
            tokens = through(block, tokens)
        lengths = [len(stream) for stream in streams.values()]
        check(fused, said, row, fusion.trunk.last_norm, dict(zip(streams, tokens.split(lengths), strict=True)))


def test_experts_share_attention_and_keep_their_perceptrons(said: dict[str, Features]) -> None:
    fusion: Any = stirred(ModalityExpertsFusion(WIDTHS, width=8, layers=2, joint_layers=1, heads=2))
    fused = fuse(fusion, said, PRESENT)
    for row in ROWS:
        streams = streams_of(fusion.streams, said, row)
        for layer in fusion.layers:
            everything = torch.cat(list(streams.values()))
            for name, stream in streams.items():
                hidden = stream + look(layer.attention, stream, everything)
                streams[name] = hidden + layer.experts[name](hidden)
        tokens = through(fusion.joint.blocks[0], torch.cat(list(streams.values())))
        lengths = [len(stream) for stream in streams.values()]
        check(fused, said, row, fusion.joint.last_norm, dict(zip(streams, tokens.split(lengths), strict=True)))


def test_an_expert_changes_its_own_modality_alone_until_the_next_attention(said: dict[str, Features]) -> None:
    fusion: Any = stirred(ModalityExpertsFusion(WIDTHS, width=8, layers=1, joint_layers=0, heads=2))
    before = fuse(fusion, said, PRESENT)
    with torch.no_grad():
        fusion.layers[0].experts["b"][1][2].bias[0] += 1.0  # all of them alike would be undone by the last norm
    moved = (fuse(fusion, said, PRESENT).tokens - before.tokens).abs().amax(dim=(0, 2)) > 0
    start, stop = before.spans["b"]
    assert moved[start - 1 : stop].all()
    assert not moved[: start - 1].any()
    assert not moved[stop:].any()


def test_the_bottleneck_is_the_average_of_what_each_modality_wrote_into_it(said: dict[str, Features]) -> None:
    fusion: Any = stirred(BottleneckFusion(WIDTHS, width=8, layers=3, heads=2, bottlenecks=2))
    fused = fuse(fusion, said, PRESENT)
    for row in ROWS:
        streams, shared = streams_of(fusion.streams, said, row), fusion.shared
        for layer in fusion.layers:
            written: list[Tensor] = []
            for name, stream in streams.items():
                tokens = through(layer.blocks[name], torch.cat([shared, stream]))
                written.append(tokens[:2])
                streams[name] = tokens[2:]
            shared = (written[0] + written[1] + written[2]) / 3
        check(fused, said, row, fusion.last_norm, streams)


@pytest.mark.parametrize(("layers", "heard"), [(1, False), (2, True)])
def test_a_bottleneck_lets_nothing_through_before_the_second_layer(
    said: dict[str, Features], layers: int, heard: bool
) -> None:
    fusion: Any = stirred(BottleneckFusion(WIDTHS, width=8, layers=2, heads=2))
    fusion.layers = fusion.layers[:layers]
    before = fuse(fusion, said, PRESENT)
    said["a"].tokens[0, 0, 0] += 3.0
    start, stop = before.spans["b"]
    moved = (fuse(fusion, said, PRESENT).tokens - before.tokens)[0, start:stop].abs().max()
    assert (moved > 0) == heard


def test_the_decoder_s_tokens_look_at_their_own_and_then_at_the_others(said: dict[str, Features]) -> None:
    fusion = stirred(DecoderFusion(WIDTHS, into="b", width=8, layers=2, heads=2))
    fused = fuse(fusion, said, PRESENT)
    for row in ROWS:
        streams = streams_of(fusion.streams, said, row)
        tokens, context = streams["b"], torch.cat([streams["a"], streams["c"]])
        for block in fusion.trunk.blocks:
            tokens = through(block, tokens, context)
        tokens = fusion.trunk.last_norm(tokens)
        torch.testing.assert_close(fused.pooled[row], tokens[0])
        own = fused.tokens[row][fused.mask[row]]
        torch.testing.assert_close(own, tokens if any(flags[row] for flags in PRESENT.values()) else tokens[:0])


def test_film_scales_and_shifts_what_is_normalised(said: dict[str, Features]) -> None:
    fusion: Any = stirred(FilmFusion(WIDTHS, into="b", width=8, layers=2))
    fused = fuse(fusion, said, PRESENT)
    for row in ROWS:
        tokens = streams_of(fusion.stream, said, row)["b"]
        condition = torch.cat(
            [
                fusion.conditions.projections[name](said[name].pooled[row])
                if PRESENT[name][row]
                else fusion.conditions.missing[name]
                for name in "ac"
            ]
        )
        for layer in fusion.layers:
            change, shift = layer.film(condition).split(8)
            hidden = layer.linear(tokens)
            centred = hidden - hidden.mean(dim=1, keepdim=True)
            normal = centred / (centred.square().mean(dim=1, keepdim=True) + 1e-5).sqrt()
            tokens = tokens + F.relu((1 + change) * normal + shift)
        tokens = fusion.last_norm(tokens)
        torch.testing.assert_close(fused.pooled[row], tokens[0])
        own = fused.tokens[row][fused.mask[row]]
        torch.testing.assert_close(own, tokens if any(flags[row] for flags in PRESENT.values()) else tokens[:0])


@pytest.mark.parametrize(
    "fusion",
    [
        CrossAttentionFusion(WIDTHS, width=8),
        MergedAttentionFusion(WIDTHS, width=8),
        ModalityExpertsFusion(WIDTHS, width=8),
        BottleneckFusion(WIDTHS, width=8),
        DecoderFusion(WIDTHS, into="a", width=8),
    ],
    ids=lambda fusion: type(fusion).__name__,
)
def test_the_order_of_a_modalitys_tokens_says_nothing(fusion: Fusion, said: dict[str, Features]) -> None:
    """Encoders say where a token lies; a fusion adds nothing to that."""
    fusion = stirred(fusion)
    before = fuse(fusion, said, PRESENT).pooled
    order = torch.randperm(6)
    said["b"] = Features(said["b"].tokens[:, order], said["b"].mask[:, order], said["b"].pooled)
    after = fuse(fusion, said, PRESENT).pooled
    torch.testing.assert_close(before, after)
    said["b"].tokens[0, 2] += said["b"].mask[0, 2] * torch.randn(5)
    said["b"].tokens[0, 3] += said["b"].mask[0, 3] * torch.randn(5)
    assert not torch.allclose(before[0], fuse(fusion, said, PRESENT).pooled[0], atol=1e-6)


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(InputError, match="two modalities or more"):
        CrossAttentionFusion({"a": 3})
    for fusion in (CrossAttentionFusion, MergedAttentionFusion, BottleneckFusion, ModalityExpertsFusion):
        with pytest.raises(InputError, match="not a multiple of its 3 heads"):
            fusion(WIDTHS, width=16, heads=3)
    with pytest.raises(InputError, match="before its second layer"):
        BottleneckFusion(WIDTHS, layers=1)
    for fusion in (DecoderFusion, FilmFusion):
        with pytest.raises(InputError, match="into 'd' and there is a, b, c"):
            fusion(WIDTHS, into="d")
        with pytest.raises(InputError, match="set into to one of at least two"):
            fusion({"a": 3}, into="a")
