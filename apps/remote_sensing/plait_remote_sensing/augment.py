"""Changes to SAR and optical patches that each sensor could have seen, with one geometry for all.

Pixels are never resampled: a patch keeps its 10 m, and SAR its speckle statistics. Nor is anything rotated unless a
recipe asks for it. A radar looks sideways, so hills lean towards it and shadows fall away from it along the range
direction, which for a polar orbit is nearly east-west; a patch turned by 90 degrees shows what no Sentinel-1 pass ever
shows. A flip along the track (north-south) leaves range alone and is safe. A flip across it (east-west) turns what an
ascending pass sees into what a descending one might; it too is off unless a recipe asks for it.

What was not observed is 0 in a patch and NaN in a series, and stays so: no gain, noise or cloud makes a number of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from plait.pairs.batch import Sample
from plait_remote_sensing import backscatter, reflectance
from plait_remote_sensing.scene import SENSORS


@dataclass(frozen=True)
class Augment:
    """Crop, flips and turns shared by all modalities, radiometry of each one's own, and a sensor withheld.

    A modality is ``sar`` or ``optical``, or begins so (``sar_before``). Series (T, C) get the radiometry only.

    Attributes:
        crop: side in pixels of a random crop of the patch and its context; 0 keeps all.
        flip_along_track: the chance of a north-south flip.
        flip_across_track: the chance of an east-west flip, which changes the side that the radar looks from.
        rotate: the chance of a turn by 90, 180 or 270 degrees, which contradicts how a radar looks; a patch that is not
            square turns by 180 only.
        sar_gain: the largest change of SAR in dB, either way, drawn once for all bands and once for each.
        looks: simulated speckle is gamma noise of this many looks, multiplied onto intensity; 0 adds none.
        optical_gain: the largest relative change of reflectance, drawn once for all bands and once for each.
        optical_haze: the largest reflectance added to all bands alike.
        cloud_paste: the chance that clouds and their shadows are laid over an optical patch (`with_clouds`).
        cloud_cover: the largest share of the patch that pasted clouds cover.
        band_drop: the chance that a band is replaced by a constant; one band always stays.
        drop: the chance that one of the two sensors is withheld, with all its modalities.
    """

    crop: int = 0
    flip_along_track: float = 0.5
    flip_across_track: float = 0.0
    rotate: float = 0.0
    sar_gain: float = 1.0
    looks: float = 0.0
    optical_gain: float = 0.1
    optical_haze: float = 0.0
    cloud_paste: float = 0.0
    cloud_cover: float = 0.5
    band_drop: float = 0.0
    drop: float = 0.0

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Give back an augmented copy; any modality may be missing."""
        there = {sensor: _modalities(sample, sensor) for sensor in SENSORS}
        sample = self._moved(sample, [name for names in there.values() for name in names], rng)
        for sensor, names in there.items():
            changed = self._backscattered if sensor == "sar" else self._lit
            for name in names:
                values = _where_observed(sample[name], changed(sample[name], rng))
                sample[name] = self._dropped_bands(values, rng)
        if rng.random() < self.drop and all(there.values()):
            withheld = there[SENSORS[rng.integers(len(SENSORS))]]
            sample |= dict.fromkeys(withheld)
        return sample

    def _moved(self, sample: Sample, names: list[str], rng: np.random.Generator) -> Sample:
        """One draw of crop, flips and turn, applied to whatever is there."""
        across, along = rng.random(2)
        place = rng.random(2)
        # An option that is off draws nothing, so that what the others draw stays the same.
        quarters = int(rng.integers(1, 4)) if self.rotate and rng.random() < self.rotate else 0
        moved: Sample = dict(sample)
        for name in names:
            image = sample[name]
            if image.ndim != 3:
                continue
            if self.crop:
                side = min(self.crop, *image.shape[1:])
                top, left = (int(part * (size - side + 1)) for part, size in zip(place, image.shape[1:], strict=True))
                image = image[:, top : top + side, left : left + side]
            if along < self.flip_along_track:
                image = image.flip(1)
            if across < self.flip_across_track:
                image = image.flip(2)
            square = image.shape[1] == image.shape[2]
            moved[name] = image.rot90(quarters if square or not quarters else 2, (1, 2)).contiguous()
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
        light = light + float(rng.uniform(0.0, self.optical_haze))
        if values.ndim == 3 and self.cloud_paste and rng.random() < self.cloud_paste:
            light, _ = with_clouds(light, float(rng.uniform(0.0, self.cloud_cover)), rng)
        return reflectance.scaled(light)

    def _dropped_bands(self, values: Tensor, rng: np.random.Generator) -> Tensor:
        axis = _band_axis(values)
        dropped = rng.random(values.shape[axis]) < self.band_drop
        dropped[rng.integers(len(dropped))] = False
        kept = torch.from_numpy(~dropped)
        return torch.where(_along(kept, values), values, 0.0) if dropped.any() else values


