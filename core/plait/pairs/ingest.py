"""From a data set's own layout to a pair table and an ingest report; one bad file never stops it."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path, PurePath

from plait.errors import InputError
from plait.pairs.dataset import Loader
from plait.pairs.examine import Examine, Outcome, load_and_see, outcome
from plait.pairs.ingest_report import Account, IngestReport
from plait.pairs.journal import Journal, installed, row_key, unwritable
from plait.pairs.layout import Layout, Remark, Row
from plait.pairs.leakage import check_leakage
from plait.pairs.splits import group_split
from plait.pairs.table import PairTable, TableInfo
from plait.pairs.workers import Died, each

MARKER = "SYNTHETIC"
"""A file of this name in a data set's root says that a program made the data."""
SECONDS = 60.0
"""The longest that a process may take for one row."""


def ingest(
    app: str,
    layout: Layout,
    root: Path,
    out: Path,
    loader: Loader,
    *,
    examine: Examine | None = None,
    val: float = 0.2,
    seed: int = 0,
    allow_leakage: bool = False,
    workers: int = 0,
    seconds: float = SECONDS,
    advance: Callable[[], None] = lambda: None,
) -> IngestReport:
    """Read a layout, examine every row by reading its files, and write the pair table and ``ingest.json`` beside it.

    While it goes on, what was found is kept in ``ingest.journal`` beside the table. A run that was killed, or refused
    for leakage, goes on from there when it is called again, and writes the same bytes as one that was not. Rows that
    ended or outlasted their process are not kept: they are tried again.

    Args:
        app: the app's name.
        layout: how to read ``root``.
        root: the data set's folder, or its one file; paths in rows are relative to that folder.
        out: the Parquet file to write.
        loader: what will read the rows later, so that what it cannot read is refused now.
        examine: what reads a row instead, and finds out more than whether it loads.
        val: the share of validation rows, where the data set has no split of its own.
        seed: of that split.
        allow_leakage: write the table although something leaks between its splits; it then says so for ever.
        workers: how many processes read rows; with 0 this one does, and a crash of a decoder is its own.
        seconds: a process that takes longer for one row is ended, and the row refused.
        advance: called once a row, for a progress bar.

    Raises:
        InputError: where ``root`` is not this layout, where no row is left, where splits leak, or where nothing can
            be written.
    """
    if not root.exists():
        raise InputError(f"There is no {root}: give the root of a '{layout.name}' data set.")
    if out.is_dir():
        raise InputError(f"{out} is a folder: give the name of the .parquet file to write.")
    if not 0 < val < 1:
        raise InputError(f"{val:g} is no share of the rows: give a validation share between 0 and 1.")
    base = root if root.is_dir() else root.parent
    columns = [column for names in layout.modalities.values() for column in names]
    see = examine or partial(load_and_see, loader, tuple(layout.modalities))
    account = Account()
    with Journal(out.with_suffix(".ingest.journal")) as journal:
        found = _examined(
            layout.read(root, account),
            partial(outcome, see, base, layout.modalities, layout.extra),
            partial(row_key, root=base, columns=columns, examiner=_identity(app, loader, examine)),
            journal, workers, seconds, advance,
        )  # fmt: skip
        # All rows first, so that what the layout tells comes before what the files do, however fast it is read.
        rows = list(_taken_in(list(found), columns, base, account))
        if not rows:
            journal.remove()
            why = account.refusals.in_short()
            raise InputError(f"No row of {root} could be taken in{why}: is it a '{layout.name}' data set?")
        _assign_splits(rows, val, seed, layout)
        info = TableInfo.of(app, layout, base)
        if (base / MARKER).exists():
            info = replace(info, source="made by plait", licence="none: made by a program", synthetic=True)
        table = PairTable.from_rows(rows, info)
        leakage = check_leakage(table, allow_leakage)
        if leakage:
            table = table.with_info(leakage_allowed=str(leakage))
        report = IngestReport.of(table, account, leakage)
        try:
            table.write(out)
            out.with_suffix(".ingest.json").write_text(json.dumps(asdict(report), indent=1), encoding="utf-8")
        except OSError as error:
            raise InputError(unwritable(out, error)) from error
        journal.remove()
    return report


