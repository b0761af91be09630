"""Which scenes are mapped, and onto which grid: two files, a list of many, or a STAC catalogue."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path

import numpy as np
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rasterio.warp import transform_bounds

from plait.errors import InputError
from plait.pairs.layout import Refuse, Remark
from plait.pairs.table import file_in
from plait_remote_sensing.bands import MSI_BANDS, POLARISATIONS, band_of
from plait_remote_sensing.pairing.catalogue import Entry
from plait_remote_sensing.pairing.matching import match
from plait_remote_sensing.pairing.stac_reader import stac_catalogue
from plait_remote_sensing.products.describe import describe
from plait_remote_sensing.products.glance import sample
from plait_remote_sensing.products.sentinel2 import reference_path
from plait_remote_sensing.radar.gcps import LIMIT_M
from plait_remote_sensing.raster import Grid, band_names_of, footprint_of, grid_of, has_gcps
from plait_remote_sensing.scene import SENSORS, Sensor
from plait_remote_sensing.tiling.plan import Source

_DARKEST = -1.0
"""No stored reflectance has a median below this, and hardly any backscatter in decibels one above."""
PIXEL = 10.0
"""Metres: the pixels of the grid of a scene that has ground control points only."""


@dataclass(frozen=True)
class Reading:
    """How the user wants scenes to be read.

    Attributes:
        sar_unit: of backscatter, instead of what is found.
        optical_offset: of optical digital numbers, instead of what is found.
        bands: sensor to the bands that the function sees; all where it has no entry.
        geolocation_limit: metres of estimated error above which a raw SAR product is refused.
    """

    sar_unit: str | None
    optical_offset: float | None
    bands: Mapping[str, tuple[str, ...]]
    geolocation_limit: float = LIMIT_M


@dataclass(frozen=True)
class Request:
    """A map that is wanted: of which products, and where it goes.

    Attributes:
        out: the map.
        products: sensor to a product's path, or to a scene that is known already.
    """

    out: Path
    products: Mapping[Sensor, Path | Source]

    def sources(self, reading: Reading) -> dict[str, Source]:
        """Describe the products; raises `InputError` where one cannot be read."""
        found: dict[str, Source] = {}
        for sensor, product in self.products.items():
            if isinstance(product, Source):
                scene, root = product.scene, product.root
            else:
                path = product.resolve()
                _require_sensor(sensor, path)
                root = path.parent
                limit = reading.geolocation_limit
                scene = describe(path, root, sensor, reading.sar_unit, reading.optical_offset, limit)
            found[sensor] = Source(scene, root, reading.bands.get(sensor))
        return found


def _require_sensor(sensor: Sensor, path: Path) -> None:
    """Raise `InputError` for a raster that is, by the names of its bands or its values, of the other sensor."""
    if not path.is_file():
        return
    names = band_names_of(path)
    known = {band for name in names if name and (band := band_of(name))}
    if sensor == "sar" and known and known <= set(MSI_BANDS):
        raise InputError(
            f"--sar {path} has the bands {', '.join(sorted(known))}: is it the optical scene? Give it with --optical."
        )
    if sensor == "optical" and known and known <= set(POLARISATIONS):
        raise InputError(
            f"--optical {path} has the bands {', '.join(sorted(known))}: is it the SAR scene? Give it with --sar."
        )
    if sensor == "optical" and len(names) <= 2:
        values = sample(path)
        low = float(np.median(values[np.isfinite(values)])) if np.isfinite(values).any() else 0.0
        if low < _DARKEST:
            raise InputError(
                f"--optical {path} has {len(names)} band(s) of negative values (median {low:.1f}), as decibels are: is "
                "it the optical scene? Give SAR with --sar."
            )


def map_grid(sources: Mapping[str, Source]) -> Grid:
    """The grid that a scene is mapped on: that of its optical raster, else of its SAR raster.

    A raw SAR product, which has ground control points only, is mapped on the UTM zone of its middle, in pixels of 10 m.
    """
    source = next(sources[sensor] for sensor in reversed(SENSORS) if sensor in sources)
    path = file_in(source.root, reference_path(source.scene))
    if not has_gcps(path):
        return grid_of(path)
    area = footprint_of(path)
    zone = 1 + int((area.centroid.x + 180) // 6) % 60
    crs = CRS.from_epsg((32600 if area.centroid.y >= 0 else 32700) + zone)
    left, bottom, right, top = transform_bounds(CRS.from_epsg(4326), crs, *area.bounds)
    west, north = PIXEL * floor(left / PIXEL), PIXEL * ceil(top / PIXEL)
    width, height = ceil((right - west) / PIXEL), ceil((north - bottom) / PIXEL)
    return Grid(crs, from_origin(west, north, PIXEL, PIXEL), width, height)


def listed(table: Path, out: Path, suffix: str) -> list[Request]:
    """The scenes of a CSV with the columns ``sar``, ``optical`` (one may be missing or empty) and ``out`` or ``name``.

    Paths are relative to the CSV's folder; maps go into the folder ``out``, under the row's name, or else that of its
    product.

    Raises:
        InputError: for a table that cannot be read, a row without a product, and two maps of one name.
    """
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
            columns = [name for name in rows[0] if name] if rows else list(SENSORS)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{table} cannot be read ({error}): give a CSV with the columns sar, optical and name."
        ) from error
    if not set(SENSORS) & set(columns):
        raise InputError(
            f"{table} has the columns {', '.join(columns)}, and a list of scenes has sar or optical, or both, and may "
            "have name: rename them."
        )
    requests: list[Request] = []
    for number, row in enumerate(rows, 2):
        products: dict[Sensor, Path | Source] = {
            sensor: table.parent / text for sensor in SENSORS if (text := (row.get(sensor) or "").strip())
        }
        if not products:
            raise InputError(f"{table}, line {number}: there is neither a sar nor an optical product: fill one in.")
        own = (row.get("out") or row.get("name") or "").strip() or Path(str(products[list(products)[-1]])).stem
        requests.append(Request(_inside(out, own, suffix, f"{table}, line {number}"), products))
    return _distinct(requests, table)


def catalogued(start: str, days: float, out: Path, suffix: str, reading: Reading, refuse: Refuse) -> list[Request]:
    """The scenes of a STAC catalogue, paired where it has both sensors; each map has the name of its last scene.

    Args:
        start: a catalogue, collection, item or item collection: a file, or an address.
        days: the most days between the two scenes of a pair.
        out: the folder of the maps.
        suffix: of a map.
        reading: how scenes are read.
        refuse: told of each item that cannot be taken in, and of each scene without a partner.

    Raises:
        InputError: for a catalogue that cannot be read or has no scene, and two maps of one name.
    """
    remote = "://" in start
    start = start if remote else str(Path(start).resolve())
    root = out if remote else Path(start).parent
    out.mkdir(parents=True, exist_ok=True)
    entries = stac_catalogue(start, root, refuse, reading.sar_unit, reading.optical_offset)
    sar, optical = ([entry for entry in entries if entry.scene.sensor == sensor] for sensor in SENSORS)
    groups: list[list[Entry]] = [[entry] for entry in entries]
    if sar and optical:
        matching = match(sar, optical, days)
        groups = [[pair.sar, pair.optical] for pair in matching.pairs]
        for entry, reason in matching.unpaired:
            refuse(entry.name, Remark(reason))
    requests: list[Request] = []
    for group in groups:
        products: dict[Sensor, Path | Source] = {it.scene.sensor: Source(it.scene, root) for it in group}
        requests.append(Request(_inside(out, group[-1].name.replace("/", "_"), suffix, start), products))
    return _distinct(requests, start)


def _inside(out: Path, name: str, suffix: str, where: str) -> Path:
    file = out / (name if name.endswith(suffix) else name + suffix)
    if not file.resolve().is_relative_to(out.resolve()):
        raise InputError(f"{where}: the map '{name}' would lie outside {out}: name it without '..' and '/'.")
    if file.stem == "maps":
        raise InputError(f"{where}: a map 'maps' would be described in maps.json, where all are listed: rename it.")
    return file


def _distinct(requests: list[Request], where: Path | str) -> list[Request]:
    seen: set[Path] = set()
    for request in requests:
        if request.out in seen:
            raise InputError(f"{where} names two maps {request.out.name}: give each row its own name.")
        seen.add(request.out)
    if not requests:
        raise InputError(f"{where} names no scene: add one.")
    return requests
