"""Changes to a film and its report that leave the pair true."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from plait.pairs.batch import Sample
from plait_medical.reports.sentences import sentences
from plait_medical.sides import mirrored


@dataclass(frozen=True)
class Augment:
    """Random crop, rotation, brightness and contrast of the film, and a random choice of the report's sentences.

    Attributes:
        crop_scale: the smallest and largest share of the film's area that a crop keeps.
        rotation: the largest turn in degrees, either way.
        brightness: the largest shift of the grey levels, in standard deviations of the data.
        contrast: the largest relative change of their spread.
        sentences: the smallest and largest share of the sentences kept, at least one; (0, 0) keeps exactly one,
            as in ConVIRT (Zhang et al., 2022, section 3.2).
        shuffle: whether the kept sentences change places.
        flip: the chance of a left-right flip. The report's sides are then swapped, and a report that cannot be
            mirrored keeps its film as it is (see `plait_medical.sides`). The default is never: even with the
            words right, a flipped chest has its heart on the wrong side.
    """

    crop_scale: tuple[float, float] = (0.6, 1.0)
    rotation: float = 10.0
    brightness: float = 0.2
    contrast: float = 0.2
    sentences: tuple[float, float] = (1.0, 1.0)
    shuffle: bool = False
    flip: float = 0.0

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Give back an augmented copy; ``image`` is (1, S, S), ``report`` a text, either may be missing."""
        sample = dict(sample)
        image, report = sample.get("image"), sample.get("report")
        if self.flip > 0 and image is not None and rng.random() < self.flip:
            other = mirrored(report or "")
            if other is not None:
                image = image.flip(-1)
                report = other if report is not None else None
        if image is not None:
            sample["image"] = self._toned(self._moved(image, rng), rng)
        if report is not None:
            sample["report"] = self._said(report, rng)
        return sample

    def _moved(self, image: Tensor, rng: np.random.Generator) -> Tensor:
        """Crop and rotate in one resampling; what comes in from outside repeats the edge."""
        zoom = math.sqrt(rng.uniform(*self.crop_scale))
        angle = math.radians(rng.uniform(-self.rotation, self.rotation))
        across, down = rng.uniform(zoom - 1, 1 - zoom, size=2) if zoom < 1 else (0.0, 0.0)
        cos, sin = zoom * math.cos(angle), zoom * math.sin(angle)
        theta = torch.tensor([[[cos, -sin, across], [sin, cos, down]]], dtype=image.dtype)
        grid = functional.affine_grid(theta, [1, *image.shape], align_corners=False)
        return functional.grid_sample(image[None], grid, padding_mode="border", align_corners=False)[0]

    def _toned(self, image: Tensor, rng: np.random.Generator) -> Tensor:
        gain = 1 + rng.uniform(-self.contrast, self.contrast)
        return image * gain + rng.uniform(-self.brightness, self.brightness)

    def _said(self, report: str, rng: np.random.Generator) -> str:
        said = [sentence.text for sentence in sentences(report)]
        share = rng.uniform(*self.sentences)
        kept = rng.permutation(len(said))[: max(1, round(share * len(said)))]
        if not said or (len(kept) == len(said) and not self.shuffle):
            return report
        return " ".join(said[index] for index in (kept if self.shuffle else sorted(kept)))
