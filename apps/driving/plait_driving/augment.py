"""Changes of a training sample after which each point still belongs to the pixel that shows it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from plait.pairs.batch import Sample

_OF_POINTS = ("points", "point_pixels", "labels")


@dataclass(frozen=True)
class Augment:
    """Flips, crops and recolours the image; turns, flips, scales and thins the points.

    The image's changes carry ``point_pixels`` and ``superpixels`` with them, and points that a crop leaves outside
    are dropped. The points' changes touch x, y and z alone: a pair is a point and a pixel, wherever they are, and
    because a turn about z takes away the point's direction, the two encoders cannot meet by place instead of by
    content (a calibrated camera fixes a point's pixel).

    Attributes:
        image_flip: chance of a left-right flip.
        crop: smallest share of each side that a crop keeps, from 0 to 1; 1 is none.
        brightness, contrast, saturation: each factor is drawn from 1 - x to 1 + x.
        turn: largest turn about z [degrees], either way.
        point_flip: chance of a mirrored sweep (x becomes -x).
        scale: the points' factor is drawn from 1 - x to 1 + x.
        keep: smallest share of the points that is kept; 1 keeps all.
    """

    image_flip: float = 0.5
    crop: float = 0.6
    brightness: float = 0.3
    contrast: float = 0.3
    saturation: float = 0.3
    turn: float = 180.0
    point_flip: float = 0.5
    scale: float = 0.05
    keep: float = 0.7

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Give back an augmented copy; entries may be absent or ``None``."""
        sample = dict(sample)
        if sample.get("image") is not None:
            sample = self._crop(sample, rng)
            if rng.random() < self.image_flip:
                sample = flip_image(sample)
            sample["image"] = self._recolour(sample["image"], rng)
        if sample.get("points") is not None:
            share = rng.uniform(self.keep, 1.0)
            number = len(sample["points"])
            kept = np.sort(rng.choice(number, max(1, round(share * number)), replace=False))
            sample = take_points(sample, torch.from_numpy(kept))
            sample["points"] = self._move(sample["points"], rng)
        return sample

    def _crop(self, sample: Sample, rng: np.random.Generator) -> Sample:
        height, width = sample["image"].shape[1:]
        crop_height, crop_width = (max(1, round(rng.uniform(self.crop, 1.0) * side)) for side in (height, width))
        top, left = rng.integers(height - crop_height + 1), rng.integers(width - crop_width + 1)
        if (crop_height, crop_width) == (height, width):
            return sample
        return crop_image(sample, int(top), int(left), crop_height, crop_width)

    def _recolour(self, image: Tensor, rng: np.random.Generator) -> Tensor:
        """Saturation, contrast and brightness, in this order; (3, H, W) in [0, 1]."""
        brightness, contrast, saturation = (
            rng.uniform(1 - x, 1 + x) for x in (self.brightness, self.contrast, self.saturation)
        )
        grey = image.mean(dim=0, keepdim=True)
        image = grey + saturation * (image - grey)
        image = grey.mean() + contrast * (image - grey.mean())
        return (brightness * image).clamp(0.0, 1.0)

    def _move(self, points: Tensor, rng: np.random.Generator) -> Tensor:
        """Turn about z, mirror and scale (N, 4) points; the intensity stays."""
        angle = math.radians(rng.uniform(-self.turn, self.turn))
        mirror = -1.0 if rng.random() < self.point_flip else 1.0
        cos, sin = math.cos(angle), math.sin(angle)
        turn = torch.tensor([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
        move = turn * torch.tensor([mirror, 1.0, 1.0]) * float(rng.uniform(1 - self.scale, 1 + self.scale))
        return torch.cat([points[:, :3] @ move.T, points[:, 3:]], dim=1)


def flip_image(sample: Sample) -> Sample:
    """Mirror the image left to right; u becomes W - 1 - u."""
    changed = {"image": sample["image"].flip(-1)}
    if sample.get("superpixels") is not None:
        changed["superpixels"] = sample["superpixels"].flip(-1)
    if sample.get("point_pixels") is not None:
        u, v = sample["point_pixels"].unbind(dim=1)
        changed["point_pixels"] = torch.stack([sample["image"].shape[-1] - 1 - u, v], dim=1)
    return sample | changed


def crop_image(sample: Sample, top: int, left: int, height: int, width: int) -> Sample:
    """Cut a window out and enlarge it to the image's size; points outside are dropped.

    A window without any point leaves the sample as it was: a sweep must not vanish by chance.
    """
    full = sample["image"].shape[1:]
    pixels, inside = sample.get("point_pixels"), None
    if pixels is not None:
        # Continuous pixel edges lie half a pixel around the centres.
        scale = torch.tensor([full[1] / width, full[0] / height])
        pixels = (pixels - torch.tensor([left, top]) + 0.5) * scale - 0.5
        inside = ((pixels >= -0.5) & (pixels < torch.tensor([full[1] - 0.5, full[0] - 0.5]))).all(dim=1)
        if not bool(inside.any()):
            return sample
    window = (..., slice(top, top + height), slice(left, left + width))
    image = F.interpolate(sample["image"][window][None], size=full, mode="bilinear", align_corners=False)[0]
    changed = {"image": image}
    if sample.get("superpixels") is not None:
        ids = sample["superpixels"][window][None, None].double()
        changed["superpixels"] = F.interpolate(ids, size=full, mode="nearest-exact")[0, 0].long()
    if pixels is None or inside is None:
        return sample | changed
    return take_points(sample | changed | {"point_pixels": pixels}, inside)


def take_points(sample: Sample, rows: Tensor) -> Sample:
    """Keep these points (positions or a mask) and what belongs to them."""
    return sample | {name: sample[name][rows] for name in _OF_POINTS if sample.get(name) is not None}
