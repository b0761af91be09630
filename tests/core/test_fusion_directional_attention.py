"""MulT-type fusion against a slow reference: one row, real tokens only, a loop for every attention."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from plait.encoders.features import Features
from plait.encoders.transformer import Attention
from plait.errors import InputError
from plait.fusion.directional_attention import DirectionalAttentionFusion, placed
from plait.pairs.batch import Padded
from tests.core.fusion_world import fuse, random_features, same

WIDTHS = {"a": 3, "b": 5, "c": 2}
LENGTHS = {"a": 4, "b": 6, "c": 1}
PRESENT = {"a": [1, 0, 1, 0], "b": [1, 1, 0, 0], "c": [1, 1, 0, 0]}


@pytest.fixture
def said() -> dict[str, Features]:
    return {name: random_features(width, LENGTHS[name], rows=4) for name, width in WIDTHS.items()}


def stirred(*names: str, **options: int) -> Any:
    """In double precision, and no normalisation or bias as it was at first."""
    fusion = DirectionalAttentionFusion({name: WIDTHS[name] for name in names}, width=8, heads=2, **options)
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return fusion.double()


def place(index: int, width: int) -> Tensor:
    angles = [index / 10000 ** (2 * pair / width) for pair in range(width // 2)]
    return torch.tensor([math.sin(x) for x in angles] + [math.cos(x) for x in angles], dtype=torch.float64)


def stream_of(fusion: Any, name: str, features: Features, row: int) -> Tensor:
    """The lead and the real tokens of a modality, or what has been learnt in its place, each where it lies."""
    streams, kind = fusion.streams, fusion.streams.kinds[name]
    if not PRESENT[name][row]:
        return (streams.leads.missing[name] + kind + place(0, 8))[None]
    lead = streams.leads.projections[name](features.pooled[row]) + kind + place(0, 8)
    real = [
        streams.projections[name](features.tokens[row, index]) + kind + place(index + 1, 8)
        for index in range(features.mask.shape[1])
        if features.mask[row, index]
    ]
    return torch.stack([lead, *real])


def look(layer: Attention, tokens: Tensor, others: Tensor) -> Tensor:
    """Each token looks at all others, head by head."""
    answers: list[Tensor] = []
    for token in tokens:
        query, heads = layer.query(layer.norm(token)).chunk(layer.heads), []
        for head, asked in enumerate(query):
            keys, values = [], []
            for other in others:
                key, value = layer.key_value(layer.context_norm(other)).chunk(2)
                keys.append(key.chunk(layer.heads)[head])
                values.append(value.chunk(layer.heads)[head])
            scores = torch.stack([asked @ key / math.sqrt(len(key)) for key in keys])
            heads.append((scores.softmax(dim=0)[:, None] * torch.stack(values)).sum(dim=0))
        answers.append(layer.out(torch.cat(heads)))
    return torch.stack(answers)


def heard(fusion: Any, target: str, streams: dict[str, Tensor]) -> Tensor:
    parts: list[Tensor] = []
    for source in streams:
        if source != target:
            tokens, transformer = streams[target], fusion.listeners[target].crossmodal[source]
            for attention, perceptron in zip(transformer.attentions, transformer.perceptrons, strict=True):
                tokens = tokens + look(attention, tokens, streams[source])  # at every block the same, low-level source
                tokens = tokens + perceptron(tokens)
            parts.append(transformer.last_norm(tokens))
    tokens = torch.cat(parts, dim=1)
    for block in fusion.listeners[target].joint.blocks:
        tokens = tokens + look(block.own, tokens, tokens)
        tokens = tokens + block.perceptron(block.norm(tokens))
    return fusion.listeners[target].joint.last_norm(tokens)


@pytest.mark.parametrize("names", ["ab", "cab"])
def test_every_modality_looks_at_every_other(said: dict[str, Features], names: str) -> None:
    fusion = stirred(*names, layers=2, joint_layers=2)
    assert sum(isinstance(module, Attention) for module in fusion.modules()) == len(names) * (2 * (len(names) - 1) + 2)
    fused = fuse(fusion, said, {name: PRESENT[name] for name in names})
    assert fused.tokens.shape == (4, sum(1 + LENGTHS[name] for name in names), 8)
    for row in range(4):
        streams = {name: stream_of(fusion, name, said[name], row) for name in names}
        results = {name: heard(fusion, name, streams) for name in names}
        leads = torch.cat([tokens[0] for tokens in results.values()])
        hidden = F.relu(leads @ fusion.perceptron[0].weight.T + fusion.perceptron[0].bias)
        residual = leads + hidden @ fusion.perceptron[2].weight.T + fusion.perceptron[2].bias
        torch.testing.assert_close(fused.pooled[row], residual @ fusion.last.weight.T + fusion.last.bias)
        for name, (start, stop) in fused.spans.items():
            real = fused.tokens[row, start:stop][said[name].mask[row] & bool(PRESENT[name][row])]
            expected = results[name] @ fusion.narrow[name].weight.T + fusion.narrow[name].bias
            torch.testing.assert_close(torch.cat([fused.tokens[row, start - 1 : start], real]), expected)
            assert fused.mask[row, start - 1].item() == bool(PRESENT[name][row])


def test_places_by_hand() -> None:
    stream = Padded(torch.ones(2, 3, 4), torch.tensor([[True, False, True], [False, False, False]]))
    expected = [[0, 0, 1, 1], [math.sin(1), math.sin(0.01), math.cos(1), math.cos(0.01)]]
    torch.testing.assert_close(placed(stream).values[1, :2] - 1, torch.tensor(expected), atol=1e-6, rtol=1e-6)
    assert torch.equal(placed(stream).mask, stream.mask)
    assert placed(Padded(torch.zeros(1, 2, 3), torch.ones(1, 2).bool())).values.isfinite().all()


def test_the_order_of_a_modality_s_tokens_is_heard(said: dict[str, Features]) -> None:
    fusion, before = stirred(*"abc"), said["b"]
    turned = said | {"b": Features(before.tokens.flip(1), before.mask.flip(1), before.pooled)}
    moved = (fuse(fusion, said, PRESENT).pooled - fuse(fusion, turned, PRESENT).pooled).abs().amax(dim=1)
    assert (moved > 1e-4).tolist() == [True, True, False, False]  # those that have b


def test_more_padding_says_nothing(said: dict[str, Features]) -> None:
    fusion, before = stirred(*"abc"), said["a"]
    longer = Features(F.pad(before.tokens, (0, 0, 0, 3), value=9.0), F.pad(before.mask, (0, 3)), before.pooled)
    same(fuse(fusion, said, PRESENT), fuse(fusion, said | {"a": longer}, PRESENT))


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(InputError, match="two modalities or more"):
        DirectionalAttentionFusion({"a": 3})
    with pytest.raises(InputError, match="not a multiple of its 3 heads"):
        DirectionalAttentionFusion(WIDTHS, width=16, heads=3)
