"""A data set whose files say what befalls their reader: worker processes import it, so it is a module of its own."""

from __future__ import annotations

import ctypes
import os
import re
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from plait.errors import InputError
from plait.pairs.batch import Sample
from plait.pairs.examine import Examined, load_and_see
from plait.pairs.layout import Layout, Refuse, Remark, Row
from plait.pairs.table import file_in

FILMS = ("image", "lateral")


def write(root: Path, number: int = 8, **films: str) -> Path:
    """Write ``number`` rows with both films; ``films`` (such as ``lateral_3="damaged"``) says what else a file says."""
    root.mkdir(parents=True, exist_ok=True)
    for row in range(number):
        for name in FILMS:
            (root / f"{name}_{row}.film").write_text(films.get(f"{name}_{row}", f"{row}.{FILMS.index(name)}"))
    return root


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """A row for each number that has a film; every third has no report, and is kept."""
    numbers = sorted({int(path.stem.split("_")[1]) for path in root.glob("*.film")})
    if not numbers:
        raise InputError(f"{root} holds no film: give the folder that does.")
    for number in numbers:
        names = {name: f"{name}_{number}.film" for name in FILMS}
        row: Row = {name: path if (root / path).exists() else None for name, path in names.items()}
        if number % 3 == 2:
            refuse(f"row {number}", Remark("the report is empty; the films are kept without it"))
        report = None if number % 3 == 2 else f"Report {number // 2}."
        split = "train" if number < max(numbers) else "val"
        yield {"id": str(number), "group": f"g{number}", "split": split, **row, "report": report}


LAYOUT = Layout(
    name="films",
    about="films that say what befalls their reader",
    modalities={"image": ("image",), "lateral": ("lateral",), "report": ("report",)},
    source="made up",
    licence="CC0",
    read=read,
)


@dataclass(frozen=True)
class Loader:
    """Reads a film's number, times ``scale``; counts what it reads in the file ``read`` beside the films."""

    scale: float = 1.0

    def __call__(self, row: Row, root: Path, names: Iterable[str] | None = None) -> Sample:
        sample: Sample = {}
        for name in names or (*FILMS, "report"):
            value = row[name]
            if name in FILMS and value is not None:
                value = torch.full((4,), self.scale * _number(file_in(root, value)))
            sample[name] = value
        return sample


def look(row: Row, root: Path) -> Examined:
    """What an app finds out beyond whether a row loads."""
    found = load_and_see(Loader(), tuple(LAYOUT.modalities), row, root)
    odd = int(row["id"]) % 2
    remarks = ["the film is odd: look at it"] if odd else []
    return replace(found, columns={"odd": bool(odd)}, remarks=remarks, noted={"odd films": odd, "films": 2})


def _number(path: Path) -> float:
    says = path.read_text()
    with (path.parent / "read").open("a") as log:
        log.write(f"{path.name}\n")
    match says:
        case "damaged":
            raise InputError(f"{path} is damaged: copy it again.")
        case "defect":
            return [][1]
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "crash":
            ctypes.string_at(0)
        case "hang":  # inside C code that holds the interpreter and hears no signal handler of Python
            re.match(r"(a+)+$", "a" * 40 + "b")
        case _:
            pass
    return float(says)
