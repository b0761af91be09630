"""The ``augment`` section of a driving recipe."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from plait.errors import InputError
from plait.pairs.batch import Sample
from plait_driving.augment.image import blurred, crop_image, flip_image, grey, recoloured, turn_hue
from plait_driving.augment.points import drop_beams, drop_cuboid, moved, shifted, take_points

_LEAST_SHARE = 1e-6
_RANGES = {
    **dict.fromkeys(("image_flip", "greyscale", "point_flip", "point_flip_y"), (0.0, 1.0)),
    **dict.fromkeys(("crop", "keep"), (_LEAST_SHARE, 1.0)),
    **dict.fromkeys(("brightness", "contrast", "saturation", "scale", "beams"), (0.0, 1.0)),
    **dict.fromkeys(("hue", "turn"), (0.0, 180.0)),
    **dict.fromkeys(("blur", "cuboids", "cuboid_size", "shift", "jitter"), (0.0, 1000.0)),
}


@dataclass(frozen=True)
class Augment:
    """Flips, crops and recolours the image; turns, flips, scales and thins the points.

    The image's changes carry ``point_pixels`` and ``superpixels`` with them, and points that a crop leaves outside
    are dropped. The points' changes touch x, y and z alone: a pair is a point and a pixel, wherever they are, and
    because a turn about z takes away the point's direction, the two encoders cannot meet by place instead of by
    content (a calibrated camera fixes a point's pixel). What is dropped takes its pixel, label and ring with it, and
    no sample that has points loses all of them. What is off draws no random number.

    Attributes:
        image_flip: chance of a left-right flip.
        crop: smallest share of each side that a crop keeps, from 0 to 1; 1 is none.
        brightness, contrast, saturation: each factor is drawn from 1 - x to 1 + x.
        hue: largest turn of the colours about grey [degrees], either way.
        greyscale: chance that the colour is taken away.
        blur: largest width of a Gaussian blur [pixels], drawn from 0.
        turn: largest turn about z [degrees], either way.
        point_flip: chance of a mirrored sweep (x becomes -x).
        point_flip_y: chance of a sweep mirrored the other way (y becomes -y).
        scale: the points' factor is drawn from 1 - x to 1 + x.
        shift: largest step of the whole sweep along each axis [m], either way.
        jitter: standard deviation of what is added to each coordinate of each point [m].
        beams: largest share of the beams that is dropped, drawn from 0 (`drop_beams`).
        cuboids: most boxes whose points are dropped, drawn from 0 (`drop_cuboid`).
        cuboid_size: longest side of such a box [m].
        keep: smallest share of the points that is kept; 1 keeps all.
    """

    image_flip: float = 0.5
    crop: float = 0.6
    brightness: float = 0.3
    contrast: float = 0.3
    saturation: float = 0.3
    hue: float = 0.0
    greyscale: float = 0.0
    blur: float = 0.0
    turn: float = 180.0
    point_flip: float = 0.5
    point_flip_y: float = 0.0
    scale: float = 0.05
    shift: float = 0.0
    jitter: float = 0.0
    beams: float = 0.0
    cuboids: int = 0
    cuboid_size: float = 4.0
    keep: float = 0.7

    def __post_init__(self) -> None:
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise InputError(f"augment: {name} lies from {least:g} to {most:g}, not {value}: correct the recipe.")

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Give back an augmented copy; entries may be absent or ``None``."""
        sample = dict(sample)
        if sample.get("image") is not None:
            sample = self._crop(sample, rng)
            if rng.random() < self.image_flip:
                sample = flip_image(sample)
            sample["image"] = self._recolour(sample["image"], rng)
        if sample.get("points") is not None and len(sample["points"]):
            sample = self._thin(sample, rng)
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
        brightness, contrast, saturation = (
            rng.uniform(1 - x, 1 + x) for x in (self.brightness, self.contrast, self.saturation)
        )
        image = recoloured(image, saturation, contrast, brightness)
        if self.hue:
            image = turn_hue(image, math.radians(rng.uniform(-self.hue, self.hue)))
        if self.greyscale and rng.random() < self.greyscale:
            image = grey(image)
        if self.blur:
            image = blurred(image, rng.uniform(0, self.blur))
        return image

    def _thin(self, sample: Sample, rng: np.random.Generator) -> Sample:
        if self.beams:
            sample = drop_beams(sample, rng.uniform(0, self.beams), rng)
        for _ in range(int(rng.integers(self.cuboids + 1)) if self.cuboids else 0):
            sample = drop_cuboid(sample, self.cuboid_size, rng)
        share = rng.uniform(self.keep, 1.0)
        number = len(sample["points"])
        kept = np.sort(rng.choice(number, max(1, round(share * number)), replace=False))
        return take_points(sample, torch.from_numpy(kept))

    def _move(self, points: Tensor, rng: np.random.Generator) -> Tensor:
        """Turn about z, mirror, scale, shift and jitter (N, 4) points; the intensity stays."""
        turn = math.radians(rng.uniform(-self.turn, self.turn))
        mirror_x = -1.0 if rng.random() < self.point_flip else 1.0
        scale = float(rng.uniform(1 - self.scale, 1 + self.scale))
        mirror_y = -1.0 if self.point_flip_y and rng.random() < self.point_flip_y else 1.0
        points = moved(points, turn, (mirror_x, mirror_y), scale)
        if self.shift:
            points = shifted(points, rng.uniform(-self.shift, self.shift, 3))
        if self.jitter:
            points = shifted(points, rng.normal(0, self.jitter, (len(points), 3)))
        return points
