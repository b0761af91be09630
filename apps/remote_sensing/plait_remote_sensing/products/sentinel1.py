"""What a Sentinel-1 product on disk is: a raw ground-range product in SAFE format, or terrain-corrected GeoTIFFs."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning

from plait.errors import InputError
from plait_remote_sensing.backscatter import LEAST_DB, MOST_DB
from plait_remote_sensing.products.sar_unit import (
    POLARISATIONS,
    Decision,
    decide_unit,
    polarisation_of,
    require_plausible,
)
from plait_remote_sensing.radar.calibration import gcps_of, read_calibration, read_noise
from plait_remote_sensing.radar.gcps import LIMIT_M, geolocation_error, require_geolocation
from plait_remote_sensing.radar.safe import Annotation, relative_orbit
from plait_remote_sensing.raster import Window, band_names_of, grid_of, has_gcps, read_window, tags_of
from plait_remote_sensing.scene import Scene

type Pixels = NDArray[np.float32]

_RASTERS = (".tif", ".tiff")
_SAMPLES, _SAMPLE = 4, 64
"""Squares along each side of a raster, and pixels along each side of a square, of which the unit is told."""
_ACQUIRED = re.compile(r"(?P<mission>S1[A-D])_.*?(?P<time>\d{8}T\d{6})(_\d{8}T\d{6}_(?P<orbit>\d{6})_)?", re.IGNORECASE)
_HYP3 = re.compile(r"RTC\d+_[A-Z]_[gs](?P<unit>[pad])[uw][nf][ec][dm]")
"""Names of the Alaska Satellite Facility's terrain-corrected products (HyP3 product guide)."""
_HYP3_UNITS = {"p": "power", "a": "amplitude", "d": "dB"}
_ORBIT_TAGS = ("sat:orbit_state", "orbit_state", "orbit_direction", "orbit_pass", "pass")
_TRACK_TAGS = ("sat:relative_orbit", "relative_orbit", "relative_orbit_number", "track")
_ANGLE_TAGS = ("view:incidence_angle", "incidence_angle")


def describe_sentinel1(path: Path, root: Path, unit: str | None = None, geolocation_limit: float = LIMIT_M) -> Scene:
    """Describe a Sentinel-1 product.

    * A ``.SAFE`` folder of a ground-range product (GRD), or a file in it: digital numbers, their calibration and their
      ground control points. `calibration.read_grd` reads it.
    * A folder with one GeoTIFF of each polarisation (``*_VV.tif``, ``*_VH.tif``), or one of those files, which stands
      for the others beside it: terrain-corrected products of the Alaska Satellite Facility, of the Planetary Computer
      (``measurement/iw-vv.rtc.tiff``), and their like.
    * A GeoTIFF whose bands are polarisations.

    Args:
        path: the product.
        root: the folder that the scene's paths are relative to.
        unit: how backscatter is stored, of `backscatter.UNITS`, where neither metadata nor values tell; for a raw
            product the quantity that it is calibrated to: ``sigma0`` (the default), ``gamma0`` or ``beta0``.
        geolocation_limit: metres of estimated error above which a raw product is refused; ``math.inf`` takes any.

    Raises:
        InputError: for a product that is none of these, incomplete, damaged, single-look complex, of a unit that
            cannot be told, or too far off.
    """
    safe = next((each for each in (path, *path.parents) if (each / "manifest.safe").is_file()), path)
    if (safe / "manifest.safe").is_file() or safe.suffix == ".SAFE":
        return _ground_range(safe, root, unit or "sigma0", geolocation_limit)
    return _rasters(path, root, unit)


def _ground_range(safe: Path, root: Path, quantity: str, limit_m: float) -> Scene:
    measurements = sorted(_tiffs(safe / "measurement"))
    if not measurements:
        raise InputError(f"{safe} has no measurement/*.tiff: fetch the whole product.")
    said = {each: Annotation.read(safe / "annotation" / f"{each.stem}.xml") for each in measurements}
    measurements.sort(key=lambda each: _rank(said[each].polarisation))
    first = said[measurements[0]]
    if any(each.product_type != "GRD" for each in said.values()):
        raise InputError(
            f"{safe} is a {first.product_type} product: take the ground-range product (GRD) or the terrain-corrected "
            "one (RTC) of the scene."
        )
    bands = tuple(said[each].polarisation for each in measurements)
    if len(set(bands)) < len(bands):
        raise InputError(f"{safe} has two measurements of one polarisation ({', '.join(bands)}): fetch it again.")
    tables = safe / "annotation" / "calibration"
    silent = [each for each in measurements if read_noise(tables / f"noise-{each.stem}.xml") is None]
    for each in measurements:
        read_calibration(tables / f"calibration-{each.stem}.xml", quantity)
    error = geolocation_error(*gcps_of(measurements[0]))
    require_geolocation(error, str(safe), limit_m)
    noise = "thermal noise is subtracted" if not silent else f"thermal noise is not subtracted in {len(silent)} band(s)"
    return Scene(
        "sar",
        tuple(_under(root, each) for each in measurements),
        bands,
        quantity,
        time=first.time,
        orbit=first.orbit,
        relative_orbit=first.relative_orbit,
        incidence=(min(each.incidence[0] for each in said.values()), max(each.incidence[1] for each in said.values())),
        level="GRD",
        calibration=_under(root, tables),
        notes=(f"It is not terrain corrected: {error}.", f"It is calibrated to {quantity}; {noise}."),
    )


