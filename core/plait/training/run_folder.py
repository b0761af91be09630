"""The run folder: all that is needed to use or to repeat a run. A later command needs nothing else."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from plait.errors import InputError
from plait.model import Model
from plait.pairs.table import PairTable
from plait.recipes import Domain, Recipe, Spec, build_model, complete_recipe

WEIGHTS, RECIPE, INFO, METRICS, CARD = "model.safetensors", "recipe.yaml", "run.json", "metrics.jsonl", "card.md"
KEPT = "objectives.safetensors"
"""What objectives leave behind, such as the labels that they made; only where one does."""
_PACKAGES = ("plait", "torch", "lightning", "timm", "transformers", "numpy")


@dataclass(frozen=True)
class RunInfo:
    """What a run was made of and with.

    Attributes:
        app: the app it belongs to.
        seed: of initialisation, order, augmentation and dropout.
        steps: optimiser steps done.
        table: the pair table's own description, and its hash and number of rows.
        splits: the ids of each split, in order.
        versions: of Python and the packages that decide the numbers.
        sha256: of the weights file, so that a changed byte is noticed.
        notes: what a reader must know, such as rows that could not be read.
        ended_early: whether training ended before the steps that were asked for, as no better weights came.
        common: what all rows of the table have in common (`PairTable.common`), such as the names of their bands.
    """

    app: str
    seed: int
    steps: int
    table: dict[str, Any]
    splits: dict[str, list[str]]
    versions: dict[str, str]
    sha256: str
    notes: list[str]
    common: dict[str, int | float | str] = field(default_factory=dict[str, int | float | str])
    ended_early: bool = False


def write_run(
    run: Path,
    model: Model,
    recipe: Recipe,
    app: str,
    table: PairTable,
    seed: int,
    steps: int,
    notes: list[str],
    ended_early: bool = False,
) -> RunInfo:
    """Write weights, recipe, provenance and model card of a finished run; see `RunInfo`."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, run / WEIGHTS)
    recipe, started_from = _self_contained(recipe, run)
    notes = [*notes, *started_from]
    (run / RECIPE).write_text(recipe.to_yaml(), encoding="utf-8")
    splits: dict[str, list[str]] = {}
    for name, split in zip(table.ids, table.splits.tolist(), strict=True):
        splits.setdefault(split, []).append(name)
    described = {key: value for key, value in asdict(table.info).items() if key != "root"}
    described |= {"sha256": table.sha256, "rows": len(table)}
    info = RunInfo(app, seed, steps, described, splits, _versions(), _sha256(run / WEIGHTS), notes, table.common)
    info = replace(info, ended_early=ended_early)
    (run / INFO).write_text(json.dumps(asdict(info), indent=1), encoding="utf-8")
    (run / CARD).write_text(_card(recipe, info, sum(t.numel() for t in weights.values())), encoding="utf-8")
    return info


def write_kept(run: Path, kept: Mapping[str, Tensor]) -> None:
    """Write what the objectives of a run keep, where they keep anything; before `write_run`, which ends a run."""
    (run / KEPT).unlink(missing_ok=True)
    if kept:
        # Copied: safetensors writes no two tensors that share their memory.
        save_file({name: t.detach().to("cpu", copy=True).contiguous() for name, t in kept.items()}, run / KEPT)


def read_kept(run: Path) -> dict[str, Tensor]:
    """Read what the objectives of a finished run kept, by name; empty where they kept nothing.

    A tensor with one row for each training row is in the order of ``read_info(run).splits["train"]``, unless the
    recipe's pairing made other rows of them.

    Raises:
        InputError: where the folder is not a finished run, or the file is damaged.
    """
    read_info(run)
    return _read_tensors(run / KEPT) if (run / KEPT).exists() else {}


