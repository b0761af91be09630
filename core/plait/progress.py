"""A progress bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol


class Advance(Protocol):
    """Call it once for each unit of work done, with an optional word on how it goes."""

    def __call__(self, note: str = "") -> None: ...


@contextmanager
def progress(label: str, total: int, quiet: bool = False) -> Generator[Advance]:
    """Show how far a piece of long work is, on standard error.

    Args:
        label: what is being done.
        total: how many units it has, 0 where that is not known beforehand.
        quiet: show nothing (the other processes of a distributed run).
    """
    if quiet:
        yield _silent
    elif sys.stderr.isatty():
        with _bar(label, total) as advance:
            yield advance
    else:
        yield _lines(label, total)


def warn(text: str) -> None:
    """Say on standard error what a user should know before the work is done."""
    print(f"plait: {text}", file=sys.stderr, flush=True)


@contextmanager
def _bar(label: str, total: int) -> Generator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:<44}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=total or None, note="")

        def advance(note: str = "") -> None:
            if note:
                bar.update(task, note=note)
            bar.advance(task)

        yield advance


def _silent(note: str = "") -> None:
    """Show nothing."""


def _lines(label: str, total: int) -> Advance:
    """A line at the first unit, at each fifth of the work (each tenfold where the total is unknown), and at the end."""
    start, done, next_line = time.monotonic(), 0, 1

    def advance(note: str = "") -> None:
        nonlocal done, next_line
        done += 1
        if done >= next_line or done == total:
            seconds = time.monotonic() - start
            of = f"/{total}" if total else ""
            print(f"{label}: {done}{of}, {seconds:.0f} s{', ' + note if note else ''}", file=sys.stderr, flush=True)
            next_line = done + max(total // 5, 1) if total else done * 10

    return advance
