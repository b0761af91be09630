"""What ingest finds out about one row by reading its files, and what the row loses where a file cannot be read."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plait.errors import InputError
from plait.pairs.batch import Sample
from plait.pairs.dataset import Loader
from plait.pairs.layout import Row
from plait.pairs.leakage import fingerprints


@dataclass(frozen=True)
class Examined:
    """What was read of one row. Nothing in it but ``sample`` and ``columns`` may quote what a file says.

    Attributes:
        sample: each modality that could be read, for its fingerprint.
        lost: the modalities that could not be read, each with its cause.
        columns: what the row gains, as values that JSON has.
        remarks: what its owner should look at, a sentence each: the same sentence for the same thing.
        noted: what is counted over all rows, such as ``{"inverted films": 1}``.
    """

    sample: Sample
    lost: Mapping[str, str] = field(default_factory=dict[str, str])
    columns: Mapping[str, Any] = field(default_factory=dict[str, Any])
    remarks: Sequence[str] = ()
    noted: Mapping[str, int] = field(default_factory=dict[str, int])


type Examine = Callable[[Row, Path], Examined]
"""``examine(row, root)``: a function of a module or a frozen dataclass, since it travels to other processes."""


def load_and_see(loader: Loader, names: Sequence[str], row: Row, root: Path) -> Examined:
    """Examine a row by loading it; where that fails, load each modality by itself to find which one is at fault."""
    try:
        return Examined(loader(row, root, names))
    except InputError as error:
        cause = error
    sample: Sample = {}
    lost: dict[str, str] = {}
    for name in names:
        try:
            sample |= loader(row, root, (name,))
        except InputError as error:
            lost[name] = str(error)
    if not lost:
        raise cause
    return Examined(sample, lost)


@dataclass(frozen=True)
class Outcome:
    """What becomes of a row, in values that JSON has.

    Attributes:
        refused: why the row is not taken in; ``None`` where it is.
        columns: what changes in the row: further columns, and null where a modality was lost.
        prints: the fingerprint of each modality, in base 64.
        remarks: about a row that is taken in.
        noted: counts.
    """

    refused: str | None = None
    columns: Mapping[str, Any] = field(default_factory=dict[str, Any])
    prints: Mapping[str, str] = field(default_factory=dict[str, str])
    remarks: Sequence[str] = ()
    noted: Mapping[str, int] = field(default_factory=dict[str, int])


def outcome(
    examine: Examine, root: Path, modalities: Mapping[str, Sequence[str]], extra: Sequence[str], row: Row
) -> Outcome:
    """Examine a row, and see what is left of it.

    A file that cannot be read costs its modality: its columns become null, but for those that another one needs. It
    costs the row where it was no ``extra`` and fewer than two modalities, or only extra ones, are left; and where
    nothing is left.
    """
    try:
        found = examine(row, root)
    except InputError as error:
        return Outcome(refused=str(error))
    except Exception as error:  # noqa: BLE001 - whatever a damaged file sets off in a reader, the other rows go on
        return Outcome(refused=f"could not be examined ({type(error).__name__}): leave it out, and report the defect")
    lost = {name: found.lost[name] for name in modalities if name in found.lost}
    left = {name for name, columns in modalities.items() if all(row.get(column) is not None for column in columns)}
    left -= set(lost)
    unpaired = len(left) < 2 or left <= set(extra)
    if lost and (not left or (unpaired and not set(lost) <= set(extra))):
        return Outcome(refused=next(iter(lost.values())), noted=dict(found.noted))
    needed = {column for name in left for column in modalities[name]}
    gone = {column: None for name in lost for column in modalities[name] if column not in needed}
    return Outcome(
        columns={**found.columns, **gone},
        prints={name: b64encode(value).decode() for name, value in fingerprints(found.sample).items()},
        remarks=[*(f"kept without its {name}: {cause}" for name, cause in lost.items()), *found.remarks],
        noted=dict(found.noted),
    )
