"""What a figure loses where inputs are faulty, or a modality is not there.

All figures are such that higher is better and 0 is nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from plait.evaluation.corruptions import SEVERITIES, Corruption


class Drop(NamedTuple):
    """What was lost: ``absolute`` in the figure's unit, ``relative`` to the clean figure, NaN where that is 0."""

    absolute: float
    relative: float


class Robustness(NamedTuple):
    """What was kept: 1 where nothing was lost, above 1 where the fault helped."""

    absolute: float
    relative: float


class Cell(NamedTuple):
    """One cell of a corruption grid."""

    corruption: str
    severity: int
    value: float


def drop(clean: float, changed: float) -> Drop:
    """(clean - changed), and that over clean: the MultiModal Impact score, MMI (Qiu et al., 2022).

    Args:
        clean: the figure on what is whole.
        changed: the same figure on what is faulty.
    """
    lost = clean - changed
    return Drop(lost, lost / clean if clean else float("nan"))


def robustness(clean: float, corrupted: float) -> Robustness:
    """Absolute robustness 1 - (clean - corrupted), relative 1 - (clean - corrupted) / clean (Schiappa et al., 2022).

    The relative one is 1 - MMI. The paper's figures are in per cent, and its absolute one divides by 100.

    Args:
        clean: the figure in [0, 1] on clean inputs.
        corrupted: the same figure on corrupted ones.
    """
    lost = drop(clean, corrupted)
    return Robustness(1 - lost.absolute, 1 - lost.relative)


def corruption_grid(
    samples: Sequence[Any],
    corruptions: Mapping[str, Corruption],
    embed: Callable[[list[Any]], NDArray[Any]],
    score: Callable[[NDArray[Any]], float],
    seed: int = 0,
) -> list[Cell]:
    """Score the same samples under each corruption in each of five severities.

    What is drawn for a sample depends on the seed, the corruption's name and the sample's place, not on the severity
    nor on the other corruptions.

    Args:
        samples: (N) clean values of one modality.
        corruptions: by name, such as ``CORRUPTIONS["image"]``.
        embed: the corrupted values to (N, E) embeddings.
        score: embeddings to a figure, such as the recall of retrieving them from the other modality's clean ones.
        seed: of all draws.

    Returns:
        A cell for each corruption and severity, in that order.
    """
    return [
        Cell(name, severity, float(score(embed(_corrupted(samples, name, corruption, severity, seed)))))
        for name, corruption in corruptions.items()
        for severity in SEVERITIES
    ]


def mean_corruption_drop(clean: float, grid: Sequence[Cell]) -> Drop:
    """The drop from the clean figure to the mean over corruptions of their means over severities.

    Args:
        clean: the figure on clean samples.
        grid: of `corruption_grid`; NaN where it is empty.
    """
    names = dict.fromkeys(cell.corruption for cell in grid)
    means = [np.mean([cell.value for cell in grid if cell.corruption == name]) for name in names]
    return drop(clean, float(np.mean(means)) if means else float("nan"))


def missing_modality_drop(full: float, without: Mapping[str, float]) -> dict[str, Drop]:
    """For each modality what is lost where it is withheld.

    Args:
        full: the figure with all modalities.
        without: by modality, the same figure on the same rows where that modality is withheld.
    """
    return {name: drop(full, value) for name, value in without.items()}


def _corrupted(samples: Sequence[Any], name: str, corruption: Corruption, severity: int, seed: int) -> list[Any]:
    draws = (np.random.default_rng([seed, crc32(name.encode()), place]) for place in range(len(samples)))
    return [corruption(sample, severity, rng) for sample, rng in zip(samples, draws, strict=True)]
