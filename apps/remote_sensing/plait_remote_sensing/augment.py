"""Changes to a SAR and an optical patch that each sensor could have seen, with one geometry for both.

Pixels are never resampled: a patch keeps its 10 m, and SAR its speckle statistics. Nor is anything rotated. A radar
looks sideways, so hills lean towards it and shadows fall away from it along the range direction, which for a polar
orbit is nearly east-west; a patch turned by 90 degrees shows what no Sentinel-1 pass ever shows. A flip along the
track (north-south) leaves range alone and is safe. A flip across it (east-west) turns what an ascending pass sees into
what a descending one might; it is off unless a recipe asks for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from plait.pairs.batch import Sample
from plait_remote_sensing import backscatter, reflectance
from plait_remote_sensing.load import SENSORS


@dataclass(frozen=True)
class Augment:
    """Crop and flips shared by both sensors, radiometry of each sensor's own, and a sensor dropped.

    Series (T, C) get the radiometry only.

    Attributes:
        crop: side in pixels of a random crop of the patch and its context; 0 keeps all.
        flip_along_track: the chance of a north-south flip.
        flip_across_track: the chance of an east-west flip, which changes the side that the radar looks from.
        sar_gain: the largest change of SAR in dB, either way, drawn once for all bands and once for each.
        looks: simulated speckle is gamma noise of this many looks, multiplied onto intensity; 0 adds none.
        optical_gain: the largest relative change of reflectance, drawn once for all bands and once for each.
        optical_haze: the largest reflectance added to all bands alike.
        band_drop: the chance that a band is replaced by a constant; one band always stays.
        drop: the chance that one of the two sensors is withheld.
    """

    crop: int = 0
    flip_along_track: float = 0.5
    flip_across_track: float = 0.0
    sar_gain: float = 1.0
    looks: float = 0.0
    optical_gain: float = 0.1
    optical_haze: float = 0.0
    band_drop: float = 0.0
    drop: float = 0.0

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Give back an augmented copy; either sensor may be missing."""
        sample = self._moved(sample, rng)
        if sample.get("sar") is not None:
            sample["sar"] = self._dropped_bands(self._backscattered(sample["sar"], rng), rng)
        if sample.get("optical") is not None:
            sample["optical"] = self._dropped_bands(self._lit(sample["optical"], rng), rng)
        if rng.random() < self.drop and all(sample.get(name) is not None for name in SENSORS):
            sample[SENSORS[rng.integers(len(SENSORS))]] = None
        return sample

    def _moved(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """One draw of crop and flips, applied to whatever is there."""
        across, along = rng.random(2)
        place = rng.random(2)
        moved: Sample = dict(sample)
        for name in SENSORS:
            image = sample.get(name)
            if image is None or image.ndim != 3:
                continue
            if self.crop:
                side = min(self.crop, *image.shape[1:])
                top, left = (int(part * (size - side + 1)) for part, size in zip(place, image.shape[1:], strict=True))
                image = image[:, top : top + side, left : left + side]
            if along < self.flip_along_track:
                image = image.flip(1)
            if across < self.flip_across_track:
                image = image.flip(2)
            moved[name] = image.contiguous()
        return moved

    def _backscattered(self, values: Tensor, rng: np.random.Generator) -> Tensor:
        decibels = backscatter.unscaled(values)
        decibels = decibels + _per_band(values, self.sar_gain, rng)
        if self.looks:
            speckle = rng.gamma(self.looks, 1.0 / self.looks, size=tuple(values.shape)).clip(min=1e-6)
            decibels = decibels + torch.from_numpy(10.0 * np.log10(speckle)).float()
        return backscatter.scaled(decibels)

    def _lit(self, values: Tensor, rng: np.random.Generator) -> Tensor:
        light = reflectance.unscaled(values) * (1.0 + _per_band(values, self.optical_gain, rng))
        return reflectance.scaled(light + float(rng.uniform(0.0, self.optical_haze)))

    def _dropped_bands(self, values: Tensor, rng: np.random.Generator) -> Tensor:
        axis = _band_axis(values)
        dropped = rng.random(values.shape[axis]) < self.band_drop
        dropped[rng.integers(len(dropped))] = False
        kept = torch.from_numpy(~dropped)
        return torch.where(_along(kept, values), values, 0.0) if dropped.any() else values


def _band_axis(values: Tensor) -> int:
    """Bands come first in a patch (C, H, W) and last in a series (T, C)."""
    return 0 if values.ndim == 3 else 1


def _along(per_band: Tensor, values: Tensor) -> Tensor:
    return per_band.view(-1, 1, 1) if values.ndim == 3 else per_band.view(1, -1)


def _per_band(values: Tensor, largest: float, rng: np.random.Generator) -> Tensor:
    """A change of at most ``largest`` either way, half of it common to all bands and half each band's own."""
    bands = values.shape[_band_axis(values)]
    drawn = 0.5 * rng.uniform(-largest, largest) + 0.5 * rng.uniform(-largest, largest, size=bands)
    return _along(torch.from_numpy(drawn).float(), values)
