"""Every objective is right on any number of processes, with anything missing, in any precision, and after a kill."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import start_processes

from plait.evaluation.diagnostics import is_collapsed
from plait.objectives import OBJECTIVES, Step
from tests.core.battery.battery import (
    Case,
    cases,
    collapse,
    gradients,
    loss_of,
    positions,
    setting,
    share_of,
    some_rows,
    total,
    train,
    warm,
)
from tests.core.battery.worlds import INSTANCES, double, part

NAMES = list(cases())


@pytest.fixture(params=NAMES)
def case(request: pytest.FixtureRequest) -> Case:
    return cases()[request.param]


def test_every_objective_has_a_case() -> None:
    assert {name.partition("/")[0] for name in NAMES} == set(OBJECTIVES)


def work(rank: int, world: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world)
    for index, case in enumerate(cases().values()):
        found = gradients(case, share_of(rank, world))
        loss = found.pop("loss")
        for value in found.values():
            dist.all_reduce(value)
            value /= world
        if rank == 0:
            torch.save(found | {"loss": loss}, f"{folder}/{index}.pt")
    dist.destroy_process_group()


@pytest.mark.parametrize("world", [2, 4])
def test_the_gradient_on_several_processes_is_that_on_one(world: int, tmp_path: Path) -> None:
    """Every case in one go, for it is the start of the processes that takes the time."""
    os.environ["OMP_NUM_THREADS"] = "1"
    start_processes(work, args=(world, str(tmp_path)), nprocs=world, start_method="forkserver")
    for index, (name, case) in enumerate(cases().items()):
        alone, together = gradients(case), torch.load(tmp_path / f"{index}.pt", weights_only=True)
        wrong = [part for part, value in alone.items() if not torch.allclose(together[part], value, 1e-8, 1e-10)]
        assert not wrong, f"{name}: {wrong}"


def test_the_order_of_the_rows_says_nothing(case: Case) -> None:
    if not case.order_free:
        pytest.skip("what it draws goes by the rows' order")
    order = [3, 7, 0, 5, 1, 6, 2, 4]
    one, other = (
        loss_of(case, lambda world, shuffle=shuffle: part(world.batch(), shuffle)) for shuffle in (range(8), order)
    )
    torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-10)


def test_a_row_that_lacks_a_modality_takes_no_part(case: Case) -> None:
    if not case.needs_all:
        pytest.skip("it learns from such rows")
    names = case.make().modalities
    whole = loss_of(case, lambda world: world.batch())
    kept = loss_of(case, lambda world: part(world.batch(missing={}), positions(world.batch(), names)))
    torch.testing.assert_close(whole, kept, rtol=1e-8, atol=1e-10)


def test_a_modality_that_no_row_has_is_nothing_to_learn_from(case: Case) -> None:
    for name in {name.partition(":")[0] for name in case.make().modalities}:
        world = case.world()
        where = setting(case, world)
        warm(case, where, lambda step, world=world: double(world.batch(some_rows(step))))
        loss = total(where.losses(double(world.batch(missing={name: range(8)})), case.warm_up))
        assert torch.isfinite(loss), name
        if case.needs_all:
            assert float(loss.detach()) == 0.0, name
        loss.backward()
        where.objective.after_step()
        for parameter, value in where.parameters().items():
            assert value.grad is None or torch.isfinite(value.grad).all(), (name, parameter)


def test_one_row_is_finite(case: Case) -> None:
    world = case.world()
    where = setting(case, world)
    for missing in ({}, {name: [0] for name in world.missing}):
        loss = total(where.losses(double(world.batch([3], missing)), 0))
        loss.backward()
        where.objective.after_step()
        assert torch.isfinite(loss)
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in where.parameters().values())


def test_the_gradient_is_the_slope_of_the_loss(case: Case) -> None:
    if not case.differentiable:
        pytest.skip("part of it is held fixed, so its gradient is not its slope; its losses are checked on their own")
    world = case.world()
    where = setting(case, world)
    warm(case, where, lambda step: double(world.batch(some_rows(step))))
    batch = double(world.batch())
    loss = total(where.losses(batch, case.warm_up))
    loss.backward()
    trained = [p for p in where.parameters().values() if p.grad is not None]
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        direction = [torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in trained]
        slope = sum(float((p.grad * d).sum()) for p, d in zip(trained, direction, strict=True) if p.grad is not None)
        sides: list[float] = []
        for sign in (1e-6, -2e-6):
            with torch.no_grad():
                for parameter, along in zip(trained, direction, strict=True):
                    parameter.add_(sign * along)
            sides.append(float(total(where.losses(batch, case.warm_up)).detach()))
        with torch.no_grad():
            for parameter, along in zip(trained, direction, strict=True):
                parameter.add_(1e-6 * along)
        assert slope == pytest.approx((sides[0] - sides[1]) / 2e-6, rel=1e-3, abs=1e-6)


def test_bfloat16_features_hardly_move_the_loss(case: Case) -> None:
    world = case.world()
    exact = loss_of(case, lambda world: world.batch())
    where = setting(case, world, torch.float32)
    warm(case, where, lambda step: world.batch(some_rows(step)))
    with torch.autocast("cpu", torch.bfloat16):
        loss = total(where.losses(world.batch(), case.warm_up))
    assert loss.dtype == torch.float32
    loss.backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in where.parameters().values())
    assert float(loss.detach()) == pytest.approx(
        float(exact.detach()), abs=case.autocast_tolerance * (1 + abs(float(exact.detach())))
    )


def test_its_state_survives_a_checkpoint(case: Case, tmp_path: Path) -> None:
    world = case.world()
    before, after = setting(case, world), setting(case, world)
    for step in range(max(case.warm_up, 2)):
        before.losses(double(world.batch(some_rows(step))), step)
        before.objective.after_step()
    torch.save(before.objective.state_dict(), tmp_path / "state.pt")
    after.objective.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for step in (2, 3):
        batch = double(world.batch(some_rows(step)))
        losses = [total(where.losses(batch, step)) for where in (before, after)]
        assert torch.equal(losses[0], losses[1])
        for where in (before, after):
            where.objective.after_step()


def test_asking_twice_before_a_step_is_asking_once(case: Case) -> None:
    world = case.world()
    once, twice = setting(case, world), setting(case, world)
    for step in range(2):
        batch = double(world.batch(some_rows(step)))
        twice.losses(double(world.batch(some_rows(step + 50))), step)
        for where in (once, twice):
            where.losses(batch, step)
            where.objective.after_step()
    for name, value in once.objective.state_dict().items():
        assert torch.equal(value, twice.objective.state_dict()[name]), name


def test_the_loss_falls_where_there_is_structure_and_collapse_does_not_pay(case: Case) -> None:
    where, world, losses = train(case)
    first, last = sum(losses[:5]) / 5, sum(losses[-5:]) / 5
    assert last < first - case.fall, f"{first:.4f} -> {last:.4f}"
    batch, step = double(world.batch(range(INSTANCES), {})), case.steps + case.warm_up
    learnt = float(total(where.losses(batch, step)).detach())
    collapse(where.model)
    if case.collapse == "not a minimum":
        assert float(total(where.losses(batch, step)).detach()) > learnt
    else:
        said = Step(where.model, batch).projection(case.make().modalities[0]).detach()
        assert is_collapsed(said.numpy())
