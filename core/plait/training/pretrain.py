"""Pretraining: one loop over Lightning Fabric, to be read from top to bottom.

Fabric gives devices, nodes, strategies and precision; the loop stays ours because exact resumption needs the order of
the data and every random draw to be a function of the step (Lightning's Trainer saves no generator's state).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from lightning.fabric import Fabric
from lightning.fabric.strategies.ddp import DDPStrategy
from torch import nn
from torch.utils.data import DataLoader

from plait.encoders.features import Encoder
from plait.errors import InputError
from plait.model import Model
from plait.pairs.batch import Batch, Value
from plait.pairs.dataset import Item, Loader, PairDataset
from plait.pairs.samplers import Draw
from plait.pairs.table import PairTable
from plait.progress import progress, warn
from plait.recipes import (
    Domain,
    Optimisation,
    Recipe,
    build_batches,
    build_loader,
    build_model,
    build_objectives,
    build_pairing,
)
from plait.training.checkpoint import FILE as CHECKPOINT
from plait.training.checkpoint import load_checkpoint, save_checkpoint
from plait.training.health import collapsed, health, health_notes
from plait.training.learner import Learner, Sealed, collators
from plait.training.run_folder import INFO, METRICS, RECIPE, write_run
from plait.training.schedule import learning_rate

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
SILENT = 5
"""After so many steps without any loss the user is told, who may not want to wait for the end."""


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """Where a recipe runs; nothing in the recipe changes with it.

    Attributes:
        accelerator: ``cpu``, ``cuda``, ``mps`` or ``auto``.
        devices: devices a node (processes on a CPU), or ``auto``.
        nodes: machines.
        strategy: any of Lightning Fabric's; ``auto`` is data parallel where there is more than one device.
        precision: as in Lightning Fabric, one of `PRECISIONS`; weights stay float32 in all.
        workers: loader processes a device.
        cache: folder for what the loader has read and made small before; ``None`` reads everything every time.
    """

    accelerator: str = "auto"
    devices: int | str = "auto"
    nodes: int = 1
    strategy: str = "auto"
    precision: str = "32-true"
    workers: int = 0
    cache: Path | None = None

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise InputError(f"There is no precision '{self.precision}': choose one of {', '.join(PRECISIONS)}.")


def pretrain(
    recipe: Recipe,
    domain: Domain,
    table: PairTable,
    run: Path,
    *,
    seed: int = 0,
    max_steps: int | None = None,
    resume: bool = False,
    checkpoint_every: int = 200,
    log_every: int = 10,
    hardware: Hardware | None = None,
) -> Path:
    """Train a recipe on the ``train`` rows of a pair table and write a run folder.

    Args:
        recipe: what to train.
        domain: the app.
        table: the pair table.
        run: the run folder to write.
        seed: one seed gives one result on one machine.
        max_steps: overrides the recipe's number of steps (and shortens its schedule).
        resume: go on from the run folder's last checkpoint, or from the start where it has none yet.
        checkpoint_every: steps between checkpoints.
        log_every: steps between lines of ``metrics.jsonl``.
        hardware: where to run.

    Raises:
        InputError: where there is nothing to train on, where the run folder is in use, or where the loss stops
            being finite.
    """
    hardware, recipe = hardware or Hardware(), domain.settle(recipe, table)
    rows = build_pairing(recipe)(table.where_split("train"), seed)
    if not len(rows):
        raise InputError(f"{table.where} has no row in split 'train': there is nothing to train on.")
    steps = max_steps or recipe.optimisation.steps
    fabric = _launch(hardware)
    world, rank = fabric.world_size, fabric.global_rank
    batch_size = min(recipe.optimisation.batch_size, len(rows)) // world * world
    if batch_size == 0:
        raise InputError(f"{len(rows)} training rows are too few for {world} processes: use fewer --devices.")

    torch.manual_seed(seed)
    loader = build_loader(domain, recipe.data, table, hardware.cache)
    model, objectives = build_model(recipe, domain), build_objectives(recipe, domain)
    fit_encoders(model, rows, loader, quiet=rank != 0)
    learner = Learner(model, objectives, len(rows), recipe.teacher, recipe.optimisation.encode_chunk)
    optimizer = torch.optim.AdamW(parameter_groups(learner, recipe.optimisation), lr=recipe.optimisation.learning_rate)
    wrapped, optimizer = cast(tuple[Any, Any], fabric.setup(learner, optimizer))

    _check_folder(run, recipe, resume)
    start = _prepare_folder(fabric, run, recipe, wrapped, optimizer, steps)
    extra = collators(model, [objective for objective, _ in objectives])
    names = tuple(dict.fromkeys([*model.encoders, *extra]))
    dataset = PairDataset(rows, loader, names, domain.augment(**recipe.augment), seed)
    draw = Draw(batch_size=batch_size, seed=seed, steps=steps, start=start, rank=rank, world=world)
    sampler = build_batches(recipe, rows, draw)
    batches = DataLoader(
        dataset,
        batch_sampler=sampler,
        num_workers=hardware.workers,
        collate_fn=lambda items: join(items, model, extra),
        multiprocessing_context="fork" if hardware.workers else None,
    )
    refused: dict[str, str] = {}
    learnt = False
    clock = time.perf_counter()
    learner.train()
    with progress(f"pretrain {recipe.name} (seed {seed})", steps - start, quiet=rank != 0) as advance:
        for step, batch in enumerate(batches, start):
            refused |= batch.refused
            # All that is random in a step is a function of (seed, step, process): see checkpoint.py.
            torch.manual_seed(int(np.random.SeedSequence([seed, step, rank]).generate_state(1)[0]))
            rate = learning_rate(step, recipe.optimisation, steps)
            for group in optimizer.param_groups:
                group["lr"] = rate
            total, named = wrapped(Sealed(batch.to(fabric.device)), (seed, step))
            if not bool(torch.isfinite(total)):
                raise InputError(_not_finite(step, named, batch))
            learnt = learnt or bool(total)
            if not learnt and step + 1 == start + SILENT:
                warn(
                    f"{SILENT} steps, and every loss has been 0: no row so far has what the objectives pair. See which "
                    "modalities and columns the rows lack."
                )
            fabric.backward(total)
            norm = fabric.clip_gradients(wrapped, optimizer, max_norm=recipe.optimisation.clip_norm)
            optimizer.step()
            optimizer.zero_grad()
            learner.after_step()
            advance(f"loss {total.item():.3f}")
            if (step % log_every == 0 or step + 1 == steps) and rank == 0:
                figures = {"loss": total.item(), **{name: float(loss) for name, loss in named.items()}}
                more = {"learning_rate": rate, "gradient_norm": float(cast(torch.Tensor, norm))}
                epoch = step // sampler.steps_per_epoch
                more |= health(learner.embedded) | {"refused": len(refused)}
                seconds = round(time.perf_counter() - clock, 3)
                _log(run, {"step": step, "epoch": epoch, **figures, **more, "seconds": seconds})
                for name in collapsed(learner.embedded):
                    warn(f"step {step}: the embeddings of {name} are, all but, one point (collapse).")
            if (step + 1) % checkpoint_every == 0 or step + 1 == steps:
                save_checkpoint(fabric, run, step + 1, wrapped, optimizer)
    if rank == 0:
        notes = [f"row {name} could not be read: {cause}" for name, cause in sorted(refused.items())]
        seen = health_notes((run / METRICS).read_text(encoding="utf-8").splitlines(), shared=bool(learner.embedded))
        for note in seen:
            warn(f"{run.name}: {note}.")
        notes += seen
        write_run(run, model, recipe, domain.name, table, seed, steps, notes)
    fabric.barrier()
    return run


def join(items: Sequence[Item], model: Model, extra: Mapping[str, Callable[[list[Any]], Value]]) -> Batch:
    """Collate loaded rows into a batch, with what the objectives ask for beside the encoded modalities."""
    refused = {item.id: item.refused for item in items if item.refused is not None}
    samples, rows = [item.sample for item in items], [item.row for item in items]
    ids, groups = [item.id for item in items], [item.group for item in items]
    return model.collate(samples, ids, groups, refused, extra, rows)


def fit_encoders(model: Model, rows: PairTable, loader: Loader, quiet: bool = False) -> None:
    """Let each encoder learn from the training rows what is not learnt by gradient (a vocabulary, a mean)."""
    for name, module in model.encoders.items():
        encoder = cast(Encoder, module)
        if type(encoder).fit is Encoder.fit:
            continue
        dataset = PairDataset(rows, loader, (name,))
        with progress(f"fit {name} encoder", len(rows), quiet) as advance:
            samples: list[Any] = []
            for index in range(len(dataset)):
                samples.append(dataset[index].sample.get(name))
                advance()
        encoder.fit([sample for sample in samples if sample is not None])


def parameter_groups(module: nn.Module, optimisation: Optimisation) -> list[dict[str, Any]]:
    """Weight decay on matrices, none on biases, norms and temperatures."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": optimisation.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]


