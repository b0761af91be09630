"""What a product on disk is: its sensor, bands, unit, offset and time, whatever form it has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from plait.errors import InputError
from plait_remote_sensing.products.band_files import describe_rasters
from plait_remote_sensing.products.names import sensor_in
from plait_remote_sensing.products.sentinel1 import describe_sentinel1
from plait_remote_sensing.products.sentinel2 import describe_sentinel2
from plait_remote_sensing.radar.gcps import LIMIT_M
from plait_remote_sensing.scene import Scene, Sensor

SUFFIXES = (".tif", ".tiff", ".jp2", ".vrt")
"""Of the rasters that are looked for in folders."""


def describe(
    path: Path,
    root: Path,
    sensor: Sensor | None = None,
    unit: str | None = None,
    offset: float | None = None,
    geolocation_limit: float = LIMIT_M,
) -> Scene:
    """Say how a product is stored: a SAFE folder, a folder with a file for each band, or one raster.

    Args:
        path: the product, under ``root``.
        root: the folder that the scene's paths are relative to.
        sensor: what it is, where the product does not tell.
        unit: of its backscatter, if it is SAR, as in `backscatter.UNITS`, instead of what is found.
        offset: what was added to its digital numbers, if it is optical, instead of what is found.
        geolocation_limit: metres of estimated error above which a raw SAR product is refused.

    Raises:
        InputError: where there is no such product, it cannot be read, or one of these cannot be told.
    """
    if not path.exists():
        raise InputError(f"There is no {path}: give a SAFE folder, a folder of band files, or a raster.")
    found = safe_sensor(path)
    if found is None:
        return describe_rasters(_rasters(path), root, sensor, unit, offset)
    if sensor not in (None, found):
        raise InputError(f"{path} is a product of the {found} sensor, and {sensor} is wanted: give the other one.")
    if found == "sar":
        return describe_sentinel1(path, root, unit, geolocation_limit)
    scene = describe_sentinel2(path, root)
    if offset in (None, scene.offset):
        return scene
    return replace(scene, offset=offset, notes=(*scene.notes, f"offset {offset:g}: as asked, and not {scene.offset:g}"))


def safe_sensor(path: Path) -> Sensor | None:
    """The sensor of a folder in the Sentinels' SAFE format; ``None`` where it is none."""
    if not path.is_dir():
        return None
    if any((path / name).is_file() for name in ("MTD_MSIL1C.xml", "MTD_MSIL2A.xml")):
        return "optical"
    if (path / "annotation").is_dir() and (path / "measurement").is_dir():
        return "sar"
    return sensor_in(path.name) if path.suffix.upper() == ".SAFE" else None


def _rasters(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
    if not found:
        raise InputError(f"{path} holds no raster ({', '.join(SUFFIXES)}): give a product or a raster.")
    return found
