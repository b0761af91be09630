"""WorldCereal points: a year of monthly Sentinel-1 and Sentinel-2 of single pixels all over the world.

A row is a point; its modalities are series of 12 months. The group is the cell of 5 x 5 degrees in which it lies, and
splits are drawn by group. ``label_land_cover`` is the ESA WorldCover class, itself a product of Sentinel-1 and
Sentinel-2; ``label_reference_cover`` is WorldCereal's own reference code. Weather and elevation are left out: neither
is SAR or optical.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Row
from plait_remote_sensing.series import read_series

FILE = "worldcereal_points.parquet"
CELL = 5.0
BANDS = {"sar": "VV,VH", "optical": "B02,B03,B04,B05,B06,B07,B08,B8A,B11,B12"}
CLASSES = {
    10: "trees",
    20: "shrubs",
    30: "grass",
    40: "crops",
    50: "built",
    60: "bare",
    80: "water",
    90: "wetland",
    95: "mangrove",
}


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """Yield a row for each point; a sensor without a single observed month is missing there."""
    folder, path = (root, root / FILE) if root.is_dir() else (root.parent, root)
    wanted = ["lat", "lon", "start_date", "WORLDCOVER-LABEL-10m", "LANDCOVER_LABEL"]
    try:
        points = pq.read_table(path, columns=wanted).to_pylist()
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path} cannot be read as a Parquet file ({error}): give the folder of {FILE}.") from error
    for number, point in enumerate(points):
        sensors = {name: _observed(path, number, name) for name in BANDS}
        if not any(sensors.values()):
            refuse(f"point {number}", "has no observed month in either sensor")
            continue
        yield {
            "id": f"point-{number:04d}",
            "group": f"{math.floor(point['lat'] / CELL) * CELL:+.0f}{math.floor(point['lon'] / CELL) * CELL:+.0f}",
            "time": str(point["start_date"]),
            "sar": [path.relative_to(folder).as_posix()] if sensors["sar"] else None,
            "optical": [path.relative_to(folder).as_posix()] if sensors["optical"] else None,
            "window": None,
            "point": number,
            "sar_bands": BANDS["sar"],
            "sar_unit": "dn",
            "optical_bands": BANDS["optical"],
            "optical_unit": "dn",
            "optical_offset": 0.0,
            "label_land_cover": int(point["WORLDCOVER-LABEL-10m"]),
            "label_reference_cover": int(point["LANDCOVER_LABEL"]),
        }


def _observed(path: Path, point: int, sensor: str) -> bool:
    return bool(np.isfinite(read_series(path, point, sensor, BANDS[sensor].split(","))).any())


LAYOUT = Layout(
    name="worldcereal",
    about=f"WorldCereal points: {FILE} with monthly SAR-* and OPTICAL-* columns",
    modalities={"sar": ("sar",), "optical": ("optical",)},
    source="WorldCereal/presto-worldcereal @ 84d38e6; labels of public reference data and ESA WorldCover",
    licence="none stated (labels: ESA WorldCover, CC-BY-4.0); Copernicus Sentinel data",
    read=read,
)
