"""A convolutional network on the range image: the fastest to serve, its cost the same for any number of points."""

from __future__ import annotations

import math
from typing import override

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plait.errors import InputError
from plait.pairs.batch import Value
from plait_driving.encoders.circular import CircularStage, CircularTopDown, Stride
from plait_driving.encoders.point_encoder import Inputs, PointEncoder, scaled


class RangeNet(PointEncoder):
    """The range image of a sweep, a U-shaped 2D network, and its answer at each point.

    The spherical projection is RangeNet++'s (Milioto et al., IROS 2019): columns are azimuth, from behind over the
    left to behind again, rows are elevation from ``fov_up`` down to ``fov_down``, where points beyond share the first
    or last row. Where a fifth column gives each point's beam, counted from the lowest, rows are beams. Of the points
    in a pixel the nearest is seen; points at the same distance are averaged, so that no order matters.

    A point that is not the nearest has the pixel's features, and is told how far behind it lies: where RangeNet++
    votes over neighbours near in range afterwards, this learns it. In azimuth the image has no edge.

    The paper's size is ``size=[64, 2048], widths=[64, 128, 256, 512, 1024], strides=[[1, 2], ...]``, with ``fov_up=3,
    fov_down=-25`` for the HDL-64E.

    Takes (B, N, 4) or (B, N, 5) points with their mask: x, y, z [m], intensity in [0, 1], beam; one token a point.

    Args:
        width: D.
        size: H, W of the range image.
        fov_up: elevation of the upper edge [degrees].
        fov_down: elevation of the lower edge [degrees].
        widths: channels of each stage.
        strides: by how much each stage divides rows and columns; tokens are read at the first stage's.
    """

    columns = (4, 5)

    def __init__(
        self,
        width: int = 64,
        size: tuple[int, int] = (32, 512),
        fov_up: float = 15.0,
        fov_down: float = -30.0,
        widths: tuple[int, ...] = (32, 64, 128),
        strides: tuple[Stride, ...] = ((1, 2), (2, 2), (2, 2)),
    ) -> None:
        super().__init__()
        if not widths or len(widths) != len(strides) or not -90 <= fov_down < fov_up <= 90:
            raise InputError("A range network needs one stride a width, and fov_down below fov_up, both in degrees.")
        stages: list[Stride] = [(rows, columns) for rows, columns in strides]
        divided = [math.prod(sides) for sides in zip(*stages, strict=True)]
        if min(size) < 1 or size[0] % divided[0] or size[1] % divided[1]:
            raise InputError(f"A range image of {size[0]} x {size[1]} does not divide by its strides {list(strides)}.")
        self.width, self.size, self.first = width, (size[0], size[1]), stages[0]
        self.fov_up, self.fov_down = math.radians(fov_up), math.radians(fov_down)
        inputs = [6, *widths[:-1]]
        self.stages = nn.ModuleList(CircularStage(*numbers) for numbers in zip(inputs, widths, stages, strict=True))
        self.top_down = CircularTopDown(list(widths), stages, width)
        self.own, self.join, self.last_norm = nn.Linear(6, width), nn.Linear(width, width), nn.LayerNorm(width)

    def pixels(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """(P,), (P,) int64 row and column in the range image of (P, 4 or 5) points."""
        height, width = self.size
        x, y, z = points[:, :3].unbind(dim=1)
        elevation = torch.atan2(z, torch.hypot(x, y))
        rows = (self.fov_up - elevation) / (self.fov_up - self.fov_down) * height
        if points.shape[1] == 5:
            rows = height - 1 - points[:, 4]
        columns = (1 - torch.atan2(y, x) / math.pi) / 2 * width
        return rows.floor().clamp(0, height - 1).long(), columns.floor().long() % width

    @override
    def describe(self, points: Tensor, sweep: Tensor, sizes: Tensor) -> Inputs:
        """The inputs of ``network``.

        ``image`` (B, 6, H, W): filled (1 or 0), then x, y, z, intensity and distance as ``points``; ``points`` (P, 6)
        those five of each point, and how far behind its pixel's nearest it lies [10 m]; ``pixel`` (P,) int64 its
        place in the first stage's map, row-major over (B, H', W').
        """
        (height, width), (down, across) = self.size, self.first
        rows, columns = self.pixels(points)
        place = (sweep * height + rows) * width + columns
        distance = points[:, :3].norm(dim=1)
        number = len(sizes) * height * width
        nearest = distance.new_full((number,), torch.inf).scatter_reduce(0, place, distance, "amin")
        told, seen = scaled(points), distance == nearest[place]
        image = told.new_zeros(number, 6).index_add(0, place[seen], F.pad(told[seen], (1, 0), value=1.0))
        image = (image / image[:, :1].clamp(min=1)).view(len(sizes), height, width, 6).permute(0, 3, 1, 2)
        behind = (distance - nearest[place]) / 10.0
        pixel = (sweep * (height // down) + rows // down) * (width // across) + columns // across
        return {"image": image.contiguous(), "points": torch.cat([told, behind[:, None]], dim=1), "pixel": pixel}

    @override
    def network(self, inputs: Inputs) -> Tensor:
        maps: list[Tensor] = []
        x = inputs["image"]
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        pixels: Tensor = self.top_down(maps).permute(0, 2, 3, 1).flatten(0, 2)
        seen = pixels.index_select(0, inputs["pixel"])
        return self.last_norm(self.join(F.gelu(seen + self.own(inputs["points"]))))

    def fill(self, value: Value) -> Tensor:
        """(B,) the share of the range image's pixels that a point falls in: a low one asks for a smaller image."""
        return self.prepare(value)["image"][:, 0].mean(dim=(1, 2))
