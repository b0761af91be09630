"""A point encoder that knows no direction: what is ahead and what is beside the car look the same to it."""

from __future__ import annotations

from typing import override

import torch
from torch import Tensor, nn

from plait.encoders.cells import Cells, cells_of
from plait.encoders.points import CellMixer
from plait.errors import InputError
from plait_driving.encoders.point_encoder import Inputs, PointEncoder


class SurfacePoints(PointEncoder):
    """Points told by height, range, intensity and the shape of the surface around them, mixed over cells.

    The core's ``points`` is told x and y, and a probe fitted on what lies ahead then fails on what lies beside. Here
    all that enters is unchanged by a turn about z and by a mirror: height, range, intensity, and for each cell size
    how a point lies in its cell and how the cell's points spread (invariants of their covariance; eigenvalues would
    say the same and cost a decomposition). Only the cells' own grid has directions.

    Takes (B, N, 4) points with their mask: x, y, z [m] and intensity in [0, 1]. One token a point; ``pooled`` is the
    mean of the real ones.

    Args:
        width: D.
        cell_sizes: edge of the cells [m] that points mix over, one layer each (as in the core's ``points``).
        surface_sizes: edge of the cells [m] that the surface is described by.
    """

    def __init__(
        self,
        width: int = 64,
        cell_sizes: tuple[float, ...] = (0.5, 2.0, 8.0, 2.0, 0.5),
        surface_sizes: tuple[float, ...] = (0.5, 1.0, 2.0),
    ) -> None:
        super().__init__()
        if not cell_sizes or not surface_sizes or min(*cell_sizes, *surface_sizes) <= 0:
            raise InputError("A point encoder needs cell_sizes and surface_sizes above 0 m.")
        self.cell_sizes, self.surface_sizes, self.width = tuple(cell_sizes), tuple(surface_sizes), width
        inputs = 3 + _TOLD * len(surface_sizes)
        self.embed = nn.Sequential(nn.Linear(inputs, width), nn.GELU(), nn.Linear(width, width))
        self.layers = nn.ModuleList(CellMixer(width) for _ in cell_sizes)
        self.last_norm = nn.LayerNorm(width)

    @override
    def describe(self, points: Tensor, sweep: Tensor, sizes: Tensor) -> Inputs:
        """The inputs of ``network``.

        ``points`` (P, inputs) of about unit size; for each different cell size, ascending, ``cell_0``, ``cell_1`` ...
        (P,) int64 each point's cell and ``counts_0`` ... (K,) int64 how many points each cell holds.
        """
        cells = {size: cells_of(points[:, :3], sweep, size) for size in {*self.cell_sizes, *self.surface_sizes}}
        distance = torch.log1p(points[:, :3].norm(dim=1))
        own = torch.stack([points[:, 2] / 2, distance - 3, points[:, 3]], dim=1)
        surfaces = [surface(points[:, :3], cells[size]) for size in self.surface_sizes]
        inputs = {"points": torch.cat([own, *surfaces], dim=1)}
        for number, size in enumerate(self._sizes):
            inputs[f"cell_{number}"], inputs[f"counts_{number}"] = cells[size].index, cells[size].counts
        return inputs

    @override
    def network(self, inputs: Inputs) -> Tensor:
        x: Tensor = self.embed(inputs["points"])
        for size, layer in zip(self.cell_sizes, self.layers, strict=True):
            number = self._sizes.index(size)
            x = layer(x, Cells(inputs[f"cell_{number}"], inputs[f"counts_{number}"], size))
        return self.last_norm(x)

    @property
    def _sizes(self) -> list[float]:
        return sorted(set(self.cell_sizes))


_TOLD = 7


def surface(place: Tensor, cells: Cells) -> Tensor:
    """(P, 7) how each of (P, 3) points lies in its cell, and how its cell's points spread; 0 to about 1.

    Height above and level distance from the cell's mean, and their spread (both in cells); then of the covariance,
    as shares of its trace: the vertical variance (0: level ground, 1: a post), the level anisotropy (1: seen from
    above a line, as of a wall), the tilt, and the determinant (0: a surface or line, 1: a bush).
    """
    offset = (place - cells.mean(place)[cells.index]) / cells.size
    x, y, z = offset.unbind(dim=1)
    products = torch.stack([x * x, y * y, z * z, x * y, x * z, y * z], dim=1)
    xx, yy, zz, xy, xz, yz = cells.mean(products)[cells.index].unbind(dim=1)
    trace = (xx + yy + zz).clamp(min=1e-6)
    anisotropy = torch.sqrt(((xx - yy) / 2).square() + xy.square())
    tilt = torch.sqrt(xz.square() + yz.square())
    determinant = xx * (yy * zz - yz * yz) - xy * (xy * zz - yz * xz) + xz * (xy * yz - yy * xz)
    shares = [zz / trace, 2 * anisotropy / trace, 2 * tilt / trace, 27 * determinant.clamp(min=0) / trace**3]
    return torch.stack([z, torch.hypot(x, y), trace.sqrt(), *shares], dim=1)
