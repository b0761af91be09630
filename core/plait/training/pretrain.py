"""Pretraining: one loop over Lightning Fabric, to be read from top to bottom.

Fabric gives devices, nodes, strategies and precision; the loop stays ours because exact resumption needs the order of
the data and every random draw to be a function of the step (Lightning's Trainer saves no generator's state).
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from lightning.fabric import Fabric
from lightning.fabric.strategies.ddp import DDPStrategy
from torch.utils.data import DataLoader

from plait.encoders.features import Encoder
from plait.errors import InputError
from plait.model import Model
from plait.pairs.batch import Batch
from plait.pairs.dataset import Loader, PairDataset
from plait.pairs.samplers import Draw
from plait.pairs.table import PairTable
from plait.progress import progress, warn
from plait.recipes import (
    Domain,
    Recipe,
    build_batches,
    build_loader,
    build_model,
    build_objectives,
    build_pairing,
)
from plait.training.checkpoint import save_checkpoint
from plait.training.health import collapsed, health, health_notes
from plait.training.learner import Learner, Sealed, collators, join
from plait.training.resume import check_folder, prepare_folder
from plait.training.run_folder import METRICS, write_kept, write_run
from plait.training.schedule import learning_rate, parameter_groups
from plait.training.selection import Selection
from plait.training.validation import Validation

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

    No other row is read, but for the ``val`` rows where the recipe has the best step's weights chosen by them.

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
    _require_labels(model, rows)
    fit_encoders(model, rows, loader, quiet=rank != 0)
    learner = Learner(model, objectives, len(rows), recipe.teacher, recipe.optimisation.encode_chunk)
    looks = recipe.optimisation.validate_every is not None
    validation = Validation(model, table, loader, batch_size // world) if looks else None
    selection = Selection(recipe.optimisation, steps, validation, learner.keep)
    groups = parameter_groups(learner, recipe.optimisation)
    peaks = [group["lr"] for group in groups]
    wrapped, optimizer = cast(tuple[Any, Any], fabric.setup(learner, torch.optim.AdamW(groups)))

    check_folder(run, recipe, resume)
    done = start = prepare_folder(fabric, run, recipe, wrapped, optimizer, selection)
    last = start if selection.ended else steps
    extra = collators(model, [objective for objective, _ in objectives])
    names = tuple(dict.fromkeys([*model.encoders, *extra]))
    dataset = PairDataset(rows, loader, names, domain.augment(**recipe.augment), seed)
    draw = Draw(batch_size=batch_size, seed=seed, steps=last, start=start, rank=rank, world=world)
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
    with progress(f"pretrain {recipe.name} (seed {seed})", last - start, quiet=rank != 0) as advance:
        for step, batch in enumerate(batches, start):
            done = step + 1
            refused |= batch.refused
            # All that is random in a step is a function of (seed, step, process): see checkpoint.py.
            torch.manual_seed(int(np.random.SeedSequence([seed, step, rank]).generate_state(1)[0]))
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = learning_rate(step, peak, recipe.optimisation.warmup_steps, steps)
            total, named = wrapped(Sealed(batch.to(fabric.device)), (seed, step))
            if not bool(torch.isfinite(total)):
                raise InputError(_not_finite(step, named, batch))
            learnt = learnt or bool(total)
            if not learnt and done == start + SILENT:
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
            looked = selection.look(done, fabric)
            if (step % log_every == 0 or done == steps or looked) and rank == 0:
                epoch, rate = step // sampler.steps_per_epoch, optimizer.param_groups[0]["lr"]
                figures = {"loss": total.item(), **{name: float(loss) for name, loss in named.items()}, **looked}
                more = {"learning_rate": rate, "gradient_norm": float(cast(torch.Tensor, norm))}
                more |= health(learner.embedded) | learner.figures() | {"refused": len(refused)}
                seconds = round(time.perf_counter() - clock, 3)
                _log(run, {"step": step, "epoch": epoch, **figures, **more, "seconds": seconds})
                for name in collapsed(learner.embedded):
                    warn(f"step {step}: the embeddings of {name} are, all but, one point (collapse).")
            if done % checkpoint_every == 0 or done == steps or selection.ended:
                save_checkpoint(fabric, run, done, wrapped, optimizer, selection)
            if selection.ended:
                break
    if rank == 0:
        refused |= selection.refused
        notes = [f"row {name} could not be read: {cause}" for name, cause in sorted(refused.items())]
        seen = health_notes((run / METRICS).read_text(encoding="utf-8").splitlines(), shared=bool(learner.embedded))
        seen += selection.notes(done)
        for note in seen:
            warn(f"{run.name}: {note}.")
        write_kept(run, selection.restore())
        write_run(run, model, recipe, domain.name, table, seed, done, notes + seen, ended_early=selection.ended)
    fabric.barrier()
    return run


def _require_labels(model: Model, rows: PairTable) -> None:
    """Raise `InputError` where no training row says anything of a target: what is trained would never have met one."""
    for column in model.targets:
        if column not in rows.columns or rows.data[column].null_count == len(rows):
            raise InputError(
                f"{rows.where}: no training row has a label in the column '{column}' that the recipe's model.targets "
                "name: name another column, or label some rows."
            )


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