def _rasters(path: Path, root: Path, unit: str | None) -> Scene:
    paths = _polarisations(path) if path.is_dir() else _siblings(path)
    if any(has_gcps(each) for each in paths):
        raise InputError(
            f"{paths[0]} has ground control points and no grid, as raw products have: give the whole .SAFE folder, "
            "with its calibration, or the terrain-corrected product (RTC)."
        )
    if not all(grid_of(each).same_as(grid_of(paths[0])) for each in paths):
        raise InputError(
            f"{paths[0]} and {paths[-1].name} are not on one grid: name one of them, or resample the other."
        )
    names = [each.stem for each in paths] if len(paths) > 1 else _names(paths[0])
    sample = np.concatenate([_sample(each) for each in paths])
    bands, assumed = _bands(names, sample, str(path))
    product = _product_name(paths[0])
    tags = {name.lower(): value for each in reversed(paths) for name, value in unit_tags(each).items()}
    if hyp3 := _HYP3.search(product):
        tags.setdefault("units", f"{_HYP3_UNITS[hyp3['unit']]}, by the name {hyp3[0]}")
    if unit is not None:
        require_plausible(unit, sample, str(path))
        decision = Decision(unit, "the user says so")
    else:
        named = [f"{band} {name or ''}" for band, name in zip(bands, names, strict=True)]
        decision = decide_unit(sample, tags, named, str(path))
    return Scene(
        "sar",
        tuple(_under(root, each) for each in paths),
        bands,
        decision.unit,
        level="RTC" if "rtc" in product.lower() else None,
        notes=(*assumed, f"It stores {decision.unit}: {decision.reason}.", *_filled(sample, decision.unit)),
        **_acquisition(product, tags),
    )


def _acquisition(product: str, tags: Mapping[str, str]) -> dict[str, Any]:
    """When and from where a product was acquired, by its name and tags (in lower case)."""
    named = _ACQUIRED.search(product.replace("-", "_"))
    track = _first(tags, _TRACK_TAGS)
    by_name = relative_orbit(named["mission"].upper(), int(named["orbit"])) if named and named["orbit"] else None
    orbit = (_first(tags, _ORBIT_TAGS) or "").lower()
    angle = _first(tags, _ANGLE_TAGS)
    angles = [float(part) for part in re.findall(r"\d+(?:\.\d+)?", angle or "")]
    return {
        "time": _moment(named["time"]) if named else tags.get("datetime"),
        "orbit": next((each for each in ("ascending", "descending") if orbit and each.startswith(orbit)), None),
        "relative_orbit": int(track) if track and track.isdecimal() else by_name,
        "incidence": (min(angles), max(angles)) if angles else None,
    }


def _moment(text: str) -> str | None:
    """``20210401T052623`` in ISO 8601; ``None`` where it is no time."""
    try:
        return f"{datetime.strptime(text.upper(), '%Y%m%dT%H%M%S').isoformat()}Z"
    except ValueError:
        return None


