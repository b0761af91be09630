"""One row of a pair table, read: SAR and optical patches on one grid, or two series of one point."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plait.errors import InputError
from plait.pairs.batch import Sample
from plait.pairs.layout import Row
from plait.pairs.table import file_in
from plait_remote_sensing import backscatter, reflectance
from plait_remote_sensing.radar import speckle
from plait_remote_sensing.raster import Grid, Window, grid_of
from plait_remote_sensing.reading import physical, read_clear, read_scene
from plait_remote_sensing.scene import SENSORS, Scene, scene_of, sensor_of
from plait_remote_sensing.series import read_series
from plait_remote_sensing.window_cache import WindowCache

CONTEXT = 8
"""Pixels around a patch by default: half the gap between the splits of TerraMesh, so it is never mirrored there."""
_READ = WindowCache(256 * 2**20)

type Pixels = NDArray[np.float32]
type Read = Callable[[Scene, Path, Window, Grid, str], Pixels]
"""As `read_scene`: of a scene, under a root, a window, counted on a grid, by a resampling."""
type Fetch = Callable[[Read, Scene, Path, Window, Grid, str], Pixels]
"""Gives what a function reads for these arguments, from where it holds it or by calling it."""


@dataclass(frozen=True)
class Loader:
    """Reads what a row says, whatever the layout it came from.

    A patch is (C, H, W) float32, all modalities on one pixel grid; a series is (T, C) float32, one row a month. SAR is
    scaled decibels (`backscatter.scaled`), optical is scaled reflectance (`reflectance.scaled`). What was not observed
    is 0 (about the mean of land) in a patch, where convolutions can mark nothing, and NaN in a series.

    Attributes:
        context: pixels around the patch that are read with it, mirrored where they would leave the row's area.
        sar_bands: which bands, by name and in this order; all that the row has where ``None``.
        optical_bands: the same for the optical sensor.
        sar_resampling, optical_resampling: of a raster that is not on the row's grid.
        mask_clouds: whether clouds and their shadows are "not observed", where a scene classification tells of them.
        speckle_filter: of `radar.speckle.FILTERS`, for SAR patches with their context; none where empty.
        looks: of the speckle; 4.4 is that of Sentinel-1's ground-range products.
    """

    context: int = CONTEXT
    sar_bands: tuple[str, ...] | None = None
    optical_bands: tuple[str, ...] | None = None
    sar_resampling: str = "bilinear"
    optical_resampling: str = "bilinear"
    mask_clouds: bool = True
    speckle_filter: str = ""
    looks: float = 4.4

    def __post_init__(self) -> None:
        if self.speckle_filter:
            speckle.require_filter(self.speckle_filter, self.looks)

    def __call__(self, row: Row, root: Path, names: Iterable[str] | None = None) -> Sample:
        """Load ``sar`` and ``optical``, or what else the row has of the two; ``None`` where it lacks one.

        Raises:
            InputError: for a file that cannot be read, a window outside it, a patch without any observed pixel, a band
                that the row does not have, or a speckle filter for what is no patch of backscatter.
        """
        return self.load(row, root, names, _kept)

    def load(self, row: Row, root: Path, names: Iterable[str] | None, fetch: Fetch) -> Sample:
        """The same, its pixels by way of ``fetch``, and not from those that were read last."""
        sample: Sample = {}
        for name in names if names is not None else modalities_of(row):
            sensor_of(name)
            if name not in row:
                raise InputError(f"Row '{row['id']}' has no '{name}': it has {', '.join(modalities_of(row))}.")
            sample[name] = self._modality(name, row, root, fetch) if row[name] is not None else None
        return sample

    def _modality(self, name: str, row: Row, root: Path, fetch: Fetch) -> Tensor:
        scene = scene_of(row, name)
        values = self._physical(name, scene, row, root, fetch)
        if not np.isfinite(values).any():
            raise InputError(f"{row[name][0]}, row '{row['id']}': no pixel of {name} was observed: leave the row out.")
        wanted = self.sar_bands if scene.sensor == "sar" else self.optical_bands
        if wanted is not None:
            values = values[_positions(wanted, scene.bands, row["id"])]
        if self.speckle_filter and scene.sensor == "sar":
            if row["window"] is None or scene.unit == "grey":
                raise InputError(f"Row '{row['id']}' is no patch of backscatter: leave out data.speckle_filter.")
            values = speckle.filtered_db(torch.tensor(values), self.speckle_filter, self.looks).numpy()
        mine = torch.from_numpy(values if values.flags.writeable else values.copy())
        scaled = (backscatter if scene.sensor == "sar" else reflectance).scaled_(mine)
        return scaled.T.contiguous() if row["window"] is None else scaled.nan_to_num_(0.0)

    def _physical(self, name: str, scene: Scene, row: Row, root: Path, fetch: Fetch) -> Pixels:
        """(C, H, W) or (C, T) decibels or reflectance of all the scene's bands, NaN where not observed."""
        if row["window"] is None:
            path = file_in(root, scene.paths[0])
            return physical(scene, read_series(path, row["point"], name, scene.bands))
        grid = _grid(*_stamp(file_in(root, row["grid"])))
        window, area = Window.parse(row["window"]), Window.parse(row["area"])
        inside, margins = _with_context(window, self.context, area, grid, row["id"])
        resampling = self.sar_resampling if scene.sensor == "sar" else self.optical_resampling
        pixels = fetch(read_clear if self.mask_clouds else read_scene, scene, root, inside, grid, resampling)
        return np.pad(pixels, ((0, 0), *margins), mode="symmetric") if np.any(margins) else pixels


def _kept(read: Read, scene: Scene, root: Path, window: Window, grid: Grid, resampling: str) -> Pixels:
    """What was read last is kept in memory, and read-only."""
    stamps = tuple(_stamp(file_in(root, path)) for path in scene.paths)
    key = read, scene, stamps, window, grid, resampling
    return _READ.get(key, lambda: read(scene, root, window, grid, resampling))


def modalities_of(row: Row) -> list[str]:
    """The modalities that a row has or lacks: ``sar`` and ``optical``, or those before and after something."""
    return [name for name in row if name.partition("_")[0] in SENSORS and f"{name}_bands" in row]


def _with_context(
    window: Window, context: int, area: Window, grid: Grid, row: str
) -> tuple[Window, tuple[tuple[int, int], tuple[int, int]]]:
    """A window grown by its context, as far as the area goes, and what is left to be mirrored in rows and columns.

    A patch at the edge of a split sees nothing of the next one.
    """
    if window.clipped(area) != window:
        raise InputError(f"Row '{row}': the window {window} is not inside its area {area}: ingest the data again.")
    wanted = window.grown(context)
    inside = wanted.clipped(area).clipped(grid.extent)
    rows = inside.row - wanted.row, wanted.bottom - inside.bottom
    columns = inside.column - wanted.column, wanted.right - inside.right
    if window.clipped(grid.extent) != window:
        raise InputError(
            f"Row '{row}': the window {window} is not inside its grid of {grid.width} x {grid.height} pixels: "
            "ingest the data again if the file was replaced."
        )
    return inside, (rows, columns)


def _stamp(path: Path) -> tuple[str, int]:
    """The file and its last change, so that a file replaced meanwhile is read anew."""
    file = Path(str(path).partition("#")[0])  # a reference into a file names the file first
    return str(path), file.stat().st_mtime_ns if file.is_file() else 0


@lru_cache(maxsize=4096)
def _grid(path: str, _changed: int) -> Grid:
    return grid_of(Path(path))


def _positions(wanted: Sequence[str], has: Sequence[str], row: str) -> list[int]:
    absent = [band for band in wanted if band not in has]
    if absent:
        raise InputError(
            f"Row '{row}' has no band {', '.join(absent)} (it has {', '.join(has)}): change the recipe's data."
        )
    return [has.index(band) for band in wanted]
