"""What a camera and LiDAR model is asked: which pixel shows this point, and what is this point?

The unit that intervals resample is the image. The images of one drive are correlated (0.1 s apart in PandaSet), so
the intervals of tests A and B are narrower than those over drives would be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import cast

import numpy as np
from numpy.typing import NDArray

from plait.evaluation.measurement import Measurement
from plait.evaluation.metrics import accuracy
from plait.evaluation.probes import linear_probe
from plait.evaluation.ranking import retrieval_ranks
from plait.subjects import Subject
from plait_driving.frames import Frame, at_points, frames_of
from plait_driving.load import Loader
from plait_driving.raw import colour_of_geometry
from plait_driving.semantics import GROUPS

type Array = NDArray[np.float32]

TESTS = {"A": ("front",), "B": ("left", "right", "back")}
"""Test to the cameras of its validation rows (shared/data/TASKS.md). B is the one to judge on: it shares fewer
surroundings with the training frames."""

ASKED = 256
"""Points a frame in `point_pixel_retrieval`; chance is recall@1 of about 1 / 256."""


def point_pixel_retrieval(subject: Subject) -> Iterator[Measurement]:
    """For each of up to 256 points of a validation frame, where its own pixel ranks among theirs.

    Points on the same patch of the image encoder count as one pixel. The raw baseline guesses a point's colour from
    its geometry by a ridge fitted on the training frames.
    """
    frames = frames_of(subject.table, cast(Loader, subject.loader))
    measured = [frame for frame in frames if frame.split == "val"]
    if not measured:
        return
    ranks: list[NDArray[np.float64]] = []
    for pixels, points, keys in _in_one_space(subject, frames, measured):
        asked = np.linspace(0, len(keys) - 1, min(ASKED, len(keys))).astype(int)
        ranks.append(retrieval_ranks(points[asked], pixels[asked], keys[asked], keys[asked]))
    rank = np.concatenate(ranks)
    images = np.repeat([frame.id for frame in measured], [len(some) for some in ranks])
    task = "driving/point_pixel_retrieval"
    for k in (1, 5, 10):
        yield Measurement(task, f"recall@{k}", partial(_recall, k), (rank,), images)
    yield Measurement(task, "median_rank", _median, (rank,), images, higher_is_better=False)


def point_semantics(subject: Subject) -> Iterator[Measurement]:
    """Accuracy and mean IoU over seven class groups of a logistic regression on single points, tests A and B.

    A frozen model gives the features of the patch under a point (``image``), of the point itself (``points``) and
    ``both``; the raw baseline gives the pixel's RGB, the point's geometry, and both. ``with_raw`` puts the raw ones
    beside the model's, and shows whether pretraining adds anything to them. The probe is fitted on the points of the
    training rows (at most 1,000 a frame).
    """
    frames = [frame for frame in frames_of(subject.table, cast(Loader, subject.loader)) if (frame.labels >= 0).any()]
    train = [frame for frame in frames if frame.split == "train"]
    tests = {test: [f for f in frames if f.split == "val" and f.camera in cameras] for test, cameras in TESTS.items()}
    asked = [frame for measured in tests.values() for frame in measured]
    if not train or not asked:
        return
    known, unknown = ([_features(subject, frame) for frame in some] for some in (train, asked))
    labels = np.concatenate([frame.labels for frame in train])
    guesses: dict[str, NDArray[np.int64]] = {}
    for kind in known[0]:
        if kind == "with_raw" and subject.model is None:
            guesses[kind] = guesses["both"]  # the raw features beside themselves
        else:
            x, x_asked = (np.concatenate([features[kind] for features in some]) for some in (known, unknown))
            scores = linear_probe(x, labels, x_asked, groups=_of_row(train))
            guesses[kind] = np.unique(labels)[scores.argmax(axis=1)]
        for test, measured in tests.items():
            if measured:
                rows = np.isin(_of_row(asked), [frame.id for frame in measured])
                yield from _scored(f"driving/point_semantics/{test}/{kind}", measured, guesses[kind][rows])


def _scored(task: str, frames: Sequence[Frame], guess: NDArray[np.int64]) -> Iterator[Measurement]:
    """Measure (n,) predictions for the points of some frames."""
    arrays = np.concatenate([frame.labels for frame in frames]), guess
    yield Measurement(task, "accuracy", accuracy, arrays, _of_row(frames))
    yield Measurement(task, "mean_iou", mean_iou_of_groups, arrays, _of_row(frames))


def _of_row(frames: Sequence[Frame]) -> NDArray[np.str_]:
    """(n,) the image that each of the frames' points belongs to."""
    return np.repeat([frame.id for frame in frames], [len(frame.labels) for frame in frames])


def _features(subject: Subject, frame: Frame) -> dict[str, Array]:
    """What the probe is given of a frame's chosen points."""
    raw = np.concatenate([frame.colour, frame.geometry], axis=1)
    if subject.model is None:
        return {"image": frame.colour, "points": frame.geometry, "both": raw, "with_raw": raw}
    image, points, _ = at_points(subject.model, frame)
    both = np.concatenate([image, points], axis=1)
    return {"image": image, "points": points, "both": both, "with_raw": np.concatenate([both, raw], axis=1)}


def _in_one_space(
    subject: Subject, frames: Sequence[Frame], measured: Sequence[Frame]
) -> Iterator[tuple[Array, Array, NDArray[np.int64]]]:
    """For each measured frame (n, E) of the pixels, (n, E) of the points, and (n,) which pixel it is."""
    if subject.model is not None:
        for frame in measured:
            yield at_points(subject.model, frame, embed=True)
        return
    train = [frame for frame in frames if frame.split == "train"] or list(measured)
    geometry, colour = (np.concatenate([getattr(f, name) for f in train]) for name in ("geometry", "colour"))
    guesses = colour_of_geometry(geometry, colour, [frame.geometry for frame in measured])
    mean = cast(Array, colour.mean(axis=0))
    for frame, guess in zip(measured, guesses, strict=True):
        yield frame.colour - mean, guess - mean, np.arange(len(guess))


def mean_iou_of_groups(truth: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    """Mean over all seven groups of intersection / union; a group that is in neither counts 0.

    That is how the baselines of shared/data/TASKS.md were taken, whose test B has hardly a person among its points.
    """
    number = len(GROUPS)
    table = np.bincount(truth * number + predicted, minlength=number**2).reshape(number, number)
    hits = np.diag(table)
    union = table.sum(axis=0) + table.sum(axis=1) - hits
    return float(np.mean(hits / np.maximum(union, 1)))


def _recall(k: int, ranks: NDArray[np.float64]) -> float:
    return float(np.mean(ranks <= k))


def _median(ranks: NDArray[np.float64]) -> float:
    return float(np.median(ranks))


TASKS = {"point_pixel_retrieval": point_pixel_retrieval, "point_semantics": point_semantics}
