"""What became of the labels that a training made for each modality: do they still say what people said?

Published curves of self-made labels show that they move, not that they are right. Here is what can be seen without
anybody's trust: how many have another sign than the multimodal label, how many lie at the end of the scale, how many
are extreme beside those that people gave, and, where a set has labels of single modalities, whether the made ones are
nearer to these than the multimodal label was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from plait.apps import Picture
from plait.pairs.table import PairTable
from plait.training.run_folder import METRICS, RECIPE, read_info, read_kept
from plait_sentiment.metrics import corr, mae
from plait_sentiment.tasks import scale_of

FIGURES = {
    "flipped": "another sign than the label",
    "clipped": "at an end of the scale",
    "inflated": "extreme: 5/6 of the scale or more",
}
_COLOURS = {"text": "#0072b2", "audio": "#d55e00", "video": "#009e73", "truth": "#000000"}
_PREFIX = "ulg/"

type Curve = list[tuple[int, float]]


@dataclass(frozen=True)
class Made:
    """The labels that the runs of one recipe made.

    Attributes:
        truth: (N,) multimodal labels of training rows, run after run.
        labels: modality to the (N,) labels that were made for it by the step of the kept weights; NaN where none was.
        held: modality to the (N,) labels that people gave it; only where the table has them.
        curves: figure to modality (and ``truth``) to its means over the runs, by step.
        runs: how many there are.
    """

    truth: NDArray[Any]
    labels: Mapping[str, NDArray[Any]]
    held: Mapping[str, NDArray[Any]]
    curves: Mapping[str, Mapping[str, Curve]]
    runs: int


def run_pictures(runs: Sequence[Path], table: PairTable, folder: Path) -> Iterator[Picture]:
    """Draw what became of self-made labels, a line of panels for each recipe that made any."""
    made = made_labels(runs, table)
    if not made:
        return
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "sentiment_labels.png"
    _draw(made, scale_of(table), table.info.synthetic, path)
    held = any(labels.held for labels in made.values())
    nearer = "; in brackets how far it and the multimodal label are from the one that people gave" if held else ""
    yield Picture(
        path,
        "Labels that training made for each modality, in a reconstruction of Self-MI or Self-MM. Left: shares of them, "
        "by step, that changed sign, reached the end of the scale, or are extreme (dashed: of the labels people gave). "
        "Right: the made label against the multimodal one, on training rows, at the step of the weights that were kept"
        f"{nearer}.",
    )


def made_labels(runs: Sequence[Path], table: PairTable) -> dict[str, Made]:
    """What the runs of each recipe made, by the recipe's name; recipes that made no labels are not in it."""
    by_recipe: dict[str, list[Path]] = {}
    for run in runs:
        if f"{_PREFIX}truth" in read_kept(run):
            name = yaml.safe_load((run / RECIPE).read_text(encoding="utf-8"))["name"]
            by_recipe.setdefault(name, []).append(run)
    return {name: _made(of_recipe, table) for name, of_recipe in by_recipe.items()}


def _made(runs: Sequence[Path], table: PairTable) -> Made:
    kept = [{name: tensor.numpy() for name, tensor in read_kept(run).items()} for run in runs]
    prefix = f"{_PREFIX}labels/"
    names = [name for name in table.modalities if prefix + name in kept[0]]
    place = {row: index for index, row in enumerate(table.ids)}
    trained = [[place[row] for row in read_info(run).splits["train"]] for run in runs]
    held: dict[str, NDArray[Any]] = {}
    for name in names:
        if f"label_{name}" in table.columns:
            given = table.array(f"label_{name}").astype(np.float64)
            held[name] = np.concatenate([given[rows] for rows in trained])
    return Made(
        truth=np.concatenate([part[f"{_PREFIX}truth"] for part in kept]),
        labels={name: np.concatenate([part[prefix + name] for part in kept]) for name in names},
        held=held,
        curves={figure: _curves(runs, figure, [*names, "truth"]) for figure in FIGURES},
        runs=len(runs),
    )


def _curves(runs: Sequence[Path], figure: str, names: Sequence[str]) -> dict[str, Curve]:
    """The mean over those runs that still went on at a step; only the first steps of an early end are many's mean."""
    found: dict[str, dict[int, list[float]]] = {}
    for run in runs:
        for line in (run / METRICS).read_text(encoding="utf-8").splitlines():
            logged = json.loads(line)
            for name in names:
                if (key := f"{_PREFIX}{figure}/{name}") in logged:
                    found.setdefault(name, {}).setdefault(logged["step"], []).append(logged[key])
    return {
        name: [(step, float(np.mean(values))) for step, values in sorted(by_step.items())]
        for name, by_step in found.items()
    }


def _draw(made: Mapping[str, Made], scale: float, synthetic: bool, path: Path) -> None:
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(name for labels in made.values() for name in labels.labels))
    columns = len(FIGURES) + len(names)
    figure = Figure(figsize=(3.0 * columns, 3.2 * len(made) + 0.6), layout="constrained")
    figure.suptitle("Labels made for each modality" + (" (synthetic data)" if synthetic else ""), fontsize=13)
    grid = figure.subplots(len(made), columns, squeeze=False)
    for axes, (recipe, labels) in zip(grid, made.items(), strict=True):
        for axis, (share, about) in zip(axes, FIGURES.items(), strict=False):
            _shares(axis, labels.curves[share], about)
        axes[0].set_ylabel(f"{recipe}\nshare of training rows (runs: {labels.runs})")
        for axis, name in zip(axes[len(FIGURES) :], names, strict=True):
            _against(axis, labels, name, scale)
    figure.savefig(path, dpi=100)


def _shares(axis: Any, curves: Mapping[str, Curve], about: str) -> None:
    for name, curve in curves.items():
        style = "--" if name == "truth" else "-"
        label = "given label" if name == "truth" else name
        axis.plot(*zip(*curve, strict=True), style, color=_COLOURS.get(name), label=label, marker=".", markersize=4)
    axis.set_title(about, fontsize=10)
    axis.set(xlabel="step", ylim=(-0.02, 1.02))
    if curves:
        axis.legend(fontsize=7)


def _against(axis: Any, made: Made, name: str, scale: float) -> None:
    """How often each made label goes with each multimodal one, and whether it is nearer to the one people gave."""
    labels = made.labels.get(name)
    real = np.zeros(0, dtype=bool) if labels is None else np.isfinite(labels) & np.isfinite(made.truth)
    if labels is None or not real.any():
        axis.set_axis_off()
        return
    span = [[-scale, scale], [-scale, scale]]
    axis.hist2d(made.truth[real], labels[real], bins=25, range=span, cmap="magma_r", cmin=1)
    axis.plot([-scale, scale], [-scale, scale], color="#999999", linewidth=1)
    title = f"{name}: Corr {corr(made.truth[real], labels[real]):.2f}"
    if name in made.held and (told := real & np.isfinite(made.held[name])).any():
        people = made.held[name][told]
        title += f" [MAE {mae(people, labels[told]):.2f}, was {mae(people, made.truth[told]):.2f}]"
    axis.set_title(title, fontsize=10)
    axis.set(xlabel="multimodal label", ylabel="made label")