def with_clouds(light: Tensor, cover: float, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Lay white clouds with soft edges, and their shadows, over a patch.

    Clouds are where a smooth random field, of structures of a half, a quarter and an eighth of the patch, is highest.
    All shadows are displaced alike, to where the sun is not, and take 40 to 70 % of the light; under a cloud they do
    not show.

    Args:
        light: (C, H, W) reflectance.
        cover: the share of the patch that clouds touch, in [0, 1]; their middles are opaque, their edges thin.
        rng: draws the clouds, their brightness (0.3 to 0.9, a little different in each band), and the sun.

    Returns:
        (C, H, W) reflectance, and (H, W) bool: what a cloud or a shadow touches. The rest is as it was.
    """
    height, width = light.shape[1:]
    reach = max(1, min(height, width) // 4)
    down, along = (reach * _direction(rng)).round().astype(int) + reach
    field = _smooth(height + 2 * reach, width + 2 * reach, rng)
    threshold = torch.quantile(field[reach : reach + height, reach : reach + width].flatten(), 1.0 - cover)
    # A cloud is opaque where the field is half its deviation above the threshold.
    opacity = ((field - threshold) / (0.5 * field.std())).clamp(0.0, 1.0)
    cloud = opacity[reach : reach + height, reach : reach + width]
    shadow = opacity[down : down + height, along : along + width]
    brightness = rng.uniform(0.3, 0.9) * rng.uniform(0.97, 1.03, size=len(light))
    white = torch.from_numpy(brightness).float()[:, None, None]
    dark = light * (1.0 - float(rng.uniform(0.4, 0.7)) * shadow)
    touched = (cloud > 0) | (shadow > 0)
    return torch.where(touched, torch.lerp(dark, white.expand_as(dark), cloud), light), touched


def _direction(rng: np.random.Generator) -> np.ndarray:
    """(2,) a displacement in any direction, by a fifth to the whole of what is possible."""
    angle = rng.uniform(0.0, 2.0 * np.pi)
    return rng.uniform(0.2, 1.0) * np.asarray([np.sin(angle), np.cos(angle)])


def _smooth(height: int, width: int, rng: np.random.Generator) -> Tensor:
    """(H, W) a smooth random field: noise on three coarse grids, interpolated, the coarsest strongest."""
    fields = [
        F.interpolate(
            torch.from_numpy(rng.normal(size=(1, 1, knots, knots))).float() / knots,
            size=(height, width),
            mode="bicubic",
            align_corners=True,
        )
        for knots in (4, 7, 13)
    ]
    return torch.stack(fields).sum(dim=0)[0, 0]


def _modalities(sample: Sample, sensor: str) -> list[str]:
    """The modalities of a sensor that the sample has."""
    return [name for name, value in sample.items() if name.partition("_")[0] == sensor and value is not None]


def _where_observed(values: Tensor, changed: Tensor) -> Tensor:
    """The changed values where there was one: what a patch lacks is exactly 0, and NaN in a series stays by itself."""
    return torch.where(values == 0, 0.0, changed) if values.ndim == 3 else changed


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
