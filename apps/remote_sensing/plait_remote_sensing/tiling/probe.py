"""The probe behind a class map: fitted on the frozen features of a pair table's training rows."""

from __future__ import annotations

import colorsys
from dataclasses import replace
from pathlib import Path

import numpy as np

from plait.apps import load_app
from plait.errors import InputError
from plait.evaluation.probes import fit_linear_probe
from plait.pairs.table import PairTable
from plait.recipes import build_loader
from plait.subjects import ModelSubject
from plait.training.run_folder import read_run
from plait_remote_sensing.tiling.function import Classes
from plait_remote_sensing.tiling.trained import TrainedRun


def with_probe(run: TrainedRun, pairs: Path, label: str) -> TrainedRun:
    """Fit the linear probe of `evaluate` to a label, on features from the run's modalities alone.

    Args:
        run: whose features.
        pairs: the pair table, whose ``train`` rows are used.
        label: a column ``label_<label>`` of it.

    Raises:
        InputError: where the table lacks the label, or has fewer than two classes of it among its ``train`` rows.
    """
    table = PairTable.read(pairs)
    column = f"label_{label}"
    if column not in table.columns:
        known = ", ".join(name.removeprefix("label_") for name in table.columns if name.startswith("label_")) or "none"
        raise InputError(f"{pairs} has no label '{label}' (it has {known}): give one of them.")
    domain = load_app("remote-sensing")
    model, recipe, _ = read_run(Path(run.folder), domain)
    features = ModelSubject("run", model, build_loader(domain, recipe.data, table), table).fused(run.modalities)
    codes = np.asarray(table.array(column), dtype=np.float64)
    rows = np.isfinite(codes) & (table.splits == "train") & np.isfinite(features).all(axis=1)
    x, y = features[rows], codes[rows].astype(np.int64)
    if len(np.unique(y)) < 2:
        raise InputError(f"{pairs} has fewer than two classes of '{label}' among its train rows: choose another label.")
    names = class_names(table.info.layout, label)
    classes = {
        int(code): names.get(int(code), (f"class {code}", _colour(place))) for place, code in enumerate(np.unique(y))
    }
    return replace(run, probe=fit_linear_probe(x, y), classes=classes, labels=f"{label} of {table.sha256}")


def class_names(layout: str, label: str) -> Classes:
    """Names and colours of a label's codes, where they are known."""
    if label in ("water", "flooded"):
        return {0: (f"not {label}", "#c7a574"), 1: (label, "#1a5bab")}
    if (layout, label) != ("terramesh", "land_cover"):
        return {}
    from plait_remote_sensing.ingest.terramesh import CLASSES
    from plait_remote_sensing.pictures import COLOURS

    return {code: (name, COLOURS[code]) for code, name in CLASSES.items()}


def _colour(place: int) -> str:
    """Colours that neighbours in the list do not share: steps of the golden angle around the hues."""
    red, green, blue = colorsys.hls_to_rgb((place * 0.381966) % 1.0, 0.5, 0.6)
    return f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"
