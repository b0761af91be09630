"""Which two acquisitions a pair table pairs, and what of them is looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, zip_longest

import numpy as np

from plait.pairs.layout import Row
from plait.pairs.table import PairTable
from plait_remote_sensing.raster import Grid, Window
from plait_remote_sensing.scene import Scene, scene_of, sensor_of

VIEW = 512
"""Side in pixels of what is read of a scene at once."""
VIEWS = 3
"""How many such views there are of a scene that is larger."""
_LEAST = 128
"""Side in pixels that a view has where the scene allows: a patch alone is too small to find a shift in."""


@dataclass(frozen=True)
class ScenePair:
    """Two acquisitions of one place that rows of a table share.

    Attributes:
        moving: the modality whose shift is asked: SAR, or the later moment.
        reference: the other one.
        table: the pair table.
        rows: the positions of the rows; they all have the same files.
        splits: how many of them each split has.
    """

    moving: str
    reference: str
    table: PairTable
    rows: tuple[int, ...]
    splits: Counter[str]

    @property
    def kind(self) -> str:
        """The two modalities, as results name them."""
        return f"{self.moving}_{self.reference}"

    @cached_property
    def row(self) -> Row:
        """The first of the rows, which tells how both are stored."""
        return self.table.row(self.rows[0])

    @property
    def name(self) -> str:
        """The place: what the ids of its rows begin with, up to the patch."""
        return str(self.row["id"]).partition("/r")[0]

    @property
    def scenes(self) -> tuple[Scene, Scene]:
        """The moving scene and the reference."""
        return scene_of(self.row, self.moving), scene_of(self.row, self.reference)

    @property
    def windows(self) -> list[Window]:
        """Where the patches of the rows lie, on the grid of the table."""
        return [Window.parse(text) for text in self.table.take(self.rows).column("window")]


def kinds(modalities: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs of modalities that are worth looking at: any two of a moment, and a sensor at two moments.

    SAR, or the later moment, comes first: it is what is moved.
    """
    found: list[tuple[str, str]] = []
    for one, other in combinations(modalities, 2):
        same_sensor = sensor_of(one) == sensor_of(other)
        if same_sensor or _moment(one) == _moment(other):
            found.append((one, other) if sensor_of(one) == "sar" and not same_sensor else (other, one))
    return found


def scene_pairs(table: PairTable) -> list[ScenePair]:
    """Every pair of acquisitions of a table's rows, in the order of the rows; rows that are series have none."""
    if not {"window", "grid"} <= set(table.columns):
        return []
    windows, grids, splits = table.column("window"), table.column("grid"), table.column("split")
    found: list[ScenePair] = []
    for moving, reference in kinds(table.modalities):
        rows: dict[tuple[object, ...], list[int]] = {}
        columns = zip(table.column(moving), table.column(reference), grids, windows, strict=True)
        for number, (one, other, grid, window) in enumerate(columns):
            if one is not None and other is not None and window is not None:
                rows.setdefault((tuple(one), tuple(other), grid), []).append(number)
        for shared in rows.values():
            counted = Counter(splits[number] for number in shared)
            found.append(ScenePair(moving, reference, table, tuple(shared), counted))
    return found


def sampled(pairs: Sequence[ScenePair], most: int, seed: int) -> list[ScenePair]:
    """At most so many pairs, in their own order, drawn in turn from each kind and split."""
    if len(pairs) <= most:
        return list(pairs)
    strata: dict[tuple[str, str], list[int]] = {}
    for number in np.random.default_rng(seed).permutation(len(pairs)).tolist():
        pair = pairs[number]
        strata.setdefault((pair.kind, pair.splits.most_common(1)[0][0]), []).append(number)
    turns = zip_longest(*(strata[key] for key in sorted(strata)))
    chosen = [number for turn in turns for number in turn if number is not None][:most]
    return [pairs[number] for number in sorted(chosen)]


def views(windows: Sequence[Window], grid: Grid, seed: int) -> Iterator[Window]:
    """What is read of a scene: all that its patches cover where that is small, else some places that they lie at."""
    left, top = min(w.column for w in windows), min(w.row for w in windows)
    right, bottom = max(w.right for w in windows), max(w.bottom for w in windows)
    whole = Window(left, top, right - left, bottom - top)
    if whole.width <= VIEW and whole.height <= VIEW:
        yield _about(whole, max(_LEAST, whole.width), max(_LEAST, whole.height), grid)
        return
    count = min(VIEWS, len(windows))
    for number in sorted(np.random.default_rng(seed).choice(len(windows), count, replace=False).tolist()):
        yield _about(windows[number], VIEW, VIEW, grid)


def _about(window: Window, width: int, height: int, grid: Grid) -> Window:
    """A window of this size, or the grid's, around another, pushed inside the grid."""
    width, height = min(width, grid.width), min(height, grid.height)
    column = window.column + (window.width - width) // 2
    row = window.row + (window.height - height) // 2
    return Window(min(max(column, 0), grid.width - width), min(max(row, 0), grid.height - height), width, height)


def _moment(modality: str) -> str:
    moment = modality.rpartition("_")[2]
    return moment if moment in ("before", "after") else ""
