"""Each fusion against a slow reference, written out row by row."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from plait.encoders.conv import Conv
from plait.encoders.features import Encoder, Features
from plait.encoders.images import grid_features
from plait.errors import InputError
from plait.fusion.concat import ConcatFusion, GridConcatFusion
from plait.fusion.cross_attention import CoAttention, CrossAttentionFusion
from plait.fusion.early import EarlyFusion
from plait.fusion.fusion import Fusion
from plait.fusion.late import LateFusion
from plait.pairs.batch import Batch, Value

WIDTHS = {"a": 3, "b": 5}


def features(width: int, tokens: int = 4, grid: tuple[int, int] | None = (2, 2), rows: int = 3) -> Features:
    mask = torch.ones(rows, tokens, dtype=torch.bool)
    return Features(torch.randn(rows, tokens, width), mask, torch.randn(rows, width), grid)


def fuse(fusion: Fusion, said: dict[str, Features], present: dict[str, list[int]]) -> Features:
    flags = {name: torch.tensor(there).bool() for name, there in present.items()}
    ids = tuple("xyz")[: len(next(iter(flags.values())))]
    return fusion(Batch(ids, ids, {}, flags), said.__getitem__, flags)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def test_late_fusion_is_the_mean_over_the_present_modalities() -> None:
    fusion, said = LateFusion(WIDTHS, width=4), {"a": features(3), "b": features(5)}
    fused = fuse(fusion, said, {"a": [1, 1, 0], "b": [1, 0, 0]})
    a, b = (fusion.tokens.projections[name](said[name].pooled) for name in "ab")
    torch.testing.assert_close(fused.pooled, torch.stack([(a[0] + b[0]) / 2, a[1], torch.zeros(4)]))


def test_late_fusion_does_not_mind_the_order_of_the_modalities() -> None:
    straight, turned = LateFusion({"a": 3, "b": 5}, width=4), LateFusion({"b": 5, "a": 3}, width=4)
    turned.load_state_dict(straight.state_dict())
    said, present = {"a": features(3), "b": features(5)}, {"a": [1, 1, 0], "b": [1, 0, 1]}
    torch.testing.assert_close(fuse(straight, said, present).pooled, fuse(turned, said, present).pooled)


def test_concat_puts_modalities_side_by_side_and_learned_vectors_in_their_gaps() -> None:
    fusion, said = ConcatFusion(WIDTHS, width=4), {"a": features(3), "b": features(5)}
    fused = fuse(fusion, said, {"a": [1, 0, 1], "b": [1, 1, 0]})
    a, b = (fusion.tokens.projections[name](said[name].pooled) for name in "ab")
    gap_a, gap_b = fusion.tokens.missing["a"], fusion.tokens.missing["b"]
    rows = [torch.cat([a[0], b[0]]), torch.cat([gap_a, b[1]]), torch.cat([a[2], gap_b])]
    torch.testing.assert_close(fused.pooled, fusion.join(torch.stack(rows)))
    assert fused.mask.tolist() == [[True, True], [False, True], [True, False]]


def test_grid_concat_joins_tokens_at_the_same_place() -> None:
    fusion, said = GridConcatFusion(WIDTHS, width=4), {"a": features(3), "b": features(5)}
    said["b"].mask[0, 2] = False
    fused = fuse(fusion, said, {"a": [1, 1, 0], "b": [1, 0, 1]})
    assert fused.grid == (2, 2)
    place = torch.cat([said["a"].tokens[0, 1], said["b"].tokens[0, 1]])
    torch.testing.assert_close(fused.tokens[0, 1], fusion.join(place))
    masked = torch.cat([said["a"].tokens[0, 2], fusion.missing["b"]])
    torch.testing.assert_close(fused.tokens[0, 2], fusion.join(masked))
    gap = torch.cat([fusion.missing["a"], said["b"].tokens[2, 3]])
    torch.testing.assert_close(fused.tokens[2, 3], fusion.join(gap))
    torch.testing.assert_close(fused.pooled, fused.tokens.mean(dim=1))


@pytest.mark.parametrize("grid", [(1, 4), None])
def test_grid_concat_refuses_tokens_on_different_grids(grid: tuple[int, int] | None) -> None:
    said = {"a": features(3), "b": features(5, grid=grid)}
    with pytest.raises(InputError, match=r"has a \(2, 2\), b"):
        fuse(GridConcatFusion(WIDTHS), said, {"a": [1, 1, 1], "b": [1, 1, 1]})


def explicit_attention(layer: CoAttention, tokens: Tensor, others: Tensor, visible: Tensor) -> Tensor:
    """One row's attention, softmax and all: (T, D) tokens look at the visible of (S, D) others."""
    query, (key, value) = layer.query(tokens), layer.key_value(others[visible]).chunk(2, dim=-1)
    size = query.shape[1] // layer.heads
    heads: list[Tensor] = []
    for head in range(layer.heads):
        part = slice(head * size, (head + 1) * size)
        scores = query[:, part] @ key[:, part].T / math.sqrt(size)
        weights = scores.exp() / scores.exp().sum(dim=1, keepdim=True)
        heads.append(weights @ value[:, part])
    return layer.out(torch.cat(heads, dim=1))


