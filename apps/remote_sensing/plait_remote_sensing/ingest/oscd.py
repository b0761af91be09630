"""OSCD with Sentinel-1: cities at two dates, each date a SAR and an optical acquisition, and a map of what changed.

A row is a tile of 64 x 64 pixels at one date, on the 10 m grid of the first date. Everything else is warped to it: the
20 m bands, the second date of a city whose grid differs (Hong Kong), and Sentinel-1, whose pixels are square in degrees
where those of Sentinel-2 are square in metres. ``tile`` names the place, so that the two dates of a tile can be joined;
``changed_share`` is what changed between them. A group is a city.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Remark, Row
from plait_remote_sensing.ingest.scenes import class_map, cut, patch_row, patches, stored_optical, stored_sar
from plait_remote_sensing.raster import grid_of

SIDE = 64
CHANGED = 2
BANDS_10M = ("B02", "B03", "B04", "B08")
BANDS_20M = ("B05", "B06", "B07", "B8A", "B11", "B12")
SPLITS = {"aguasclaras": "train", "bercy": "train", "bordeaux": "train", "hongkong": "train"} | {
    "pisa": "val",
    "rennes": "val",
}


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """Yield a row for each tile and date; a city not in `SPLITS` is split with the others that are not."""
    cities = sorted(path.parent.name for path in root.glob("*/s2_10m_t1.tif"))
    if not cities:
        raise InputError(f"{root} holds no <city>/s2_10m_t1.tif: give the folder of the cities.")
    for city in cities:
        yield from _city(root, city, refuse)


def _city(root: Path, city: str, refuse: Refuse) -> Iterator[Row]:
    reference = f"{city}/s2_10m_t1.tif"
    try:
        grid = grid_of(root / reference)
    except InputError as error:
        refuse(city, str(error))
        return
    codes = class_map(root, f"{city}/change.tif", grid, refuse)
    days = _dates(root / city / "dates.txt", refuse)
    for moment in ("t1", "t2"):
        sar = stored_sar(root, f"{city}/s1_vv_{moment}.tif", ("VV",), "scaled", refuse)
        paths = [f"{city}/s2_{resolution}_{moment}.tif" for resolution in ("10m", "20m")]
        optical = stored_optical(root, paths, BANDS_10M + BANDS_20M, refuse)
        if sar is None and optical is None:
            continue
        for window in patches(grid, SIDE):
            tile = f"{city}/r{window.row:03d}c{window.column:03d}"
            row = patch_row(f"{tile}/{moment}", city, sar, optical, reference, window, grid.extent)
            changed = float((cut(codes, window) == CHANGED).mean()) if codes is not None else None
            row |= {"time": days.get(moment), "tile": tile, "moment": moment, "changed_share": changed}
            yield row | ({"split": SPLITS[city]} if city in SPLITS else {})


def _dates(path: Path, refuse: Refuse) -> dict[str, str]:
    """The two acquisition dates as ISO text; none, and told, where the file does not give them."""
    try:
        lines = [line.split(":")[-1].strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        return {moment: date.fromisoformat(day).isoformat() for moment, day in zip(("t1", "t2"), lines, strict=True)}
    except (OSError, ValueError) as error:
        cause = f"dates.txt does not give two dates ({error}); the city is kept without them."
        refuse(path.parent.name, Remark(cause))
        return {}


LAYOUT = Layout(
    name="oscd",
    about="OSCD with Sentinel-1: <city>/s2_{10m,20m}_t{1,2}.tif, s1_vv_t{1,2}.tif, change.tif, dates.txt",
    modalities={"sar": ("sar",), "optical": ("optical",)},
    source="Onera Satellite Change Detection (Daudt et al., 2018) with Sentinel-1 of Hafner et al. (2021)",
    licence="change maps CC BY-NC-SA (non-commercial); Copernicus Sentinel data 2015-2018",
    read=read,
)
