"""Miniatures of both versions of BigEarthNet: the folders, names, grids, types and metadata of the real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.remote_sensing.miniatures.rois import write_tif

TEN, SIXTY = ("B02", "B03", "B04", "B08"), ("B01", "B09")
BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
CRS, LEFT, TOP = "EPSG:32633", 300_000.0, 5_400_000.0
"""The grid of tile T33UUP."""


def optical(folder: Path, column: int, row: int, top: float = TOP) -> None:
    """Write the bands of one patch: band number b has digital number 100 b, 850 in B8A."""
    for band in BANDS:
        side = 120 if band in TEN else 20 if band in SIXTY else 60
        number = 850 if band == "B8A" else 100 * int(band[1:])
        values = np.full((1, side, side), number, np.uint16)
        corner = LEFT + 1200 * column, top - 1200 * row
        write_tif(folder / f"{folder.name}_{band}.tif", values, CRS, *corner, pixel=1200 / side)


def sar(folder: Path, column: int, row: int) -> None:
    """Write both polarisations of one patch: -8 dB in VV, -15 dB in VH."""
    for band, decibels in (("VV", -8.0), ("VH", -15.0)):
        values = np.full((1, 120, 120), decibels, np.float32)
        write_tif(folder / f"{folder.name}_{band}.tif", values, CRS, LEFT + 1200 * column, TOP - 1200 * row)


def patch_v2(
    root: Path,
    column: int,
    row: int,
    split: str,
    labels: list[str],
    tile: str = "T33UUP",
    top: float = TOP,
    **more: Any,
) -> dict[str, Any]:
    """Write one patch of version 2, and return its row of ``metadata.parquet``.

    Its SAR folder keeps the name that it had in version 1, where columns and rows were counted otherwise.
    """
    product, radar = "S2A_MSIL2A_20170613T101031_N9999_R022_" + tile, "S1A_IW_GRDH_1SDV_20170613T165043"
    name, partner = f"{product}_{column:02d}_{row:02d}", f"{radar}_{tile[1:]}_{column + 35}_{row - 18}"
    optical(root / "BigEarthNet-S2" / product / name, column, row, top)
    sar(root / "BigEarthNet-S1" / radar / partner, column, row)
    flags = {"contains_seasonal_snow": False, "contains_cloud_or_shadow": False}
    return {"patch_id": name, "labels": labels, "split": split, "country": "Austria", "s1_name": partner} | flags | more


def metadata_v2(root: Path, rows: list[dict[str, Any]]) -> None:
    """Write ``metadata.parquet``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows), root / "metadata.parquet")


def patch_v1(root: Path, column: int, row: int, labels: list[str]) -> str:
    """Write one patch of version 1 with the metadata of both sensors, and return its name."""
    import rasterio.crs

    name = f"S2A_MSIL2A_20170613T101031_{column}_{row}"
    partner = f"S1A_IW_GRDH_1SDV_20170613T165043_33UUP_{column}_{row}"
    folders = root / "BigEarthNet-v1.0" / name, root / "BigEarthNet-S1-v1.0" / partner
    optical(folders[0], column, row)
    sar(folders[1], column, row)
    corner = {"ulx": LEFT + 1200 * column, "uly": TOP - 1200 * row}
    corner |= {"lrx": corner["ulx"] + 1200, "lry": corner["uly"] - 1200}
    told = {"labels": labels, "coordinates": corner, "projection": rasterio.crs.CRS.from_string(CRS).to_wkt()}
    _write(
        folders[0], told | {"acquisition_date": "2017-06-13 10:10:31", "tile_source": "S2A_MSIL1C_20170613T101031.SAFE"}
    )
    _write(folders[1], told | {"acquisition_time": "2017-06-13T16:50:43", "corresponding_s2_patch": name})
    return name


def _write(folder: Path, told: dict[str, Any]) -> None:
    (folder / f"{folder.name}_labels_metadata.json").write_text(json.dumps(told), encoding="utf-8")
