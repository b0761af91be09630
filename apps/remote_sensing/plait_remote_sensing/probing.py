"""Codes of what lies on the ground, predicted from frozen features: which rows, and by which probe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plait.evaluation.knn import knn_probe
from plait.evaluation.probes import label_fraction, linear_probe
from plait.pairs.table import PairTable

type Codes = NDArray[np.int64]
type Array = NDArray[np.float32]


@dataclass(frozen=True)
class ProbeRows:
    """The labelled ``train`` rows that a probe learns from, and the labelled ``val`` rows that it is tested on.

    Attributes:
        x: (N, D) training features.
        y: (N,) training codes.
        x_test: (M, D).
        y_test: (M,).
        rows: (M,) positions of the tested rows in the table.
        groups: (M,) their groups.
    """

    x: Array
    y: Codes
    x_test: Array
    y_test: Codes
    rows: NDArray[np.int64]
    groups: NDArray[np.str_]

    def with_fraction(self, fraction: float, draw: int) -> tuple[Array, Codes]:
        """A part of the training rows of each class; patches are drawn one by one, as an annotator picks them."""
        some = label_fraction(self.y, np.arange(len(self.y)), fraction, draw)
        return self.x[some], self.y[some]


def probe_rows(table: PairTable, label: str, learnt: Array, tested: Array) -> ProbeRows | None:
    """Pick the rows whose label and features are known.

    Args:
        table: the rows.
        label: a column ``label_<label>`` of codes.
        learnt: (N, D) features to learn from, NaN where a row has none.
        tested: (N, D) features to test on; others than ``learnt`` where a sensor is withheld at test.

    Returns:
        ``None`` where ``train`` has fewer than two classes or ``val`` has no row.
    """
    codes = np.asarray(table.array(f"label_{label}"), dtype=np.float64)
    known = np.isfinite(codes)
    train = np.flatnonzero(known & (table.splits == "train") & np.isfinite(learnt).all(axis=1))
    val = np.flatnonzero(known & (table.splits == "val") & np.isfinite(tested).all(axis=1))
    y = codes[train].astype(np.int64)
    if len(np.unique(y)) < 2 or not len(val):
        return None
    return ProbeRows(learnt[train], y, tested[val], codes[val].astype(np.int64), val, table.groups[val])


def linear(x: Array, y: Codes, x_test: Array) -> Codes:
    """Codes by the linear probe."""
    return _likeliest(linear_probe(x, y, x_test), y)


def neighbours(x: Array, y: Codes, x_test: Array) -> Codes:
    """Codes by nearest neighbours."""
    return _likeliest(knn_probe(x, y, x_test), y)


def forest(x: Array, y: Codes, x_test: Array) -> Codes:
    """Codes by the random forest of the data's trivial baseline: 300 trees, seed 0."""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(300, random_state=0).fit(x, y).predict(x_test)


PROBES: dict[str, Callable[[Array, Codes, Array], Codes]] = {"linear": linear, "knn": neighbours, "forest": forest}


def _likeliest(scores: NDArray[np.float64], y: Codes) -> Codes:
    """The class of the highest score; of two classes there is one score, the probability of the second."""
    classes = np.unique(y)
    return classes[scores.argmax(axis=1)] if scores.ndim == 2 else classes[(scores > 0.5).astype(int)]
