"""What ingest tells of a data set: counts, and by name what it refused or what its owner should look at."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from plait.pairs.layout import Remark
from plait.pairs.leakage import Leakage
from plait.pairs.table import PairTable

_CAUSES = 20
"""So many causes go to the terminal; the file has them all."""
_NAMES = 3


@dataclass(frozen=True)
class Told:
    """Single things that were told of, each with its cause, and how many have the same cause.

    Attributes:
        each: ``{"what": name, "cause": sentence}``, all of them.
        causes: how many have each cause; the names of the thing and its files are ``...`` in it.
        first: the first names of each cause.
        said: each cause as it was said first.
    """

    each: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    causes: Counter[str] = field(default_factory=Counter[str])
    first: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    said: dict[str, str] = field(default_factory=dict[str, str])

    def add(self, what: str, cause: str, files: Iterable[str] = ()) -> None:
        """Tell of a thing; ``files`` are names that its cause may have in it."""
        general = str(cause)
        for name in sorted({what, *files} - {""}, key=len, reverse=True):
            if name in general:
                general = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "...", general)
        self.each.append({"what": what, "cause": str(cause)})
        self.causes[general] += 1
        self.said.setdefault(general, str(cause))
        names = self.first.setdefault(general, [])
        if len(names) < _NAMES:
            names.append(what)

    def in_short(self) -> str:
        """The commonest causes, each with what had it, in parentheses; empty where there is none."""
        parts = [
            f"{self.first[cause][0]}{f' and {count - 1:,} more' if count > 1 else ''}: {self.said[cause].rstrip('.')}"
            for cause, count in self.causes.most_common(_NAMES)
        ]
        more = f"; and {len(self.causes) - _NAMES} more causes" if len(self.causes) > _NAMES else ""
        return f" ({'; '.join(parts)}{more})" if parts else ""


@dataclass
class Account:
    """All that ingest tells of while it goes on; called as ``refuse(what, cause)``.

    Attributes:
        refusals: what could not be taken in.
        remarks: what was taken in, and should be looked at.
        noted: what was counted.
    """

    refusals: Told = field(default_factory=Told)
    remarks: Told = field(default_factory=Told)
    noted: Counter[str] = field(default_factory=Counter[str])

    def __call__(self, what: str, cause: str, files: Iterable[str] = ()) -> None:
        what = what.encode(errors="backslashreplace").decode()  # no terminal can show a name that is not UTF-8
        (self.remarks if isinstance(cause, Remark) else self.refusals).add(what, cause, files)


@dataclass(frozen=True)
class IngestReport:
    """What ingest took in and what it refused: counts, names of rows and files, and nothing that a file says.

    Attributes:
        rows: rows by split.
        groups: groups by split.
        modalities: rows that have each modality.
        refusals: what was refused, each with its cause.
        causes: the same, counted by cause.
        remarks: what was taken in with a remark (a row without its text), each with it.
        remark_causes: the same, counted by cause.
        examples: the first names of each cause of either.
        noted: what the app counts, such as inverted films.
        duplicates: rows whose text another row has too, by modality.
        equal_texts: rows outside train whose text a training row has.
        leakage: what leaks between splits, in words.
    """

    app: str
    layout: str
    source: str
    licence: str
    synthetic: bool
    rows: Mapping[str, int]
    groups: Mapping[str, int]
    modalities: Mapping[str, int]
    refusals: list[dict[str, str]]
    causes: Mapping[str, int]
    remarks: list[dict[str, str]]
    remark_causes: Mapping[str, int]
    examples: Mapping[str, Sequence[str]]
    noted: Mapping[str, int]
    duplicates: Mapping[str, int]
    equal_texts: Mapping[str, int]
    leakage: str

    @classmethod
    def of(cls, table: PairTable, account: Account, leakage: Leakage) -> Self:
        """What there is to tell of a table that was taken in."""
        splits = table.splits.tolist()
        info, refusals, remarks = table.info, account.refusals, account.remarks
        return cls(
            app=info.app,
            layout=info.layout,
            source=info.source,
            licence=info.licence,
            synthetic=info.synthetic,
            rows=dict(Counter(splits)),
            groups={name: len(set(table.where_split(name).groups.tolist())) for name in dict.fromkeys(splits)},
            modalities={name: int(table.present(name).sum()) for name in table.modalities},
            refusals=refusals.each,
            causes=dict(refusals.causes.most_common()),
            remarks=remarks.each,
            remark_causes=dict(remarks.causes.most_common()),
            examples=refusals.first | remarks.first,
            noted=dict(sorted(account.noted.items())),
            duplicates={name: _duplicates(texts) for name, texts in _texts(table)},
            equal_texts=leakage.texts,
            leakage=str(leakage),
        )

    def __str__(self) -> str:
        lines = [
            f"{self.layout}: {sum(self.rows.values())} rows ({_counts(self.rows)}), groups {_counts(self.groups)}",
            f"  present: {_counts(self.modalities)}",
            f"  licence: {self.licence}" + ("; SYNTHETIC data" if self.synthetic else ""),
            *self._causes("refused", self.causes),
            *self._causes("taken in with a remark", self.remark_causes),
        ]
        lines += ["  noted:", *(f"    {count:,} x {name}" for name, count in self.noted.items())] if self.noted else []
        lines += [f"  {count:,} rows share their {name} with another row" for name, count in self.duplicates.items()]
        lines += [
            f"  {count} {name} texts outside train equal a training text" for name, count in self.equal_texts.items()
        ]
        lines.append(f"  leakage: {self.leakage}")
        return "\n".join(lines)

    def _causes(self, title: str, causes: Mapping[str, int]) -> Iterator[str]:
        if causes:
            yield f"  {title}:"
        for cause, count in list(causes.items())[:_CAUSES]:
            names = self.examples[cause]
            yield f"    {count:,} x {cause} ({', '.join(names)}{', ...' if count > len(names) else ''})"
        if len(causes) > _CAUSES:
            yield f"    and {len(causes) - _CAUSES} more causes, in the file"


def _texts(table: PairTable) -> Iterator[tuple[str, list[str | None]]]:
    """The modalities that are texts: in one column, and without a fingerprint."""
    for name, columns in table.info.modalities.items():
        values = table.column(columns[0])
        if len(columns) == 1 and f"fingerprint_{name}" not in table.columns and any(isinstance(v, str) for v in values):
            yield name, values


def _duplicates(texts: Iterable[str | None]) -> int:
    """How many texts another one equals, but for case and spaces."""
    equal = Counter(" ".join(text.lower().split()) for text in texts if text)
    return sum(count for count in equal.values() if count > 1)


def _counts(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"
