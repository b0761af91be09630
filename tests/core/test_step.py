"""A step computes once what is asked twice, and gathers over processes with the gradient of one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.multiprocessing.spawn import spawn

from plait.encoders.features import Encoder, Features
from plait.model import Model
from plait.objectives import InfoNCE, Objective, SigLIP, Step
from plait.objectives.gather import gather
from plait.pairs.batch import Batch


class Linear(Encoder):
    """One token a row; counts its calls."""

    def __init__(self, inputs: int, width: int = 5) -> None:
        super().__init__()
        self.width, self.calls = width, 0
        self.layer = torch.nn.Linear(inputs, width)

    def forward(self, value: Tensor) -> Features:  # type: ignore[override]
        self.calls += 1
        pooled = self.layer(value)
        return Features(pooled[:, None], torch.ones(len(value), 1, dtype=torch.bool), pooled)


def model() -> Model:
    torch.manual_seed(0)
    return Model({"a": Linear(3), "b": Linear(4), "c": Linear(2)}, 6).double()


def batch(rows: int, missing: dict[str, list[int]] | None = None) -> Batch:
    generator = torch.Generator().manual_seed(1)
    values = {
        n: torch.randn(rows, w, generator=generator, dtype=torch.float64) for n, w in (("a", 3), ("b", 4), ("c", 2))
    }
    present = {name: torch.ones(rows, dtype=torch.bool) for name in values}
    for name, gone in (missing or {}).items():
        present[name][gone] = False
        values[name][gone] = 0
    values = {name: value for name, value in values.items() if present[name].any()}
    return Batch(tuple(map(str, range(rows))), ("g",) * rows, values, present)


def tensor(whole: Batch, name: str) -> Tensor:
    value = whole.values[name]
    assert isinstance(value, Tensor)
    return value


def part(whole: Batch, rows: list[int]) -> Batch:
    present = {name: flags[rows] for name, flags in whole.present.items()}
    values = {name: value[rows] for name, value in whole.values.items() if present[name].any()}
    return Batch(tuple(whole.ids[r] for r in rows), ("g",) * len(rows), values, present)


def test_each_encoder_runs_once() -> None:
    net = model()
    step = Step(net, batch(4))
    for objective in (InfoNCE(["a", "b", "c"]), SigLIP(["a", "b"])):
        objective(step)
    assert [net.encoder(name).calls for name in "abc"] == [1, 1, 1]


@pytest.mark.parametrize("objective", [InfoNCE(["a", "b"]), SigLIP(["a", "b"]), InfoNCE(["a", "b"], equal="c")])
def test_a_row_without_a_modality_is_neither_anchor_nor_negative(objective: Objective) -> None:
    net, whole = model(), batch(6, {"a": [1], "b": [4]})
    kept = part(batch(6), [0, 2, 3, 5])
    losses = objective(Step(net, whole)), objective(Step(net, kept))
    assert all(torch.allclose(losses[0][name], losses[1][name]) for name in losses[1])


@pytest.mark.parametrize("objective", [InfoNCE(["a", "b"]), SigLIP(["a", "b"])])
def test_an_absent_modality_gives_zero_and_a_finite_gradient(objective: Objective) -> None:
    net = model()
    (loss,) = objective(Step(net, batch(3, {"b": [0, 1, 2]}))).values()
    loss.backward()
    assert float(loss.detach()) == 0
    gradients = [p.grad for p in (*net.parameters(), *objective.parameters()) if p.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


def test_equal_texts_are_positives() -> None:
    whole = batch(4)
    value = tensor(whole, "b")
    value[1] = value[0]
    keys = Step(model(), whole).keys("b")
    assert keys[0] == keys[1]
    assert len(set(keys.tolist())) == 3
    without = Step(model(), batch(4, {"b": [0, 1]})).keys("b")
    assert len(set(without.tolist())) == 4


OBJECTIVES = {
    "info_nce": lambda: InfoNCE(["a", "b", "c"], first_to_second=0.75),
    "info_nce_equal": lambda: InfoNCE(["a", "b"], equal="c"),
    "siglip": lambda: SigLIP(["a", "b"], equal="c"),
}
MISSING = {"a": [1], "b": [6, 7], "c": []}


def joint() -> Batch:
    whole = batch(8, MISSING)
    value = tensor(whole, "c")
    value[5] = value[0]
    return whole


def gradients(name: str, some: Batch, scale: float = 1.0) -> dict[str, Tensor]:
    net, objective = model(), OBJECTIVES[name]().double()
    loss = sum(objective(Step(net, some)).values())
    (loss * scale).backward()  # type: ignore[union-attr]
    both = {**dict(net.named_parameters()), **{f"objective.{n}": p for n, p in objective.named_parameters()}}
    found = {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in both.items()}
    return found | {"loss": loss.detach()}  # type: ignore[union-attr]


def work(rank: int, world: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world)
    torch.set_num_threads(1)
    for name in OBJECTIVES:
        # Split 8 rows over the processes so that with 4 of them one has no 'b' at all.
        rows = list(range(8))[rank * 8 // world : (rank + 1) * 8 // world]
        found = gradients(name, part(joint(), rows))
        loss = found.pop("loss")
        for value in found.values():
            dist.all_reduce(value)
            value /= world
        if rank == 0:
            torch.save(found | {"loss": loss}, f"{folder}/{name}.pt")
    counts = gather(torch.full((rank + 1, 2), float(rank)))
    assert counts[:, 0].tolist() == [float(r) for r in range(world) for _ in range(r + 1)]
    dist.destroy_process_group()


@pytest.mark.parametrize("world", [2, 4])
def test_the_gradient_on_several_processes_is_that_on_one(world: int, tmp_path: Path) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    spawn(work, args=(world, str(tmp_path)), nprocs=world)
    for name in OBJECTIVES:
        alone, together = gradients(name, joint()), torch.load(tmp_path / f"{name}.pt", weights_only=True)
        for parameter, value in alone.items():
            torch.testing.assert_close(together[parameter], value, rtol=1e-9, atol=1e-12)
