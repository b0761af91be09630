"""Speckle filters on linear power, and how many looks an image has.

Fully developed speckle of L looks is a gamma-distributed factor of mean 1 and variance 1 / L. Every filter takes
(..., H, W) power, never dB; NaN is not observed: it takes no part, and stays where it is and nowhere else. At the edge
windows are cut off. Sums are in float64 whatever the input and whatever autocast says, because the variance is a small
difference of large numbers; the result has the type of the input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from plait.errors import InputError

type Sums = Callable[[Tensor], Tensor]
"""From values (N, 1, H, W) to their sums over K neighbourhoods of each pixel, (N, K, H, W)."""

_TINY = 1e-300


def lee(power: Tensor, looks: float, window: int = 7) -> Tensor:
    """Filter speckle by local linear minimum mean square error (Lee, 1980, in the form of Lopes et al., 1990, eq. 5).

    A pixel z becomes m + w (z - m), with m the mean of its window, w = 1 - Cu^2 / C^2 or 0 where that is negative,
    C the window's coefficient of variation, and Cu^2 = 1 / looks.

    Args:
        power: (..., H, W) linear power, NaN where not observed.
        looks: of the speckle; see `estimate_looks`.
        window: pixels of the side of the window, odd.
    """
    _check(looks, window)
    return _pixelwise(power, lambda values: _weighted(values, *_moments(values, _square(window))[:2], looks))


def refined_lee(power: Tensor, looks: float, window: int = 7) -> Tensor:
    """Filter speckle by Lee's estimate in the half window that lies on the pixel's own side of an edge (Lee, 1981).

    The means of nine overlapping squares give the gradient in four directions. The strongest says how an edge would
    run, the side whose mean is nearer to that of the middle is the pixel's, and statistics are those of that half.

    Args:
        power: (..., H, W) linear power, NaN where not observed.
        looks: of the speckle.
        window: pixels of the side of the window, odd and at least 5.
    """
    _check(looks, window, least=5)

    def filtered(values: Tensor) -> Tensor:
        mean, variance, count = _moments(values, _halves(window))
        side, told = _side(values, window)
        # The whole window, where no side is nearer, or where nothing but the pixel itself was observed in its half.
        told &= count.gather(1, side) > 1
        whole_mean, whole_variance, _ = _moments(values, _square(window))
        mean = torch.where(told, mean.gather(1, side), whole_mean)
        variance = torch.where(told, variance.gather(1, side), whole_variance)
        return _weighted(values, mean, variance, looks)

    return _pixelwise(power, filtered)


def gamma_map(power: Tensor, looks: float, window: int = 7) -> Tensor:
    """Filter speckle by the most probable reflectivity, if that is gamma-distributed too (Lopes et al., 1990, eq. 19).

    Where the window varies no more than speckle alone would, the result is its mean; where its coefficient of variation
    is at least sqrt(2 / looks), it holds an edge or a point, and the pixel stays as it is.

    Args:
        power: (..., H, W) linear power, NaN where not observed.
        looks: of the speckle, above 0; below 1 is taken too, as texture makes of single-look data.
        window: pixels of the side of the window, odd.
    """
    _check(looks, window)

    def filtered(values: Tensor) -> Tensor:
        mean, variance, _ = _moments(values, _square(window))
        speckle, local = 1 / looks, variance / (mean**2).clamp(min=_TINY)
        order = (1 + speckle) / (local - speckle).clamp(min=1e-12)
        b = order - looks - 1
        root = (b**2 * mean**2 + 4 * order * looks * mean * values).clamp(min=0).sqrt()
        # The same root in two forms, each without cancellation where it is used.
        conjugate = (root - b * mean).clamp(min=_TINY)
        textured = torch.where(b > 0, (b * mean + root) / (2 * order), 2 * looks * mean * values / conjugate)
        found = torch.where(local <= speckle, mean, textured)
        return torch.where(local >= 2 * speckle, values, found)

    return _pixelwise(power, filtered)


FILTERS: Mapping[str, Callable[[Tensor, float], Tensor]] = {
    "lee": lee,
    "refined_lee": refined_lee,
    "gamma_map": gamma_map,
}
"""Of single images, by name."""


def require_filter(name: str, looks: float) -> None:
    """Refuse a name that is none of `FILTERS`, or a number of looks that no speckle has, with an `InputError`."""
    if name not in FILTERS:
        raise InputError(f"There is no speckle filter '{name}': choose one of {', '.join(FILTERS)}.")
    _check(looks, 7)


def filtered_db(decibels: Tensor, name: str, looks: float) -> Tensor:
    """Filter (..., H, W) dB in linear power, by one of `FILTERS`; NaN stays NaN."""
    require_filter(name, looks)
    power = 10.0 ** (decibels.double() / 10.0)
    return (10.0 * FILTERS[name](power, looks).log10()).to(decibels.dtype)


def multitemporal(power: Tensor, window: int = 7) -> Tensor:
    """Filter a series of co-registered images by all of its dates (Quegan and Yu, 2001).

    No loader applies it, because a row of a pair table is one date: it is for a series of scenes that you stack.

    Each image becomes its local mean times the mean over dates of image / local mean. Over homogeneous ground of
    uncorrelated speckle the number of looks grows by T n / (T + n - 1), with T dates and n pixels in the window.

    Args:
        power: (..., T, H, W) linear power, NaN where not observed: a date that misses a pixel takes no part there.
        window: pixels of the side of the window, odd.
    """
    _check(1.0, window)

    def filtered(values: Tensor) -> Tensor:
        mean = _moments(values, _square(window))[0]
        dates = (values / mean.clamp(min=_TINY)).unflatten(0, (-1, power.shape[-3]))
        return mean * dates.nanmean(dim=1, keepdim=True).expand_as(dates).flatten(0, 1)

    return _pixelwise(power, filtered)


def equivalent_number_of_looks(region: Tensor) -> float:
    """The looks of a homogeneous region of power, mean^2 / variance; NaN is left out.

    Raises:
        InputError: for a region with fewer than two observed pixels, or without any variation.
    """
    values = region[torch.isfinite(region)].double()
    if len(values) < 2 or not values.var():
        raise InputError("The number of looks is told of at least two pixels that differ: choose a larger region.")
    return float(values.mean() ** 2 / values.var())


def estimate_looks(image: Tensor, window: int = 7) -> float:
    """Estimate the looks of a whole image of power, most of which need not be homogeneous.

    Each window has its own number of looks, which texture, edges and points can only lower and spread. The homogeneous
    windows make the peak of the distribution, which is found in the logarithm (Foucher et al., 2000).

    Args:
        image: (..., H, W) linear power, NaN where not observed.
        window: pixels of the side of the window, odd.

    Raises:
        InputError: where fewer than 100 whole windows were observed.
    """
    _check(1.0, window)
    values = image.detach().double().reshape(-1, 1, *image.shape[-2:])
    mean, variance, count = _moments(values, _square(window))
    whole = (count == window**2) & (variance > 0)
    n = window**2
    looks = (mean[whole] ** 2 / (variance[whole] * n / (n - 1))).log()
    if len(looks) < 100:
        raise InputError(f"{len(looks)} windows of {window} x {window} pixels do not tell the looks: 100 are needed.")
    return float(_mode(looks).exp())


def _check(looks: float, window: int, least: int = 3) -> None:
    if not looks > 0:
        raise InputError(f"Speckle has more than {looks} looks: give those of the image, 1 for single-look data.")
    if window < least or not window % 2:
        raise InputError(f"A window of {window} pixels has no middle or is too small: give an odd number from {least}.")


def _pixelwise(power: Tensor, filtered: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply a filter of (N, 1, H, W) float64 with NaN to (..., H, W), and keep the type and the missing pixels."""
    with torch.autocast(power.device.type, enabled=False):
        values = torch.where(torch.isfinite(power), power.double(), torch.nan)
        images = values.reshape(-1, 1, *power.shape[-2:])
        result = filtered(images).reshape(power.shape)
        return torch.where(torch.isnan(values), torch.nan, result).to(power.dtype)


