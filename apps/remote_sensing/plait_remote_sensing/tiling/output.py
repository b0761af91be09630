"""The finished map on disk: the raster, its STAC item and its style."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import Literal

from plait.errors import InputError
from plait_remote_sensing.output import MapInfo, write_cog, write_qml, write_stac_item, write_zarr
from plait_remote_sensing.output.info import Blocks
from plait_remote_sensing.tiling.encoding import Encoding
from plait_remote_sensing.tiling.ledger import PLAN, folder_of
from plait_remote_sensing.tiling.plan import Plan
from plait_remote_sensing.tiling.telling import reading_tags

type Format = Literal["cog", "zarr"]
"""A cloud-optimised GeoTIFF, or a Zarr group."""
_ITEM, _STYLE = ".json", ".qml"


def write_map(
    plan: Plan, encoding: Encoding, out: Path, form: Format, blocks: Blocks, seam: float | None, observed: float
) -> str:
    """Write the map, and beside it its STAC item and, for a GeoTIFF, its QGIS style; gives back the map's SHA-256.

    All of it is decided by the plan and the blocks: nothing in it tells when, where or by whom it was made.
    """
    write = write_cog if form == "cog" else write_zarr
    write(out, plan.map_grid, encoding.dtype, _info(plan, encoding, seam, observed), blocks)
    write_beside(plan, encoding, out, form, seam, observed)
    return file_sha256(out)


def beside(plan: Plan, out: Path, form: Format) -> list[Path]:
    """What stands beside a finished map: its STAC item where it has a place, and a GeoTIFF's QGIS style."""
    item = [_named(out, _ITEM)] if plan.map_grid.crs is not None else []
    return item + ([_named(out, _STYLE)] if form == "cog" else [])


def write_beside(plan: Plan, encoding: Encoding, out: Path, form: Format, seam: float | None, observed: float) -> None:
    """Write what stands beside a map that is there."""
    info = _info(plan, encoding, seam, observed)
    for path in beside(plan, out, form):
        if path.suffix == _ITEM:
            write_stac_item(path, out, plan.map_grid, info, [str(file) for file in plan.files])
        else:
            write_qml(path, info, out)


def require_own(out: Path, sources: Collection[Path], restart: bool) -> None:
    """Raise `InputError` where the map, or what is written beside it, would replace a source or another's file."""
    begun = (folder_of(out) / PLAN).exists()
    for path in (out, _named(out, _ITEM), _named(out, _STYLE)):
        if path.resolve() in {source.resolve() for source in sources}:
            raise InputError(f"The map would replace {path}, which it is made from: name another --out.")
        if path.exists() and not begun and not restart:
            raise InputError(
                f"{path} is there, and no map was begun under this name ({folder_of(out)} knows of none): name another "
                "--out, or give --restart to replace it."
            )


def _named(out: Path, suffix: str) -> Path:
    """What belongs to a map: ``x.json`` to ``x.tif``, and ``x.zarr.json`` to ``x.zarr``, so that both may be there."""
    return out.with_suffix(suffix) if out.suffix == ".tif" else out.with_name(out.name + suffix)


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, or of all files of a folder with their names."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    files = sorted(file for file in path.rglob("*") if file.is_file())
    parts = [f"{file.relative_to(path).as_posix()} {file_sha256(file)}" for file in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _info(plan: Plan, encoding: Encoding, seam: float | None, observed: float) -> MapInfo:
    times = sorted({source.scene.time for source in plan.sources.values() if source.scene.time is not None})
    return MapInfo(
        bands=encoding.bands,
        nodata=encoding.nodata,
        classes=encoding.classes,
        time="/".join(dict.fromkeys([times[0], times[-1]])) if times else None,
        scales=() if encoding.scale is None else (encoding.scale,) * len(encoding.bands),
        tags=_tags(plan, seam, observed),
    )


def _tags(plan: Plan, seam: float | None, observed: float) -> dict[str, str | float]:
    tags: dict[str, str | float] = {}
    tags |= {f"plait_{name.replace(' ', '_')}": value for name, value in plan.origin.identity().items()}
    tags |= {f"plait_{name}": str(getattr(plan, name)) for name in ("tile", "halo", "overlap", "step", "mask")}
    tags["plait_modalities"] = ",".join(plan.sources)
    tags |= reading_tags(plan.sources)
    tags["plait_observed"] = round(observed, 6)
    if seam is not None:
        tags["plait_seam_score"] = round(seam, 6)
    return tags