def read_info(run: Path) -> RunInfo:
    """Read what a run says of itself; raises `InputError` where the folder is not a finished run."""
    if not (run / INFO).is_file():
        raise InputError(f"{run} is not a finished run folder (it has no {INFO}): pretrain first, or resume it.")
    try:
        return RunInfo(**json.loads((run / INFO).read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise InputError(f"{run / INFO} is damaged ({error}): copy the run folder again.") from error


def read_run(run: Path, domain: Domain) -> tuple[Model, Recipe, RunInfo]:
    """Read a run folder's model (in evaluation mode), recipe and provenance.

    Raises:
        InputError: where a file is missing, where the weights are not safetensors (pickled weights from elsewhere
            are never run), or where they are not those the run wrote.
    """
    info = read_info(run)
    if not (run / RECIPE).is_file():
        raise InputError(f"{run} lacks {RECIPE}: copy the run folder again.")
    recipe = complete_recipe(yaml.safe_load((run / RECIPE).read_text(encoding="utf-8")), domain, str(run / RECIPE))
    recipe = _with_encoders(recipe, lambda name, spec: _found_in(run, name, spec))
    model = build_model(recipe, domain)
    model.load_state_dict(read_weights(run / WEIGHTS, info.sha256))
    return model.eval(), recipe, info


def read_weights(path: Path, sha256: str) -> dict[str, Tensor]:
    """Read safetensors whose hash is known; raises `InputError` for any other file."""
    if not path.is_file():
        raise InputError(f"{path} is missing: copy the run folder again, or pretrain anew.")
    weights = _read_tensors(path)
    if _sha256(path) != sha256:
        raise InputError(f"{path} is not the file that the run wrote (its SHA-256 differs): copy the run folder again.")
    return weights


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise InputError(
            f"{path} is not a safetensors file or is damaged ({error}); pickled weights are never loaded: "
            "copy the run folder again."
        ) from error


def _self_contained(recipe: Recipe, run: Path) -> tuple[Recipe, list[str]]:
    """A recipe that needs no file outside the run folder, and notes on what its encoders started from."""
    notes: list[str] = []

    def keep(name: str, spec: Spec) -> Spec:
        if spec.get("weights"):
            notes.append(f"the {name} encoder started from {Path(spec['weights']).name}")
            spec = spec | {"weights": None}
        if spec.get("folder"):
            notes.append(f"the {name} encoder started from {Path(spec['folder']).name}")
            shutil.copytree(spec["folder"], run / "encoders" / name, dirs_exist_ok=True)
            spec = spec | {"folder": f"encoders/{name}"}
        return spec

    return _with_encoders(recipe, keep), notes


def _found_in(run: Path, name: str, spec: Spec) -> Spec:
    return spec | {"folder": str(run / "encoders" / name)} if spec.get("folder") else spec


def _with_encoders(recipe: Recipe, change: Callable[[str, Spec], Spec]) -> Recipe:
    encoders = {name: change(name, spec) for name, spec in recipe.model.encoders.items()}
    return replace(recipe, model=replace(recipe.model, encoders=encoders))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _card(recipe: Recipe, info: RunInfo, parameters: int) -> str:
    """A model card in the form of Mitchell et al. (2019), as far as a program can fill it in."""
    table, notes = info.table, "".join(f"- {note}\n" for note in info.notes) or "- none\n"
    counts = ", ".join(f"{split} {len(ids):,}" for split, ids in info.splits.items())
    made = "**Synthetic data: nothing here says anything about the real world.**\n\n" if table["synthetic"] else ""
    return f"""# {recipe.name} ({info.app})

{made}{recipe.about}

| | |
| --- | --- |
| parameters | {parameters:,} |
| encoders | {", ".join(f"{name}: {spec['kind']}" for name, spec in recipe.model.encoders.items())} |
| fusion | {recipe.model.fusion["kind"]} |
| objectives | {", ".join(spec["kind"] for spec in recipe.objectives)} |
| steps, batch size, seed | {info.steps:,}, {recipe.optimisation.batch_size}, {info.seed} |
| data | {table["layout"]}: {table["source"]} |
| licence of the data | {table["licence"]} |
| rows | {counts} |
| pair table (SHA-256) | `{table["sha256"]}` |
| weights (SHA-256) | `{info.sha256}` |
| versions | {", ".join(f"{name} {number}" for name, number in info.versions.items())} |

## Intended use

Research on self-supervised multimodal learning. Not for diagnosis, navigation or any decision about a person.
The weights may inherit the terms of the data above.

## What to know

{notes}{f"- leakage was allowed: {table['leakage_allowed']}" if table["leakage_allowed"] else ""}
"""
