"""The scenes of a SpatioTemporal Asset Catalog (STAC 1.0 and 1.1): catalogues, collections, items and item collections.

A local catalogue is read without a network, and nothing outside its folder. Of a remote one, an asset becomes a small
VRT file under the root, through which GDAL reads the parts that are asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import rasterio.shutil
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from shapely import make_valid
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from plait.errors import InputError
from plait.pairs.layout import Refuse
from plait_remote_sensing.bands import LEVELS, MSI_BANDS, POLARISATIONS, band_of
from plait_remote_sensing.pairing.catalogue import Entry, entry_of
from plait_remote_sensing.pairing.stac_walk import Place, documents
from plait_remote_sensing.products.band_files import describe_rasters, joined, with_offset, with_unit
from plait_remote_sensing.products.names import instant, sensor_in
from plait_remote_sensing.products.sentinel1 import unit_tags
from plait_remote_sensing.raster import band_names_of, tags_of
from plait_remote_sensing.reflectance import offset_from_properties
from plait_remote_sensing.scene import Scene, Sensor

type Json = dict[str, Any]

_NOT_DATA = frozenset({"thumbnail", "overview", "visual", "metadata", "preview"})
"""Roles and keys of assets that are pictures or texts of a scene."""
_IMAGES = re.compile(r"image/(tiff|jp2|vnd\.stac\.geotiff)|.*geotiff", re.IGNORECASE)
_ENDINGS = (".tif", ".tiff", ".jp2")
_ORDER = (*POLARISATIONS, *MSI_BANDS)


def stac_catalogue(
    start: str, root: Path, refuse: Refuse, sar_unit: str | None = None, offset: float | None = None
) -> list[Entry]:
    """Read all items that a STAC document leads to.

    Args:
        start: the document: a file, or an address (https), whose assets may then be read over the network.
        root: the folder that scenes' paths are relative to; a local catalogue lies in it.
        refuse: told of each item that cannot be taken in.
        sar_unit: the unit of all radar scenes, instead of what is found.
        offset: the offset of all optical scenes, instead of what is found.

    Returns:
        Entries by name; a name is an item's id.

    Raises:
        InputError: where the document itself cannot be read.
    """
    entries: dict[str, Entry] = {}
    place = Place(root, remote="://" in start)
    for href, item in documents(start, place, refuse):
        name = str(item.get("id", href))
        try:
            if name in entries:
                raise InputError(f"The id '{name}' is that of another item too: ids are unique.")
            entries[name] = _entry(name, href, item, place, sar_unit, offset)
        except InputError as error:
            refuse(name, str(error))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            refuse(name, f"The item '{name}' is malformed ({error}): check it with stac-valid.")
    return [entries[name] for name in sorted(entries)]


@dataclass(frozen=True)
class _Asset:
    """An image of an item."""

    key: str
    fields: Json
    bands: tuple[str | None, ...]

    @property
    def pixel(self) -> float:
        """Metres, as far as metadata or the key say."""
        bands = [self.fields, *self.fields.get("raster:bands", []), *self.fields.get("bands", [])]
        told = [float(band[key]) for band in bands for key in ("gsd", "spatial_resolution") if key in band]
        named = re.search(r"(?<!\d)(\d+)m\b", self.key)
        return told[0] if told else float(named[1]) if named else 0.0


def _entry(name: str, href: str, item: Json, place: Place, unit: str | None, offset: float | None) -> Entry:
    properties = cast("Json", item.get("properties") or {})
    assets = [asset for asset in _images(item) if asset.key.lower() != "scl"]
    if not assets:
        raise InputError(f"The item '{name}' has no image among its assets: give it one with a type or roles.")
    chosen = _one_for_each_band(assets)
    paths = [_local(name, asset, href, place) for asset in chosen]
    scl = next((asset for asset in _images(item) if asset.key.lower() == "scl"), None)
    if all(band is not None for asset in chosen for band in asset.bands):
        bands = tuple(str(band) for asset in chosen for band in asset.bands)
        scene = Scene(_sensor(name, item, bands), tuple(paths), bands, "dn")
        scene = _calibrated(scene, place, properties, chosen, unit, offset)
    else:
        scene = describe_rasters([place.root / path for path in paths], place.root, _told(item), unit, offset)
    scene = replace(
        scene,
        time=_time(properties) or scene.time,
        orbit=properties.get("sat:orbit_state", scene.orbit),
        relative_orbit=properties.get("sat:relative_orbit", scene.relative_orbit),
        level=_level(item, properties) or scene.level,
        scl=_local(name, scl, href, place) if scl and scene.sensor == "optical" else scene.scl,
    )
    footprint = _footprint(name, item)
    return Entry(name, scene, footprint, instant(scene.time)) if footprint else entry_of(name, scene, place.root)


def _images(item: Json) -> Iterator[_Asset]:
    polarisations = (item.get("properties") or {}).get("sar:polarizations", [])
    for key, fields in (item.get("assets") or {}).items():
        kinds = {*map(str.lower, fields.get("roles") or []), key.lower()}
        is_image = _IMAGES.match(fields.get("type") or "") or fields.get("href", "").lower().endswith(_ENDINGS)
        if is_image and not kinds & _NOT_DATA:
            yield _Asset(key, fields, _bands(key, fields, polarisations))


def _bands(key: str, fields: Json, polarisations: Sequence[str]) -> tuple[str | None, ...]:
    """The bands of an asset: by what is said of each, by its polarisations, or by its key."""
    said = cast("list[Json]", fields.get("bands") or fields.get("eo:bands") or [])
    named = [next((found for field in _NAMES if (found := band_of(str(band.get(field) or "")))), None) for band in said]
    if named and None not in named:
        return tuple(named)
    own = fields.get("sar:polarizations")
    if own:
        return tuple(map(str, own))
    return (band_of(key),) if band_of(key) or not polarisations else tuple(polarisations)


_NAMES = ("name", "eo:common_name", "common_name", "description")


def _one_for_each_band(assets: Sequence[_Asset]) -> list[_Asset]:
    """Without assets whose bands finer or earlier ones have too, in the order of Sentinel's products."""
    kept: list[_Asset] = []
    for asset in sorted(assets, key=lambda asset: asset.pixel):
        held = {band for other in kept for band in other.bands}
        if None in asset.bands or not set(asset.bands) & held:
            kept.append(asset)
    first = {asset.key: asset.bands[0] for asset in kept}
    return sorted(kept, key=lambda asset: _ORDER.index(str(first[asset.key])) if first[asset.key] in _ORDER else 99)


