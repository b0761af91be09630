"""Changes of a sample's points, and of what belongs to each."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from plait.pairs.batch import Sample

OF_POINTS = ("points", "point_pixels", "labels", "rings")
"""The entries of a sample with a row a point."""

_BINS = 64


def take_points(sample: Sample, rows: Tensor) -> Sample:
    """Keep these points (positions or a mask) and what belongs to them."""
    return sample | {name: sample[name][rows] for name in OF_POINTS if sample.get(name) is not None}


def drop_beams(sample: Sample, share: float, rng: np.random.Generator) -> Sample:
    """Leave out a share of the beams, as a LiDAR of fewer has; ``rings`` says whose each point is.

    Without ``rings`` a beam is one of 64 equal steps of elevation, from the sample's lowest point to its highest. One
    beam at least is kept.
    """
    rings = sample.get("rings")
    present, beam = np.unique(_steps_of_elevation(sample["points"]) if rings is None else rings, return_inverse=True)
    number = min(round(share * len(present)), len(present) - 1)
    dropped = rng.choice(len(present), number, replace=False)
    return take_points(sample, torch.from_numpy(~np.isin(beam, dropped)))


def drop_cuboid(sample: Sample, size: float, rng: np.random.Generator) -> Sample:
    """Leave out the points in a box around one of them, as if something had been in the way or did not reflect.

    The box is along the axes, each side up to ``size`` [m]. A box that holds all points drops none.
    """
    places = sample["points"][:, :3]
    half = torch.from_numpy(rng.uniform(0, size / 2, 3)).float()
    outside = ((places - places[int(rng.integers(len(places)))]).abs() > half).any(dim=1)
    return take_points(sample, outside) if bool(outside.any()) else sample


def moved(points: Tensor, turn: float, mirror: tuple[float, float], scale: float) -> Tensor:
    """Turn (N, 4) points about z by ``turn`` [radians] after mirroring x and y (factors 1 or -1), and scale them."""
    cos, sin = math.cos(turn), math.sin(turn)
    turned = torch.tensor([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    move = turned * torch.tensor([*mirror, 1.0]) * scale
    return torch.cat([points[:, :3] @ move.T, points[:, 3:]], dim=1)


def shifted(points: Tensor, by: np.ndarray) -> Tensor:
    """Add (3,) or (N, 3) metres to the places of (N, 4) points."""
    return torch.cat([points[:, :3] + torch.from_numpy(by).float(), points[:, 3:]], dim=1)


def _steps_of_elevation(points: Tensor) -> np.ndarray:
    x, y, z = points[:, :3].numpy().T
    elevation = np.arctan2(z, np.hypot(x, y))
    lowest = elevation.min()
    return ((elevation - lowest) / max(float(np.ptp(elevation)), 1e-6) * (_BINS - 1e-3)).astype(np.int64)