def unit_tags(path: Path) -> dict[str, str]:
    """The metadata items of a raster, with its type and the unit of its first band, if it names one."""
    tags = tags_of(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        source = rasterio.open(path)
    with source:
        units = {"units": source.units[0]} if source.units[0] else {}
        return tags | units | {"dtype": source.dtypes[0]}


def _first(tags: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((tags[name] for name in names if name in tags), None)


def _polarisations(folder: Path) -> list[Path]:
    """The rasters of a folder, or of its ``measurement``, one for each polarisation, in the order of these."""
    found = [each for where in (folder, folder / "measurement") for each in _tiffs(where) if polarisation_of(each.stem)]
    if not found:
        raise InputError(
            f"{folder} has no GeoTIFF whose name ends with a polarisation, such as *_VV.tif: name the raster itself."
        )
    by_name: dict[str, Path] = {}
    for each in sorted(found):
        polarisation = polarisation_of(each.stem) or ""
        if polarisation in by_name:
            raise InputError(
                f"{folder} has several rasters of {polarisation} ({by_name[polarisation].name}, {each.name}): keep one "
                "product in a folder, or name one of its rasters."
            )
        by_name[polarisation] = each
    return [by_name[name] for name in POLARISATIONS if name in by_name]


def _siblings(path: Path) -> list[Path]:
    """A raster and those beside it whose names differ in the polarisation alone, in the order of these."""
    if path.suffix.lower() not in _RASTERS or not polarisation_of(path.stem) or len(band_names_of(path)) > 1:
        return [path]
    own = polarisation_of(path.stem) or ""
    at = [(found.start(), found.end()) for found in re.finditer(own, path.stem, re.IGNORECASE)][-1]
    found: list[Path] = []
    for other in POLARISATIONS:
        name = other if path.stem[at[0]].isupper() else other.lower()
        each = path.with_name(f"{path.stem[: at[0]]}{name}{path.stem[at[1] :]}{path.suffix}")
        if each == path or each.is_file():
            found.append(each)
    return found


def _names(path: Path) -> list[str | None]:
    """The names of a raster's bands; that of a single one is the file's, where its own tells no polarisation."""
    names = list(band_names_of(path))
    return [path.stem] if len(names) == 1 and not polarisation_of(names[0] or "") else names


def _bands(names: Sequence[str | None], sample: Pixels, where: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The polarisation of each band, and what was assumed to name them."""
    bands = [polarisation_of(name or "") for name in names]
    if all(bands) and len(set(bands)) == len(bands):
        return tuple(str(band) for band in bands), ()
    if any(bands) or len(bands) > 2:
        raise InputError(
            f"{where} has {len(bands)} bands whose names ({', '.join(str(name) for name in names)}) do not tell their "
            "polarisations: name each band VV, VH, HH or HV with 'rio edit-info --bidx 1 --description VV'."
        )
    if len(bands) == 1:
        return ("VV",), ("Its one band has no name and is taken as VV.",)
    levels = [float(np.nanmedian(band)) if np.isfinite(band).any() else np.nan for band in sample]
    if levels[1] > levels[0]:
        raise InputError(
            f"{where} has two bands without names, and the second is brighter, so that they are not VV and VH in this "
            "order: name them with 'rio edit-info --bidx 1 --description VH'."
        )
    return ("VV", "VH"), ("Its two bands have no names and are taken as VV and VH; the first is the brighter.",)


def _filled(sample: Pixels, unit: str) -> tuple[str, ...]:
    """What is said of stored dB that are no measurement, and that no tag says to be missing."""
    filled = np.isfinite(sample) & ((sample <= LEAST_DB) | (sample >= MOST_DB))
    if unit != "db" or not filled.any():
        return ()
    share, one = f"{filled.mean():.1%}", f"{sample[filled][0]:g}"
    return (f"{share} of a sample of its values are no decibels (such as {one}) and count as not observed.",)


def _sample(path: Path) -> Pixels:
    """(C, N) stored values of small squares all over a raster."""
    grid = grid_of(path)
    width, height = min(_SAMPLE, grid.width), min(_SAMPLE, grid.height)
    columns = {round(share * (grid.width - width)) for share in np.linspace(0, 1, _SAMPLES)}
    rows = {round(share * (grid.height - height)) for share in np.linspace(0, 1, _SAMPLES)}
    windows = [Window(column, row, width, height) for row in sorted(rows) for column in sorted(columns)]
    parts = [read_window(path, window, grid) for window in windows]
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


def _product_name(path: Path) -> str:
    """The name that tells of the acquisition: the file's, or that of a folder above it, as far as it begins with S1."""
    for name in (path.stem, *(each.name for each in list(path.parents)[:2])):
        if _ACQUIRED.search(name.replace("-", "_")):
            return name
    return f"{path.parent.name} {path.stem}"


def _tiffs(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (each for each in folder.iterdir() if each.suffix.lower() in _RASTERS and each.is_file())


def _rank(polarisation: str) -> int:
    return POLARISATIONS.index(polarisation) if polarisation in POLARISATIONS else len(POLARISATIONS)


def _under(root: Path, path: Path) -> str:
    """A path relative to the root, with forward slashes; links in the root are followed by whoever reads."""
    for one, other in ((path, root), (path.resolve(), root.resolve())):
        if one.is_relative_to(other) and ".." not in one.relative_to(other).parts:
            return one.relative_to(other).as_posix()
    raise InputError(f"{path} is not in {root}: give a root that holds it.")
