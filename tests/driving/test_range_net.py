"""The range image is where RangeNet++ would have it, and its network knows no edge in azimuth."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from plait.errors import InputError
from plait.pairs.batch import pad
from plait_driving.encoders import RangeNet
from plait_driving.encoders.circular import CircularConv, CircularStage, CircularTopDown


def small(**options: object) -> RangeNet:
    return RangeNet(**({"width": 8, "size": (10, 40), "widths": (8,), "strides": ((1, 2),)} | options))


@pytest.mark.parametrize(
    ("azimuth", "column"), [(0, 20), (90, 10), (-90, 30), (180, 0), (179.9, 0), (-179.9, 39), (-0.1, 20), (0.1, 19)]
)
def test_columns_run_from_behind_over_the_left_to_behind(azimuth: float, column: int) -> None:
    angle = math.radians(azimuth)
    _, columns = small().pixels(torch.tensor([[9 * math.cos(angle), 9 * math.sin(angle), 0.0, 0.0]]))
    assert columns.tolist() == [column]


@pytest.mark.parametrize(("elevation", "row"), [(9.9, 0), (5.9, 1), (-29.9, 9), (40, 0), (-80, 9)])
def test_rows_run_from_the_upper_edge_down_and_beyond_share_the_last(elevation: float, row: int) -> None:
    z = 7 * math.tan(math.radians(elevation))
    rows, _ = small(fov_up=10.0, fov_down=-30.0).pixels(torch.tensor([[7.0, 0.0, z, 0.0]]))
    assert rows.tolist() == [row]


def test_beams_are_rows_where_they_are_given() -> None:
    points = torch.tensor([[7.0, 0.0, 0.0, 0.0, 0.0], [7.0, 0.0, 0.0, 0.0, 9.0], [7.0, 0.0, 0.0, 0.0, 63.0]])
    rows, _ = small().pixels(points)
    assert rows.tolist() == [9, 0, 0]
    assert small()(pad([points])).tokens.shape == (1, 3, 8)


def test_of_the_points_in_a_pixel_the_nearest_is_seen_and_equals_are_averaged() -> None:
    encoder = small()
    points = torch.tensor([[30.0, 0.0, 0.0, 0.9], [10.0, 0.0, 0.0, 0.2], [10.0, 0.0, 0.0, 0.4], [0.0, 10.0, 0.0, 0.7]])
    inputs = encoder.prepare(pad([points]))
    rows, columns = encoder.pixels(points)
    image = inputs["image"][0]
    assert int((image[0] == 1).sum()) == 2
    assert float(encoder.fill(pad([points]))) == pytest.approx(2 / 400)
    expected = [1.0, 10 / 20, 0.0, 0.0, 0.3, math.log1p(10) - 3]
    assert image[:, rows[0], columns[0]].tolist() == pytest.approx(expected)
    assert float(image[4, rows[3], columns[3]]) == pytest.approx(0.7)
    assert inputs["points"][:, 5].tolist() == pytest.approx([2.0, 0.0, 0.0, 0.0])  # 20 m behind the nearest
    tokens = encoder(pad([points])).tokens[0].detach()
    assert float((tokens[0] - tokens[1]).abs().max()) > 1e-3


def test_a_point_reads_its_own_pixel_of_the_first_stages_map() -> None:
    encoder = small()
    angles = torch.linspace(-3, 3, 25)
    points = torch.stack([8 * angles.cos(), 8 * angles.sin(), -angles.abs(), angles * 0], dim=1)
    inputs = encoder.prepare(pad([points, points]))
    rows, columns = encoder.pixels(points)
    expected = rows * 20 + columns // 2
    assert torch.equal(inputs["pixel"], torch.cat([expected, expected + 200]))


def test_a_circular_convolution_equals_a_wrapped_one() -> None:
    conv, x = CircularConv(3, 4, (2, 2)), torch.randn(2, 3, 6, 8)
    wrapped = np.pad(np.pad(x.numpy(), ((0, 0), (0, 0), (0, 0), (1, 1)), mode="wrap"), ((0, 0), (0, 0), (1, 1), (0, 0)))
    expected = F.conv2d(torch.from_numpy(wrapped), conv.conv.weight, stride=2)
    torch.testing.assert_close(conv(x), expected)


def test_turning_the_range_image_turns_the_features() -> None:
    first, second = CircularStage(3, 8, (1, 2)), CircularStage(8, 8, (2, 2))
    join = CircularTopDown([8, 8], [(1, 2), (2, 2)], 8)

    def network(image: torch.Tensor) -> torch.Tensor:
        fine = first(image)
        return join([fine, second(fine)])

    image = torch.randn(1, 3, 8, 32)
    turned = network(image.roll(4, dims=3))
    torch.testing.assert_close(turned, network(image).roll(2, dims=3), rtol=1e-4, atol=1e-5)


def test_a_million_points_make_no_larger_image() -> None:
    encoder, points = small(), torch.full((1_000_000, 4), 3.0)
    assert encoder.prepare(pad([points]))["image"].shape == (1, 6, 10, 40)


def test_numbers_out_of_range_are_one_sentence() -> None:
    with pytest.raises(InputError, match="does not divide by its strides"):
        small(size=(10, 41))
    with pytest.raises(InputError, match="one stride a width"):
        small(fov_up=-40.0)


def test_a_real_sweep_fills_its_range_image(shared_data: Path) -> None:
    from plait_driving.sensors import read_sweep

    folder = shared_data / "driving" / "nuscenes_keyframe"
    (file,) = folder.rglob("*LIDAR_TOP*.bin")
    sweep = read_sweep(file, "nuscenes")
    encoder = RangeNet(size=(32, 1024), fov_up=10.0, fov_down=-30.0)
    # 83 % was measured on this keyframe by another program; elevation bins are not beams, so some pixels stay empty.
    assert float(encoder.fill(pad([torch.from_numpy(sweep.points)]))) > 0.6
