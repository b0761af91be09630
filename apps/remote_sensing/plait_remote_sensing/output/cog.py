"""Cloud-optimised GeoTIFFs, written block by block."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import DatasetWriter
from rasterio.shutil import copy

from plait_remote_sensing.output.info import BLOCK, Blocks, MapInfo, checked, rgb
from plait_remote_sensing.output.staging import staged
from plait_remote_sensing.raster import Grid, Window
from plait_remote_sensing.raster.grid import rasterio_window

_MANY = 4
"""Bands above which each is stored apart, so that one of them is read without the others."""


def write_cog(out: Path, grid: Grid, dtype: str, info: MapInfo, blocks: Blocks) -> None:
    """Write a cloud-optimised GeoTIFF: tiled, compressed, with overviews, nodata, band names and colours.

    Blocks go to a plain GeoTIFF beside ``out`` as they come, GDAL makes a cloud-optimised one of it, and every block is
    read back and compared; only then does the file get its name. Memory holds a block, disk twice the map. The same
    input gives the same bytes.

    Args:
        out: the file to be.
        grid: its pixels.
        dtype: of the blocks and the file.
        info: what it says of itself. A single band of ``uint8`` classes gets a colour table.
        blocks: pieces (C, h, w) of it, row by row; their windows start and end on multiples of 512 or on the edge.

    Raises:
        InputError: where it cannot be written, such as on a full disk. Nothing is left then.
        ValueError: for blocks that are not the map's.
    """
    with staged(out) as path:
        plain = path.with_name("plain.tif")
        sums = _write_plain(plain, grid, dtype, info, checked(blocks, grid, dtype, info))
        with _unplaced_is_fine():
            copy(plain, path, driver="COG", **_options(info))
        plain.unlink()
        _verify(path, sums)


def _write_plain(path: Path, grid: Grid, dtype: str, info: MapInfo, blocks: Blocks) -> dict[Window, int]:
    """Write blocks as they come; returns a checksum of each."""
    sums: dict[Window, int] = {}
    place: dict[str, Any] = {} if grid.crs is None else {"crs": grid.crs, "transform": grid.transform}
    profile = {
        "width": grid.width,
        "height": grid.height,
        "count": len(info.bands),
        "dtype": dtype,
        "nodata": info.nodata,
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "interleave": "band",
        "compress": "zstd",
        "zstd_level": 1,
        "bigtiff": "yes",
        "photometric": "minisblack",
    }
    with _unplaced_is_fine(), rasterio.open(path, "w", driver="GTiff", **profile, **place) as target:
        _describe(target, info, dtype)
        for window, values in blocks:
            target.write(values, window=rasterio_window(window))
            sums[window] = _checksum(values)
    return sums


def _describe(target: DatasetWriter, info: MapInfo, dtype: str) -> None:
    """Names, units, scales, colours and tags."""
    count = len(info.bands)
    target.descriptions = info.bands
    target.colorinterp = [ColorInterp.gray, *[ColorInterp.undefined] * (count - 1)]
    target.scales = info.scales or (1.0,) * count
    target.offsets = info.offsets or (0.0,) * count
    if info.unit is not None:
        target.units = (info.unit,) * count
    # GDAL takes a colon, too, for the end of a tag's name.
    tags = {name.replace(":", "_"): str(value) for name, value in info.tags.items()}
    if info.time is not None:
        tags["TIME"] = info.time
    if info.classes:
        tags["CLASSES"] = ", ".join(f"{code} {name}" for code, (name, _) in sorted(info.classes.items()))
    target.update_tags(**tags)
    # A GeoTIFF holds a colour table for one band of unsigned whole numbers only.
    if info.classes and count == 1 and dtype in ("uint8", "uint16"):
        target.write_colormap(1, {code: rgb(colour) for code, (_, colour) in info.classes.items()})


def _options(info: MapInfo) -> dict[str, Any]:
    return {
        "BLOCKSIZE": BLOCK,
        "COMPRESS": "ZSTD",
        # The default of zstd itself: level 9 takes twice as long for a fiftieth less.
        "LEVEL": 3,
        # Differences of neighbours compress values, and spoil the runs of equal classes.
        "PREDICTOR": "NO" if info.classes else "YES",
        "INTERLEAVE": "BAND" if len(info.bands) > _MANY else "PIXEL",
        "OVERVIEWS": "IGNORE_EXISTING",
        "OVERVIEW_RESAMPLING": "MODE" if info.classes else "AVERAGE",
        "BIGTIFF": "IF_SAFER",
        # Threads may order tiles as they end.
        "NUM_THREADS": 1,
    }


def _verify(path: Path, sums: dict[Window, int]) -> None:
    """Read every block back: on a full disk GDAL may have said nothing."""
    with _unplaced_is_fine(), rasterio.open(path) as source:
        for window, expected in sums.items():
            if _checksum(source.read(window=rasterio_window(window))) != expected:
                raise OSError(f"block {window} is not what was written")


def _checksum(values: NDArray[Any]) -> int:
    return zlib.crc32(np.ascontiguousarray(values).view(np.uint8).data)


@contextmanager
def _unplaced_is_fine() -> Generator[None]:
    """Without a warning that a map of no place has no place."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield
