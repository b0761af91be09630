"""What has been done of a map, in a folder beside it, so that the same command goes on where it was cut off."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from plait.errors import InputError

PLAN, _ROWS, _LOCK = "plan.json", "ledger.jsonl", "lock"


def folder_of(out: Path) -> Path:
    """Where the parts and the ledger of a map are kept."""
    return out.with_name(out.name + ".parts")


class Ledger:
    """An append-only file of JSON lines, one a job that was done or failed; the last line of a job counts.

    Each line is handed to the system as soon as its job's file is whole, so that killing the process loses at most the
    jobs that were running. A line that was cut short is as good as none.

    Args:
        folder: beside the map; see `folder_of`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows = {row["job"]: row for row in _lines(folder / _ROWS)}

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a row down."""
        self.rows[row["job"]] = dict(row)
        with writing(self.folder / _ROWS), (self.folder / _ROWS).open("ab") as file:
            # A line of its own, even after one that was cut short.
            file.write((b"\n" if file.tell() else b"") + json.dumps(row).encode())

    def done(self, job: str) -> bool:
        """Whether a job was done, whatever became of its file."""
        return job in self.rows and "error" not in self.rows[job]

    def holds(self, job: str, file: Path) -> bool:
        """Whether a job was done and its file, if it has one, is what was written."""
        if not self.done(job):
            return False
        wanted = self.rows[job].get("sha256")
        return wanted is None or _sha256(file) == wanted


def begin(folder: Path, identity: Mapping[str, str], restart: bool) -> None:
    """Make sure that what is in the folder belongs to this plan.

    Raises:
        InputError: where it was begun with another one and a job of that was done, naming what is different.
    """
    if restart:
        clear(folder, "*.npy", "*.npz", PLAN, _ROWS)
    clear(folder, "*.tmp")
    plan = folder / PLAN
    if not plan.is_file():
        write_whole(plan, lambda target: target.write(json.dumps(identity, indent=1).encode()))
        return
    known = _known(plan)
    changed = [name for name in {**known, **identity} if known.get(name) != identity.get(name)]
    if changed and all("error" in row for row in Ledger(folder).rows.values()):
        begin(folder, identity, restart=True)  # nothing has been done that could be lost, so the mended function begins
    elif changed:
        was, now = (_brief(it.get(changed[0])) for it in (known, identity))
        raise InputError(
            f"{folder} was begun with another {changed[0]} ({was}, and now {now}): give the command it was begun with, "
            "or --restart to begin anew."
        )


@contextmanager
def writing(file: Path) -> Generator[None]:
    """Turn what the system says of a write, such as that the disk is full, into a sentence."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{file} cannot be written ({error.strerror or error}): make room, and give the same command again."
        ) from error


def write_whole(file: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file so that it is whole and on the disk, or not there.

    Raises:
        InputError: where it cannot be written.
    """
    temporary = file.with_suffix(f".{os.getpid()}.tmp")
    try:
        with writing(file):
            with temporary.open("wb") as target:
                write(target)
                target.flush()
                os.fsync(target.fileno())
            temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def clear(folder: Path, *patterns: str) -> None:
    """Delete files of the folder."""
    for pattern in patterns:
        for file in folder.glob(pattern):
            file.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path) -> Generator[None]:
    """Keep all other processes from the folder; the system forgets the lock when the process ends, however it ends.

    Raises:
        InputError: where another process works there, or nothing can be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error.strerror}): make room, or name another --out.") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(file, 20).decode() or "unknown"
        os.close(file)
        raise InputError(
            f"Process {holder} is making this map ({folder} is locked): wait for it, or end it."
        ) from error
    try:
        os.ftruncate(file, 0)
        os.write(file, str(os.getpid()).encode())
        yield
    finally:
        os.close(file)


def require_room(folder: Path, wanted: int) -> None:
    """Raise `InputError` where so many bytes are not free, less what the folder holds already."""
    held = sum(file.stat().st_size for file in folder.glob("*.npy"))
    free = shutil.disk_usage(folder).free
    if free + held < wanted:
        raise InputError(
            f"{folder.parent} has {free / 1e6:,.1f} MB free where the map and its parts take up to "
            f"{wanted / 1e6:,.1f}: make room, or name another --out."
        )


def _sha256(file: Path) -> str | None:
    """Of the values of an array file; ``None`` where it cannot be read."""
    try:
        return hashlib.sha256(np.ascontiguousarray(np.load(file, mmap_mode="r", allow_pickle=False))).hexdigest()
    except (OSError, ValueError, EOFError):
        return None


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    if not file.is_file():
        return
    with file.open("rb") as lines:
        for line in lines:
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict) and "job" in row:
                yield row


def _known(plan: Path) -> dict[str, str]:
    try:
        known = json.loads(plan.read_text(encoding="utf-8"))
    except ValueError:
        known = None
    if not isinstance(known, dict):
        raise InputError(f"{plan} is damaged, so nobody knows what was begun there: give --restart to begin anew.")
    return known


def _brief(value: str | None) -> str:
    text = "none" if value is None else value
    return text if len(text) <= 60 else f"{text[:57]}..."
