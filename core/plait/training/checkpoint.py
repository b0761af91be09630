"""A checkpoint that a killed run goes on from, bit for bit.

What is random in a step (data order, augmentation, dropout) is a function of the seed and the step's number, so a
checkpoint holds no generator's state: weights, optimiser, step and the best weights so far are all there is to restore.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from torch.optim import Optimizer

from plait.errors import InputError
from plait.training.selection import Selection

FILE = "checkpoint.pt"


def save_checkpoint(
    fabric: Fabric, run: Path, step: int, learner: torch.nn.Module, optimizer: Optimizer, selection: Selection
) -> None:
    """Write a checkpoint whole or not at all: a kill while writing leaves the one before."""
    partial = run / f"{FILE}.partial"
    fabric.save(partial, {"step": step, "learner": learner, "optimizer": optimizer, "selection": selection})
    if fabric.is_global_zero:
        partial.replace(run / FILE)
    fabric.barrier()


def load_checkpoint(
    fabric: Fabric, run: Path, learner: torch.nn.Module, optimizer: Optimizer, selection: Selection
) -> int:
    """Restore weights, optimiser and selection, and give back the number of steps done.

    Raises:
        InputError: where it is damaged, does not fit, or holds pickled code.
    """
    path = run / FILE
    state: dict[str, Any] = {"learner": learner, "optimizer": optimizer, "selection": selection}
    try:
        rest = fabric.load(path, state, weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} holds pickled code, which Plait never runs, or is damaged: start the run anew."
        ) from error
    except (RuntimeError, KeyError, EOFError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} does not fit this recipe or is damaged ({reason}): start the run anew.") from error
    return int(rest["step"])