def _weighted(values: Tensor, mean: Tensor, variance: Tensor, looks: float) -> Tensor:
    """The linear estimate between a pixel and the mean of its neighbourhood."""
    weight = (1 - mean**2 / (looks * variance.clamp(min=_TINY))).clamp(min=0)
    return mean + weight * (values - mean)


def _moments(values: Tensor, sums: Sums) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, variance and number of the observed pixels in each of K neighbourhoods of a pixel.

    Args:
        values: (N, 1, H, W) float64, NaN where not observed.
        sums: over the neighbourhoods.

    Returns:
        Three of (N, K, H, W); all of them 0 where no neighbour was observed.
    """
    observed, filled = (~torch.isnan(values)).to(values), values.nan_to_num(0.0)
    count = sums(observed).round()
    mean, squares = (sums(each) / count.clamp(min=1) for each in (filled, filled**2))
    return mean, (squares - mean**2).clamp(min=0), count


def _square(window: int) -> Sums:
    """The sum over the window."""
    return lambda values: F.avg_pool2d(values, window, 1, window // 2) * window**2


def _squares(window: int) -> Sums:
    """The sums over nine overlapping squares that cover the window, row by row."""
    side = 2 * (window // 4) + 1
    step = (window - side) // 2

    def sums(values: Tensor) -> Tensor:
        height, width = values.shape[-2:]
        square = _square(side)(F.pad(values, (step,) * 4))
        shifts = [(row, column) for row in (0, step, 2 * step) for column in (0, step, 2 * step)]
        return torch.cat([square[..., row : row + height, column : column + width] for row, column in shifts], dim=1)

    return sums


def _halves(window: int) -> Sums:
    """The sums over halves of the window: left, right, upper, lower, and the four triangles, each with its middle."""
    down, right = torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
    middle, last = window // 2, window - 1
    halves = [right <= middle, right >= middle, down <= middle, down >= middle]
    halves += [down + right <= last, down + right >= last, right >= down, right <= down]
    kernels = torch.stack(halves)[:, None]
    return lambda values: F.conv2d(values, kernels.to(values), padding=middle)


# For each direction of the gradient: the squares on either side, and those of them that lie straight ahead.
_SIDES = (
    ((0, 3, 6), (2, 5, 8), 3, 5),
    ((0, 1, 2), (6, 7, 8), 1, 7),
    ((0, 1, 3), (5, 7, 8), 0, 8),
    ((1, 2, 5), (3, 6, 7), 2, 6),
)


def _side(values: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """(N, 1, H, W) the half on the pixel's own side of the strongest gradient; and whether one side is nearer."""
    mean, _, count = _moments(values, _squares(window))
    # A square without any observed pixel shows no gradient.
    mean = torch.where(count > 0, mean, mean[:, 4:5])
    ahead = (mean - mean[:, 4:5]).abs()
    strength = torch.stack([(mean[:, one].sum(1) - mean[:, other].sum(1)).abs() for one, other, _, _ in _SIDES], dim=1)
    nearer = torch.stack([ahead[:, one] - ahead[:, other] for _, _, one, other in _SIDES], dim=1)
    direction = strength.argmax(dim=1, keepdim=True)
    nearer = nearer.gather(1, direction)
    return 2 * direction + (nearer > 0), nearer != 0


def _mode(values: Tensor) -> Tensor:
    """The place of the peak of a distribution, by a histogram of 256 bins smoothed over a tenth."""
    low, high = values.min(), values.max()
    edges = torch.linspace(float(low), float(high), 257, dtype=values.dtype)
    bins = torch.bucketize(values, edges[1:-1].to(values.device))
    counts = torch.bincount(bins, minlength=256).to(values.dtype)
    centres = ((edges[1:] + edges[:-1]) / 2).to(values.device)
    smooth = torch.exp(-0.5 * ((centres[:, None] - centres) / 0.1) ** 2) @ counts
    return centres[smooth.argmax()]
