"""Voxels: the cells numpy finds, no sweep in another's, and no number that overflows."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from plait.errors import InputError
from plait_driving.encoders.voxels import SWEEPS, cylindrical, voxelise


def scattered(count: int, spread: float = 5.0, sweeps: int = 3) -> tuple[Tensor, Tensor]:
    """Points (count, 3) around the origin, and each one's sweep."""
    generator = torch.Generator().manual_seed(0)
    place = torch.randn(count, 3, generator=generator) * spread
    return place, torch.randint(sweeps, (count,), generator=generator)


@pytest.mark.parametrize("size", [0.5, (0.4, 1.0, 2.5)])
def test_voxels_are_the_cells_that_numpy_finds(size: float | tuple[float, float, float]) -> None:
    place, sweep = scattered(2000)
    found = voxelise(place, sweep, size)
    cells = np.floor(place.numpy() / np.float32(size)).astype(np.int64)
    wanted, index, counts = np.unique(
        np.column_stack([sweep.numpy(), cells]), axis=0, return_inverse=True, return_counts=True
    )
    np.testing.assert_array_equal(found.cells().numpy(), wanted)  # both sorted by sweep, then x, y, z
    np.testing.assert_array_equal(found.index.numpy(), index)
    np.testing.assert_array_equal(found.counts.numpy(), counts)
    sums = np.zeros((len(wanted), 3))
    np.add.at(sums, index, place.numpy())
    np.testing.assert_allclose(found.mean(place).numpy(), sums / counts[:, None], atol=1e-5)


def test_points_of_different_sweeps_share_no_voxel() -> None:
    found = voxelise(torch.full((4, 3), 0.2), torch.tensor([0, 1, 1, SWEEPS - 1]), 1.0)
    assert found.counts.tolist() == [1, 2, 1]
    assert found.cells().tolist() == [[0, 0, 0, 0], [1, 0, 0, 0], [SWEEPS - 1, 0, 0, 0]]


def test_points_out_of_range_share_the_outermost_voxel_of_their_own_sweep() -> None:
    far = torch.tensor([[1e9, 0, 0], [1e30, 0, 0], [-1e9, 0, 0], [0, -1e30, 1e30]])
    found = voxelise(far, torch.full((4,), SWEEPS - 1), 0.05)
    last = SWEEPS - 1
    assert found.cells().tolist() == [[last, -65535, 0, 0], [last, 0, -65535, 65534], [last, 65534, 0, 0]]
    assert found.index.tolist() == [2, 2, 0, 1]


def test_means_of_half_precision_are_taken_in_single() -> None:
    found = voxelise(torch.zeros(1000, 3), torch.zeros(1000, dtype=torch.int64), 1.0)
    x = torch.ones(1000, 1, dtype=torch.bfloat16)
    x[0] = 0
    torch.testing.assert_close(found.mean(x), torch.tensor([[0.999]]))  # in bfloat16, 1


@pytest.mark.real
def test_a_real_keyframe(shared_data: Path) -> None:
    (path,) = (shared_data / "driving" / "nuscenes_keyframe").glob("*.pcd.bin")
    place = torch.from_numpy(np.fromfile(path, np.float32).reshape(-1, 5)[:, :3].copy())
    found = voxelise(place, torch.zeros(len(place), dtype=torch.int64), 0.1)
    assert (len(place), len(found.keys)) == (34_688, 17_885)  # as many as Open3D's ml.ops.voxelize finds
    assert (found.mean(place)[found.index] - place).abs().max() < 0.1


@pytest.mark.parametrize("count", [0, 1])
def test_no_point_and_one_point(count: int) -> None:
    found = voxelise(torch.ones(count, 3), torch.zeros(count, dtype=torch.int64), 0.1)
    assert found.cells().shape == (count, 4)
    assert found.mean(torch.ones(count, 2)).shape == (count, 2)


def test_cylindrical_voxels_are_slices_of_rings() -> None:
    place = torch.tensor([[3.0, 4.0, 1.0], [-2.0, 0.0, -1.0], [0.0, -7.0, 0.0]])
    expected = torch.tensor([[5.0, math.atan2(4, 3), 1.0], [2.0, math.pi, -1.0], [7.0, -math.pi / 2, 0.0]])
    torch.testing.assert_close(cylindrical(place), expected)
    # 0.2 m beside each other: in one slice of a degree at 50 m, in two at 5 m.
    pairs = torch.tensor([[50.0, 0.1, 0.0], [50.0, 0.3, 0.0], [5.0, 0.05, 0.0], [5.0, 0.25, 0.0]])
    found = voxelise(cylindrical(pairs), torch.zeros(4, dtype=torch.int64), (0.1, math.radians(1), 0.1))
    assert found.index[0] == found.index[1]
    assert found.index[2] != found.index[3]


@pytest.mark.parametrize(
    ("place", "sweep", "size", "said"),
    [
        ([[0.0, 0.0, 0.0]], [0], 0.0, "edge above 0"),
        ([[0.0, 0.0, 0.0]], [0], (0.1, -1.0, 0.1), "edge above 0"),
        ([[0.0, 0.0, 0.0], [0.0, math.nan, 0.0], [math.inf, 0.0, 0.0]], [0, 0, 0], 0.1, "2 of 3 points are not finite"),
        ([[0.0, 0.0, 0.0]], [SWEEPS], 0.1, f"0 to {SWEEPS - 1}"),
        ([[0.0, 0.0, 0.0]], [-1], 0.1, f"0 to {SWEEPS - 1}"),
    ],
)
def test_bad_input_is_one_sentence(place: list[list[float]], sweep: list[int], size: float, said: str) -> None:
    with pytest.raises(InputError, match=said):
        voxelise(torch.tensor(place), torch.tensor(sweep), size)
