"""The pictures that every domain's report has: similarity, embedding map, probe curves, training curve."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray

from plait.apps import Picture
from plait.evaluation.diagnostics import modality_gap
from plait.evaluation.measurement import Result
from plait.subjects import Subject

matplotlib.use("Agg")
import matplotlib.pyplot as plt

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's colours, told apart by colour-blind readers."""
_SHOWN = 60


def similarity_matrices(subjects: Sequence[Subject], folder: Path) -> Picture | None:
    """Cosine similarity of the first two modalities that all represent on validation rows, one panel a subject."""
    names = _names(subjects)
    if names is None:
        return None
    first, second = names
    pairs = [(subject, *_paired(subject, first, second, _SHOWN)) for subject in subjects]
    pairs = [(subject, x, y) for subject, x, y in pairs if len(x) > 1]
    if not pairs:
        return None
    figure, axes = plt.subplots(1, len(pairs), figsize=(4.2 * len(pairs), 4.2), squeeze=False)
    for axis, (subject, x, y) in zip(axes[0], pairs, strict=True):
        similarity = x @ y.T
        drawn = axis.imshow(similarity, cmap="viridis")
        off = similarity[~np.eye(len(x), dtype=bool)].mean()
        axis.set_title(f"{subject.name}\npairs {np.diag(similarity).mean():.2f}, others {off:.2f}", fontsize=9)
        axis.set_xlabel(second)
        axis.set_ylabel(first)
        figure.colorbar(drawn, ax=axis, fraction=0.046)
    caption = (
        f"Cosine similarity of {first} (rows) and {second} (columns) on validation rows; true pairs: the diagonal."
    )
    return _save(figure, folder / "similarity.png", caption)


def embedding_maps(subjects: Sequence[Subject], folder: Path) -> Picture | None:
    """The shared space of validation rows on its first two principal components, one panel a subject."""
    names = _names(subjects)
    if names is None:
        return None
    first, second = names
    pairs = [(subject, *_paired(subject, first, second, 200)) for subject in subjects]
    pairs = [(subject, x, y) for subject, x, y in pairs if len(x) > 2]
    if not pairs:
        return None
    figure, axes = plt.subplots(1, len(pairs), figsize=(4.2 * len(pairs), 4.2), squeeze=False)
    for axis, (subject, x, y) in zip(axes[0], pairs, strict=True):
        plane = _principal_plane(np.concatenate([x, y]))
        left, right = plane[: len(x)], plane[len(x) :]
        for a, b in zip(left[:40], right[:40], strict=True):
            axis.plot([a[0], b[0]], [a[1], b[1]], color="#bbbbbb", linewidth=0.6, zorder=1)
        axis.scatter(*left.T, s=12, color=PALETTE[0], label=first, zorder=2)
        axis.scatter(*right.T, s=12, color=PALETTE[1], marker="^", label=second, zorder=2)
        axis.set_title(f"{subject.name}\nmodality gap {modality_gap(x, y):.2f}", fontsize=9)
        axis.set_xticks([])
        axis.set_yticks([])
    axes[0][0].legend(fontsize=8)
    caption = "The shared space on its first two principal components; grey lines join true pairs."
    return _save(figure, folder / "embedding_map.png", caption)


def probe_curves(results: Sequence[Result], folder: Path) -> Picture | None:
    """A metric against the share of training labels: tasks named ``...@10%``, and the same name for all labels."""
    curves: dict[tuple[str, str], dict[str, list[tuple[float, Result]]]] = {}
    for result in results:
        match = re.fullmatch(r"(.+?)(?:@([\d.]+)%)?", result.task)
        if match and result.value is not None:
            curve = curves.setdefault((match[1], result.metric), {})
            curve.setdefault(result.subject, []).append((float(match[2] or 100), result))
    curves = {key: curve for key, curve in curves.items() if max(map(len, curve.values())) > 1}
    if not curves:
        return None
    shown = list(curves.items())[:3]
    figure, axes = plt.subplots(1, len(shown), figsize=(4.6 * len(shown), 3.6), squeeze=False)
    for axis, ((task, metric), curve) in zip(axes[0], shown, strict=True):
        for colour, (subject, points) in zip(PALETTE, curve.items(), strict=False):
            _curve(axis, colour, subject, sorted(points, key=lambda point: point[0]))
        axis.set_xscale("log")
        axis.set_xlabel("training labels used (%)")
        axis.set_ylabel(metric)
        axis.set_title(task, fontsize=9)
    axes[0][0].legend(fontsize=7)
    return _save(
        figure, folder / "probe_curves.png", "Frozen features, linear probe; bars are 95 % group-bootstrap intervals."
    )


def training_curve(runs: Sequence[Path], folder: Path) -> Picture | None:
    """The training loss of each run."""
    figure, axis = plt.subplots(figsize=(5.2, 3.2))
    for colour, run in zip(PALETTE * (len(runs) // len(PALETTE) + 1), runs, strict=False):
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        axis.plot([line["step"] for line in lines], [line["loss"] for line in lines], color=colour, label=run.name)
    axis.set_xlabel("step")
    axis.set_ylabel("training loss")
    axis.legend(fontsize=7)
    return _save(figure, folder / "training.png", "Training loss on augmented batches.")


def _curve(axis: Any, colour: str, subject: str, points: list[tuple[float, Result]]) -> None:
    shares = [share for share, _ in points]
    values = np.asarray([result.value for _, result in points], dtype=float)
    low = np.asarray([result.value if result.low is None else result.low for _, result in points], dtype=float)
    high = np.asarray([result.value if result.high is None else result.high for _, result in points], dtype=float)
    spread = np.clip([values - low, high - values], 0, None)
    axis.errorbar(shares, values, yerr=spread, color=colour, marker="o", markersize=4, capsize=3, label=subject)


def _names(subjects: Sequence[Subject]) -> tuple[str, str] | None:
    """The first two modalities that every subject represents; the table may hold others, such as a lateral film."""
    first, *others = (subject.modalities for subject in subjects)
    shared = [name for name in first if all(name in other for other in others)]
    return (shared[0], shared[1]) if len(shared) > 1 else None


def _paired(subject: Subject, first: str, second: str, most: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Embeddings of the first rows of ``val`` that have both modalities."""
    rows = np.flatnonzero(subject.table.splits == "val")
    x, y = subject.embeddings(first)[rows], subject.embeddings(second)[rows]
    if x.shape[1] != y.shape[1]:
        return x[:0], y[:0]
    real = np.isfinite(x).all(axis=1) & np.isfinite(y).all(axis=1)
    return x[real][:most], y[real][:most]


def _principal_plane(points: NDArray[np.float32]) -> NDArray[np.float64]:
    centred = np.asarray(points, dtype=np.float64) - points.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    # The sign of a principal axis is arbitrary; fix it, so that one seed gives one picture.
    axes = axes[:2] * np.sign(axes[:2].sum(axis=1, keepdims=True) + 1e-12)
    return centred @ axes.T


def _save(figure: Any, path: Path, caption: str) -> Picture:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return Picture(path, caption)
