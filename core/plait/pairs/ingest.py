"""From a data set's own layout to a pair table and an ingest report; one bad file never stops it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import batched
from pathlib import Path
from typing import Any

from plait.errors import InputError
from plait.pairs.dataset import Loader
from plait.pairs.layout import Layout, Row
from plait.pairs.leakage import check_leakage, fingerprints
from plait.pairs.splits import group_split
from plait.pairs.table import PairTable, TableInfo

MARKER = "SYNTHETIC"
"""A file of this name in a data set's root says that a program made the data."""


@dataclass(frozen=True)
class IngestReport:
    """What ingest took in and what it refused.

    Attributes:
        rows: rows by split.
        groups: groups by split.
        modalities: rows that have each modality.
        refusals: what was refused, or taken in with a remark (a row without its text), each with its cause.
        causes: the same, counted by cause.
        equal_texts: rows outside train whose text a training row has.
        leakage: what leaks between splits, in words.
    """

    app: str
    layout: str
    source: str
    licence: str
    synthetic: bool
    rows: dict[str, int]
    groups: dict[str, int]
    modalities: dict[str, int]
    refusals: list[dict[str, str]]
    causes: dict[str, int]
    equal_texts: dict[str, int]
    leakage: str

    def __str__(self) -> str:
        lines = [
            f"{self.layout}: {sum(self.rows.values())} rows ({_counts(self.rows)}), groups {_counts(self.groups)}",
            f"  present: {_counts(self.modalities)}",
            f"  licence: {self.licence}" + ("; SYNTHETIC data" if self.synthetic else ""),
        ]
        lines += ["  refused, or taken in with a remark:"] if self.causes else []
        lines += [f"    {count} x {cause}" for cause, count in self.causes.items()]
        lines += [
            f"  {count} {name} texts outside train equal a training text" for name, count in self.equal_texts.items()
        ]
        lines.append(f"  leakage: {self.leakage}")
        return "\n".join(lines)


def ingest(
    app: str,
    layout: Layout,
    root: Path,
    out: Path,
    loader: Loader,
    *,
    val: float = 0.2,
    seed: int = 0,
    allow_leakage: bool = False,
    advance: Callable[[], None] = lambda: None,
) -> IngestReport:
    """Read a layout, check every file by loading it, and write the pair table and ``ingest.json`` beside it.

    Args:
        app: the app's name.
        layout: how to read ``root``.
        root: the data set's folder, or its one file; paths in rows are relative to that folder.
        out: the Parquet file to write.
        loader: what will read the rows later, so that what it cannot read is refused now.
        val: the share of validation rows, where the data set has no split of its own.
        seed: of that split.
        allow_leakage: write the table although something leaks between its splits; it then says so for ever.
        advance: called once a row, for a progress bar.

    Raises:
        InputError: where ``root`` is not this layout, where no row is left, or where splits leak.
    """
    if not root.exists():
        raise InputError(f"There is no {root}: give the root of a '{layout.name}' data set.")
    base = root if root.is_dir() else root.parent
    refusals: list[dict[str, str]] = []

    def refuse(what: str, cause: str) -> None:
        refusals.append({"what": what, "cause": cause})

    rows = list(_checked(layout.read(root, refuse), base, loader, layout.modalities, refuse, advance))
    if not rows:
        first = f" (first cause: {refusals[0]['what']}: {refusals[0]['cause']})" if refusals else ""
        raise InputError(f"No row of {root} could be taken in{first}: is it a '{layout.name}' data set?")
    _assign_splits(rows, val, seed)
    info = TableInfo.of(app, layout, base)
    if (base / MARKER).exists():
        info = replace(info, source="made by plait", licence="none: made by a program", synthetic=True)
    table = PairTable.from_rows(rows, info)
    leakage = check_leakage(table, allow_leakage)
    if leakage:
        table = table.with_info(leakage_allowed=str(leakage))
    table.write(out)
    report = _report(table, refusals, leakage.texts, str(leakage))
    out.with_suffix(".ingest.json").write_text(json.dumps(asdict(report), indent=1), encoding="utf-8")
    return report


def _checked(
    rows: Iterable[Row],
    root: Path,
    loader: Loader,
    names: Collection[str],
    refuse: Callable[[str, str], None],
    advance: Callable[[], None],
) -> Iterable[Row]:
    """The rows that load, each with the fingerprints of its inputs, in the layout's order."""

    def load(row: Row) -> tuple[Row, dict[str, bytes] | InputError]:
        try:
            return row, fingerprints(loader(row, root, names))
        except InputError as error:
            return row, error

    # Reading images waits for disk and decoders, which release the interpreter lock.
    with ThreadPoolExecutor() as pool:
        for some in batched(rows, 256):
            for row, prints in pool.map(load, some):
                advance()
                if isinstance(prints, InputError):
                    refuse(str(row["id"]), str(prints))
                else:
                    yield row | {f"fingerprint_{name}": value for name, value in prints.items()}


def _assign_splits(rows: list[Row], val: float, seed: int) -> None:
    """Split by group the rows that the data set itself did not split."""
    without = [row for row in rows if row.get("split") is None]
    if not without:
        return
    labels = sorted({name for row in without for name in row if name.startswith("label_")})
    strata = ["/".join(str(row.get(name)) for name in labels) for row in without]
    splits = group_split([str(row["group"]) for row in without], {"train": 1.0 - val, "val": val}, seed, strata)
    for row, split in zip(without, splits, strict=True):
        row["split"] = split


def _report(table: PairTable, refusals: list[dict[str, str]], texts: dict[str, int], leakage: str) -> IngestReport:
    splits = table.splits.tolist()
    groups = {split: len(set(table.where_split(split).groups.tolist())) for split in dict.fromkeys(splits)}
    present = {name: int(table.present(name).sum()) for name in table.modalities}
    causes = Counter(_general(refusal) for refusal in refusals)
    return IngestReport(
        table.info.app,
        table.info.layout,
        table.info.source,
        table.info.licence,
        table.info.synthetic,
        dict(Counter(splits)),
        groups,
        present,
        refusals,
        dict(causes.most_common()),
        texts,
        leakage,
    )


def _general(refusal: dict[str, str]) -> str:
    """The cause without the name of the thing refused, so that equal causes are counted together."""
    return refusal["cause"].replace(refusal["what"], "...")


def _counts(counts: dict[str, Any]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"
