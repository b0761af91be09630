"""One row of a pair table, read: SAR and optical patches on one grid, or two series of one point."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
from plait_remote_sensing.raster import Grid, Window, grid_of, read_with_context
from plait_remote_sensing.series import read_series
from plait_remote_sensing.window_cache import WindowCache

SENSORS = ("sar", "optical")
CONTEXT = 8
"""Pixels around a patch by default: half the gap between the splits of TerraMesh, so it is never mirrored there."""
_READ = WindowCache(256 * 2**20)


@dataclass(frozen=True)
class Loader:
    """Reads what a row says, whatever the layout it came from.

    A patch is (C, H, W) float32, both sensors on one pixel grid; a series is (T, C) float32, one row a month. SAR is
    scaled decibels (`backscatter.scaled`), optical is scaled reflectance (`reflectance.scaled`). What was not observed
    is 0 (about the mean of land) in a patch, where convolutions can mark nothing, and NaN in a series.

    Attributes:
        context: pixels around the patch that are read with it, mirrored where they would leave the row's area.
        sar_bands: which bands, by name and in this order; all that the row has where ``None``.
        optical_bands: the same for the optical sensor.
    """

    context: int = CONTEXT
    sar_bands: tuple[str, ...] | None = None
    optical_bands: tuple[str, ...] | None = None

    def __call__(self, row: Row, root: Path, names: Iterable[str] | None = None) -> Sample:
        """Load ``sar`` and ``optical``; ``None`` where the row lacks the sensor.

        Raises:
            InputError: for a file that cannot be read, a window outside it, a patch without any observed pixel, or a
                band that the row does not have.
        """
        sample: Sample = {}
        for name in names if names is not None else SENSORS:
            if name not in SENSORS:
                raise InputError(f"A remote-sensing row has no '{name}': choose from {', '.join(SENSORS)}.")
            sample[name] = self._sensor(name, row, root) if row[name] is not None else None
        return sample

    def _sensor(self, name: str, row: Row, root: Path) -> Tensor:
        stored = self._stored(name, row, root)
        physical = (
            backscatter.backscatter_db(stored, row["sar_unit"])
            if name == "sar"
            else reflectance.reflectance(stored, row["optical_unit"], row["optical_offset"])
        )
        if not np.isfinite(physical).any():
            raise InputError(f"{row[name][0]}, row '{row['id']}': no pixel of {name} was observed: leave the row out.")
        wanted = self.sar_bands if name == "sar" else self.optical_bands
        if wanted is not None:
            physical = physical[_positions(wanted, row[f"{name}_bands"].split(","), row["id"])]
        values = (backscatter if name == "sar" else reflectance).scaled(torch.from_numpy(physical))
        return values.T.contiguous() if row["window"] is None else values.nan_to_num(0.0)

    def _stored(self, name: str, row: Row, root: Path) -> NDArray[np.float32]:
        """(C, H, W) or (C, T) values as they are stored, of all the row's bands."""
        paths = [file_in(root, relative) for relative in row[name]]
        if row["window"] is None:
            return read_series(paths[0], row["point"], name, row[f"{name}_bands"].split(","))
        grid_file = file_in(root, row["grid"])
        window, area = Window.parse(row["window"]), Window.parse(row["area"])
        missing = backscatter.UNITS[row["sar_unit"]].missing if name == "sar" else None

        def read() -> NDArray[np.float32]:
            grid = _grid(*_stamp(grid_file))
            parts = [read_with_context(path, window, self.context, area, grid, missing) for path in paths]
            return np.concatenate(parts)

        stamps = tuple(_stamp(path) for path in paths)
        return _READ.get((stamps, grid_file, window, area, self.context, missing), read)


def _stamp(path: Path) -> tuple[str, int]:
    """The file and its last change, so that a file replaced meanwhile is read anew."""
    return str(path), path.stat().st_mtime_ns if path.is_file() else 0


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
