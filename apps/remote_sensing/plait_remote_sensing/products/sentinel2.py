"""Sentinel-2 as it lies on disk: products (SAFE) of level 1C and 2A, folders of band files, and stacked GeoTIFFs.

A scene has one path for each band, each at its finest resolution and on its own grid: 20 m and 60 m bands are put on
the grid of a 10 m band (`reference_path`) when they are read, never on disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from plait.errors import InputError
from plait_remote_sensing.bands import MSI, MSI_BANDS, band_of, missing_bands
from plait_remote_sensing.products.band_files import describe_rasters, joined, with_offset
from plait_remote_sensing.products.names import time_in
from plait_remote_sensing.products.sentinel2_metadata import Metadata, read_metadata, tile_of
from plait_remote_sensing.raster import tags_of
from plait_remote_sensing.scene import Scene

_ENDINGS = (".jp2", ".tif", ".tiff")


@dataclass(frozen=True)
class _Image:
    """A band's file, or that of the scene classification (``SCL``), and the side of its pixels in metres."""

    band: str
    resolution: int
    path: Path


def describe_sentinel2(path: Path, root: Path) -> Scene:
    """Find out how a Sentinel-2 scene is stored.

    Args:
        path: a product's folder (with ``MTD_MSIL1C.xml`` or ``MTD_MSIL2A.xml`` in it) or that file itself, a folder
            with a file for each band (``B02.tif``, ``T32TQM_20220412T101601_B02_10m.jp2``, ``blue.tif``), or a GeoTIFF
            with all bands.
        root: the folder that the scene's paths are relative to.

    Returns:
        The scene; its notes say how offset and bands were decided, and which bands are missing.

    Raises:
        InputError: for damaged metadata, no band, two files for one band, several granules, a stack whose bands have no
            names, and what `reflectance.stored_offset` refuses.
    """
    folder = path.parent if path.name.startswith("MTD_MSI") else path
    if folder.is_file():
        return _stack(folder, root)
    if not folder.is_dir():
        raise InputError(f"There is no Sentinel-2 scene at {folder}: check the path.")
    records = sorted(folder.glob("MTD_MSIL*.xml"))
    metadata = read_metadata(records[0]) if records else None
    if metadata and (folder / "GRANULE").is_dir():
        return _product(folder, root, metadata)
    files = [path for pattern in ("*", "R?0m/*") for path in folder.glob(pattern)]
    return _scene(_finest(_images(files), folder), folder, root, metadata, [])


def reference_path(scene: Scene) -> str:
    """The raster whose grid is the scene's: that of the first band with the smallest pixels, else the only one."""
    if len(scene.paths) != len(scene.bands):
        return scene.paths[0]
    sides = [_resolution(Path(path), band) for path, band in zip(scene.paths, scene.bands, strict=True)]
    return scene.paths[sides.index(min(sides))]


def _product(folder: Path, root: Path, metadata: Metadata) -> Scene:
    granules = sorted(path.parent for path in folder.glob("GRANULE/*/IMG_DATA"))
    if len(granules) != 1:
        raise InputError(
            f"{folder} holds {len(granules)} granules with IMG_DATA, and a scene is one: give a product of one tile."
        )
    tile, time = tile_of(granules[0])
    files = list(granules[0].glob("IMG_DATA/**/*"))
    images = _finest(_images(files), folder)
    named = {PurePosixPath(name).name for name in metadata.images}
    notes = [f"its metadata name {name}, which is not there" for name in sorted(named - {path.stem for path in files})]
    scene = _scene(images, folder, root, metadata, [f"MGRS tile {tile}", *notes] if tile else notes)
    return replace(scene, time=metadata.time or time)


