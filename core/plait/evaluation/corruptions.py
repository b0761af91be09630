"""Faults in five severities, for robustness that is measured and not trusted.

Every corruption takes (value, severity, rng): a sample's value as an array or a text, 1 to 5, and the generator that
draws. It returns a changed copy as an array, which collates as a tensor does. With a generator of the same seed a
higher severity draws the same fault and makes more of it, so that grades differ by severity alone.

========  ======================================================================================
image     (C, H, W) in [0, 1]; noise, contrast and pixels as in ImageNet-C (Hendrycks & Dietterich, 2019);
          `within` is for images of another range
points    (N, C), the first three columns coordinates in any unit
series    (T, C), NaN where missing
table     (C,), NaN where missing
text      a string
========  ======================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plait.errors import InputError
from plait.evaluation.language import drop_words, shuffle_words, typos

type Corruption = Callable[[Any, int, np.random.Generator], Any]
type Array = NDArray[np.floating[Any]]
type Levels = tuple[float, float, float, float, float]

SEVERITIES = (1, 2, 3, 4, 5)
_ROUNDING = 1e-6
"""By how much a change of scale may carry a value out of [0, 1]."""


def gaussian_noise(image: ArrayLike, severity: int, rng: np.random.Generator) -> Array:
    """Add normal noise of deviation 0.08, 0.12, 0.18, 0.26, 0.38."""
    clean = _image(image)
    noise = _level(severity, (0.08, 0.12, 0.18, 0.26, 0.38)) * rng.normal(size=clean.shape)
    return _clipped(clean + noise, clean)


def shot_noise(image: ArrayLike, severity: int, rng: np.random.Generator) -> Array:
    """Count photons, of which a pixel of 1 receives 60, 25, 12, 5, 3 on average (Poisson)."""
    clean = _image(image)
    photons = _level(severity, (60, 25, 12, 5, 3))
    return _clipped(rng.poisson(photons * clean) / photons, clean)


def blur(image: ArrayLike, severity: int, _rng: np.random.Generator) -> Array:
    """Blur by a normal kernel of deviation 1, 2, 3, 4, 6 pixels where the shorter side has 224, and in proportion."""
    from scipy.ndimage import gaussian_filter

    clean = _image(image)
    sigma = _level(severity, (1, 2, 3, 4, 6)) * min(clean.shape[1:]) / 224
    return _clipped(gaussian_filter(clean, (0, sigma, sigma), mode="nearest"), clean)


def pixelate(image: ArrayLike, severity: int, _rng: np.random.Generator) -> Array:
    """Shrink each side to 0.6, 0.5, 0.4, 0.3, 0.25 by means over cells, and show the cells as pixels."""
    clean = _image(image)
    share = _level(severity, (0.6, 0.5, 0.4, 0.3, 0.25))
    return _clipped(_cell_means(_cell_means(clean, 1, share), 2, share), clean)


def contrast(image: ArrayLike, severity: int, _rng: np.random.Generator) -> Array:
    """Draw each channel towards its mean, to 0.4, 0.3, 0.2, 0.1, 0.05 of its contrast."""
    clean = _image(image)
    mean = clean.mean(axis=(1, 2), keepdims=True)
    return _clipped(mean + _level(severity, (0.4, 0.3, 0.2, 0.1, 0.05)) * (clean - mean), clean)


def brightness(image: ArrayLike, severity: int, _rng: np.random.Generator) -> Array:
    """Add 0.1, 0.2, 0.3, 0.4, 0.5 to all channels alike."""
    clean = _image(image)
    return _clipped(clean + _level(severity, (0.1, 0.2, 0.3, 0.4, 0.5)), clean)


def occlusion(image: ArrayLike, severity: int, rng: np.random.Generator) -> Array:
    """Hide a box of the image's proportions and of 0.05, 0.1, 0.2, 0.3, 0.5 of its area under the channels' means."""
    hidden = _image(image).copy()
    size = np.asarray(hidden.shape[1:])
    box = np.ceil(np.sqrt(_level(severity, (0.05, 0.1, 0.2, 0.3, 0.5))) * size).astype(int)
    top, left = np.floor(rng.random(2) * (size - box + 1)).astype(int)
    hidden[:, top : top + box[0], left : left + box[1]] = hidden.mean(axis=(1, 2), keepdims=True)
    return hidden


def drop_points(points: ArrayLike, severity: int, rng: np.random.Generator) -> Array:
    """Lose 0.1, 0.25, 0.5, 0.75, 0.9 of the points, in no order; one is left."""
    clean = _floats(points)
    lost = min(round(_level(severity, (0.1, 0.25, 0.5, 0.75, 0.9)) * len(clean)), max(len(clean) - 1, 0))
    return clean[np.sort(rng.permutation(len(clean))[lost:])]


def jitter(points: ArrayLike, severity: int, rng: np.random.Generator) -> Array:
    """Move each point by normal noise, in each axis 0.01, 0.02, 0.03, 0.04, 0.05 of the cloud's size.

    Its size is the root of the mean squared distance from the centroid.
    """
    moved = _floats(points).copy()
    xyz = moved[:, :3]
    if len(xyz):
        size = np.sqrt(np.mean(np.sum((xyz - xyz.mean(axis=0)) ** 2, axis=1)))
        xyz += _level(severity, (0.01, 0.02, 0.03, 0.04, 0.05)) * size * rng.normal(size=xyz.shape)
    return moved


def outliers(points: ArrayLike, severity: int, rng: np.random.Generator) -> Array:
    """Scatter 0.02, 0.05, 0.1, 0.2, 0.4 of the points anywhere in the cloud's box; their other columns stay."""
    moved = _floats(points).copy()
    xyz = moved[:, :3]
    astray = rng.permutation(len(xyz))[: round(_level(severity, (0.02, 0.05, 0.1, 0.2, 0.4)) * len(xyz))]
    if len(xyz):
        xyz[astray] = rng.uniform(xyz.min(axis=0), xyz.max(axis=0), size=xyz[astray].shape)
    return moved


