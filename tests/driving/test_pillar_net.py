"""Pillars are decorated as in PointPillars, and the map from above has them where they stand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from plait.errors import InputError
from plait.pairs.batch import pad
from plait_driving.encoders import PillarNet

BOX = (-16.0, -8.0, -3.0, 16.0, 8.0, 3.0)


class Finest(nn.Module):
    def forward(self, maps: list[torch.Tensor]) -> torch.Tensor:
        return maps[0]


def small(**options: object) -> PillarNet:
    defaults = {"width": 8, "pillar_size": 2.0, "point_cloud_range": BOX, "widths": (16, 16), "strides": (2, 2)}
    return PillarNet(**(defaults | options))


def test_a_point_is_told_where_it_lies_in_its_pillar() -> None:
    points = (np.random.default_rng(0).random((50, 4)) - 0.5) * [34.0, 17.0, 7.0, 1.0]  # a few lie outside
    told = small().prepare(pad([torch.from_numpy(points).float()]))["points"].numpy()[:, 5:]
    inside = (points[:, :3] >= BOX[:3]).all(axis=1) & (points[:, :3] < BOX[3:]).all(axis=1)
    pillars = np.floor((points[:, :2] + [16, 8]) / 2)
    assert 0 < inside.sum() < 50
    for number, point in enumerate(points):
        if not inside[number]:
            assert not told[number].any()
            continue
        same = inside & (pillars == pillars[number]).all(axis=1)
        centre = pillars[number] * 2 + 1 - [16, 8]
        expected = np.concatenate([point[:3] - points[same, :3].mean(axis=0), point[:2] - centre]) / 2
        np.testing.assert_allclose(told[number], expected, atol=1e-5)


@pytest.mark.parametrize(("x", "y", "row", "column"), [(-15.0, -7.0, 0, 0), (15.0, -7.0, 0, 7), (-5.0, 7.9, 3, 2)])
def test_the_map_from_above_has_rows_along_y_and_columns_along_x(x: float, y: float, row: int, column: int) -> None:
    encoder: Any = small()
    # A backbone that only halves the canvas: what stands in it is seen where it stands.
    encoder.stages, encoder.top_down = nn.ModuleList([nn.MaxPool2d(2)]), Finest()
    seen = encoder.bev(pad([torch.zeros(0, 4), torch.tensor([[x, y, 0.0, 0.5]])]))
    assert seen.shape == (2, 8, 4, 8)
    assert seen.sum(dim=1).nonzero().tolist() == [[1, row, column]]


def test_a_point_outside_the_box_changes_no_other() -> None:
    inside, outside = torch.rand(30, 4), torch.tensor([[0.5, 0.5, 9.0, 0.5], [40.0, 0.5, 0.5, 0.5]])
    encoder = small()
    with_them, without = encoder(pad([torch.cat([inside, outside])])), encoder(pad([inside]))
    torch.testing.assert_close(with_them.tokens[0, :30], without.tokens[0])


def test_a_token_is_read_from_the_map_where_the_point_stands() -> None:
    encoder, points = small(), torch.tensor([[-15.0, -7.0, 0.0, 0.5], [3.0, 5.0, 0.0, 0.5]])
    inputs = encoder.prepare(pad([points, points]))
    assert inputs["place"].tolist() == [0, 3 * 8 + 4, 32, 32 + 3 * 8 + 4]


def test_a_canvas_that_does_not_divide_is_one_sentence() -> None:
    with pytest.raises(InputError, match="A canvas of 8 x 16 pillars does not divide by the first of the strides"):
        small(strides=(3, 2))
    with pytest.raises(InputError, match="cells above 0 m"):
        small(pillar_size=0.0)
