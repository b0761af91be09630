"""Coordinates from one reference system to another."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pyproj
from pyproj.exceptions import ProjError
from rasterio.crs import CRS

from plait.errors import InputError
from plait_remote_sensing.raster.grid import Coordinates

LON_LAT = CRS.from_epsg(4326)


def transformed(x: Coordinates, y: Coordinates, of: Any, to: Any) -> tuple[Coordinates, Coordinates]:
    """Coordinates (x, y) of one `rasterio.crs.CRS` in another, east before north; infinite where it has none.

    Raises:
        InputError: where no operation leads from one to the other.
    """
    if of == to:
        return np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    return _transformer(of, to).transform(x, y)


def facing(longitudes: Coordinates, middle: float) -> Coordinates:
    """Longitudes turned by whole circles to within 180 degrees of ``middle``."""
    return longitudes + 360.0 * np.round((middle - longitudes) / 360.0)


@lru_cache(maxsize=64)
def _transformer(of: Any, to: Any) -> pyproj.Transformer:
    systems = [pyproj.CRS.from_wkt(system.to_wkt()) for system in (of, to)]
    try:
        return pyproj.Transformer.from_crs(*systems, always_xy=True)
    except ProjError as error:
        raise InputError(
            f"There is no way from the reference system {of.to_string()} to {to.to_string()}: correct the wrong one."
        ) from error
