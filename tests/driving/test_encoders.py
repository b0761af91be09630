"""The point encoder knows shape and height, and no direction."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from plait.encoders.cells import cells_of
from plait.errors import InputError
from plait.pairs.batch import Padded, pad
from plait_driving.encoders import SurfacePoints, surface


def told(points: torch.Tensor, size: float = 50.0) -> torch.Tensor:
    """What `surface` says of points that all share one cell."""
    return surface(points, cells_of(points, torch.zeros(len(points), dtype=torch.int64), size))


def spread(*deviations: float) -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(10 + rng.normal(size=(4000, 3)) * deviations).float()


@pytest.mark.parametrize(
    ("deviations", "vertical", "anisotropy", "determinant"),
    [
        ((1.0, 1.0, 0.001), 0, 0, 0),  # level ground
        ((0.001, 0.001, 1.0), 1, 0, 0),  # a post
        ((1.0, 0.001, 1.0), 0.5, 0.5, 0),  # a wall
        ((1.0, 1.0, 1.0), 1 / 3, 0, 1),  # a bush
    ],
)
def test_shapes_are_told_apart(
    deviations: tuple[float, ...], vertical: float, anisotropy: float, determinant: float
) -> None:
    described = told(spread(*deviations))[:, 3:].mean(dim=0).tolist()
    assert described == pytest.approx([vertical, anisotropy, 0, determinant], abs=0.06)


def test_a_slope_is_told_by_its_tilt() -> None:
    points = spread(1.0, 1.0, 0.0)
    points[:, 2] += points[:, 0] - 10
    assert float(told(points)[:, 5].mean()) == pytest.approx(2 / 3, abs=0.03)


def test_a_turn_about_z_and_a_mirror_leave_the_description_as_it_is() -> None:
    points = spread(1.0, 0.3, 0.6)
    cos, sin = math.cos(0.8), math.sin(0.8)
    turn = torch.tensor([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    torch.testing.assert_close(told(points @ turn.T + 20.0), told(points), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(told(points * torch.tensor([-1.0, 1.0, 1.0]) + 30.0), told(points), rtol=1e-3, atol=1e-4)


def sweeps(*numbers: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(number, 4, generator=generator) * torch.tensor([10.0, 10.0, 1.0, 0.3]) for number in numbers]


def test_sweeps_of_a_batch_do_not_touch_each_other_and_padding_is_nothing() -> None:
    torch.manual_seed(0)
    encoder = SurfacePoints(width=16)
    one, other = sweeps(70, 40)
    together = encoder(pad([one, other]))
    alone = encoder(pad([other]))
    torch.testing.assert_close(together.tokens[1, :40], alone.tokens[0])
    assert not together.tokens[1, 40:].any()
    assert not together.mask[1, 40:].any()


def test_a_quarter_turn_changes_no_feature() -> None:
    # Cells lie on the axes, so of all turns only quarters leave them as they are; others change cells a little.
    torch.manual_seed(0)
    encoder = SurfacePoints(width=16)
    (points,) = sweeps(200)
    turned = points[:, [1, 0, 2, 3]] * torch.tensor([-1.0, 1.0, 1.0, 1.0])
    torch.testing.assert_close(encoder(pad([turned])).tokens, encoder(pad([points])).tokens, rtol=1e-3, atol=1e-4)


def test_one_point_and_one_place_are_finite_with_a_finite_gradient() -> None:
    encoder = SurfacePoints(width=8)
    for points in (torch.tensor([[3.0, 1.0, 0.0, 0.5]]), torch.ones(20, 4)):
        encoder(pad([points])).pooled.sum().backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in encoder.parameters() if p.grad is not None)


def test_bad_input_is_one_sentence() -> None:
    with pytest.raises(InputError, match="cell_sizes and surface_sizes above 0 m"):
        SurfacePoints(cell_sizes=(0.5, -1.0))
    with pytest.raises(InputError, match="points of 4 columns"):
        SurfacePoints()(Padded(torch.zeros(1, 2, 5), torch.ones(1, 2, dtype=torch.bool)))
