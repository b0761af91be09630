"""A process that reads damaged films, so that a crash, a hang and a hunger for memory are seen."""

from __future__ import annotations

import multiprocessing
import os
import resource
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import numpy as np

from plait_medical.film import Film, UnreadableFilm
from plait_medical.load import open_film, open_small
from tests.medical.sound_films import PLANTED, SYNTAXES, sound

MEMORY = 2**30
"""Bytes of address space that the films may cost, beyond what the process had before them."""
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload([__name__])  # so that a process that died is soon replaced


class FilmReader:
    """Asks ``judge`` of one film after the other in a process that is started anew when it dies or hangs."""

    def __init__(self, folder: Path, judge: Callable[[Path], str], seconds: float = 10) -> None:
        self.folder, self.judge, self.seconds = folder, judge, seconds
        self.log = folder / "log"
        self.process: ForkServerProcess | None = None

    def outcome(self, content: bytes) -> str:
        """What the judge says of a file, or how it failed."""
        path = self.folder / "film.dcm"
        path.write_bytes(content)
        if self.process is None:
            self.pipe, other = SERVER.Pipe()
            self.process = SERVER.Process(target=answer, args=(other, self.judge, self.log), daemon=True)
            self.process.start()
            other.close()
            self.pipe.recv()  # it has imported what it needs
        try:
            self.pipe.send(path)
            if self.pipe.poll(self.seconds):
                return self.pipe.recv()
            failure = f"hangs for {self.seconds} s"
        except EOFError:
            failure = "crashes"
        self.close()
        return failure

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.process = None


def answer(pipe: Connection, judge: Callable[[Path], str], log: Path) -> None:
    """Judge the films whose paths come in, under a limit of memory; what anyone prints goes to a log."""
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    for syntax in SYNTAXES:  # every decoder is in memory before memory is counted
        path = log.with_name("sound.dcm")
        path.write_bytes(sound(syntax))
        open_film(path)
    pipe.send("ready")
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY,) * 2)
    while True:
        path = pipe.recv()
        try:
            pipe.send(judge(path))
        except MemoryError:
            pipe.send("runs out of memory")
        except BaseException as error:  # noqa: BLE001 - a panic of a decoder in Rust is no Exception
            pipe.send(f"raises {type(error).__name__}: {error}")


def verdict(path: Path) -> str:
    """``read``, ``refused``, or what is wrong with the film or the refusal."""
    film, refusal = read(open_film, path)
    small, other = read(lambda path: open_small(path, 16), path)
    blank = "one grey level" in f"{refusal}{other}"  # which a film may be at one size and not at another
    if (film is None) != (small is None) and not blank:
        return f"is read by one of open_film and open_small only: {refusal or other}"
    for sentence in (refusal, other):
        if sentence is not None and (fault := fault_of(sentence, path)):
            return f"is refused by '{sentence}', which {fault}"
    if film is None or small is None:
        return "refused"
    assert isinstance(film, Film)
    if film.pixels.shape != film.stored.shape or film.pixels.shape != (film.header.rows, film.header.columns):
        return f"has pixels {film.pixels.shape} for a header of {film.header.rows} x {film.header.columns}"
    for pixels in (film.pixels, small):
        if pixels.dtype != np.float32 or pixels.ndim != 2 or not (pixels.min() >= 0 and pixels.max() <= 1):
            return "has pixels that are not grey levels"
    if any(word in note for word in PLANTED for note in film.notes):
        return f"has notes that tell of the patient: {film.notes}"
    return "read"


def read(function: Any, path: Path) -> tuple[Any, str | None]:
    try:
        return function(path), None
    except UnreadableFilm as refusal:
        return None, str(refusal)


def fault_of(sentence: str, path: Path) -> str:
    """What is wrong with the sentence that refuses a film."""
    cause = sentence.removeprefix(f"{path} ")
    if cause == sentence:
        return "does not begin with the path"
    if "\n" in cause or not cause.endswith(".") or ". " in cause or len(cause) > 200:
        return "is not one sentence"
    if any(word in cause for word in PLANTED):
        return "tells of the patient"
    if "MemoryError" in cause:
        return "hides that memory ran out"
    return ""
