"""What a map is made of: its sources, its function, and the squares into which the work is cut."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from math import ceil, lcm
from pathlib import Path

import numpy as np
from rasterio.transform import Affine

from plait.errors import InputError
from plait.pairs.table import file_in
from plait_remote_sensing.output.info import BLOCK
from plait_remote_sensing.raster import Grid, Window, grid_of, has_gcps, require_overlap
from plait_remote_sensing.scene import Scene
from plait_remote_sensing.tiling.encoding import Encoding
from plait_remote_sensing.tiling.function import Origin, TileFunction
from plait_remote_sensing.tiling.tiling import Place, Tiling

GROUP = 2
"""A part is a square of so many by so many tiles: one read, one file. So blocks of a raster are decoded less often."""


@dataclass(frozen=True)
class Source:
    """A scene, and where it lies.

    Attributes:
        scene: how it is stored.
        root: the folder that its paths are relative to.
        bands: those that the function sees, by name and in this order; all where ``None``.
    """

    scene: Scene
    root: Path
    bands: tuple[str, ...] | None = None

    @property
    def files(self) -> list[Path]:
        """All files of the scene."""
        more = [path for path in (self.scene.scl, self.scene.calibration) if path is not None]
        return [file_in(self.root, path) for path in (*self.scene.paths, *more)]

    @property
    def seen(self) -> tuple[str, ...]:
        """The names of the bands that the function sees."""
        return self.scene.bands if self.bands is None else self.bands

    def positions(self) -> list[int]:
        """Of the bands that the function sees; raises `InputError` where the scene lacks one."""
        has = self.scene.bands
        absent = [band for band in self.seen if band not in has]
        if absent:
            raise InputError(f"{self.scene.paths[0]} has no band {', '.join(absent)} (it has {', '.join(has)}).")
        return [has.index(band) for band in self.seen]


@dataclass(frozen=True)
class Plan:
    """All that decides a map, pixel by pixel; picklable, so that any process can make any part of it.

    Attributes:
        sources: modality to its scene.
        grid: of the input; the map's is ``step`` times coarser.
        origin: where the function comes from.
        step: how many pixels of the input one of the map is wide and high.
        margin: pixels of the input, on each side of a tile, that the function's answer does not cover.
        tile: the side of a tile without its halo, in pixels of the input.
        halo: pixels around a tile that the function sees, and whose answers are thrown away.
        overlap: pixels that neighbouring tiles share, over which one fades into the other.
        mask: whether optical pixels that the scene classification calls cloud or shadow count as not observed.
    """

    sources: Mapping[str, Source]
    grid: Grid
    origin: Origin
    step: int
    margin: int
    tile: int
    halo: int
    overlap: int
    mask: bool = False

    def __post_init__(self) -> None:
        if not self.sources:
            raise InputError("A map needs a scene: give --sar, --optical or both.")
        if self.tile < 1:
            raise InputError(f"--tile {self.tile}: tiles of {self.tile} pixels cover nothing: give --tile 1 or more.")
        for name, value in (("tile", self.tile), ("overlap", self.overlap), ("halo", self.halo - self.margin)):
            if value % self.step:
                more = f" beyond its margin of {self.margin}" if name == "halo" and self.margin else ""
                raise InputError(
                    f"--{name}: {value} pixels{more} are no multiple of {self.step}, the width of the map's pixels."
                )
        if self.overlap < 0 or self.halo < 0:
            flag, value = ("overlap", self.overlap) if self.overlap < 0 else ("halo", self.halo)
            raise InputError(f"--{flag} {value}: a number of pixels is wanted, 0 or more.")
        if not self.margin <= self.halo <= self.tile:
            raise InputError(
                f"A halo of {self.halo} pixels does not suit tiles of {self.tile}: give --halo {self.margin} to "
                f"{self.tile}; a larger one reads and computes more than nine times the scene."
            )
        _ = self.tiles
        for source in self.sources.values():
            source.positions()
        if self.mask and not any(source.scene.scl for source in self.sources.values()):
            paths = ", ".join(source.scene.paths[0] for source in self.sources.values())
            raise InputError(
                f"{paths} has no scene classification to tell clouds by: give a level-2A product, or leave out --mask."
            )

    @property
    def files(self) -> list[Path]:
        """All files of all sources."""
        return [path for source in self.sources.values() for path in source.files]

    def stamps(self) -> dict[Path, str]:
        """What tells of each file of the sources that it is another one than before."""
        return {path: _stamp(path) for path in self.files}

    @cached_property
    def map_grid(self) -> Grid:
        """The grid of the map."""
        width, height = -(-self.grid.width // self.step), -(-self.grid.height // self.step)
        of = self.grid.transform
        coarse = Affine(of.a * self.step, of.b * self.step, of.c, of.d * self.step, of.e * self.step, of.f)
        return Grid(self.grid.crs, coarse, width, height)

    @cached_property
    def tiles(self) -> Tiling:
        """What the function is run on, counted on the map."""
        return self._tiling(self.tile // self.step, self.overlap // self.step)

    @cached_property
    def parts(self) -> Tiling:
        """Squares of `GROUP` x `GROUP` tiles: the units of work."""
        return self._tiling(GROUP * self.tiles.stride + self.tiles.overlap, self.tiles.overlap)

    @cached_property
    def blocks(self) -> Tiling:
        """What the map is put together in."""
        return self._tiling(BLOCK, 0)

    def beneath(self, block: Place) -> list[Place]:
        """The parts that a block is put together from: also those of the pixel above it and to its left."""
        return list(self.parts.touching(self.with_neighbours(block)))

    def above(self, part: Place) -> list[Place]:
        """The blocks that a part is beneath of."""
        own = self.parts.window(part)
        grown = Window(own.column, own.row, own.width + 1, own.height + 1)
        return list(self.blocks.touching(grown))

    def with_neighbours(self, block: Place) -> Window:
        """A block, and the row above and the column to its left, so that every step between two pixels is in one."""
        at = self.blocks.window(block)
        return Window(at.column - 1, at.row - 1, at.width + 1, at.height + 1).clipped(self.map_grid.extent)

    def identity(self) -> dict[str, str]:
        """Everything that decides the map's bytes, by a name for people."""
        decided = {name: str(getattr(self, name)) for name in ("tile", "halo", "overlap", "step", "mask")}
        for modality, source in self.sources.items():
            decided[f"{modality} files"] = " ".join(f"{path} {_stamp(path)}" for path in source.files)
            said = {name: value for name, value in asdict(source.scene).items() if name not in ("paths", "notes")}
            decided[f"way to read {modality}"] = f"{said} {source.seen}"
        decided["grid"] = f"{self.grid.crs} {tuple(self.grid.transform)} {self.grid.width} x {self.grid.height}"
        return decided | self.origin.identity()

    @property
    def reading(self) -> int:
        """Bytes that a worker holds at most of what it reads, which is known before the function answers."""
        tile = self.tile + 2 * self.halo
        across, down = (
            ((min(GROUP, count) - 1) * self.tiles.stride + self.tiles.side) * self.step + 2 * self.halo
            for count in (self.tiles.columns, self.tiles.rows)
        )
        bands = sum(len(source.scene.bands) for source in self.sources.values())
        read = 3 * 4 * max(len(source.scene.bands) for source in self.sources.values()) + 4 * bands
        return across * down * read + tile**2 * 4 * bands

    def memory(self, encoding: Encoding) -> int:
        """Bytes that a worker holds at most, beside its libraries and what the function itself needs."""
        return self.reading + 2 * self.part_bytes(encoding)

    def disk(self, encoding: Encoding) -> int:
        """Bytes on disk at most while the map is made: parts that wait for their neighbours, the map, its copy."""
        rows = min(self.parts.rows, 3 + BLOCK // self.parts.stride)
        size = self.map_grid.width * self.map_grid.height * len(encoding.bands) * np.dtype(encoding.dtype).itemsize
        return rows * self.parts.columns * self.part_bytes(encoding) + 3 * size

    def part_bytes(self, encoding: Encoding) -> int:
        """Bytes of a whole part."""
        return self.parts.side**2 * encoding.channels * (4 if encoding.blended else np.dtype(encoding.dtype).itemsize)

    def describe(self, encoding: Encoding | None = None) -> str:
        """What the work will take, in a sentence; without an encoding, as long as the function has not answered."""
        tiles, parts = self.tiles, self.parts
        squares = f"{tiles.rows * tiles.columns:,} tiles of {self.tile} pixels in {parts.rows * parts.columns:,} parts"
        if encoding is None:
            return f"{squares}; at most {self.reading / 1e6:,.0f} MB a worker for what is read"
        return (
            f"{squares}; at most {self.memory(encoding) / 1e6:,.0f} MB a worker beside its libraries and the function, "
            f"{self.disk(encoding) / 1e6:,.0f} MB of disk"
        )

    def _tiling(self, side: int, overlap: int) -> Tiling:
        return Tiling(self.map_grid.width, self.map_grid.height, side, overlap)


def make_plan(
    sources: Mapping[str, Source],
    grid: Grid,
    origin: Origin,
    tile: int = 512,
    halo: int | None = None,
    overlap: int | None = None,
    mask: bool = False,
) -> Plan:
    """Fill in what the function decides: 32 pixels of halo and 64 of overlap, or its margin and none where it has one.

    Raises:
        InputError: for sizes that do not go together, for a function that cannot be loaded, and for a scene that lies
            elsewhere.
    """
    for source in sources.values():
        _require_shared(source, grid)
    function: TileFunction = origin.load()
    # A tile larger than the scene would be empty beyond it.
    unit = lcm(BLOCK, function.step)
    tile = min(tile, unit * ceil(max(grid.width, grid.height) / unit))
    halo = (function.margin or 32) if halo is None else halo
    overlap = (0 if function.margin else 64) if overlap is None else overlap
    plan = Plan(dict(sources), grid, origin, function.step, function.margin, tile, halo, overlap, mask)
    if plan.reading > (room := _memory() // 2):
        raise InputError(
            f"Tiles of {tile} pixels take {plan.reading / 1e9:,.1f} GB a worker for what is read, more than half of "
            f"this machine's memory ({room / 1e9:,.1f} GB): give a smaller --tile, such as 512."
        )
    return plan


def _memory() -> int:
    """Bytes of this machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def require_unchanged(plan: Plan, before: Mapping[Path, str]) -> None:
    """Raise `InputError` where a source is no longer the file that the map was begun with."""
    for path, stamp in plan.stamps().items():
        if stamp != before.get(path):
            raise InputError(
                f"{path} was changed while it was mapped, so the map would be of two files: give --restart to begin "
                "anew."
            )


def _require_shared(source: Source, grid: Grid) -> None:
    """Raise `InputError`, with the distance, where a scene shares no pixel with a grid."""
    path = file_in(source.root, source.scene.paths[0])
    if has_gcps(path):
        return
    own = grid_of(path)
    if own.crs is not None and grid.crs is not None:
        require_overlap(grid, own, "The grid of the map", source.scene.paths[0])


def _stamp(path: Path) -> str:
    """The size and time of change of a file; of a remote one nothing is known."""
    file = Path(str(path).partition("#")[0])
    if not file.is_file():
        return "not here"
    found = file.stat()
    return f"{found.st_size} {found.st_mtime_ns}"
