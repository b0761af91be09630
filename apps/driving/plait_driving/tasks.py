"""What a camera and LiDAR model is asked: which pixel shows this point, and what is this point?

The unit that intervals resample is the image. The images of one drive are correlated (0.1 s apart in PandaSet), so
the intervals of tests A and B are narrower than those over drives would be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import cast

import numpy as np
from numpy.typing import NDArray

from plait.evaluation.measurement import Measurement
from plait.evaluation.probes import linear_probe
from plait.evaluation.retrieval import retrieval_ranks
from plait.subjects import Subject
from plait_driving.frames import Frame, at_points, frames_of
from plait_driving.load import Loader
from plait_driving.raw import colour_of_geometry
from plait_driving.semantics import GROUPS

type Array = NDArray[np.float32]

TESTS = {"A": ("front",), "B": ("left", "right", "back")}
"""Test to the cameras of its validation rows (shared/data/TASKS.md). B is the one to judge on: it shares fewer
surroundings with the training frames."""

FEW, DRAWS = 0.01, 3
"""The share of labelled points in the ``@1%`` probes, and how often it is drawn."""

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
    beside the model's, and shows whether pretraining adds anything to them. The probe is fitted on the training
    rows' points (at most 1,000 a frame), and for ``@1%`` on so many of them, drawn three times: the figure is then
    the mean.
    """
    frames = [frame for frame in frames_of(subject.table, cast(Loader, subject.loader)) if (frame.labels >= 0).any()]
    train = [frame for frame in frames if frame.split == "train"]
    tests = {test: [f for f in frames if f.split == "val" and f.camera in cameras] for test, cameras in TESTS.items()}
    if not train or not any(tests.values()):
        return
    known = [_features(subject, frame) for frame in train]
    labels = np.concatenate([frame.labels for frame in train])
    asked = {test: [_features(subject, frame) for frame in measured] for test, measured in tests.items() if measured}
    for kind in known[0]:
        x = np.concatenate([some[kind] for some in known])
        x_asked = {test: np.concatenate([some[kind] for some in measured]) for test, measured in asked.items()}
        for suffix, drawn in (("", [np.arange(len(x))]), (f"@{FEW:.0%}", _few(len(x)))):
            guesses = [_guess(x[rows], labels[rows], x_asked, _of_row(train)[rows]) for rows in drawn]
            for test in asked:
                guess = np.stack([some[test] for some in guesses], axis=1)
                yield from _scored(f"driving/point_semantics/{test}/{kind}{suffix}", tests[test], guess)


def _few(number: int) -> list[NDArray[np.int64]]:
    """Several draws of a few of ``number`` training points."""
    size = max(1, round(FEW * number))
    return [np.random.default_rng([0, draw]).choice(number, size, replace=False) for draw in range(DRAWS)]


def _guess(
    x: Array, labels: NDArray[np.int64], asked: Mapping[str, Array], images: NDArray[np.str_]
) -> dict[str, NDArray[np.int64]]:
    """For each test the (n,) class groups that a linear probe predicts, fitted once for all tests."""
    scores = linear_probe(x, labels, np.concatenate(list(asked.values())), groups=images)
    predicted = np.unique(labels)[scores.argmax(axis=1)]
    ends = np.cumsum([len(some) for some in asked.values()])[:-1]
    return dict(zip(asked, np.split(predicted, ends), strict=True))


def _scored(task: str, frames: Sequence[Frame], guess: NDArray[np.int64]) -> Iterator[Measurement]:
    """Measure (n, draws) predictions for the points of some frames; the figure is the mean over draws."""
    arrays = np.concatenate([frame.labels for frame in frames]), guess
    yield Measurement(task, "accuracy", _accuracy, arrays, _of_row(frames))
    yield Measurement(task, "mean_iou", _mean_iou, arrays, _of_row(frames))


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


def _accuracy(truth: NDArray[np.int64], guess: NDArray[np.int64]) -> float:
    return float(np.mean(truth[:, None] == guess))


def _mean_iou(truth: NDArray[np.int64], guess: NDArray[np.int64]) -> float:
    return float(np.mean([mean_iou_of_groups(truth, some) for some in guess.T]))


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
