"""A run begins in an empty folder, or goes on where its last checkpoint left off."""

from __future__ import annotations

import json
from itertools import zip_longest
from pathlib import Path

from lightning.fabric import Fabric
from torch import nn
from torch.optim import Optimizer

from plait.errors import InputError
from plait.recipes import Recipe
from plait.training.checkpoint import FILE as CHECKPOINT
from plait.training.checkpoint import load_checkpoint
from plait.training.run_folder import INFO, METRICS, RECIPE
from plait.training.selection import Selection


def check_folder(run: Path, recipe: Recipe, resume: bool) -> None:
    """Refuse a folder that is in use, or that was begun with another recipe."""
    if (run / METRICS).exists() and not resume:
        raise InputError(f"{run} already holds a run: name another --out, or add --resume.")
    if not (run / RECIPE).exists() or (run / INFO).exists():
        return  # nothing was begun, or a finished run is trained on, whose recipe names no file of this machine
    begun, asked = ((run / RECIPE).read_text(encoding="utf-8").splitlines(), recipe.to_yaml().splitlines())
    for old, new in zip_longest(begun, asked, fillvalue="nothing"):
        if old != new:
            raise InputError(
                f"{run} was begun with another recipe ('{old.strip()}' there, '{new.strip()}' now): resume with the "
                "same recipe and --set, or name another --out."
            )


def prepare_folder(
    fabric: Fabric, run: Path, recipe: Recipe, learner: nn.Module, optimizer: Optimizer, selection: Selection
) -> int:
    """Make the folder or go on from its checkpoint; gives back the first step, with the log cut to match."""
    start = load_checkpoint(fabric, run, learner, optimizer, selection) if (run / CHECKPOINT).exists() else 0
    if start > selection.steps:
        raise InputError(
            f"{run} already has {start} steps, more than the {selection.steps} asked for: raise --max-steps."
        )
    fabric.barrier()
    if fabric.is_global_zero:
        run.mkdir(parents=True, exist_ok=True)
        (run / RECIPE).write_text(recipe.to_yaml(), encoding="utf-8")
        (run / METRICS).touch()
        lines = [line for line in (run / METRICS).read_text().splitlines() if json.loads(line)["step"] < start]
        (run / METRICS).write_text("".join(line + "\n" for line in lines))
    fabric.barrier()
    return start
