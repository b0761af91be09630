"""A step computes once what is asked twice, and gathers over processes with the gradient of one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.multiprocessing.spawn import start_processes

from plait.encoders.features import Encoder, Features
from plait.errors import InputError
from plait.model import Model
from plait.objectives import InfoNCE, Objective, SigLIP, Step
from plait.objectives.gather import gather
from plait.objectives.step import join_features
from plait.pairs.batch import Batch
from tests.core.battery.worlds import vectors


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


def test_what_is_equal_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    step, calls = Step(model(), batch(4)), list[str]()
    contents = Step._contents
    monkeypatch.setattr(Step, "_contents", lambda self, name: calls.append(name) or contents(self, name))
    for objective in (InfoNCE(["a", "b", "c"], equal="c"), SigLIP(["a", "b"], equal="c")):
        objective(step)
    assert calls == ["c"]


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


class Dropped(Linear):
    """With dropout, so that a second pass that drew anew would be another function."""

    def forward(self, value: Tensor) -> Features:
        features = super().forward(value)
        pooled = torch.nn.functional.dropout(features.pooled, 0.4, self.training)
        return Features(pooled[:, None], features.mask, pooled)


@pytest.mark.parametrize("chunk", [1, 3, 8])
def test_gradient_caching_is_the_whole_batch_with_dropout(chunk: int) -> None:
    """The reference keeps the graph of every chunk; what is forgotten and done again must draw the same dropout."""

    def net() -> Model:
        torch.manual_seed(0)
        return Model({"a": Dropped(3), "b": Dropped(4)}, 6).double()

    whole = batch(8, {"b": [2]})
    cached, kept = net(), net()
    torch.manual_seed(7)
    InfoNCE(["a", "b"])(Step(cached, whole, encode_chunk=chunk))["info_nce/a~b"].backward()
    torch.manual_seed(7)
    said = {
        name: join_features(
            [
                kept.encode(name, tensor(whole, name)[there][rows])
                for rows in torch.arange(int(there.sum())).split(chunk)
            ]
        )
        for name, there in whole.present.items()
        if name != "c"
    }
    step = Step(kept, whole)
    step._features = {name: features.spread(whole.present[name]) for name, features in said.items()}
    InfoNCE(["a", "b"])(step)["info_nce/a~b"].backward()
    for mine, theirs in zip(cached.parameters(), kept.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-12, atol=1e-12)


def test_gradient_caching_keeps_no_more_than_a_chunk() -> None:
    """What the graph holds of the encoders, counted by the tensors that autograd saves."""

    def saved(chunk: int | None) -> int:
        torch.manual_seed(0)
        deep = torch.nn.Sequential(*[torch.nn.Linear(32, 32) for _ in range(12)])
        held: dict[int, int] = {}

        class Deep(Linear):
            def forward(self, value: Tensor) -> Features:
                pooled = deep(value)
                return Features(pooled[:, None], torch.ones(len(value), 1, dtype=torch.bool), pooled)

        net = Model({"a": Deep(32, 32)}, 6)
        whole = Batch(("r",) * 256, ("g",) * 256, {"a": torch.randn(256, 32)}, {"a": torch.ones(256, dtype=torch.bool)})

        def pack(x: Tensor) -> Tensor:
            held[x.data_ptr()] = x.numel()
            return x

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            features = Step(net, whole, encode_chunk=chunk).features("a")
        assert features.pooled.requires_grad
        return sum(held.values())

    assert saved(16) < saved(None) / 3


def test_draws_belong_to_rows_not_to_processes() -> None:
    whole = batch(6)
    whole = Batch(whole.ids, whole.groups, whole.values, whole.present, rows=torch.tensor([4, 9, 2, 7, 0, 1]))
    draws = Step(model(), whole, seed=(3, 5)).uniform("mask", 2, 3)
    assert draws.shape == (6, 2, 3)
    alone = Batch(whole.ids[1:2], ("g",), {}, {}, rows=torch.tensor([9]))
    assert torch.equal(Step(model(), alone, seed=(3, 5)).uniform("mask", 2, 3)[0], draws[1])
    for other in (Step(model(), whole, seed=(3, 6)), Step(model(), whole, seed=(2, 5))):
        assert not torch.equal(other.uniform("mask", 2, 3), draws)
    assert not torch.equal(Step(model(), whole, seed=(3, 5)).uniform("negatives", 2, 3), draws)
    first, second = (Step(model(), whole, seed=(3, 5)).generator("x") for _ in range(2))
    assert torch.equal(torch.rand(4, generator=first), torch.rand(4, generator=second))


def test_a_fusion_joins_modalities_and_not_views() -> None:
    world = vectors()
    step = Step(world.model(), world.batch())
    with pytest.raises(InputError, match="does not join a:2"):
        InfoNCE([["a:2", "b"], "b"])(step)
    with pytest.raises(InputError, match="does not join a:2"):
        step.fuse({"a:2": step.features("a:2")})


def test_a_modality_that_no_row_has_is_one_masked_zero_token() -> None:
    features = Step(model(), batch(3, {"b": [0, 1, 2]})).features("b")
    assert features.tokens.shape == (3, 1, 5)
    assert not features.mask.any()
    assert not features.pooled.any()


def test_the_mean_counts_rows() -> None:
    step = Step(model(), batch(4))
    losses = torch.tensor([1.0, float("nan"), 3.0, 8.0], dtype=torch.float64)
    assert float(step.mean(losses, torch.tensor([True, False, True, False])).detach()) == 2.0
    assert float(step.mean(losses, torch.zeros(4, dtype=torch.bool)).detach()) == 0.0


def work(rank: int, world: int) -> None:
    counts = gather(torch.full((rank + 1, 2), float(rank)))
    assert counts[:, 0].tolist() == [float(r) for r in range(world) for _ in range(r + 1)]
    tokens = torch.full((1, rank + 1, 2), float(rank), requires_grad=True)
    mask = torch.ones(1, rank + 1, dtype=torch.bool)
    joint = Step(model(), batch(1)).gather_features(Features(tokens, mask, tokens[:, 0]))
    assert joint.mask.sum(dim=1).tolist() == list(range(1, world + 1))
    joint.tokens.sum().backward()
    assert tokens.grad is not None
    assert tokens.grad.eq(world).all()


def start(rank: int, world: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world)
    torch.set_num_threads(1)
    work(rank, world)
    dist.destroy_process_group()


def test_what_processes_gather_may_differ_in_length(tmp_path: Path) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    # The server has torch: three processes started from nothing would each import it.
    start_processes(start, args=(3, str(tmp_path)), nprocs=3, start_method="forkserver")
