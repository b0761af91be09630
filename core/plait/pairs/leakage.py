"""Does anything of one split, or of one table, lie in another? Groups, studies, rows, near-identical inputs, texts."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from plait.errors import InputError
from plait.pairs.batch import Sample
from plait.pairs.table import PairTable

_SIDE = 24
_BLOCK = 4096
_FILE_NAME = re.compile(r"\.\w{1,8}$")
NEAR_IDENTICAL = 0.9995
"""Correlation of two thumbnails above which two inputs count as the same.

`tests/medical/test_near_identical.py` measures its margins on a real collection: copies that were encoded again lie
above it, the most alike of different inputs well below.
"""


@dataclass(frozen=True)
class Leakage:
    """What two splits, or two tables, share.

    Attributes:
        groups: groups that have rows in both.
        studies: values of a column ``study`` that both have, where both tables have that column.
        rows: ids of rows of the second that are rows of the first too: the same id, or the same file.
        inputs: pairs of ids, one of each, with a near-identical input, and the modality.
        texts: how many rows of the second have a text that a row of the first has, by modality. Equal texts are told
            and never refused: normal reports are often word for word the same.
        sharing: how many rows of the second belong to a group that the first has.
        member: the id of one of them. It stands for the groups in messages: a group's own name may say who somebody is.
    """

    groups: list[str] = field(default_factory=list[str])
    studies: list[str] = field(default_factory=list[str])
    rows: list[str] = field(default_factory=list[str])
    inputs: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    texts: dict[str, int] = field(default_factory=dict[str, int])
    sharing: int = 0
    member: str = ""

    def __bool__(self) -> bool:
        return bool(self.groups or self.studies or self.rows or self.inputs)

    def __add__(self, other: Leakage) -> Leakage:
        texts = {name: self.texts.get(name, 0) + other.texts.get(name, 0) for name in self.texts | other.texts}
        return Leakage(
            sorted({*self.groups, *other.groups}),
            sorted({*self.studies, *other.studies}),
            self.rows + other.rows,
            self.inputs + other.inputs,
            texts,
            self.sharing + other.sharing,
            self.member or other.member,
        )

    def __str__(self) -> str:
        parts: list[str] = []
        if self.groups:
            parts.append(f"groups on both sides: {len(self.groups):,} (such as that of row '{self.member}')")
        if self.studies:
            parts.append(f"studies on both sides: {len(self.studies):,}")
        if self.rows:
            parts.append(f"rows on both sides: {len(self.rows):,} (such as '{self.rows[0]}')")
        if self.inputs:
            one, other, name = self.inputs[0]
            parts.append(f"pairs of near-identical inputs: {len(self.inputs):,} (such as {name}, {one} and {other})")
        return ", ".join(parts) or "nothing leaks"


def check_leakage(table: PairTable, allow: bool = False) -> Leakage:
    """Look for what the splits of a table share; ``texts`` counts rows outside ``train`` that repeat one of train.

    Near-identical inputs are found by the fingerprints that ``ingest`` wrote.

    Raises:
        InputError: where anything but a text is shared and ``allow`` is false.
    """
    splits = [split for split in ("train", "val", "test") if (table.splits == split).any()]
    parts = {split: table.where_split(split) for split in splits}
    leakage = Leakage()
    for one, other in combinations(splits, 2):
        shared = check_tables(parts[one], parts[other])
        # Ids are unique in a table, and a large scene may lie on both sides of a line that its groups respect.
        leakage += replace(shared, rows=[], texts=shared.texts if one == "train" else {})
    if leakage and not allow:
        raise InputError(
            f"{table.where} leaks between splits: {leakage}; split by group, or add --allow-leakage and every "
            "table will say so."
        )
    return leakage


def check_tables(left: PairTable, right: PairTable) -> Leakage:
    """Look for what two tables share, such as the one trained on and the one tested on; splits play no part."""
    groups = set(left.groups.tolist())
    members = [name for name, group in zip(right.ids, right.groups.tolist(), strict=True) if group in groups]
    return Leakage(
        groups=sorted(groups & set(right.groups.tolist())),
        studies=_shared_studies(left, right),
        rows=_shared_rows(left, right),
        inputs=_shared_inputs(left, right),
        texts=_shared_texts(left, right),
        sharing=len(members),
        member=members[0] if members else "",
    )


def fingerprints(sample: Sample) -> dict[str, bytes]:
    """What near-identical inputs have nearly in common.

    For images (C, H, W), a thumbnail of their mean over channels, standardised; for any other tensor, and for a
    constant image, a hash of its content. Texts have none: they are compared as they are.
    """
    prints: dict[str, bytes] = {}
    for name, value in sample.items():
        if isinstance(value, torch.Tensor) and value.numel():
            prints[name] = _fingerprint(value)
    return prints


def _fingerprint(value: torch.Tensor) -> bytes:
    if value.ndim == 3 and min(value.shape[1:]) >= 8:
        grey = value.float().nan_to_num().mean(dim=0)
        small = F.interpolate(grey[None, None], size=(_SIDE, _SIDE), mode="area").flatten()
        deviation = small.std()
        if deviation > 1e-6:
            standard = ((small - small.mean()) / deviation).clamp(-4, 4)
            return (standard * 31).round().to(torch.int8).numpy().tobytes()
    return hashlib.sha256(value.contiguous().numpy().tobytes()).digest()


def _shared_studies(left: PairTable, right: PairTable) -> list[str]:
    if "study" not in left.columns or "study" not in right.columns:
        return []
    return sorted(set(left.column("study")) & set(right.column("study")) - {None, ""})


def _shared_rows(left: PairTable, right: PairTable) -> list[str]:
    """Ids of rows of ``right`` whose id, or whose own file, a row of ``left`` has."""
    ids = set(left.ids)
    shared = [identity in ids for identity in right.ids]
    for name in _both(left, right):
        if not (_is_text(left, name) or _is_text(right, name)):
            known = set(_own_files(left, name)) - {None}
            shared = [was or value in known for was, value in zip(shared, _own_files(right, name), strict=True)]
    return [identity for identity, is_shared in zip(right.ids, shared, strict=True) if is_shared]


def _own_files(table: PairTable, name: str) -> list[tuple[Any, ...] | None]:
    """(N,) what the columns of a modality say; ``None`` where they are empty, or say the same of another row too.

    Rows that are places inside one file, such as the patches of a scene, have none of their own.
    """
    columns = [map(_hashable, table.column(column)) for column in table.info.modalities[name]]
    values = list(zip(*columns, strict=True))
    counts = Counter(values)
    return [None if None in value or counts[value] > 1 else value for value in values]


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _shared_inputs(left: PairTable, right: PairTable) -> list[tuple[str, str, str]]:
    shared: list[tuple[str, str, str]] = []
    for name in _both(left, right):
        column = f"fingerprint_{name}"
        if column in left.columns and column in right.columns:
            ids, other_ids = left.ids, right.ids
            near = _near(left.column(column), right.column(column))
            shared += [(ids[one], other_ids[other], name) for one, other in near]
    return shared


def _both(left: PairTable, right: PairTable) -> list[str]:
    return [name for name in left.modalities if name in right.modalities]


def _near(left: list[bytes | None], right: list[bytes | None]) -> Iterator[tuple[int, int]]:
    """Positions in ``left`` and ``right`` whose fingerprints are near-identical."""
    hashes = {value: row for row, value in enumerate(right) if value is not None and len(value) != _SIDE**2}
    yield from ((row, hashes[value]) for row, value in enumerate(left) if value in hashes)
    (lefts, queries), (rights, gallery) = _thumbnails(left), _thumbnails(right)
    # Both sides in blocks: the products of two large collections would not fit the memory.
    for rows in range(0, len(lefts), _BLOCK):
        for columns in range(0, len(rights), _BLOCK):
            similarity = queries[rows : rows + _BLOCK] @ gallery[columns : columns + _BLOCK].T
            for one, other in np.argwhere(similarity > NEAR_IDENTICAL):
                yield lefts[rows + int(one)], rights[columns + int(other)]


def _thumbnails(prints: list[bytes | None]) -> tuple[list[int], NDArray[np.float32]]:
    """The rows that have a thumbnail, and those as unit vectors (n, 576)."""
    rows = [row for row, value in enumerate(prints) if value is not None and len(value) == _SIDE**2]
    stacked = np.zeros((len(rows), _SIDE**2), dtype=np.float32)
    for place, row in enumerate(rows):
        stacked[place] = np.frombuffer(prints[row] or b"", dtype=np.int8)
    stacked -= stacked.mean(axis=1, keepdims=True)
    return rows, stacked / np.linalg.norm(stacked, axis=1, keepdims=True)


def _shared_texts(left: PairTable, right: PairTable) -> dict[str, int]:
    shared: dict[str, int] = {}
    for name in _both(left, right):
        if _is_text(left, name) and _is_text(right, name):
            values, others = (table.column(table.info.modalities[name][0]) for table in (left, right))
            known = {_normal(value) for value in values if value}
            shared[name] = sum(bool(value) and _normal(value) in known for value in others)
    return shared


def _is_text(table: PairTable, name: str) -> bool:
    """Whether a modality lies in the table as it is: texts have no fingerprint, and not all end like a file's name."""
    column, *more = table.info.modalities[name]
    if more or f"fingerprint_{name}" in table.columns:
        return False
    return not all(_FILE_NAME.search(value) for value in table.column(column) if isinstance(value, str))


def _normal(text: str) -> str:
    return " ".join(text.lower().split())