def _launch(hardware: Hardware) -> Fabric:
    several = hardware.nodes > 1 or hardware.devices not in (1, "1", "auto")
    strategy: Any = hardware.strategy
    if strategy == "auto" and several:
        # An objective may leave a tower unused in a step (its modality is absent), which plain DDP refuses. Buffers,
        # such as a queue, are written from gathered rows and so are the same everywhere: they need not be sent.
        strategy = DDPStrategy(find_unused_parameters=True, broadcast_buffers=False)
    fabric = Fabric(
        accelerator=hardware.accelerator,
        devices=hardware.devices,
        num_nodes=hardware.nodes,
        strategy=strategy,
        precision=cast(Any, hardware.precision),
    )
    fabric.launch()
    return fabric


def _check_folder(run: Path, recipe: Recipe, resume: bool) -> None:
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


def _prepare_folder(fabric: Fabric, run: Path, recipe: Recipe, learner: nn.Module, optimizer: Any, steps: int) -> int:
    """Make the folder or go on from its checkpoint; gives back the first step, with the log cut to match."""
    start = load_checkpoint(fabric, run, learner, optimizer) if (run / CHECKPOINT).exists() else 0
    if start > steps:
        raise InputError(f"{run} already has {start} steps, more than the {steps} asked for: raise --max-steps.")
    fabric.barrier()
    if fabric.is_global_zero:
        run.mkdir(parents=True, exist_ok=True)
        (run / RECIPE).write_text(recipe.to_yaml(), encoding="utf-8")
        (run / METRICS).touch()
        lines = [line for line in (run / METRICS).read_text().splitlines() if json.loads(line)["step"] < start]
        (run / METRICS).write_text("".join(line + "\n" for line in lines))
    fabric.barrier()
    return start


def _log(run: Path, line: dict[str, Any]) -> None:
    with (run / METRICS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _not_finite(step: int, named: dict[str, torch.Tensor], batch: Batch) -> str:
    culprits = ", ".join(name for name, loss in named.items() if not bool(torch.isfinite(loss)))
    rows = ", ".join(batch.ids[:8])
    return (
        f"The loss {culprits or 'total'} is not finite at step {step} (rows {rows}, ...): "
        "lower optimisation.learning_rate, or look at these rows."
    )
