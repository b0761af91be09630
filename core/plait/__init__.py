"""Plait: self-supervised multimodal learning for paired, unlabelled data of several modalities."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plait import evaluation, losses
    from plait.model import Model

__all__ = ["evaluation", "from_run", "losses"]


def __getattr__(name: str) -> ModuleType:
    """Import ``plait.losses`` and ``plait.evaluation`` when they are first used."""
    if name in ("evaluation", "losses"):
        return import_module(f"plait.{name}")
    raise AttributeError(f"module 'plait' has no attribute '{name}'")


def from_run(run: Path | str) -> Model:
    """Load the model of a run folder, in evaluation mode.

    Raises:
        InputError: where the folder is not a sound run folder.
    """
    # Imported here, so that 'plait --help' needs no torch.
    from plait.apps import load_app
    from plait.training.run_folder import read_info, read_run

    run = Path(run)
    return read_run(run, load_app(read_info(run).app))[0]
