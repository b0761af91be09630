"""One figure of several folds: what each fold held out, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from plait.evaluation.measurement import Measurement

type Key = tuple[str, str]
"""A task and a metric."""


def pool_folds(folds: Sequence[Sequence[Measurement]]) -> tuple[dict[Key, Measurement], dict[Key, str]]:
    """Pool the measurements of one subject and seed over folds: arrays and groups side by side, one figure of all rows.

    The statistic, which no fold may change, is taken of the rows together and not averaged over folds. A correlation
    or an AUROC then also sees how the folds' models differ in level, and is mostly lower for it: the mean of the
    training labels, a constant in each fold, even correlates a little, negatively.

    Args:
        folds: what each fold measured.

    Returns:
        The pooled measurements, and why each of the others has none: a fold lacks it, or its rows are not the
        ``test`` rows that the folds hold out in turn.
    """
    found = [{(one.task, one.metric): one for one in fold} for fold in folds]
    pooled: dict[Key, Measurement] = {}
    dropped: dict[Key, str] = {}
    for key in dict.fromkeys(key for fold in found for key in fold):
        parts = [fold[key] for fold in found if key in fold]
        cause = _cause(parts, len(folds))
        if cause:
            dropped[key] = cause
        else:
            pooled[key] = _joined(parts)
    return pooled, dropped


def _cause(parts: Sequence[Measurement], folds: int) -> str:
    if folds == 1:
        return ""
    if len(parts) < folds:
        return f"{len(parts)} of {folds} folds can give it"
    if any(part.split != "test" for part in parts):
        return f"it is of the split '{parts[0].split}', not of what the folds hold out"
    groups = np.concatenate([np.unique(part.groups) for part in parts])
    if len(np.unique(groups)) < len(groups):
        return "some of its groups are in two folds"
    shapes = {tuple(array.shape[1:] for array in part.arrays) for part in parts}
    return "" if len(shapes) == 1 else "its scores differ in shape from fold to fold"


def _joined(parts: Sequence[Measurement]) -> Measurement:
    if len(parts) == 1:
        return parts[0]
    arrays = tuple(np.concatenate(side_by_side) for side_by_side in zip(*(part.arrays for part in parts), strict=True))
    return replace(parts[0], arrays=arrays, groups=np.concatenate([part.groups for part in parts]))
