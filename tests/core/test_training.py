"""One seed gives one result; a killed run goes on as if it had not been killed; bad rows and bad files are said."""

from __future__ import annotations

import json
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file

import plait as package
from plait.errors import InputError
from plait.pairs.table import PairTable
from plait.recipes import read_recipe
from plait.training.learner import Learner, Sealed
from plait.training.pretrain import Hardware, pretrain

Command = Callable[..., tuple[int, str, str]]


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model.safetensors")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def run(toy: ModuleType, table: PairTable, out: Path, *overrides: str, **options: object) -> Path:
    recipe = read_recipe("toy_contrast", toy.app, overrides)
    return pretrain(recipe, toy.app, table, out, max_steps=24, **options)


def test_one_seed_gives_one_result(toy: ModuleType, toy_table: PairTable, tmp_path: Path) -> None:
    one, two, other = (run(toy, toy_table, tmp_path / n, seed=s) for n, s in (("a", 3), ("b", 3), ("c", 4)))
    assert same(weights(one), weights(two))
    assert not same(weights(one), weights(other))


def test_the_loss_falls(toy: ModuleType, toy_table: PairTable, tmp_path: Path) -> None:
    folder = pretrain(read_recipe("toy_contrast", toy.app), toy.app, toy_table, tmp_path / "run")
    losses = [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert losses[-1] < 0.7 * losses[0]


def test_a_resumed_run_is_the_unbroken_run(toy: ModuleType, toy_table: PairTable, tmp_path: Path) -> None:
    whole = run(toy, toy_table, tmp_path / "whole")

    def stop(self: object, batch: object, seed: object, seen: list[int] = []) -> object:  # noqa: B006
        seen.append(1)
        if len(seen) == 17:
            raise KeyboardInterrupt
        return original(self, batch, seed)

    original = Learner.forward
    Learner.forward = stop  # type: ignore[method-assign, assignment]
    try:
        with pytest.raises(KeyboardInterrupt):
            run(toy, toy_table, tmp_path / "broken", checkpoint_every=5)
    finally:
        Learner.forward = original
    assert not (tmp_path / "broken" / "model.safetensors").exists()
    resumed = run(toy, toy_table, tmp_path / "broken", checkpoint_every=5, resume=True)
    assert same(weights(whole), weights(resumed))
    steps = [json.loads(line)["step"] for line in (resumed / "metrics.jsonl").read_text().splitlines()]
    assert steps == [0, 10, 20, 23]


def test_sigkill_at_a_random_step_changes_no_bit(plait: Command, toy_pairs: Path, tmp_path: Path) -> None:
    """The process is killed with SIGKILL, once, wherever it happens to be, and then resumed in another one."""
    recipe = ["toy_contrast", "--pairs", str(toy_pairs), "--max-steps", "60", "--checkpoint-every", "7"]
    command = ["toy", "pretrain", *recipe, "--accelerator", "cpu", "--out"]
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    process = subprocess.Popen(
        [sys.executable, "-m", "plait.cli", *command, str(broken)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    while not (broken / "checkpoint.pt").exists():
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.01)
    time.sleep(random.uniform(0, 0.3))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (broken / "model.safetensors").exists()
    for out, more in ((broken, ["--resume"]), (whole, [])):
        assert plait(*command, out, *more)[0] == 0
    assert same(weights(whole), weights(broken))


def test_more_steps_can_be_asked_for_but_not_fewer(toy: ModuleType, toy_table: PairTable, tmp_path: Path) -> None:
    folder = run(toy, toy_table, tmp_path / "run")
    with pytest.raises(InputError, match="already holds a run"):
        run(toy, toy_table, folder)
    recipe = read_recipe("toy_contrast", toy.app)
    with pytest.raises(InputError, match="already has 24 steps, more than the 5"):
        pretrain(recipe, toy.app, toy_table, folder, max_steps=5, resume=True)


def test_two_processes_train_the_same_weights_as_one(plait: Command, toy_pairs: Path, tmp_path: Path) -> None:
    """The joint batch is the same, negatives are gathered with gradient: only rounding may differ. One choice."""
    common = ["toy", "pretrain", "toy_contrast", "--pairs", str(toy_pairs), "--max-steps", "12", "--accelerator", "cpu"]
    rain = "{kind: classes, classes: 2, of: [barometer], dropout: 0.0}"
    objectives = (
        "[{kind: info_nce, of: [barometer, thermometer]}, {kind: supervised, target: label_rain, of: [barometer]}]"
    )
    for key in (f"model.targets.label_rain={rain}", f"objectives={objectives}", "optimisation.validate_every=5"):
        common += ["--set", key]
    assert plait(*common, "--devices", 1, "--out", tmp_path / "1")[0] == 0
    command = [sys.executable, "-m", "plait.cli", *common, "--devices", "2", "--out", str(tmp_path / "2")]
    subprocess.run(command, check=True, capture_output=True)
    one, two = weights(tmp_path / "1"), weights(tmp_path / "2")
    # Adam divides by the gradient's root mean square, so rounding of tiny gradients shows up as up to 1e-4.
    assert all(torch.allclose(one[name].float(), two[name].float(), atol=1e-4) for name in one)
    said = [(tmp_path / devices / "card.md").read_text() for devices in ("1", "2")]
    assert all("the weights are those after step 12 of 12, chosen by the loss on" in card for card in said)


def test_a_row_that_cannot_be_read_is_counted_and_named(
    toy: ModuleType, toy_table: PairTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = toy.Loader.__call__

    def broken(self: object, row: dict[str, object], *more: object) -> object:
        if row["id"] == toy_table.where_split("train").ids[5]:
            raise InputError("5.csv is truncated: copy it again.")
        return whole(self, row, *more)

    monkeypatch.setattr(toy.Loader, "__call__", broken)
    folder = run(toy, toy_table, tmp_path / "run")
    last = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["refused"] == 1
    assert "5.csv is truncated" in (folder / "card.md").read_text()


def test_a_modality_absent_from_every_row_costs_nothing(toy: ModuleType, toy_table: PairTable, tmp_path: Path) -> None:
    rows = [row | {f"thermometer_{k}": None for k in range(6)} for row in toy_table.data.to_pylist()]
    rows = [{k: v for k, v in row.items() if not k.startswith("fingerprint")} for row in rows]
    for row in rows[:1]:
        row |= {f"thermometer_{k}": 0.0 for k in range(6)}
    table = PairTable.from_rows(rows, toy_table.info)
    folder = run(toy, table, tmp_path / "run")
    assert all(torch.isfinite(tensor.float()).all() for tensor in weights(folder).values())
    assert json.loads((folder / "metrics.jsonl").read_text().splitlines()[1])["loss"] == 0.0


def test_a_batch_of_one_trains(toy: ModuleType, toy_table: PairTable, tmp_path: Path) -> None:
    folder = run(toy, toy_table, tmp_path / "run", "optimisation.batch_size=1")
    assert all(torch.isfinite(tensor.float()).all() for tensor in weights(folder).values())


def test_mixed_precision_trains_on_data_in_full_precision(
    toy: ModuleType, toy_table: PairTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[torch.dtype] = set()
    forward = Learner.forward

    def spied(learner: Learner, sealed: Sealed, seed: tuple[int, int]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        seen.update(value.dtype for value in sealed.batch.values.values() if isinstance(value, torch.Tensor))
        seen.add(torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float64)
        return forward(learner, sealed, seed)

    monkeypatch.setattr(Learner, "forward", spied)
    mixed = run(toy, toy_table, tmp_path / "mixed", hardware=Hardware(precision="bf16-mixed"))
    assert {value.dtype for value in weights(mixed).values() if value.is_floating_point()} == {torch.float32}
    # Only autocast is in bfloat16: metres in it would be rounded to parts of a metre.
    assert seen & {torch.bfloat16, torch.float64, torch.float32} == {torch.bfloat16, torch.float32}
    losses = [json.loads(line)["loss"] for line in (mixed / "metrics.jsonl").read_text().splitlines()]
    assert losses[-1] < losses[0]
    with pytest.raises(InputError, match="no precision 'bf16-true': choose one of 32-true, bf16-mixed, 16-mixed"):
        Hardware(precision="bf16-true")


def test_a_loss_that_is_not_finite_stops_the_run(toy: ModuleType, toy_table: PairTable, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"info_nce/barometer~thermometer is not finite at step \d+ .*learning_rate"):
        run(toy, toy_table, tmp_path / "run", "optimisation.learning_rate=1.0e30", "optimisation.clip_norm=1.0e30")


def test_nothing_to_train_on_is_said(toy: ModuleType, toy_table: PairTable, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no row in split 'train'"):
        run(toy, toy_table.where_split("val"), tmp_path / "run")


def test_the_run_folder_is_all_that_is_needed(toy: ModuleType, toy_table: PairTable, tmp_path: Path) -> None:
    folder = run(toy, toy_table, tmp_path / "run", seed=5)
    model = package.from_run(folder)
    assert same(model.state_dict(), weights(folder))
    assert not model.training
    info = json.loads((folder / "run.json").read_text())
    assert info["seed"] == 5
    assert info["table"]["sha256"] == toy_table.sha256
    assert info["splits"]["val"] == toy_table.where_split("val").ids
    card = (folder / "card.md").read_text()
    assert "made by a program" in card
    assert "Synthetic data" in card
    assert info["sha256"] in card


def test_a_flipped_byte_is_noticed(toy: ModuleType, toy_table: PairTable, tmp_path: Path) -> None:
    folder = run(toy, toy_table, tmp_path / "run")
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-3] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(InputError, match="not the file that the run wrote"):
        package.from_run(folder)
    (folder / "model.safetensors").write_bytes(content[:40])
    with pytest.raises(InputError, match="not a safetensors file or is damaged"):
        package.from_run(folder)


class Trap:
    """Unpickling it writes a file: if that file appears, foreign code has run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return os.mkdir, (str(self.path),)


def test_pickled_code_from_elsewhere_never_runs(toy: ModuleType, toy_table: PairTable, tmp_path: Path) -> None:
    folder, sprung = run(toy, toy_table, tmp_path / "run"), tmp_path / "sprung"
    (folder / "model.safetensors").write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(InputError, match="pickled weights are never loaded"):
        package.from_run(folder)
    torch.save({"step": 3, "learner": Trap(sprung), "optimizer": {}}, folder / "checkpoint.pt")
    with pytest.raises(InputError, match="holds pickled code, which Plait never runs"):
        run(toy, toy_table, folder, resume=True)
    assert not sprung.exists()


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a finished run folder"):
        package.from_run(tmp_path)


def test_gradient_caching_trains_the_same_weights(toy: ModuleType, toy_table: PairTable, tmp_path: Path) -> None:
    whole = run(toy, toy_table, tmp_path / "whole")
    cached = run(toy, toy_table, tmp_path / "cached", "optimisation.encode_chunk=7")
    one, two = weights(whole), weights(cached)
    # Adam divides by the gradient's root mean square, so rounding of tiny gradients shows up as up to 1e-4.
    assert all(torch.allclose(one[name].float(), two[name].float(), atol=1e-4) for name in one)


def test_a_run_is_resumed_with_its_own_recipe(toy: ModuleType, toy_table: PairTable, tmp_path: Path) -> None:
    """Also where every weight would fit: a run is one recipe from its first step to its last."""
    original = Learner.after_step

    def stop(self: Learner) -> None:
        raise KeyboardInterrupt

    Learner.after_step = stop
    try:
        with pytest.raises(KeyboardInterrupt):
            run(toy, toy_table, tmp_path / "run")
    finally:
        Learner.after_step = original
    with pytest.raises(InputError, match=r"begun with another recipe \('learning_rate: 0.003' there, .*0.1' now\)"):
        run(toy, toy_table, tmp_path / "run", "optimisation.learning_rate=0.1", resume=True)
    run(toy, toy_table, tmp_path / "run", resume=True)
