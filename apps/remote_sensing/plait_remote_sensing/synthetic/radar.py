"""Land as Sentinel-1 sees it: backscatter by class and season, shifted towards the sensor by height, with speckle."""

from __future__ import annotations

import numpy as np

from plait_remote_sensing.synthetic.cover import BARE_DB, BUILT, COVERS, Field, greenness, mixed
from plait_remote_sensing.synthetic.land import Land

LOOKS = 4.4
"""Equivalent number of looks of Sentinel-1 IW GRD at 10 m (ESA product specification)."""
INCIDENCE = 39.0
"""Degrees, the middle of the IW swath."""
PIXEL = 10.0
_NOISE = 10**-3.2
_STREET_DB, _BLOCK_DB = -4.0, 0.6


def backscatter_power(land: Land, day: float) -> Field:
    """(2, H, W) VV and VH linear power, without speckle, where the ground is."""
    codes = {code: np.full_like(land.codes, code) for code in COVERS}
    looks: dict[int, Field] = {}
    for code, cover in COVERS.items():
        bare = (
            1 - greenness(codes[code], land.delay, land.harvested, day) if cover.season else np.zeros(codes[code].shape)
        )
        looks[code] = np.stack([own + lost * bare for own, lost in zip(cover.backscatter, BARE_DB, strict=True)])
    decibels = mixed(looks, land.codes, land.radar_share)
    decibels[:, land.codes == BUILT] += _BLOCK_DB
    decibels[:, land.streets] += _STREET_DB
    return 10 ** (decibels / 10)


def seen_from_the_side(power: Field, height: Field, orbit: str, incidence: float = INCIDENCE) -> Field:
    """Put every scatterer where its range says that it is: what stands high is nearer to the sensor.

    A scatterer at height h lies h / tan(incidence) nearer in ground range. Sentinel-1 looks to the right: ascending it
    is in the west of what it sees, descending in the east. Scatterers that come to lie in one pixel add up (slopes
    towards the sensor are bright and short: foreshortening, and layover where they are steep), and pixels that none
    comes to lie in hold noise alone. The track is taken as north to south; it is 8 to 12 degrees off.

    Args:
        power: (C, H, W) linear power where the ground is.
        height: (H, W) m: of the surface for ground-range detected scenes; of what stands above the ground where terrain
            was corrected with a model of the ground.
        orbit: ``ascending`` or ``descending``.
        incidence: degrees.

    Returns:
        (C, H, W) linear power; what is shifted out of the map is lost.
    """
    towards = -1.0 if orbit == "ascending" else 1.0
    _, rows, columns = power.shape
    position = np.arange(columns) + towards * height / np.tan(np.radians(incidence)) / PIXEL
    first = np.floor(position).astype(np.int64)
    right = position - first
    line = np.arange(rows)[:, None] * columns
    result = np.full_like(power, _NOISE)
    for column, weight in ((first, 1 - right), (first + 1, right)):
        inside = (column >= 0) & (column < columns)
        place = (line + column)[inside]
        for band, values in zip(result, power, strict=True):
            band += np.bincount(place, (weight * values)[inside], rows * columns).reshape(rows, columns)
    return result


def speckled(power: Field, looks: float, rng: np.random.Generator) -> Field:
    """Multiply by gamma speckle of mean 1 and variance 1 / ``looks``."""
    return power * rng.gamma(looks, 1.0 / looks, size=power.shape)


def decibels(power: Field) -> Field:
    """10 log10 of linear power."""
    return 10.0 * np.log10(power)
