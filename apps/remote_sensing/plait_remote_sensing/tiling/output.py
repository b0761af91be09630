"""The finished map on disk: the raster, its STAC item and its style."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from plait_remote_sensing.output import MapInfo, write_cog, write_qml, write_stac_item, write_zarr
from plait_remote_sensing.output.info import Blocks
from plait_remote_sensing.tiling.encoding import Encoding
from plait_remote_sensing.tiling.plan import Plan

type Format = Literal["cog", "zarr"]
"""A cloud-optimised GeoTIFF, or a Zarr group."""


def write_map(
    plan: Plan, encoding: Encoding, out: Path, form: Format, blocks: Blocks, seam: float | None, observed: float
) -> str:
    """Write the map, and beside it its STAC item and, for a GeoTIFF, its QGIS style; gives back the map's SHA-256.

    All of it is decided by the plan and the blocks: nothing in it tells when, where or by whom it was made.
    """
    info = _info(plan, encoding, seam, observed)
    write = write_cog if form == "cog" else write_zarr
    write(out, plan.map_grid, encoding.dtype, info, blocks)
    sources = [str(path) for source in plan.sources.values() for path in source.files]
    if plan.map_grid.crs is not None:
        write_stac_item(out.with_suffix(".json"), out, plan.map_grid, info, sources)
    if form == "cog":
        write_qml(out.with_suffix(".qml"), info, out)
    return file_sha256(out)


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


def _tags(plan: Plan, seam: float | None, observed: float) -> dict[str, str]:
    tags = {f"plait_{name.replace(' ', '_')}": value for name, value in plan.origin.identity().items()}
    tags |= {f"plait_{name}": str(getattr(plan, name)) for name in ("tile", "halo", "overlap", "step", "mask")}
    tags["plait_modalities"] = ",".join(plan.sources)
    tags["plait_observed"] = f"{observed:.6f}"
    if seam is not None:
        tags["plait_seam_score"] = f"{seam:.6f}"
    return tags
