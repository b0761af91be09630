"""What the benchmarks share: time side by side, peak memory alone, a line of JSON a result and a table at the end.

Every comparison is a ratio within one run. What runs beside it is checked for the same answer before its time counts.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import cache
from multiprocessing import get_context, parent_process
from pathlib import Path
from statistics import median
from typing import Any

import torch

type Cell = str | int | float | None

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@cache
def library(module: str) -> Any | None:
    """The module, or ``None`` after a line that says what is left out and what installs it."""
    if importlib.util.find_spec(module.partition(".")[0]):
        return importlib.import_module(module)
    if parent_process() is None:
        print(f"{module} is not installed, so its rows are left out: pip install 'plait[bench]'")
    return None


@contextmanager
def peer(command: Sequence[str]) -> Generator[Callable[[str], float]]:
    """A program in an environment of its own that says "ready", and then answers each line with seconds."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        asked, answered = process.stdin, process.stdout

        def answer(line: str) -> float:
            asked.write(f"{line}\n")
            asked.flush()
            return float(answered.readline())

        if answered.readline().strip() != "ready":
            sys.exit(f"{command[1]} is not ready: see its message above")
        yield answer
        asked.close()


def options(description: str | None, sizes: Sequence[int], large: Sequence[int] = ()) -> argparse.Namespace:
    """The command line: sizes, how many rounds, and whether the large sizes are measured too."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(sizes), help="sizes to measure")
    parser.add_argument("--rounds", type=int, default=5, help="each round times all, one after the other")
    parser.add_argument("--large", action="store_true", help=f"measure {', '.join(map(str, large))} too")
    chosen = parser.parse_args()
    chosen.sizes += large if chosen.large else ()
    return chosen


def seconds(run: Callable[[], object]) -> float:
    """Wall-clock time of one call, until the device has finished."""
    start = time.perf_counter()
    run()
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def medians(runs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each; every round times all, so that what else the machine does falls on all of them."""
    for run in runs.values():
        seconds(run)
    times = [{name: seconds(run) for name, run in runs.items()} for _ in range(rounds)]
    return {name: median(each[name] for each in times) for name in runs}


def alone[**P, R](function: Callable[P, R], *arguments: P.args, **keywords: P.kwargs) -> R:
    """Call a function of a module in a fresh process, where nothing was held before."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(function, *arguments, **keywords).result()


def peak_megabytes(run: Callable[[], object]) -> float | None:
    """The most memory held while it ran, above what was held before; on a GPU that of the GPU.

    For a process of its own (`alone`): what another call left in the allocator would be used again unseen.
    ``None`` where the system tells no peak.
    """
    if DEVICE.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not status.exists():
        return None
    reset.write_text("5")  # the peak starts anew
    before = _kilobytes(status, "VmRSS")
    run()
    return (_kilobytes(status, "VmHWM") - before) / 2**10


def report(lines: Sequence[Mapping[str, Cell]]) -> None:
    """Print the lines as one table."""
    columns = list(dict.fromkeys(name for line in lines for name in line))
    rows = [columns, *([_text(line.get(name)) for name in columns] for line in lines)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(columns))]
    print()
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def emit(line: Mapping[str, Cell]) -> dict[str, Cell]:
    """Print a line of JSON, numbers at four digits."""
    rounded = {name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in line.items()}
    print(json.dumps(rounded), flush=True)
    return rounded


def _text(cell: Cell) -> str:
    return "" if cell is None else str(cell)


def _kilobytes(status: Path, field: str) -> int:
    (line,) = [line for line in status.read_text().splitlines() if line.startswith(field + ":")]
    return int(line.split()[1])
