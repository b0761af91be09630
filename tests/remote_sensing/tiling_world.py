"""Small scenes and functions for the tests of the tiled engine."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from plait.pairs.workers import Died
from plait_remote_sensing.raster import grid_of
from plait_remote_sensing.scene import Scene
from plait_remote_sensing.tiling import Named, Plan, Source, TileFunction, make_plan, processes, run_map
from plait_remote_sensing.tiling.runners import Row, Runner

ALONE = processes(0)


@dataclass(frozen=True)
class Given:
    """A tile function that is at hand; only for jobs that this process does."""

    function: TileFunction
    name: str = "given"

    def load(self) -> TileFunction:
        return self.function

    def identity(self) -> dict[str, str]:
        return {"function": f"{self.name} {id(self.function)}"}


def numbers(height: int, width: int, bands: int = 2) -> NDArray[np.uint16]:
    """Digital numbers in which every pixel differs from its neighbours."""
    return np.random.default_rng(0).integers(500, 4000, (bands, height, width)).astype(np.uint16)


def optical(path: Path, bands: int = 2, **more: Any) -> Source:
    """A raster of digital numbers as an optical source."""
    names = tuple(f"B{number:02d}" for number in range(1, bands + 1))
    return Source(Scene("optical", (path.name,), names, "dn", **more), path.parent)


def sar(path: Path) -> Source:
    """A raster of decibels as a SAR source."""
    return Source(Scene("sar", (path.name,), ("VV",), "db"), path.parent)


def plan_of(sources: Mapping[str, Source], function: TileFunction, **sizes: Any) -> Plan:
    """A plan on the grid of the last source."""
    source = list(sources.values())[-1]
    sizes = {"tile": 32, "halo": 8, "overlap": 8} | sizes
    return make_plan(sources, grid_of(source.root / source.scene.paths[0]), Given(function), **sizes)


def mapped(plan: Plan, out: Path, runner: Runner = ALONE) -> NDArray[Any]:
    """The pixels (C, H, W) of the map of a plan that has no failures."""
    summary = run_map(plan, out, runner)
    assert summary.failures == {}
    return pixels(out)


def pixels(path: Path) -> NDArray[Any]:
    with rasterio.open(path) as source:
        return source.read()


def mean(images: Mapping[str, NDArray[Any]], masks: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """The mean of all bands of all modalities."""
    return np.concatenate(list(images.values())).mean(axis=0, keepdims=True)


@dataclass
class Backwards:
    """Does the jobs that are ready in the reverse of the order in which they are drawn."""

    done: list[str] = field(default_factory=list)

    def __call__[Job](self, function: Callable[[Job], Row], jobs: Iterable[Job]) -> Generator[tuple[Job, Row | Died]]:
        while drawn := list(jobs):
            for job in reversed(drawn):
                self.done.append(str(job))
                yield job, function(job)


FUNCTION = """
import os, signal, time
from pathlib import Path

HERE = Path(__file__).parent

def slow(images, masks):
    with (HERE / "calls").open("a") as calls:
        calls.write("x")
    time.sleep(0.02)
    return images["optical"].mean(axis=0, keepdims=True)

def deadly(images, masks):
    if (HERE / "calls").stat().st_size > 10:
        try:
            (HERE / "killed").touch(exist_ok=False)
        except FileExistsError:
            pass
        else:
            os.kill(os.getpid(), signal.SIGKILL)
    return slow(images, masks)
"""
"""Functions for processes that die."""


def write_functions(folder: Path) -> str:
    """Write `FUNCTION` as a module of a name that no other test has imported, and give that name back."""
    name = f"functions_{abs(hash(str(folder)))}"
    (folder / f"{name}.py").write_text(FUNCTION)
    (folder / "calls").touch()
    return name


def named(scene: Path, functions: str, function: str) -> Plan:
    """A plan of a function that any process can import."""
    origin = Named(f"{functions}:{function}", str(scene.parent))
    return make_plan({"optical": optical(scene)}, grid_of(scene), origin, tile=32, halo=8, overlap=8)