def test_co_attention_equals_an_explicit_softmax_over_the_other_streams() -> None:
    layer = CoAttention(8, heads=2)
    streams = [torch.randn(2, length, 8) for length in (3, 4, 2)]
    masks = [torch.rand(2, length) > 0.5 for length in (3, 4, 2)]
    result = layer(streams, masks)
    for row in range(2):
        for index, stream in enumerate(streams):
            rest = [other for other in range(3) if other != index]
            others = torch.cat([layer.norm(streams[other][row]) for other in rest])
            # The first token of a stream stands for a missing modality, and is always seen.
            visible = torch.cat([torch.cat([torch.tensor([True]), masks[other][row, 1:]]) for other in rest])
            hidden = stream[row] + explicit_attention(layer, layer.norm(stream[row]), others, visible)
            torch.testing.assert_close(result[index][row], hidden + layer.perceptron(layer.last_norm(hidden)))


def test_cross_attention_reads_tokens_and_not_only_what_is_pooled() -> None:
    fusion, said = CrossAttentionFusion(WIDTHS, width=8), {"a": features(3, grid=None), "b": features(5, 6)}
    present = {"a": [1, 1, 1], "b": [1, 1, 1]}
    before = fuse(fusion, said, present)
    said["b"].tokens[0, 5] += torch.randn(5)
    after = fuse(fusion, said, present)
    assert before.tokens.shape == (3, 1 + 4 + 1 + 6, 8)
    assert not torch.allclose(before.pooled[0], after.pooled[0], atol=1e-5)
    torch.testing.assert_close(before.pooled[1:], after.pooled[1:])


def test_cross_attention_does_not_mind_the_order_of_the_tokens() -> None:
    fusion, said = CrossAttentionFusion(WIDTHS, width=8), {"a": features(3), "b": features(5, 6)}
    present = {"a": [1, 1, 1], "b": [1, 1, 0]}
    before = fuse(fusion, said, present)
    order = torch.randperm(6)
    said["b"] = Features(said["b"].tokens[:, order], said["b"].mask[:, order], said["b"].pooled)
    torch.testing.assert_close(before.pooled, fuse(fusion, said, present).pooled)


class Identity(Encoder):
    """An image encoder that shows what it is given."""

    width = 3

    def forward(self, value: Value) -> Features:
        assert isinstance(value, Tensor)
        return grid_features(value)


def test_early_fusion_stacks_channels_and_fills_gaps_with_learned_constants() -> None:
    fusion = EarlyFusion({"b": 5, "a": 3}, Identity(), {"a": 1, "b": 2})
    nn.init.constant_(fusion.missing["a"], 7.0)
    b, a = torch.randn(2, 2, 2, 3), torch.randn(2, 1, 2, 3)
    present = {"b": torch.tensor([True, True]), "a": torch.tensor([True, False])}
    values: dict[str, Value] = {"b": b, "a": a}
    fused = fusion(Batch(("x", "y"), ("x", "y"), values, present), {}.__getitem__, present)
    images = fused.tokens.transpose(1, 2).unflatten(2, (2, 3))
    assert torch.equal(images[:, :2], b)
    assert torch.equal(images[0, 2:], a[0])
    assert images[1, 2].eq(7.0).all()


def test_early_fusion_names_what_does_not_fit() -> None:
    encoder = Conv(in_channels=3, widths=(8,), strides=(2,))
    with pytest.raises(InputError, match="give those of a, b"):
        EarlyFusion(WIDTHS, encoder, {"a": 1})
    fusion = EarlyFusion(WIDTHS, encoder, {"a": 1, "b": 2})
    present = {name: torch.tensor([True]) for name in WIDTHS}
    values: dict[str, Value] = {"a": torch.zeros(1, 1, 8, 8), "b": torch.zeros(1, 2, 8, 4)}
    with pytest.raises(InputError, match="a 8 x 8, b 8 x 4"):
        fusion(Batch(("x",), ("x",), values, present), {}.__getitem__, present)


def test_cross_attention_names_what_does_not_fit() -> None:
    with pytest.raises(InputError, match="two modalities or more"):
        CrossAttentionFusion({"a": 3})
    with pytest.raises(InputError, match="not a multiple of its 3 heads"):
        CrossAttentionFusion(WIDTHS, width=16, heads=3)