def _identity(app: str, loader: Loader, examine: Examine | None) -> str:
    """What examines: another loader, another version of it or of a decoder may find something else in the same row."""
    return json.dumps([app, repr(loader), getattr(examine, "__qualname__", repr(examine)), installed()])


def _examined(
    rows: Iterable[Row],
    read: Callable[[Row], Outcome],
    key: Callable[[Row], str],
    journal: Journal,
    workers: int,
    seconds: float,
    advance: Callable[[], None],
) -> Iterator[tuple[Row, Outcome]]:
    """Each row and what becomes of it, in the order of ``rows``; what the journal has is not read again."""
    done: dict[int, tuple[Row, Outcome]] = {}
    place = 0

    def unknown() -> Iterator[tuple[tuple[int, str, Row], Row]]:
        for index, row in enumerate(rows):
            name = key(row)
            known = journal.take(name)
            if known is None:
                yield (index, name, row), row
            else:
                done[index] = row, Outcome(**known)

    def in_order() -> Iterator[tuple[Row, Outcome]]:
        nonlocal place
        while place in done:
            yield done.pop(place)
            place += 1
            advance()

    for (index, name, row), answer in each(read, unknown(), workers, seconds):
        if isinstance(answer, Died):
            done[index] = row, Outcome(refused=answer.cause)
        else:
            done[index] = row, answer
            journal.add(name, asdict(answer))
        yield from in_order()
    yield from in_order()


def _taken_in(
    found: Iterable[tuple[Row, Outcome]], columns: Iterable[str], root: Path, account: Account
) -> Iterator[Row]:
    """The rows that are not refused, with what was found in them; the account is told of the rest."""
    for row, became in found:
        files = _files(row, columns, root)
        account.noted.update(became.noted)
        if became.refused is not None:
            account(str(row["id"]), became.refused, files)
            continue
        if not _is_utf8([*row.values(), *became.columns.values()]):
            account(str(row["id"]), "has a name that is not UTF-8: rename the file or its folder", files)
            continue
        for remark in became.remarks:
            account(str(row["id"]), Remark(remark), files)
        prints = {f"fingerprint_{name}": b64decode(value) for name, value in became.prints.items()}
        yield row | dict(became.columns) | prints


def _is_utf8(value: object) -> bool:
    """Whether a table can hold a value; the system gives out names in any encoding."""
    if isinstance(value, list | tuple):
        return all(map(_is_utf8, value))
    return not isinstance(value, str) or not any("\ud800" <= letter <= "\udfff" for letter in value)


def _files(row: Row, columns: Iterable[str], root: Path) -> list[str]:
    """The names under which a cause may mention the row's files, whole paths before mere names."""
    values = [row.get(column) for column in columns]
    paths = [path for value in values for path in (value if isinstance(value, list | tuple) else [value])]
    names = [path for path in paths if isinstance(path, str) and PurePath(path).suffix]
    return [str(root / name) for name in names] + [PurePath(name).name for name in names]


def _assign_splits(rows: list[Row], val: float, seed: int, layout: Layout) -> None:
    """Split by group the rows that the data set itself did not split."""
    without = [row for row in rows if row.get("split") is None]
    if not without:
        return
    groups = [str(row["group"]) for row in without]
    if len(set(groups)) == 1:
        cause = f"{len(groups):,} rows without a split belong to one group, and train and val need one each"
        raise InputError(f"{cause}: give more data, or tell their groups apart ('{layout.name}': {layout.about}).")
    labels = sorted({name for row in without for name in row if name.startswith("label_")})
    columns = [_classes([row.get(name) for row in without]) for name in labels]
    strata = ["/".join(column[place] for column in columns) for place in range(len(without))]
    splits = group_split(groups, {"train": 1.0 - val, "val": val}, seed, strata)
    for row, split in zip(without, splits, strict=True):
        row["split"] = split


def _classes(values: Sequence[object]) -> list[str]:
    """What a label's values are spread over the splits by: each of them, and of real numbers the side of the median."""
    real = sorted(value for value in values if isinstance(value, float) and value == value)
    if all(value.is_integer() for value in real):
        return [str(value) for value in values]
    median = real[len(real) // 2]
    return [str(value >= median) if isinstance(value, float) else str(value) for value in values]
