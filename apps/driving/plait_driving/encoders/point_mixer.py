"""A mixer of points by dense 2D convolutions: nothing sparse, and the best published under linear probing."""

from __future__ import annotations

from typing import override

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plait.encoders.cells import cells_of
from plait.errors import InputError
from plait_driving.encoders.planes import Cells, Plane, Range, gather, scatter_mean
from plait_driving.encoders.point_encoder import Inputs, PointEncoder, scaled

_PLANES = {"xy": (1, 0), "xz": (2, 0), "yz": (2, 1)}
"""Row and column axis of the planes that the layers take by turns."""


class PointMixer(PointEncoder):
    """WaffleIron (Puy, Boulch and Marlet, ICCV 2023): points mixed on the planes xy, xz and yz by turns.

    Each layer lays the points on a plane (mean over each cell), lets a depthwise perceptron of two 3 x 3 convolutions
    look around, carries its answer back to the points, and mixes channels; both are residual, with LayerScale and
    stochastic depth. The paper's model is ``width=256, depth=48, grid_resolution=0.6`` (nuScenes) or ``0.4``
    (SemanticKITTI).

    Two things are not the paper's. A point's neighbourhood is its cubic cell, from whose mean the differences are
    taken, instead of its 16 nearest points: linear in the number of points, and exportable. And normalisation is by
    token instead of by batch, so that a sweep is the same in any batch.

    Takes (B, N, 4) points with their mask: x, y, z [m] and intensity in [0, 1]; one token a point. A point outside
    ``point_cloud_range`` is on no plane: only its own features and its neighbourhood speak for it.

    Args:
        width: D, the paper's F.
        depth: layers, the paper's L.
        grid_resolution: edge of the planes' cells [m], the paper's rho.
        neighbourhood: edge of the cubic cells of the embedding [m].
        point_cloud_range: x, y, z [m] of the box's lowest corner, then of its highest.
        drop_path: while training, the probability with which a sweep skips a residual branch.
    """

    def __init__(
        self,
        width: int = 64,
        depth: int = 6,
        grid_resolution: float = 0.8,
        neighbourhood: float = 0.5,
        point_cloud_range: Range = (-50.0, -50.0, -5.0, 50.0, 50.0, 3.0),
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        if width < 1 or depth < 1 or neighbourhood <= 0 or not 0 <= drop_path < 1:
            raise InputError(
                "A point mixer needs width and depth above 0, a neighbourhood above 0 m, drop_path in [0, 1)."
            )
        self.width, self.neighbourhood = width, neighbourhood
        box = tuple(point_cloud_range)
        self.planes = {name: Plane(box, axes, grid_resolution) for name, axes in _PLANES.items()}
        self.embed = Embedding(width)
        self.spatial = nn.ModuleList(SpatialMix(width, drop_path) for _ in range(depth))
        self.channel = nn.ModuleList(ChannelMix(width, drop_path) for _ in range(depth))
        self.last_norm = nn.LayerNorm(width)

    @override
    def describe(self, points: Tensor, sweep: Tensor, sizes: Tensor) -> Inputs:
        """The inputs of ``network``.

        ``points`` (P, 5) scaled, ``offsets`` (P, 4) from the neighbourhood's mean (x, y, z in cells, intensity),
        ``neighbourhood`` (P,) int64 the cell that each point is in, and for each plane ``xy``, ``xz``, ``yz`` its
        cell (P,) int64 and ``xy_weight`` ... (P,), see `planes.Cells`.
        """
        around = cells_of(points[:, :3], sweep, self.neighbourhood)
        offsets = points[:, :4] - around.mean(points[:, :4])[around.index]
        offsets = offsets / offsets.new_tensor([self.neighbourhood] * 3 + [1.0])
        inputs = {"points": scaled(points), "offsets": offsets, "neighbourhood": around.index}
        for name, plane in self.planes.items():
            inputs[name], inputs[f"{name}_weight"] = plane.cells(points, sweep)
        return inputs

    @override
    def network(self, inputs: Inputs) -> Tensor:
        x: Tensor = self.embed(inputs["points"], inputs["offsets"], inputs["neighbourhood"])
        sweep, sweeps = inputs["sweep"], inputs["sizes"].shape[0]
        names = list(self.planes)
        for layer, (spatial, channel) in enumerate(zip(self.spatial, self.channel, strict=True)):
            name = names[layer % len(names)]
            cells = Cells(inputs[name], inputs[f"{name}_weight"])
            x = spatial(x, cells, sweep, sweeps, self.planes[name].shape)
            x = channel(x, sweep, sweeps)
        return self.last_norm(x)


class Embedding(nn.Module):
    """What a point is, joined with the maximum over its cell of how each point lies in it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.own = nn.Linear(5, width)
        self.lies = nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, width))
        self.join = nn.Linear(2 * width, width)

    def forward(self, points: Tensor, offsets: Tensor, cell: Tensor) -> Tensor:
        lies: Tensor = self.lies(offsets)
        # There are at most as many cells as points: a size that an exported graph knows.
        largest = torch.full_like(lies, -torch.inf).scatter_reduce(0, cell[:, None].expand_as(lies), lies, "amax")
        return self.join(torch.cat([self.own(points), largest.index_select(0, cell)], dim=1))


class SpatialMix(nn.Module):
    """x + scale * back(convolutions(onto a plane(norm(x))))."""

    def __init__(self, width: int, drop_path: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.first, self.second = (nn.Conv2d(width, width, 3, padding=1, groups=width) for _ in range(2))
        self.scale, self.drop_path = nn.Parameter(torch.ones(width)), drop_path

    def forward(self, x: Tensor, cells: Cells, sweep: Tensor, sweeps: int, shape: tuple[int, int]) -> Tensor:
        maps = scatter_mean(self.norm(x), cells, sweeps, shape)
        seen = gather(self.second(F.relu(self.first(maps))), cells)
        return x + kept(self.scale * seen, sweep, sweeps, self.drop_path if self.training else 0.0)


class ChannelMix(nn.Module):
    """x + scale * perceptron(norm(x))."""

    def __init__(self, width: int, drop_path: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.perceptron = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
        self.scale, self.drop_path = nn.Parameter(torch.ones(width)), drop_path

    def forward(self, x: Tensor, sweep: Tensor, sweeps: int) -> Tensor:
        mixed = self.scale * self.perceptron(self.norm(x))
        return x + kept(mixed, sweep, sweeps, self.drop_path if self.training else 0.0)


def kept(branch: Tensor, sweep: Tensor, sweeps: int, drop: float) -> Tensor:
    """The (P, D) branch without the sweeps that stochastic depth drops (Huang et al., 2016), its mean unchanged."""
    if drop == 0.0:
        return branch
    keep = (torch.rand(sweeps, device=branch.device) >= drop) / (1 - drop)
    return branch * keep[sweep, None].to(branch.dtype)
