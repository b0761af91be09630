"""Does anything of one split lie in another? Groups, near-identical inputs, and equal texts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
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
NEAR_IDENTICAL = 0.9995
"""Correlation of two thumbnails above which two inputs count as the same.

`tests/medical/test_near_identical.py` measures its margins on a real collection: copies that were encoded again lie
above it, the most alike of different inputs well below.
"""


@dataclass(frozen=True)
class Leakage:
    """What two splits share.

    Attributes:
        groups: groups that have rows in more than one split.
        inputs: pairs of ids in different splits with a near-identical input, and the modality.
        texts: how many rows outside ``train`` have a text that a training row has, by modality. Equal texts are told
            and never refused: normal reports are often word for word the same.
    """

    groups: list[str] = field(default_factory=list[str])
    inputs: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    texts: dict[str, int] = field(default_factory=dict[str, int])

    def __bool__(self) -> bool:
        return bool(self.groups or self.inputs)

    def __str__(self) -> str:
        parts: list[str] = []
        if self.groups:
            parts.append(f"{len(self.groups)} groups lie in two splits (such as '{self.groups[0]}')")
        if self.inputs:
            one, other, name = self.inputs[0]
            parts.append(
                f"{len(self.inputs)} pairs across splits have a near-identical {name} (such as {one}, {other})"
            )
        return " and ".join(parts) or "nothing leaks"


def check_leakage(table: PairTable, allow: bool = False) -> Leakage:
    """Look for what the splits of a table share.

    Near-identical inputs are found by the fingerprints that ``ingest`` wrote.

    Raises:
        InputError: where groups or inputs are shared and ``allow`` is false.
    """
    used = table.where_split("train", "val", "test")
    leakage = Leakage(_shared_groups(used), _shared_inputs(used), _shared_texts(used))
    if leakage and not allow:
        raise InputError(
            f"{table.where} leaks between splits: {leakage}; split by group, or add --allow-leakage and every "
            "table will say so."
        )
    return leakage


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


def _shared_groups(table: PairTable) -> list[str]:
    splits_of: dict[str, set[str]] = {}
    for group, split in zip(table.groups.tolist(), table.splits.tolist(), strict=True):
        splits_of.setdefault(group, set()).add(split)
    return sorted(group for group, splits in splits_of.items() if len(splits) > 1)


def _shared_inputs(table: PairTable) -> list[tuple[str, str, str]]:
    shared: list[tuple[str, str, str]] = []
    splits, ids = table.splits, table.ids
    for name in table.modalities:
        column = f"fingerprint_{name}"
        if column not in table.columns:
            continue
        prints: list[bytes | None] = table.column(column)
        for one, other in combinations(sorted(set(splits.tolist())), 2):
            left, right = (
                [int(row) for row in np.flatnonzero(splits == split) if prints[row] is not None]
                for split in (one, other)
            )
            shared += [(ids[left[a]], ids[right[b]], name) for a, b in _near(prints, left, right)]
    return shared


def _near(prints: list[Any], left: list[int], right: list[int]) -> list[tuple[int, int]]:
    """Positions in ``left`` and ``right`` whose fingerprints are near-identical."""
    hashes = {prints[row]: position for position, row in enumerate(right) if len(prints[row]) != _SIDE**2}
    found = [(position, hashes[prints[row]]) for position, row in enumerate(left) if prints[row] in hashes]
    lefts = [position for position, row in enumerate(left) if len(prints[row]) == _SIDE**2]
    rights = [position for position, row in enumerate(right) if len(prints[row]) == _SIDE**2]
    if lefts and rights:
        gallery = _unit(prints, [right[position] for position in rights])
        for start in range(0, len(lefts), 1024):
            block = lefts[start : start + 1024]
            similarity = _unit(prints, [left[position] for position in block]) @ gallery.T
            found += [(block[a], rights[b]) for a, b in np.argwhere(similarity > NEAR_IDENTICAL)]
    return found


def _unit(prints: list[Any], rows: list[int]) -> NDArray[np.float32]:
    stacked = np.stack([np.frombuffer(prints[row], dtype=np.int8) for row in rows]).astype(np.float32)
    stacked -= stacked.mean(axis=1, keepdims=True)
    return stacked / np.linalg.norm(stacked, axis=1, keepdims=True)


def _shared_texts(table: PairTable) -> dict[str, int]:
    shared: dict[str, int] = {}
    train = table.splits == "train"
    for name, columns in table.info.modalities.items():
        values = table.column(columns[0])
        # A column of paths is no text: a text modality has no fingerprint.
        if len(columns) == 1 and f"fingerprint_{name}" not in table.columns and any(isinstance(v, str) for v in values):
            known = {_normal(value) for value, flag in zip(values, train, strict=True) if flag and value}
            others = [value for value, flag in zip(values, train, strict=True) if not flag and value]
            shared[name] = sum(_normal(value) in known for value in others)
    return shared


def _normal(text: str) -> str:
    return " ".join(text.lower().split())
