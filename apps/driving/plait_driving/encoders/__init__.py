"""Point encoders that the core has not: what they share is points in, one token a point out."""

from __future__ import annotations

from plait_driving.encoders.pillar_net import PillarNet
from plait_driving.encoders.point_mixer import PointMixer
from plait_driving.encoders.range_net import RangeNet
from plait_driving.encoders.sparse_unet import SparseUNet
from plait_driving.encoders.surface import SurfacePoints, surface

__all__ = ["PillarNet", "PointMixer", "RangeNet", "SparseUNet", "SurfacePoints", "surface"]