def series_noise(series: ArrayLike, severity: int, rng: np.random.Generator) -> Array:
    """Add normal noise, 0.1, 0.2, 0.4, 0.6, 1 of each column's own deviation over time; missing values stay missing."""
    clean = _floats(series)
    deviation = np.ma.masked_invalid(clean).std(axis=0).filled(0.0)
    noise = _level(severity, (0.1, 0.2, 0.4, 0.6, 1.0)) * deviation * rng.normal(size=clean.shape)
    return (clean + noise).astype(clean.dtype)


def relative_noise(values: ArrayLike, severity: int, rng: np.random.Generator) -> Array:
    """Misread each value by normal noise of 0.02, 0.05, 0.1, 0.2, 0.4 of itself: needs no unit, and leaves a zero."""
    clean = _floats(values)
    noise = _level(severity, (0.02, 0.05, 0.1, 0.2, 0.4)) * rng.normal(size=clean.shape)
    return (clean * (1 + noise)).astype(clean.dtype)


def missing_values(values: ArrayLike, severity: int, rng: np.random.Generator) -> Array:
    """Lose values, each with probability 0.1, 0.2, 0.3, 0.5, 0.7, to NaN."""
    clean = _floats(values)
    lost = rng.random(clean.shape) < _level(severity, (0.1, 0.2, 0.3, 0.5, 0.7))
    return np.where(lost, np.asarray(np.nan, dtype=clean.dtype), clean)


def within(low: float, high: float, corruptions: Mapping[str, Corruption]) -> dict[str, Corruption]:
    """The same corruptions for images whose values lie in another range than [0, 1].

    Args:
        low: what 0 stands for.
        high: what 1 stands for; values beyond are an error, as beyond [0, 1].
        corruptions: of images.
    """

    def scaled(corruption: Corruption) -> Corruption:
        def corrupt(image: ArrayLike, severity: int, rng: np.random.Generator) -> Array:
            clean = _floats(image)
            changed: Array = corruption((clean - low) / (high - low), severity, rng)
            return (low + (high - low) * changed).astype(clean.dtype)

        return corrupt

    return {name: scaled(corruption) for name, corruption in corruptions.items()}


def _level(severity: int, levels: Levels) -> float:
    if severity not in SEVERITIES:
        raise InputError(f"The severity {severity} is not known: choose 1 (mild), 2, 3, 4 or 5.")
    return levels[severity - 1]


def _graded(perturb: Callable[[str, np.random.Generator, float], str], shares: Levels) -> Corruption:
    def corrupt(text: str, severity: int, rng: np.random.Generator) -> str:
        return perturb(text, rng, _level(severity, shares))

    return corrupt


def _floats(value: ArrayLike) -> Array:
    array = np.asarray(value)
    return array if np.issubdtype(array.dtype, np.floating) else array.astype(np.float64)


def _image(value: ArrayLike) -> Array:
    image = _floats(value)
    if not ((image >= -_ROUNDING) & (image <= 1 + _ROUNDING)).all():
        low, high = float(image.min()), float(image.max())
        raise InputError(
            f"The image's values are from {low:.3g} to {high:.3g}, not in [0, 1]: take its corruptions from `within`."
        )
    return np.clip(image, 0.0, 1.0)


def _clipped(image: NDArray[Any], clean: Array) -> Array:
    return np.clip(image, 0.0, 1.0).astype(clean.dtype)


def _cell_means(image: Array, axis: int, share: float) -> Array:
    """Means over about ``share`` as many cells along an axis, each where its pixels were."""
    side = image.shape[axis]
    cells = max(1, round(share * side))
    starts = -(-np.arange(cells) * side // cells)
    sizes = np.diff(starts, append=side)
    sums = np.moveaxis(np.add.reduceat(image, starts, axis=axis), axis, -1) / sizes
    return np.moveaxis(np.repeat(sums, sizes, axis=-1), -1, axis)


CORRUPTIONS: dict[str, dict[str, Corruption]] = {
    "image": {
        "gaussian_noise": gaussian_noise,
        "shot_noise": shot_noise,
        "blur": blur,
        "pixelate": pixelate,
        "contrast": contrast,
        "brightness": brightness,
        "occlusion": occlusion,
    },
    "points": {"drop_points": drop_points, "jitter": jitter, "outliers": outliers},
    "series": {"noise": series_noise, "missing_values": missing_values},
    "table": {"noise": relative_noise, "missing_values": missing_values},
    "text": {
        "typos": _graded(typos, (0.02, 0.05, 0.1, 0.15, 0.2)),
        "drop_words": _graded(drop_words, (0.1, 0.2, 0.3, 0.4, 0.5)),
        "shuffle_words": _graded(shuffle_words, (0.2, 0.4, 0.6, 0.8, 1.0)),
    },
}
"""What can be done to a value, by its kind."""
