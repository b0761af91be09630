"""The fusions of images and of their grids, against slow references written out row by row."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from plait.encoders.conv import Conv
from plait.encoders.features import Encoder, Features
from plait.encoders.images import grid_features
from plait.errors import InputError
from plait.fusion.concat import GridConcatFusion
from plait.fusion.concat_levels import ConcatLevelsFusion
from plait.fusion.early import EarlyFusion
from plait.pairs.batch import Batch, Value
from tests.core.fusion_world import fuse

WIDTHS = {"a": 3, "b": 5}


def features(width: int, grid: tuple[int, int] | None = (2, 2)) -> Features:
    return Features(torch.randn(3, 4, width), torch.ones(3, 4, dtype=torch.bool), torch.randn(3, width), grid)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


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
    said = {"a": features(3), "b": features(5, grid)}
    with pytest.raises(InputError, match=r"has a \(2, 2\), b"):
        fuse(GridConcatFusion(WIDTHS), said, {"a": [1, 1, 1], "b": [1, 1, 1]})


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


def levels(values: dict[str, Value], has: dict[str, list[int]], fusion: ConcatLevelsFusion) -> Features:
    present = {name: torch.tensor(there).bool() for name, there in has.items()}
    ids = tuple(map(str, range(len(has["a"]))))
    return fusion(Batch(ids, ids, values, present), {}.__getitem__, present)


def test_concat_levels_joins_the_towers_at_each_level() -> None:
    fusion: Any = ConcatLevelsFusion(
        {"b": 5, "a": 3}, {"a": 1, "b": 2}, width=4, widths=(8, 16), strides=(2, 2)
    ).double()
    images = {name: torch.randn(3, channels, 12, 8).double() for name, channels in {"a": 1, "b": 2}.items()}
    has = {"a": [1, 1, 0], "b": [1, 0, 1]}
    fused = levels(dict(images), has, fusion)
    assert fused.grid == (6, 4)
    for row in range(3):
        maps = {name: [images[name][row : row + 1]] for name in "ab"}
        joined: list[Tensor] = []
        for level in range(2):
            parts: list[Tensor] = []
            for name in "ba":
                maps[name].append(fusion.towers[name][level](maps[name][-1]))
                learnt = fusion.missing[name][level].view(1, -1, 1, 1).expand_as(maps[name][-1])
                parts.append(maps[name][-1] if has[name][row] else learnt)
            joined.append(torch.cat(parts, dim=1))
        expected = fusion.top_down(joined)[0].flatten(1).T
        torch.testing.assert_close(fused.tokens[row], expected)
        torch.testing.assert_close(fused.pooled[row], expected.mean(dim=0))


def test_concat_levels_hears_each_modality_at_each_level() -> None:
    fusion = ConcatLevelsFusion(WIDTHS, {"a": 1, "b": 2}, width=4, widths=(8, 16), strides=(2, 2))
    levels({"a": torch.randn(1, 1, 8, 8)}, {"a": [1], "b": [0]}, fusion).tokens.square().sum().backward()
    for level in range(2):
        gradient = fusion.missing["b"][level].grad
        assert gradient is not None
        assert gradient.abs().sum() > 0


def test_concat_levels_names_what_does_not_fit() -> None:
    with pytest.raises(InputError, match="give those of a, b"):
        ConcatLevelsFusion(WIDTHS, {"a": 1})
    fusion = ConcatLevelsFusion(WIDTHS, {"a": 1, "b": 2})
    with pytest.raises(InputError, match="a 8 x 8, b 8 x 4"):
        levels({"a": torch.zeros(1, 1, 8, 8), "b": torch.zeros(1, 2, 8, 4)}, {"a": [1], "b": [1]}, fusion)
