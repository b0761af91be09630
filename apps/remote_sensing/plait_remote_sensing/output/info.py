"""What a map says of itself, whatever the format it is written in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from plait.errors import InputError
from plait_remote_sensing.raster import Grid, Window

BLOCK = 512
"""Pixels along a block of a map, in every format."""

type Blocks = Iterable[tuple[Window, NDArray[Any]]]
"""Pieces (C, h, w) of a map, each once, whose corners lie on multiples of `BLOCK` or on the map's edge."""


@dataclass(frozen=True)
class MapInfo:
    """What a map says of itself.

    Attributes:
        bands: their names.
        nodata: the stored value that means "nothing known here".
        classes: what each stored number means, and its colour as ``#rrggbb``, where the first band holds classes.
        unit: of the values.
        time: when the ground was seen: an ISO 8601 moment or day in UTC, or two of them with ``/`` between.
        tags: where the map comes from, for later readers.
        scales: for each band, what a stored number is multiplied with; 1 where empty.
        offsets: for each band, what is added then; 0 where empty.
    """

    bands: tuple[str, ...]
    nodata: float | None
    classes: Mapping[int, tuple[str, str]] | None = None
    unit: str | None = None
    time: str | None = None
    tags: Mapping[str, str | float] = field(default_factory=dict[str, str | float])
    scales: tuple[float, ...] = ()
    offsets: tuple[float, ...] = ()


def checked(blocks: Blocks, grid: Grid, dtype: str, info: MapInfo) -> Blocks:
    """The same blocks; raises `ValueError` at the first that is not what a map is made of, and where some lack."""
    covered = 0
    for window, values in blocks:
        wanted = (len(info.bands), window.height, window.width)
        if values.shape != wanted or values.dtype != dtype:
            raise ValueError(f"block {window} is {values.shape} {values.dtype}, where {wanted} {dtype} is wanted")
        corners = ((window.column, window.right, grid.width), (window.row, window.bottom, grid.height))
        if any(first % BLOCK or (last % BLOCK and last != end) or last > end for first, last, end in corners):
            raise ValueError(f"block {window} does not lie on multiples of {BLOCK} pixels")
        covered += window.width * window.height
        yield window, values
    if covered != grid.width * grid.height:
        raise ValueError(f"the blocks hold {covered} of {grid.width * grid.height} pixels")


def rgb(colour: str) -> tuple[int, int, int]:
    """The three numbers of ``#rrggbb``."""
    try:
        red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    except ValueError as error:
        raise InputError(f"The colour '{colour}' is not '#rrggbb': correct it.") from error
    return red, green, blue
