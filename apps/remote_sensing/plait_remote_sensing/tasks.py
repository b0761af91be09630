"""What a SAR-optical model is asked: the other sensor's patch, and what lies on the ground, also with one sensor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product

import numpy as np
from numpy.typing import NDArray

from plait.evaluation.measurement import Measurement
from plait.evaluation.metrics import accuracy, balanced_accuracy, cohen_kappa
from plait.evaluation.ranking import measure_retrieval
from plait.pairs.table import PairTable
from plait.subjects import Subject
from plait_remote_sensing.probing import PROBES, Codes, ProbeRows, linear, probe_rows
from plait_remote_sensing.scene import SENSORS, sensor_of

METRICS: dict[str, Callable[[Codes, Codes], float]] = {
    "overall_accuracy": accuracy,
    "average_accuracy": balanced_accuracy,
    "kappa": cohen_kappa,
}
"""The three that remote sensing reports; the average accuracy is over the classes that ``val`` has."""
FRACTIONS = (0.05, 0.2)
DRAWS = 5
"""A label fraction is drawn this many times, and the figure is the mean."""


def retrieval(subject: Subject) -> Iterator[Measurement]:
    """The optical patch of a SAR patch within ``val``, and back; rows that share the SAR acquisition are all right.

    Where there are several acquisitions of a place, such as those before and after a change, each SAR one is asked for
    each optical one.
    """
    table = subject.table
    for sar, optical in product(*(_of_sensor(subject, sensor) for sensor in SENSORS)):
        queries, keys_of = {name: subject.embeddings(name) for name in (sar, optical)}, acquisitions(table, sar)
        real = np.logical_and.reduce([np.isfinite(found).all(axis=1) for found in queries.values()])
        rows = np.flatnonzero(real & (table.splits == "val"))
        if len(rows) < 2:
            continue
        keys, groups = keys_of[rows], table.groups[rows]
        for one, other in ((sar, optical), (optical, sar)):
            task = f"remote-sensing/retrieval/{one}_to_{other}"
            yield from measure_retrieval(task, queries[one][rows], queries[other][rows], keys, groups, "val")


def _of_sensor(subject: Subject, sensor: str) -> list[str]:
    return [name for name in subject.modalities if sensor_of(name) == sensor]


def ground(subject: Subject, *, label: str) -> Iterator[Measurement]:
    """Probes of a label on frozen features: of each sensor, of both, and of both with one withheld at test.

    The task ``<label>/both_without_sar`` learns from the fused features of both sensors and is tested on the fused
    features of the optical one alone. The linear probe on both is also measured at fractions of the training labels.
    """
    if f"label_{label}" not in subject.table.columns:
        return
    names = subject.modalities
    both = subject.fused(names)
    settings = {name: (features, features) for name in names for features in [subject.features(name)]}
    settings["both"] = both, both
    settings |= {f"both_without_{name}": (both, subject.fused([n for n in names if n != name])) for name in names}
    for name, (learnt, tested) in settings.items():
        rows = probe_rows(subject.table, label, learnt, tested)
        if rows is None:
            continue
        for kind, probe in PROBES.items():
            # A tree that splits on a withheld sensor's features says nothing of the features.
            if kind != "forest" or learnt is tested:
                task = f"remote-sensing/{label}/{name}/{kind}"
                yield from _measured(task, rows, [probe(rows.x, rows.y, rows.x_test)])
        if name == "both":
            for fraction in FRACTIONS:
                drawn = [linear(*rows.with_fraction(fraction, draw), rows.x_test) for draw in range(DRAWS)]
                yield from _measured(f"remote-sensing/{label}/{name}/linear@{fraction:.0%}", rows, drawn)


def acquisitions(table: PairTable, sar: str = "sar") -> NDArray[np.str_]:
    """(N,) which SAR pixels a row shows in the modality ``sar``: equal for rows that share them."""
    places = zip(table.column(sar), table.column("window"), table.ids, strict=True)
    return np.asarray([f"{shown} {window}" if window else name for shown, window, name in places], dtype=np.str_)


def _measured(task: str, rows: ProbeRows, predictions: Sequence[Codes]) -> Iterator[Measurement]:
    """The metrics of one prediction, or their mean over several."""
    arrays = (rows.y_test, np.stack(predictions, axis=1))
    for name, metric in METRICS.items():
        yield Measurement(task, name, partial(_mean_over_draws, metric), arrays, rows.groups)


def _mean_over_draws(metric: Callable[[Codes, Codes], float], codes: Codes, predictions: Codes) -> float:
    return float(np.mean([metric(codes, drawn) for drawn in predictions.T]))


TASKS: dict[str, Callable[[Subject], Iterator[Measurement]]] = {
    "retrieval": retrieval,
    "land_cover": partial(ground, label="land_cover"),
    "flooded": partial(ground, label="flooded"),
    "water": partial(ground, label="water"),
    "changed": partial(ground, label="changed"),
    "climate_zone": partial(ground, label="climate_zone"),
}