def _local(name: str, asset: _Asset, href: str, place: Place) -> str:
    """The asset's file, relative to the root; for one at an address, that of a VRT file that leads there."""
    found = place.resolve(asset.fields.get("href", ""), href)
    if isinstance(found, Path):
        return found.relative_to(place.root.resolve()).as_posix()
    link = Path("remote", _safe(name), f"{_safe(asset.key)}.vrt")
    (place.root / link).parent.mkdir(parents=True, exist_ok=True)
    try:
        rasterio.shutil.copy(f"/vsicurl/{found}", place.root / link, driver="VRT")
    except (RasterioError, CPLE_BaseError) as error:
        reason = " ".join(str(error.__cause__ or error).split())
        raise InputError(f"{found} cannot be read over the network ({reason}): check it, or fetch the file.") from error
    return link.as_posix()


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9-]+", "_", name)


def _calibrated(
    scene: Scene, place: Place, properties: Json, assets: Sequence[_Asset], unit: str | None, offset: float | None
) -> Scene:
    """The scene with its unit, or offset: as asked, as the item says, or as the pixels tell."""
    tags = joined([(unit_tags if scene.sensor == "sar" else tags_of)(place.root / path) for path in scene.paths])
    fields = assets[0].fields
    if scene.sensor == "sar":
        told = [band.get("unit") for band in (*fields.get("raster:bands", []), *fields.get("bands", []), fields)]
        tags |= {"UNITS": next(filter(None, told))} if any(told) else {}
        names = [text for path in scene.paths for text in band_names_of(place.root / path)]
        return with_unit(scene, place.root, tags, names, unit)
    said = offset_from_properties(properties | fields)
    if said is not None and offset is None and place.remote:
        note = f"offset {said.value:.0f}: {said.reason}; its pixels, which lie elsewhere, were not looked at"
        return replace(scene, offset=said.value, notes=(*scene.notes, note))
    return with_offset(scene, place.root, tags, offset, said)


def _sensor(name: str, item: Json, bands: Sequence[str]) -> Sensor:
    sensor = "sar" if set(bands) <= set(POLARISATIONS) else _told(item)
    if sensor is None and set(bands) <= set(MSI_BANDS):
        sensor = "optical"
    if sensor is None:
        raise InputError(
            f"The item '{name}' does not tell whether it is SAR or optical: add 'instruments' or 'platform'."
        )
    return sensor


def _told(item: Json) -> Sensor | None:
    """The sensor by the item's properties, collection or id."""
    properties = item.get("properties") or {}
    if any(key.startswith("sar:") for key in properties):
        return "sar"
    said = [*(properties.get("instruments") or []), properties.get("platform"), properties.get("constellation")]
    for text in (*said, item.get("collection"), item.get("id")):
        found = sensor_in(re.sub(r"(?i)sentinel-(\d)", r"s\1", str(text or "").replace("/", " ")))
        if found is not None:
            return found
    return None


def _time(properties: Mapping[str, Any]) -> str | None:
    text = properties.get("datetime") or properties.get("start_datetime")
    moment = instant(str(text)) if text else None
    return moment.replace(microsecond=0).isoformat().replace("+00:00", "Z") if moment else None


def _level(item: Json, properties: Json) -> str | None:
    said = [properties.get(key) for key in ("processing:level", "s2:product_type", "sar:product_type")]
    text = " ".join(str(part).upper() for part in (*said, item.get("collection")) if part).replace("MSI", "L")
    return next((level for level in ("RTC", *LEVELS, "GRD") if level in text), None)


def _footprint(name: str, item: Json) -> BaseGeometry | None:
    if not item.get("geometry"):
        return None
    try:
        found = make_valid(shape(item["geometry"]))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"The item '{name}' has a geometry that is no GeoJSON ({error}): correct it.") from error
    return found if found.area > 0 else None
