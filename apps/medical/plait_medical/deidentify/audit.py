"""What became of every file, one JSON line each, written as it happens, so that a stopped run can go on.

The audit names the input files and their new names. It is the way back, so it stays with the owner of the data and
never in the cleaned tree. It holds no value that was removed.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from plait.errors import InputError


@dataclass(frozen=True)
class Entry:
    """What became of one file.

    Attributes:
        input: its path under the input folder.
        sha256: of its bytes; empty where it could not be read at all.
        outcome: "cleaned", "quarantined" or "refused".
        output: the new file's path under the output folder; empty where it was refused.
        cause: why it was quarantined or refused, in words that are the same for the same cause.
        changes: what was done (removed, emptied, replaced, mapped, cleaned, shifted, masked) to what, and how often.
    """

    input: str
    sha256: str = ""
    outcome: Literal["cleaned", "quarantined", "refused"] = "refused"
    output: str = ""
    cause: str = ""
    changes: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])


class Audit:
    """An audit file, made or gone on with.

    Args:
        path: the file; only its owner may read it.
        job: what has to be the same for an earlier audit to be gone on with (key, options, program).

    Raises:
        InputError: the file is no audit, is of another job, or cannot be written.
    """

    def __init__(self, path: Path, job: dict[str, Any]) -> None:
        self.path = path
        self._done: dict[str, Entry] = {}
        try:
            whole = self._read(job) if path.exists() else 0
            self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb", buffering=0)
            # A killed run may have left half a line.
            self._file.truncate(whole)
            self._file.seek(whole)
        except OSError as error:
            raise InputError(
                f"{path} cannot be opened as an audit ({error.strerror}): give another --audit."
            ) from error
        if not whole:
            self._write(job)

    def known(self, name: str, sha256: str) -> Entry | None:
        """The entry of a file that was done before and has not changed since."""
        entry = self._done.get(name)
        return entry if entry is not None and entry.sha256 == sha256 else None

    def add(self, entry: Entry) -> None:
        """Write an entry, at once."""
        self._write(asdict(entry))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, row: dict[str, Any]) -> None:
        try:
            self._file.write(json.dumps(row).encode() + b"\n")
        except OSError as error:
            self.close()
            cause = f"cannot be written ({error.strerror}): make room, and begin again with an empty OUT"
            raise InputError(f"{self.path} {cause}, or go on with the same --key.") from error

    def _read(self, job: dict[str, Any]) -> int:
        """Take in the entries of an earlier run; gives back the bytes that are whole lines."""
        lines = [line for line in self.path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
        if not lines:
            return 0
        try:
            rows = [json.loads(line) for line in lines]
            entries = [Entry(**row) for row in rows[1:]]
        except (ValueError, TypeError) as error:
            raise InputError(f"{self.path} is no audit of a de-identification: give another --audit.") from error
        if rows[0] != job:
            raise InputError(
                f"{self.path} is the audit of another key or of other options: give the same ones, or another OUT."
            )
        self._done = {entry.input: entry for entry in entries}
        return sum(map(len, lines))


@dataclass
class Summary:
    """How a de-identification went, in numbers; printed, it names no file."""

    outcomes: Counter[str] = field(default_factory=Counter[str])
    causes: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    changes: Counter[str] = field(default_factory=Counter[str])

    def add(self, entry: Entry) -> None:
        """Count one file."""
        self.outcomes[entry.outcome] += 1
        if entry.cause:
            self.causes[entry.outcome, entry.cause] += 1
        for done, keywords in entry.changes.items():
            self.changes[done] += sum(keywords.values())

    def __str__(self) -> str:
        lines = [", ".join(f"{name} {self.outcomes[name]:,}" for name in ("cleaned", "quarantined", "refused"))]
        lines += [f"  {outcome} {count:,}: {cause}" for (outcome, cause), count in self.causes.most_common()]
        if self.outcomes["quarantined"]:
            lines.append("  look at each film in 'quarantine': move it to the same path outside if it may stay")
        if self.changes:
            lines.append("  values: " + ", ".join(f"{done} {count:,}" for done, count in sorted(self.changes.items())))
        return "\n".join(lines)
