"""Zarr groups that GDAL and xarray read with their place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rasterio.enums import WktVersion

from plait.errors import InputError
from plait_remote_sensing.output.info import BLOCK, Blocks, MapInfo, checked
from plait_remote_sensing.output.staging import staged
from plait_remote_sensing.raster import Grid

ARRAY = "map"
"""The name of the array in its group."""


def write_zarr(out: Path, grid: Grid, dtype: str, info: MapInfo, blocks: Blocks) -> None:
    """Write a Zarr group (version 3) with one array ``map`` (band, y, x), in chunks of one band and 512 x 512 pixels.

    The place is there for GDAL (``_CRS``, and the CF convention's grid mapping ``spatial_ref``), and for xarray
    (coordinates of pixel centres). A Zarr array has a fill value, and GDAL takes it for nodata: without ``nodata``
    it is 0, or NaN for floats.

    Args:
        out: the folder to be, replaced where it is there.
        grid: its pixels.
        dtype: of the blocks and the array.
        info: what it says of itself.
        blocks: as for `write_cog`.

    Raises:
        InputError: for a turned grid, or where it cannot be written. Nothing is left then.
        ValueError: for blocks that are not the map's.
    """
    import zarr

    if grid.transform.b or grid.transform.d:
        raise InputError(f"{out} would lose its place, because no Zarr reader knows turned grids: write a GeoTIFF.")
    empty = (np.nan if np.dtype(dtype).kind == "f" else 0) if info.nodata is None else info.nodata
    with staged(out) as path:
        group = zarr.create_group(str(path), zarr_format=3)
        array = group.create_array(
            ARRAY,
            shape=(len(info.bands), grid.height, grid.width),
            chunks=(1, BLOCK, BLOCK),
            dtype=dtype,
            fill_value=np.asarray(empty).astype(dtype).item(),
            dimension_names=("band", "y", "x"),
            attributes=_attributes(grid, info),
        )
        for window, values in checked(blocks, grid, dtype, info):
            array[:, window.row : window.bottom, window.column : window.right] = values
        _write_place(group, grid, info)


def _attributes(grid: Grid, info: MapInfo) -> dict[str, Any]:
    said: dict[str, Any] = {"bands": list(info.bands), **info.tags}
    if info.nodata is not None and np.isfinite(info.nodata):
        said["missing_value"] = info.nodata
    if info.unit is not None:
        said["units"] = info.unit
    if info.time is not None:
        said["time"] = info.time
    if info.scales or info.offsets:
        said["scales"], said["offsets"] = list(info.scales), list(info.offsets)
    if info.classes:
        said["flag_values"] = sorted(info.classes)
        said["flag_meanings"] = " ".join(info.classes[code][0].replace(" ", "_") for code in sorted(info.classes))
        said["flag_colors"] = " ".join(info.classes[code][1] for code in sorted(info.classes))
    if grid.crs is not None:
        said["grid_mapping"] = "spatial_ref"
        said["_CRS"] = {"wkt": grid.crs.to_wkt(version=WktVersion.WKT2_2019)}
    return said


def _write_place(group: Any, grid: Grid, info: MapInfo) -> None:
    """The coordinates of bands, rows and columns, and of what they are counted in."""
    group.create_array("band", data=np.arange(1, len(info.bands) + 1), dimension_names=("band",))
    x, _ = grid.coordinates(np.arange(0.5, grid.width), np.zeros(grid.width))
    _, y = grid.coordinates(np.zeros(grid.height), np.arange(0.5, grid.height))
    group.create_array("x", data=x, dimension_names=("x",))
    group.create_array("y", data=y, dimension_names=("y",))
    if grid.crs is not None:
        t, wkt = grid.transform, grid.crs.to_wkt(version=WktVersion.WKT2_2019)
        transform = " ".join(repr(value) for value in (t.c, t.a, t.b, t.f, t.d, t.e))
        said = {"crs_wkt": wkt, "spatial_ref": wkt, "GeoTransform": transform}
        group.create_array("spatial_ref", data=np.asarray(0), attributes=said)
