"""Sparse convolution against a dense one, against spconv, and against brute force over pairs of voxels."""

from __future__ import annotations

import importlib.util
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from plait_driving.encoders.kernel_maps import KernelMap, halving, neighbours
from plait_driving.encoders.sparse_convolution import SparseConvolution, convolve
from plait_driving.encoders.voxels import SWEEPS, Voxels, voxelise

SIDE, SWEEP_COUNT = 6, 2
OFFSETS = list(product((-1, 0, 1), repeat=3))


def scattered(points: int = 120) -> Voxels:
    """Voxels in SWEEP_COUNT grids of SIDE x SIDE x SIDE cells from the origin."""
    generator = torch.Generator().manual_seed(1)
    place = torch.rand(points, 3, generator=generator) * SIDE
    return voxelise(place, torch.randint(SWEEP_COUNT, (points,), generator=generator), 1.0)


def values(rows: int, *sizes: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(rows, *sizes, generator=torch.Generator().manual_seed(2), dtype=dtype)


def dense(cells: Tensor, x: Tensor, side: int = SIDE) -> Tensor:
    """(sweeps, C, side, side, side) from (V, C) rows, zero in empty cells."""
    grid = x.new_zeros(SWEEP_COUNT, side, side, side, x.shape[1])
    return grid.index_put(tuple(cells.T), x).movedim(-1, 1)


def rows(grid: Tensor, cells: Tensor) -> Tensor:
    """(V, C) of a dense grid, at the cells."""
    return grid.movedim(1, -1)[tuple(cells.T)]


def kernel(weight: Tensor) -> Tensor:
    """(D, C, k, k, k) for torch's dense convolution, from (K, C, D)."""
    side = round(len(weight) ** (1 / 3))
    return weight.unflatten(0, (side,) * 3).permute(4, 3, 0, 1, 2)


def pairs_of(by: KernelMap) -> set[tuple[int, int, int]]:
    """All (offset, source, target)."""
    return {
        (offset, int(source), int(target))
        for offset, pairs in enumerate(by.pairs())
        for source, target in zip(*pairs, strict=True)
    }


def test_neighbours_are_those_that_brute_force_finds() -> None:
    found = scattered()
    cells = [tuple(cell) for cell in found.cells().tolist()]
    place = {cell: row for row, cell in enumerate(cells)}
    wanted = {
        (offset, place[other], row)
        for row, (sweep, x, y, z) in enumerate(cells)
        for offset, (i, j, k) in enumerate(OFFSETS)
        if (other := (sweep, x + i, y + j, z + k)) in place
    }
    assert pairs_of(neighbours(found.keys)) == wanted


def test_the_map_is_symmetric() -> None:
    pairs = pairs_of(neighbours(scattered().keys))
    assert pairs == {(26 - offset, target, source) for offset, source, target in pairs}


def test_no_row_is_twice_in_one_offset() -> None:
    # So that one offset's sums never meet, and a GPU adds in the same order on every run.
    found = scattered()
    for by in (neighbours(found.keys), halving(found.keys)[1]):
        for source, target in by.pairs():
            assert len(source.unique()) == len(source)
            assert len(target.unique()) == len(target)


def test_voxels_at_the_ends_of_the_range_are_no_neighbours() -> None:
    ends = torch.tensor([-1e9, 0.5, 1e9])
    place = torch.cartesian_prod(ends, ends, ends).repeat(3, 1)
    sweep = torch.tensor([0, 1, SWEEPS - 1]).repeat_interleave(27)
    keys = voxelise(place, sweep, 1.0).keys
    for _ in range(3):
        assert neighbours(keys).counts == (0,) * 13 + (len(keys),) + (0,) * 13
        keys, _ = halving(keys)


def test_submanifold_convolution_is_the_dense_one_at_occupied_cells() -> None:
    found = scattered()
    cells, x = found.cells(), values(len(found.keys), 5).requires_grad_()
    weight = values(27, 5, 7).requires_grad_()
    sparse = convolve(x, weight, neighbours(found.keys))
    whole = rows(F.conv3d(dense(cells, x), kernel(weight), padding=1), cells)
    torch.testing.assert_close(sparse, whole, rtol=1e-5, atol=1e-5)
    push = values(*sparse.shape)
    for own, wanted in zip(
        torch.autograd.grad(sparse, (x, weight), push), torch.autograd.grad(whole, (x, weight), push), strict=True
    ):
        torch.testing.assert_close(own, wanted, rtol=1e-5, atol=1e-4)


def test_strided_and_transposed_convolution_are_the_dense_ones() -> None:
    found = scattered()
    coarse, down = halving(found.keys)
    fine_cells, x, weight = found.cells(), values(len(found.keys), 5), values(8, 5, 7)
    coarse_cells = (fine_cells // torch.tensor([1, 2, 2, 2])).unique(dim=0)
    strided = convolve(x, weight, down)
    assert len(coarse) == len(coarse_cells) == len(strided)
    torch.testing.assert_close(strided, rows(F.conv3d(dense(fine_cells, x), kernel(weight), stride=2), coarse_cells))
    back = convolve(strided, weight.transpose(1, 2), down.inverse())
    spread = F.conv_transpose3d(dense(coarse_cells, strided, SIDE // 2), kernel(weight), stride=2)
    torch.testing.assert_close(back, rows(spread, fine_cells), rtol=1e-5, atol=1e-4)


@pytest.mark.skipif(not importlib.util.find_spec("spconv"), reason="spconv, to compare with, is not installed")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what spconv imports
def test_each_convolution_equals_spconv() -> None:
    import spconv.pytorch as spconv

    found = scattered()
    down = halving(found.keys)[1]
    torch.manual_seed(0)
    theirs: list[Any] = [
        spconv.SubMConv3d(4, 8, 3, bias=True, indice_key="within"),
        spconv.SparseConv3d(8, 6, 2, stride=2, bias=True, indice_key="down"),
        spconv.SparseInverseConv3d(6, 4, 2, bias=True, indice_key="down"),
    ]
    x = values(len(found.keys), 4)
    sparse: Any = spconv.SparseConvTensor(x, found.cells().int().contiguous(), [SIDE] * 3, SWEEP_COUNT)
    for layer, by in zip(theirs, (neighbours(found.keys), down, down.inverse()), strict=True):
        out, _, _, _, inside = layer.weight.shape  # (D, k, k, k, C)
        own = SparseConvolution(inside, out, len(by.counts), bias=True)
        weight = layer.weight.detach().reshape(out, -1, inside).permute(1, 2, 0)
        own.load_state_dict({"weight": weight, "bias": layer.bias})
        with torch.no_grad():
            x, sparse = own(x, by), layer(sparse)
        order = _sorted_like_ours(sparse.indices)
        torch.testing.assert_close(x, sparse.features[order], rtol=0, atol=1e-6)


def test_gradients_are_those_of_the_formula() -> None:
    found = scattered(20)
    down = halving(found.keys)[1]
    for by in (neighbours(found.keys), down, down.inverse()):
        x = values(by.sources, 2, dtype=torch.float64).requires_grad_()
        weight = values(len(by.counts), 2, 3, dtype=torch.float64).requires_grad_()
        assert torch.autograd.gradcheck(lambda x, weight, by=by: convolve(x, weight, by), (x, weight))


def test_the_table_says_the_same() -> None:
    found = scattered()
    down = halving(found.keys)[1]
    for by in (neighbours(found.keys), down, down.inverse()):
        x, weight = values(by.sources, 5), values(len(by.counts), 5, 7)
        torch.testing.assert_close(convolve(x, weight, by.table()), convolve(x, weight, by), rtol=1e-5, atol=1e-5)


def test_under_autocast_sums_are_in_single_precision() -> None:
    found = voxelise(torch.cartesian_prod(*[torch.arange(3.0)] * 3) + 0.5, torch.zeros(27, dtype=torch.int64), 1.0)
    weight = torch.ones(27, 1, 1)
    weight[0] = 256.0  # comes first; in bfloat16, 256 + 1 is 256
    x = torch.ones(27, 1, requires_grad=True)
    by = neighbours(found.keys)
    with torch.autocast("cpu", torch.bfloat16):
        out = convolve(x, weight, by)
    assert out.dtype == torch.float32
    assert out[13].item() == 282.0
    out.sum().backward()
    assert x.grad is not None
    assert x.grad[13].item() == 282.0


@pytest.mark.parametrize("count", [0, 1])
def test_no_voxel_and_one_voxel(count: int) -> None:
    keys = voxelise(torch.ones(count, 3), torch.zeros(count, dtype=torch.int64), 1.0).keys
    coarse, down = halving(keys)
    for by in (neighbours(keys), neighbours(coarse), down, down.inverse()):
        layer = SparseConvolution(3, 2, len(by.counts))
        out = layer(torch.ones(count, 3), by)
        assert out.shape == (count, 2)
        out.sum().backward()
        assert layer.weight.grad is not None
        assert bool(torch.isfinite(layer.weight.grad).all())


def _sorted_like_ours(indices: Tensor) -> Tensor:
    """The order of spconv's (V, 4) sweep, x, y, z that sorts them."""
    sweep, x, y, z = indices.long().unbind(dim=1)
    return (((sweep * SIDE + x) * SIDE + y) * SIDE + z).argsort()
