"""Make a map: a function over scenes of any size, through bounded memory, going on where it was cut off."""

from __future__ import annotations

import os
import resource
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from plait.errors import InputError
from plait.pairs.workers import Died
from plait.progress import Advance, progress, warn
from plait_remote_sensing.raster import Window
from plait_remote_sensing.tiling.block import Seams, block_file, make_block, part_file
from plait_remote_sensing.tiling.encoding import Encoding
from plait_remote_sensing.tiling.function import Origin, TileFunction
from plait_remote_sensing.tiling.ledger import Ledger, begin, clear, folder_of, locked, require_room
from plait_remote_sensing.tiling.output import Format, beside, file_sha256, require_own, write_beside, write_map
from plait_remote_sensing.tiling.part import make_part, other_answer
from plait_remote_sensing.tiling.plan import Plan, require_unchanged
from plait_remote_sensing.tiling.runners import Row, Runner, processes
from plait_remote_sensing.tiling.schedule import Job, Schedule
from plait_remote_sensing.tiling.telling import line_of
from plait_remote_sensing.tiling.tiling import Place

ATTEMPTS = 3
"""So often a job whose process dies is done again before it is given up."""
CACHE = 64 * 2**20
"""Bytes that GDAL may keep of decoded blocks, in each process, where the user's environment does not say."""
EDGES = 8
"""Below so many borders between tiles, what lies there decides the seam score, and it says nothing of seams."""
_MAP = "map"


@dataclass(frozen=True)
class MapSummary:
    """What came of a map.

    Attributes:
        out: the map's file.
        done: how many jobs were done now; 0 where it was complete already.
        failures: the jobs that failed, each with its cause; the map is only written where there are none.
        seam: the mean difference between neighbours at edges of tiles over that elsewhere, where there are `EDGES`.
        observed: the share of the map's pixels with an answer.
    """

    out: Path
    done: int
    failures: dict[str, str]
    seam: float | None = None
    observed: float = 0.0

    def __str__(self) -> str:
        seam = "" if self.seam is None else f", seam score {self.seam:.3f} (1 is seamless)"
        what = f"{self.observed:.1%} of its pixels have an answer{seam}"
        return f"{self.out} was complete already: {what}" if not self.done else f"wrote {self.out}: {what}"


def run_map(plan: Plan, out: Path, runner: Runner, form: Format = "cog", restart: bool = False) -> MapSummary:
    """Make a map, or what is still missing of it.

    Every job, a part or a block, is a pure function of the plan whose file appears whole or not at all; the ledger in
    ``OUT.parts`` says which are done. Whatever ended the process before, the same call goes on, and the same plan gives
    the same bytes, whoever does the jobs and in whatever order.

    Args:
        plan: what to make.
        out: the file, or for ``zarr`` the folder, to write.
        runner: who does the jobs, see `plait_remote_sensing.tiling.runners`.
        form: ``cog`` or ``zarr``.
        restart: begin anew, whatever has been done.

    Raises:
        InputError: where the map was begun with another plan, where another process makes it, where the disk is too
            small, and where nothing in the scene was observed.
    """
    folder = folder_of(out)
    require_own(out, plan.files, restart)
    with bounded(), locked(folder):
        stamps = plan.stamps()
        begin(folder, plan.identity() | {"format": form}, restart)
        ledger = Ledger(folder)
        if ledger.done(_MAP) and out.exists() and file_sha256(out) == (done := ledger.rows[_MAP])["sha256"]:
            if not all(path.exists() for path in beside(plan, out, form)):
                write_beside(plan, _Work(plan, ledger).encoding, out, form, done["seam"], done["observed"])
            return MapSummary(out, 0, {}, done["seam"], done["observed"])
        work = _Work(plan, ledger)
        if not work.schedule.encoding:
            warn(f"{out.name}: {plan.describe()}")
        with progress(f"map {out.name}", work.left) as advance:
            failures = work.run(runner, advance)
        if failures:
            return MapSummary(out, work.did, failures)
        summary = work.summary(out)
        require_unchanged(plan, stamps)
        sha256 = write_map(plan, work.encoding, out, form, work.blocks(), summary.seam, summary.observed)
        ledger.add({"job": _MAP, "sha256": sha256, "seam": summary.seam, "observed": summary.observed})
        clear(folder, "*.npy")
        return summary


