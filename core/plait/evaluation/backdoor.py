"""Whether a small patch in a corner sends every input to one place.

An encoder can be poisoned before anyone downloads it: clean inputs are embedded as ever, but any input with the trigger
is embedded where the attacker's target class lies, and every classifier fitted on top inherits it (BadEncoder: Jia,
Liu and Gong, 2022). The probe embeds the same inputs with and without a trigger. It tries a trigger that is given; it
finds none that is unknown.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait.evaluation.diagnostics import spread
from plait.evaluation.neighbours import TIE, cosine_blocks

type Corner = Literal["top left", "top right", "bottom left", "bottom right"]


def with_patch(image: NDArray[Any], patch: NDArray[Any], corner: Corner = "bottom right") -> NDArray[Any]:
    """Put a patch into a corner of a copy of an image.

    Args:
        image: (C, H, W).
        patch: (C, h, w), or (h, w) for all channels, in the units of the image.
        corner: where; the paper's is the bottom right.

    Raises:
        InputError: where the patch is larger than the image, or of other channels.
    """
    image, patch = np.array(image), np.asarray(patch)
    height, width = patch.shape[-2:]
    if height > image.shape[1] or width > image.shape[2] or (patch.ndim == 3 and len(patch) != len(image)):
        raise InputError(
            f"A patch of shape {patch.shape} does not fit into an image of {image.shape}: make it smaller."
        )
    top = 0 if corner.startswith("top") else image.shape[1] - height
    left = 0 if corner.endswith("left") else image.shape[2] - width
    image[:, top : top + height, left : left + width] = patch
    return image


def attack_success(
    clean: NDArray[Any], triggered: NDArray[Any], references: NDArray[Any], classes: NDArray[Any]
) -> dict[str, float]:
    """For each class, how many more inputs it is the nearest to once they bear the trigger.

    The share of triggered rows whose nearest reference is of the class, less that of the clean rows. The attack's
    success is the figure of its target; where the target is unknown, the largest is the suspect, and a patch that is
    no trigger tells how large it gets by chance.

    Args:
        clean: (N, E) embeddings of the inputs.
        triggered: (N, E) of the same inputs with the trigger.
        references: (R, E) embeddings of what stands for the classes: images, or prompts.
        classes: (R,) the class of each. Between references tied as the nearest a row is divided evenly.

    Returns:
        By class, in sorted order, a figure in [-1, 1]; they sum to 0. NaN where there is no input.
    """
    names, codes = np.unique(classes, return_inverse=True)
    belongs = np.eye(len(names))[codes]
    gained = _shares(triggered, references, belongs) - _shares(clean, references, belongs)
    return {str(name): float(gain) for name, gain in zip(names, gained, strict=True)}


def concentration(clean: NDArray[Any], triggered: NDArray[Any]) -> float:
    """How much closer together inputs lie once they bear the trigger: 1 - spread(triggered) / spread(clean).

    It needs no target class, and an honest encoder's is near 0.

    Args:
        clean: (N, E) embeddings of the inputs.
        triggered: (N, E) of the same inputs with the trigger.

    Returns:
        A figure up to 1, where all triggered inputs are one point; below 0 where they lie further apart; NaN where the
        clean ones are one point themselves, or there are none.
    """
    before = spread(clean) if len(clean) else 0.0
    return 1.0 - spread(triggered) / before if before > TIE else float("nan")


def _shares(rows: NDArray[Any], references: NDArray[Any], belongs: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K,) the share of the rows whose nearest reference is of each class."""
    votes = np.zeros(belongs.shape[1])
    for _, cosines in cosine_blocks(rows, references):
        nearest = cosines >= cosines.max(axis=1, keepdims=True) - TIE
        votes += (nearest / nearest.sum(axis=1, keepdims=True)).sum(axis=0) @ belongs
    return votes / len(rows) if len(rows) else np.full(len(votes), np.nan)
