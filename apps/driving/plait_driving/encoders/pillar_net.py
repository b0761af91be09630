"""Pillars: a sweep as a picture from above, for detection and for maps."""

from __future__ import annotations

from typing import override

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plait.encoders.conv import stages
from plait.encoders.dense import TopDown
from plait.errors import InputError
from plait.pairs.batch import Value
from plait_driving.encoders.planes import Cells, Plane, Range, gather, scatter_max
from plait_driving.encoders.point_encoder import Inputs, PointEncoder, scaled


class PillarNet(PointEncoder):
    """PointPillars (Lang et al., CVPR 2019): points to pillars, pillars to a canvas, a 2D backbone, back to points.

    A point is told its distance from its pillar's mean and from its pillar's centre; the maximum over each pillar is
    laid on the canvas, and a network of residual stages joined top-down looks at it. Its map from above is ``bev``; a
    token is that map at the point's pillar, joined with what the point itself was told. Unlike the paper's,
    normalisation is not by batch, no pillar and no point is drawn or dropped, and stages are core's.

    The paper's size is ``pillar_size=0.16, widths=[64, 128, 256], strides=[2, 2, 2]`` in ``point_cloud_range=[0,
    -39.68, -3, 69.12, 39.68, 1]``.

    Takes (B, N, 4) points with their mask: x, y, z [m] and intensity in [0, 1]; one token a point. A point outside
    ``point_cloud_range`` is in no pillar: only its own features speak for it.

    Args:
        width: D, the paper's C.
        pillar_size: edge of a pillar [m].
        point_cloud_range: x, y, z [m] of the box's lowest corner, then of its highest.
        widths: channels of each stage of the backbone.
        strides: by how much each stage divides height and width; ``bev`` has the first stage's resolution.
    """

    def __init__(
        self,
        width: int = 64,
        pillar_size: float = 0.8,
        point_cloud_range: Range = (-51.2, -51.2, -5.0, 51.2, 51.2, 3.0),
        widths: tuple[int, ...] = (32, 64, 128),
        strides: tuple[int, ...] = (2, 2, 2),
    ) -> None:
        super().__init__()
        self.width, self.pillars = width, Plane(tuple(point_cloud_range), (1, 0), pillar_size)
        if not strides or self.pillars.shape[0] % strides[0] or self.pillars.shape[1] % strides[0]:
            raise InputError(
                f"A canvas of {self.pillars.shape[0]} x {self.pillars.shape[1]} pillars does not divide by the first "
                f"of the strides {list(strides)}: change point_cloud_range, pillar_size or strides."
            )
        self.maps = Plane(self.pillars.box, (1, 0), pillar_size * strides[0])
        self.embed = nn.Sequential(nn.Linear(10, width), nn.LayerNorm(width), nn.ReLU())
        self.stages, self.top_down = stages(width, widths, strides), TopDown(widths, width)
        self.own, self.join, self.last_norm = nn.Linear(width, width), nn.Linear(width, width), nn.LayerNorm(width)

    @override
    def describe(self, points: Tensor, sweep: Tensor, sizes: Tensor) -> Inputs:
        """The inputs of ``network``.

        ``points`` (P, 10): scaled x, y, z, intensity, distance, then x, y, z from the pillar's mean and x, y from its
        centre, in pillars; ``pillar`` and ``place`` (P,) int64 its cell on the canvas and on the backbone's map, with
        ``pillar_weight`` (P,), see `planes.Cells`.
        """
        pillar = self.pillars.cells(points, sweep)
        (height, width), inside = self.pillars.shape, (pillar.weight > 0)[:, None]
        total = points.new_zeros(len(sizes) * height * width + 1, 3)
        mean = total.index_add(0, pillar.place, points[:, :3] * pillar.weight[:, None])[pillar.place]
        centre = torch.stack([pillar.place % width, pillar.place // width % height], dim=1) + 0.5
        centre = centre * self.pillars.cell + points.new_tensor(self.pillars.box[:2])
        offsets = torch.cat([points[:, :3] - mean, points[:, :2] - centre], dim=1) / self.pillars.cell * inside
        told = torch.cat([scaled(points), offsets], dim=1)
        place = self.maps.cells(points, sweep).place
        return {"points": told, "pillar": pillar.place, "pillar_weight": pillar.weight, "place": place}

    @override
    def network(self, inputs: Inputs) -> Tensor:
        x: Tensor = self.embed(inputs["points"])
        seen = gather(self._maps(x, inputs), Cells(inputs["place"], inputs["pillar_weight"]))
        return self.last_norm(self.join(F.gelu(seen + self.own(x))))

    def bev(self, value: Value) -> Tensor:
        """(B, D, H, W) seen from above: rows along y and columns along x, from the box's lowest corner."""
        inputs = self.prepare(value)
        return self._maps(self.embed(inputs["points"]), inputs)

    def _maps(self, x: Tensor, inputs: Inputs) -> Tensor:
        cells = Cells(inputs["pillar"], inputs["pillar_weight"])
        # Contiguous, because torch's group norm of channels-last maps is less exact by a digit (CPU, torch 2.15).
        maps = [scatter_max(x, cells, inputs["sizes"].shape[0], self.pillars.shape).contiguous()]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return self.top_down(maps[1:])
