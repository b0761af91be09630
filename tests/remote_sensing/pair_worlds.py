"""Small scenes of a ground that is known everywhere, on any grid: for the tests of pairing."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine

from plait.pairs.layout import Layout, Row
from plait_remote_sensing.ingest.generic_folder import LAYOUT

SIDE = 64
L2A = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
ORIGIN = (800_000.0, 5_000_000.0)
"""Near the eastern edge of zone 32, so that zone 33 sees the same ground."""

type Values = NDArray[Any]


def ground(x: Values, y: Values) -> Values:
    """What grows at coordinates of zone 32, in [0, 1]: waves of a few hundred metres."""
    return 0.5 + 0.25 * np.sin(x / 70.0) + 0.25 * np.cos(y / 90.0)


def coordinates(transform: Affine, crs: str, height: int, width: int) -> tuple[Values, Values]:
    """Where the middles of pixels lie in zone 32."""
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    x = transform.c + transform.a * columns + transform.b * rows
    y = transform.f + transform.d * columns + transform.e * rows
    return Transformer.from_crs(crs, "EPSG:32632", always_xy=True).transform(x, y)


def write(path: Path, values: Values, names: tuple[str, ...] = (), **profile: Any) -> Path:
    """Write (C, H, W) values as a GeoTIFF, with names of bands and ``tags``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tags = profile.pop("tags", {})
    shape = dict(zip(("count", "height", "width"), values.shape, strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver="GTiff", dtype=values.dtype, **shape, **profile) as target:
            target.write(values)
            target.update_tags(**tags)
            for number, name in enumerate(names, 1):
                target.set_band_description(number, name)
    return path


def write_optical(
    path: Path,
    east: float = 0.0,
    *,
    offset: float = 0.0,
    side: int = SIDE,
    crs: str | None = "EPSG:32632",
    **profile: Any,
) -> Path:
    """Twelve bands of digital numbers (100 + 4000 x ground + offset), ``east`` metres from the origin."""
    transform = Affine(10, 0, ORIGIN[0] + east, 0, -10, ORIGIN[1])
    x, y = coordinates(transform, "EPSG:32632", side, side)
    values = np.broadcast_to(100 + 4000 * ground(x, y) + offset, (len(L2A), side, side)).astype(np.uint16)
    place = {} if crs is None else {"crs": CRS.from_string(crs), "transform": transform}
    return write(path, values, L2A, **place, **profile)


def sar_db(x: Values, y: Values) -> Values:
    """(2, H, W) the backscatter of the ground in dB: VV and VH."""
    return np.stack([-18 + 10 * ground(x, y), -25 + 10 * ground(x, y)]).astype(np.float32)


def write_sar(
    path: Path,
    east: float = 0.0,
    *,
    side: int = SIDE,
    zone: int = 32,
    crs: bool = True,
    margin: int = 0,
    unobserved: int = 0,
    **profile: Any,
) -> Path:
    """VV and VH in dB, ``margin`` pixels larger on each side, without values in the first ``unobserved`` columns."""
    to_zone = Transformer.from_crs("EPSG:32632", f"EPSG:326{zone}", always_xy=True)
    left, top = to_zone.transform(ORIGIN[0] + east, ORIGIN[1])
    transform = Affine(10, 0, round(left) - 10 * margin, 0, -10, round(top) + 10 * margin)
    x, y = coordinates(transform, f"EPSG:326{zone}", side + 2 * margin, side + 2 * margin)
    values = sar_db(x, y)
    values[:, :, :unobserved] = np.nan
    place = {"crs": CRS.from_epsg(32600 + zone), "transform": transform} if crs else {}
    tags = {"UNITS": "dB"} | profile.pop("tags", {})
    return write(path, values, ("VV", "VH"), **place, tags=tags, **profile)


class Told:
    """What a reader refuses or remarks."""

    def __init__(self) -> None:
        self.all: list[tuple[str, str]] = []

    def __call__(self, what: str, cause: str) -> None:
        self.all.append((what, cause))

    def refusals(self) -> dict[str, str]:
        return {what: cause for what, cause in self.all if type(cause) is str}

    def of(self, what: str) -> list[str]:
        return [cause for name, cause in self.all if name == what]


def rows_of(root: Path, *options: str, layout: Layout = LAYOUT) -> tuple[list[Row], Told]:
    """What a layout of the user's own scenes makes of a folder, in patches of 32 pixels."""
    told = Told()
    return list(layout.with_options(["patch=32", *options]).read(root, told)), told
