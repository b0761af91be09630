"""A point encoder that knows no direction: what is ahead and what is beside the car look the same to it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from plait.encoders.cells import Cells, cells_of
from plait.encoders.features import Encoder, Features
from plait.encoders.points import CellMixer
from plait.encoders.pooling import masked_mean
from plait.errors import InputError
from plait.pairs.batch import Padded, Value, pad


class SurfacePoints(Encoder):
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

    def forward(self, value: Value) -> Features:
        if not isinstance(value, Padded) or value.values.shape[-1] != 4:
            raise InputError("A surface_points encoder was given something else than points of 4 columns.")
        mask = value.mask
        points, sweep = value.values[mask].float(), mask.nonzero()[:, 0]
        sizes = sorted({*self.cell_sizes, *self.surface_sizes})
        cells = {size: cells_of(points[:, :3], sweep, size) for size in sizes}
        x: Tensor = self.embed(self._describe(points, cells))
        for size, layer in zip(self.cell_sizes, self.layers, strict=True):
            x = layer(x, cells[size])
        x = self.last_norm(x)
        tokens = x.new_zeros(*mask.shape, self.width)
        tokens[mask] = x
        return Features(tokens, mask, masked_mean(tokens, mask))

    @torch.no_grad()
    def _describe(self, points: Tensor, cells: dict[float, Cells]) -> Tensor:
        """(P, inputs) of about unit size, from (P, 4) points."""
        distance = torch.log1p(points[:, :3].norm(dim=1))
        own = torch.stack([points[:, 2] / 2, distance - 3, points[:, 3]], dim=1)
        return torch.cat([own, *(surface(points[:, :3], cells[size]) for size in self.surface_sizes)], dim=1)

    def collate(self, samples: Sequence[Tensor]) -> Padded:
        return pad(samples)


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