def _scene(
    images: Mapping[str, _Image], folder: Path, root: Path, metadata: Metadata | None, notes: Sequence[str]
) -> Scene:
    bands = tuple(band for band in MSI_BANDS if band in images)
    if not bands:
        raise InputError(f"{folder} holds no band of Sentinel-2 (such as B02.tif or *_B02_10m.jp2): give its folder.")
    names = f"{_relative(folder, root)}/{images[bands[0]].path.name}"
    level = metadata.level if metadata else _level(names, "SCL" in images)
    scene = Scene(
        "optical",
        tuple(_relative(images[band].path, root) for band in bands),
        bands,
        "dn",
        time=metadata.time if metadata else time_in({}, names),
        orbit=metadata.orbit if metadata else None,
        relative_orbit=metadata.relative_orbit if metadata else None,
        level=level,
        scl=_relative(images["SCL"].path, root) if "SCL" in images else None,
        notes=(*notes, *_missing(bands, level)),
    )
    said = metadata.offset if metadata else None
    tags = joined([tags_of(root / path) for path in scene.paths])
    glanced = with_offset(_coarsest(scene) if said else scene, root, tags, None, said)
    quantification = metadata.quantification if metadata else glanced.quantification
    return replace(glanced, paths=scene.paths, bands=bands, quantification=quantification)


def _coarsest(scene: Scene) -> Scene:
    """The 60 m bands alone, if there are any: pixels can only doubt what metadata say, and 10 m take long to decode."""
    kept = [at for at, band in enumerate(scene.bands) if MSI[band].resolution == 60] or range(len(scene.bands))
    return replace(scene, paths=tuple(scene.paths[at] for at in kept), bands=tuple(scene.bands[at] for at in kept))


def _stack(path: Path, root: Path) -> Scene:
    """A GeoTIFF with all bands; its scene classification lies beside it under its name with ``_SCL``."""
    scl = path.with_name(f"{path.stem}_SCL{path.suffix}")
    scene = describe_rasters([path, scl] if scl.is_file() else [path], root, "optical")
    if not set(scene.bands) <= set(MSI_BANDS):
        raise InputError(
            f"{path} has {len(scene.bands)} bands without names of Sentinel-2's: describe them (B02, ...) with "
            "'rio edit-info --bidx 1 --description B02'."
        )
    return replace(scene, notes=(*scene.notes, *_missing(scene.bands, scene.level)))


def _images(paths: Iterable[Path]) -> list[_Image]:
    """The files that a band or the scene classification can be told of by name."""
    images: list[_Image] = []
    for path in sorted(paths):
        if path.suffix.lower() not in _ENDINGS or path.name.startswith("MSK_"):
            continue
        words = re.split(r"[^A-Za-z0-9]+", path.stem)
        band = "SCL" if "SCL" in (word.upper() for word in words) else band_of(path.stem)
        if band is not None and (band == "SCL" or band in MSI):
            images.append(_Image(band, _resolution(path, band), path))
    return images


def _finest(images: Sequence[_Image], folder: Path) -> dict[str, _Image]:
    found: dict[str, _Image] = {}
    for image in sorted(images, key=lambda image: image.resolution):
        held = found.setdefault(image.band, image)
        if held is not image and held.resolution == image.resolution:
            raise InputError(
                f"{folder} holds {held.path.name} and {image.path.name}, both {image.band}: "
                "put each acquisition into a folder of its own."
            )
    return found


def _resolution(path: Path, band: str) -> int:
    """The side of a pixel in metres by the names of file and folder; the band's own where they do not say."""
    found = re.search(r"_(10|20|60)m(_|$)", path.stem) or re.fullmatch(r"R(10|20|60)m", path.parent.name)
    return int(found[1]) if found else MSI[band].resolution if band in MSI else 20


def _missing(bands: Sequence[str], level: str | None) -> list[str]:
    absent = missing_bands(bands, level)
    return [f"missing bands: {', '.join(absent)}"] if absent else []


def _level(names: str, classified: bool) -> str | None:
    found = re.search(r"L1C|L2A", names)
    return found[0] if found else "L2A" if classified else None


def _relative(path: Path, root: Path) -> str:
    """Links count as they are named where that is under the root, else as what they point to."""
    for here, base in ((path, root), (path.resolve(), root.resolve())):
        if here.is_relative_to(base):
            return here.relative_to(base).as_posix()
    raise InputError(f"{path} is not under {root}: give the folder that holds all scenes.")