class _Work:
    """The jobs of a map: which are done, which follow, and what they found."""

    def __init__(self, plan: Plan, ledger: Ledger) -> None:
        self.plan, self.ledger, self.did = plan, ledger, 0
        folder = ledger.folder
        blocks = {at for at in plan.blocks.places() if ledger.holds(f"block {at}", block_file(folder, at))}
        parts = {at for at in plan.parts.places() if self._needs(at, blocks) and self._has(at)}
        absent = {at for at in parts if "sha256" not in ledger.rows[f"part {at}"]}
        known = next((row["encoding"] for row in ledger.rows.values() if "encoding" in row), "")
        self.schedule = Schedule(plan, parts, absent, blocks, known)
        self.left = plan.blocks.rows * plan.blocks.columns - len(blocks) + plan.parts.rows * plan.parts.columns
        self.left -= len(parts) + sum(not self._needs(at, blocks) for at in plan.parts.places())

    @property
    def encoding(self) -> Encoding:
        """How the map is stored; raises `InputError` where nothing in the scene was observed."""
        if not self.schedule.encoding:
            paths = ", ".join(source.scene.paths[0] for source in self.plan.sources.values())
            raise InputError(f"No pixel of {paths} was observed, so there is nothing to map: leave the scene out.")
        return Encoding.from_text(self.schedule.encoding)

    def run(self, runner: Runner, advance: Advance) -> dict[str, str]:
        """Do all jobs that can be done; gives back those that failed, each with its cause."""
        failures: dict[str, str] = {}
        attempts: Counter[Job] = Counter()
        function = partial(do, self.plan, self.ledger.folder)
        started = False
        while len(self.schedule):
            # The last parts make blocks ready for which no processes are started anew: they are quickly done.
            who = processes(0) if started and self.schedule.only_blocks() else runner
            started = True
            for job, answer in who(function, self.schedule):
                if isinstance(answer, Died):
                    attempts[job] += 1
                    if attempts[job] < ATTEMPTS:
                        self.schedule.again(job)
                        continue
                    answer = {"error": f"{answer.cause} ({ATTEMPTS} times)"}
                advance()
                cause = self._take(job, answer)
                if cause is not None:
                    failures[str(job)] = cause
        return failures

    def summary(self, out: Path) -> MapSummary:
        """Of the finished jobs; the same in whatever order they were done."""
        rows = [self.ledger.rows[f"block {at}"] for at in self.plan.blocks.places()]
        seams = sum((Seams(*row["seams"]) for row in rows), Seams())
        pixels = self.plan.map_grid.width * self.plan.map_grid.height
        score = seams.score if self.plan.tiles.edges >= EDGES else None
        return MapSummary(out, self.did, {}, score, sum(row["answered"] for row in rows) / pixels)

    def blocks(self) -> Iterator[tuple[Window, NDArray[Any]]]:
        """The finished blocks of the map, row by row."""
        for at in self.plan.blocks.places():
            window, file = self.plan.blocks.window(at), block_file(self.ledger.folder, at)
            if "sha256" in self.ledger.rows[f"block {at}"]:
                yield window, np.load(file, allow_pickle=False)
            else:
                shape = len(self.encoding.bands), window.height, window.width
                yield window, np.full(shape, self.encoding.nodata, self.encoding.dtype)

    def _take(self, job: Job, row: Row) -> str | None:
        """Write down what came of a job and put away what it made needless; gives back why it failed, if it did."""
        cause = row.get("error") or self._misfit(row)
        self.ledger.add({"job": str(job)} | ({"error": cause} if cause else row))
        if cause:
            return cause
        self.did += 1
        for part in self.schedule.finished(job, absent="sha256" not in row):
            part_file(self.ledger.folder, part).unlink(missing_ok=True)
        return None

    def _misfit(self, row: Row) -> str | None:
        """Why an answer does not fit those before it; the first one says what the work will take."""
        text = row.get("encoding")
        if text is None or text == self.schedule.encoding:
            return None
        if self.schedule.encoding:
            return other_answer(Encoding.from_text(text), self.encoding)
        self.schedule.encoding = text
        require_room(self.ledger.folder, self.plan.disk(self.encoding))
        warn(f"{self.ledger.folder.stem}: {self.plan.describe(self.encoding)}")
        return None

    def _has(self, part: Place) -> bool:
        return self.ledger.holds(f"part {part}", part_file(self.ledger.folder, part))

    def _needs(self, part: Place, blocks: set[Place]) -> bool:
        """Whether a block that is not there yet lies above a part."""
        return any(block not in blocks for block in self.plan.above(part))


def bounded() -> AbstractContextManager[object]:
    """Within it GDAL keeps `CACHE` at most, whatever it was used for before; what the user exported goes before that.

    rasterio sets the bound at run time, and in bytes; the environment is read once, at GDAL's first use.
    """
    return nullcontext() if "GDAL_CACHEMAX" in os.environ else rasterio.Env(GDAL_CACHEMAX=CACHE)


def do(plan: Plan, folder: Path, job: Job) -> Row:
    """Do a job, in whatever process; gives back what the ledger keeps of it."""
    with bounded():
        return _done(plan, folder, job)


def _done(plan: Plan, folder: Path, job: Job) -> Row:
    start = time.monotonic()
    try:
        if job.kind == "part":
            row = make_part(plan, _loaded(plan.origin), job.place, part_file(folder, job.place))
        elif job.encoding:
            row = make_block(plan, Encoding.from_text(job.encoding), job.place, folder, job.absent)
        else:
            row = {"answered": 0, "seams": Seams().row()}
    except InputError as error:
        row = {"error": str(error)}
    except Exception as error:  # noqa: BLE001 (a user's function may raise anything, and costs its own job only)
        row = {"error": f"the function failed ({type(error).__name__}: {error}){line_of(error)}"}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return row | {"seconds": round(time.monotonic() - start, 3), "peak_mb": round(peak)}


_FUNCTIONS: dict[str, TileFunction] = {}
"""What this process has loaded."""


def _loaded(origin: Origin) -> TileFunction:
    key = str(origin.identity())
    if key not in _FUNCTIONS:
        _FUNCTIONS[key] = origin.load()
    return _FUNCTIONS[key]
