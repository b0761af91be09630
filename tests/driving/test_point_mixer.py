"""The point mixer does what WaffleIron's equations say, on the planes that it should."""

from __future__ import annotations

from collections import defaultdict

import pytest
import torch
from torch.nn import functional as F

from plait.errors import InputError
from plait.pairs.batch import pad
from plait_driving.encoders import PointMixer
from plait_driving.encoders.planes import Plane, gather, scatter_max, scatter_mean
from plait_driving.encoders.point_mixer import Embedding, SpatialMix, kept

BOX = (-8.0, -4.0, -2.0, 8.0, 4.0, 2.0)


def points_in_the_box(number: int = 60) -> torch.Tensor:
    return (torch.rand(number, 4) - 0.5) * torch.tensor([18.0, 9.0, 4.5, 1.0])  # a few lie outside


def test_a_plane_counts_its_cells_by_hand() -> None:
    plane = Plane(BOX, (1, 0), 2.0)  # rows along y, columns along x
    assert plane.shape == (4, 8)
    points = torch.tensor([[-8.0, -4, 0], [-6.1, -2.1, 1], [7.9, 3.9, 0], [8.0, 0, 0], [0, 0, 2.0], [0.0, 0.0, 0.0]])
    cells = plane.cells(points, torch.tensor([0, 0, 0, 0, 0, 1]))
    assert cells.place.tolist() == [0, 0, 31, 0, 0, 32 + 2 * 8 + 4]
    assert cells.weight.tolist() == [0.5, 0.5, 1.0, 0.0, 0.0, 1.0]  # the box's upper side is outside


@pytest.mark.parametrize(("cell", "shape"), [(0.8, (128, 128)), (3.0, (35, 35)), (500.0, (1, 1))])
def test_a_plane_covers_its_box(cell: float, shape: tuple[int, int]) -> None:
    assert Plane((-51.2, -51.2, -5.0, 51.2, 51.2, 3.0), (1, 0), cell).shape == shape


def test_means_and_maxima_over_cells_equal_a_loop_and_come_back() -> None:
    points, plane = points_in_the_box(), Plane(BOX, (2, 0), 1.0)
    sweep = torch.arange(60) % 2
    x = torch.rand(60, 5)
    cells = plane.cells(points, sweep)
    held: dict[tuple[int, int, int], list[int]] = defaultdict(list)
    low, high = torch.tensor(BOX[:3]), torch.tensor(BOX[3:])
    for number, point in enumerate(points[:, :3]):
        if bool(((point >= low) & (point < high)).all()):
            held[int(sweep[number]), int((point[2] + 2) // 1), int((point[0] + 8) // 1)].append(number)
    mean, largest = torch.zeros(2, 5, 4, 16), torch.zeros(2, 5, 4, 16)
    back = torch.zeros(60, 5)
    for (row, i, j), members in held.items():
        mean[row, :, i, j], largest[row, :, i, j] = x[members].mean(dim=0), x[members].amax(dim=0)
        back[members] = mean[row, :, i, j]
    assert 0 < sum(map(len, held.values())) < 60
    torch.testing.assert_close(scatter_mean(x, cells, 2, plane.shape), mean)
    torch.testing.assert_close(scatter_max(x, cells, 2, plane.shape), largest)
    torch.testing.assert_close(gather(mean, cells), back)


def test_a_spatial_layer_is_the_papers_equation() -> None:
    layer, plane = SpatialMix(6, 0.0), Plane(BOX, (1, 0), 1.0)
    layer.scale.data.uniform_(0.5, 1.5)
    points, x = points_in_the_box(), torch.randn(60, 6)
    cells = plane.cells(points, torch.zeros(60, dtype=torch.int64))
    maps = scatter_mean(F.layer_norm(x, (6,)), cells, 1, plane.shape)  # fresh norms are plain
    hidden = F.conv2d(maps, layer.first.weight, layer.first.bias, padding=1, groups=6).relu()
    seen = gather(F.conv2d(hidden, layer.second.weight, layer.second.bias, padding=1, groups=6), cells)
    torch.testing.assert_close(
        layer(x, cells, torch.zeros(60, dtype=torch.int64), 1, plane.shape), x + layer.scale * seen
    )
    outside = cells.weight == 0
    assert bool(outside.any())
    torch.testing.assert_close(layer(x, cells, torch.zeros(60, dtype=torch.int64), 1, plane.shape)[outside], x[outside])


def test_the_embedding_takes_the_maximum_over_each_neighbourhood() -> None:
    embedding = Embedding(8)
    points, offsets, cell = torch.randn(9, 5), torch.randn(9, 4), torch.tensor([0, 1, 0, 2, 1, 0, 2, 2, 0])
    lies = embedding.lies(offsets)
    largest = torch.stack([lies[cell == own].amax(dim=0) for own in cell])
    expected = embedding.join(torch.cat([embedding.own(points), largest], dim=1))
    torch.testing.assert_close(embedding(points, offsets, cell), expected)


def test_layers_take_the_planes_by_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[tuple[int, int]] = []
    forward = SpatialMix.forward

    def watched(self: SpatialMix, *inputs: object) -> torch.Tensor:
        shapes.append(inputs[-1])
        return forward(self, *inputs)

    monkeypatch.setattr(SpatialMix, "forward", watched)
    PointMixer(width=4, depth=4, grid_resolution=1.0, point_cloud_range=BOX)(pad([points_in_the_box()]))
    assert shapes == [(8, 16), (4, 16), (4, 8), (8, 16)]  # xy, xz, yz, xy as (rows, columns)


def test_stochastic_depth_drops_whole_sweeps_and_keeps_the_mean() -> None:
    sweep = torch.arange(4000) // 2
    branch = kept(torch.ones(4000, 3), sweep, 2000, 0.25)
    assert torch.equal(branch[::2], branch[1::2])
    torch.testing.assert_close(branch.unique(), torch.tensor([0.0, 4 / 3]))
    assert float(branch.mean()) == pytest.approx(1.0, abs=0.05)
    value, encoder = pad([points_in_the_box()]), PointMixer(width=4, depth=2, drop_path=0.9).eval()
    assert torch.equal(encoder(value).tokens, encoder(value).tokens)


def test_numbers_out_of_range_are_one_sentence() -> None:
    with pytest.raises(InputError, match="drop_path in"):
        PointMixer(drop_path=1.0)
    with pytest.raises(InputError, match="lowest corner, then of the highest"):
        PointMixer(point_cloud_range=(50.0, -50.0, -5.0, -50.0, 50.0, 3.0))
    with pytest.raises(InputError, match="fits no memory"):
        PointMixer(grid_resolution=0.001)
