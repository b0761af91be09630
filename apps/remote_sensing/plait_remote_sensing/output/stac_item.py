"""A STAC item beside a map, so that catalogues find it and readers can trust it."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path, PurePath
from typing import Any, cast

from rasterio.enums import WktVersion
from shapely import MultiPolygon, Polygon
from shapely.geometry import mapping
from shapely.geometry.polygon import orient

from plait.errors import InputError
from plait_remote_sensing.output.info import MapInfo
from plait_remote_sensing.output.look import opened
from plait_remote_sensing.output.staging import staged
from plait_remote_sensing.raster import Grid, footprint
from plait_remote_sensing.raster.footprint import Footprint

_EXTENSIONS = {
    "classification": "https://stac-extensions.github.io/classification/v2.0.0/schema.json",
    "file": "https://stac-extensions.github.io/file/v2.1.0/schema.json",
    "processing": "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
    "proj": "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "raster": "https://stac-extensions.github.io/raster/v2.0.0/schema.json",
}
_TYPES = {"cog": "image/tiff; application=geotiff; profile=cloud-optimized", "zarr": "application/vnd.zarr; version=3"}
_SHA256 = "1220"
"""What a multihash begins with: the code of SHA-256 (0x12), and its length of 32 bytes (0x20)."""
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_STRAIGHT = 1e-6
"""Degrees, a tenth of a metre, by which an edge may bend and be written straight."""
_EVER = "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"


def write_stac_item(out: Path, asset: Path, grid: Grid, info: MapInfo, sources: Sequence[str]) -> None:
    """Write the STAC item (version 1.1) of a map.

    Nothing in it depends on when or where it is written; paths are relative to it. A map whose time is not known gets
    the interval of all time, because an item must have one.

    Args:
        out: the item, beside the map.
        asset: the map, a GeoTIFF or a Zarr group.
        grid: its pixels.
        info: what it says of itself; tags become properties.
        sources: files or addresses that it was made from.

    Raises:
        InputError: for a time that is none, or where the item cannot be written.
    """
    shape = None if grid.crs is None else footprint(grid)
    item: dict[str, Any] = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": asset.stem,
        "geometry": None,
        "properties": _times(info.time) | _place(grid) | _provenance(info),
        "links": [{"rel": "derived_from", "href": _href(source, out.parent)} for source in sources],
        "assets": {"map": _asset(asset, out.parent, info)},
    }
    if shape is not None:
        item["geometry"], item["bbox"] = _geometry(shape), _bbox(shape)
    item["stac_extensions"] = _extensions(item)
    with staged(out) as path:
        path.write_text(json.dumps(item, indent=2, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


def _times(time: str | None) -> dict[str, Any]:
    if time is not None and _MOMENT.fullmatch(time):
        return {"datetime": time}
    first, *others = (time or "/".join(_EVER)).split("/")
    last = others[-1] if others else first
    start = f"{first}T00:00:00Z" if _DAY.fullmatch(first) else first
    end = f"{last}T23:59:59Z" if _DAY.fullmatch(last) else last
    if len(others) > 1 or not (_MOMENT.fullmatch(start) and _MOMENT.fullmatch(end)):
        raise InputError(
            f"The time '{time}' is no ISO 8601 moment or day in UTC, nor two with '/' between: correct it."
        )
    return {"datetime": None, "start_datetime": start, "end_datetime": end}


def _place(grid: Grid) -> dict[str, Any]:
    if grid.crs is None:
        return {}
    authority = grid.crs.to_authority()
    code = None if authority is None else ":".join(authority)
    told: dict[str, Any] = {
        "proj:code": code,
        "proj:shape": [grid.height, grid.width],
        "proj:transform": list(grid.transform)[:6],
    }
    return told if code else told | {"proj:wkt2": grid.crs.to_wkt(version=WktVersion.WKT2_2019)}


def _geometry(shape: Footprint) -> dict[str, Any]:
    """GeoJSON, without points that a straight edge needs not, outer rings against the clock (RFC 7946, 3.1.6)."""
    parts = [orient(part) for part in _polygons(cast("Footprint", shape.simplify(_STRAIGHT)))]
    return mapping(parts[0] if len(parts) == 1 else MultiPolygon(parts))


def _bbox(shape: Footprint) -> list[float]:
    """West, south, east, north; west is the greater across the antimeridian (RFC 7946, section 5.2)."""
    west, south, east, north = shape.bounds
    parts = [part.bounds for part in _polygons(shape)]
    if east - west == 360 and len(parts) > 1:
        west = min(left for left, *_ in parts if left > 0)
        east = max(right for _, _, right, _ in parts if right < 0)
    return [west, south, east, north]


def _polygons(shape: Footprint) -> list[Polygon]:
    return [shape] if isinstance(shape, Polygon) else list(shape.geoms)


def _provenance(info: MapInfo) -> dict[str, Any]:
    return {"processing:software": {"plait": version("plait")}, **info.tags}


def _asset(asset: Path, folder: Path, info: MapInfo) -> dict[str, Any]:
    with opened(asset) as source:
        dtype = source.dtypes[0]
    told: dict[str, Any] = {
        "href": _href(str(asset), folder),
        "type": _TYPES["zarr" if asset.is_dir() else "cog"],
        "roles": ["data"],
        "data_type": dtype,
        "bands": [_band(index, info) for index in range(len(info.bands))],
    }
    if info.nodata is not None:
        told["nodata"] = info.nodata if math.isfinite(info.nodata) else str(info.nodata)
    if info.unit is not None:
        told["unit"] = info.unit
    if asset.is_file():
        with asset.open("rb") as file:
            told["file:checksum"] = _SHA256 + hashlib.file_digest(file, "sha256").hexdigest()
        told["file:size"] = asset.stat().st_size
    return told


def _band(index: int, info: MapInfo) -> dict[str, Any]:
    band: dict[str, Any] = {"name": info.bands[index]}
    if info.scales:
        band["raster:scale"] = info.scales[index]
    if info.offsets:
        band["raster:offset"] = info.offsets[index]
    if info.classes and index == 0:
        band["classification:classes"] = [
            {
                "value": code,
                "name": re.sub(r"[^0-9A-Za-z_-]+", "_", name),
                "title": name,
                "color_hint": colour.removeprefix("#").upper(),
            }
            for code, (name, colour) in sorted(info.classes.items())
        ]
    return band


def _href(target: str, folder: Path) -> str:
    """A path as seen from the item's folder; an address stays as it is."""
    if "://" in target:
        return target
    return PurePath(os.path.relpath(target, folder)).as_posix()


def _extensions(item: dict[str, Any]) -> list[str]:
    """Those whose fields the item uses."""
    text = json.dumps(item)
    return [address for name, address in _EXTENSIONS.items() if f'"{name}:' in text]
