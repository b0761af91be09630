"""Queues, banks, clusters, teachers, heads and counters survive a kill, bit for bit."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from plait.pairs.table import PairTable
from plait.recipes import complete_recipe
from plait.training.learner import Learner
from plait.training.pretrain import pretrain

BOTH = ["barometer", "thermometer"]
OBJECTIVES: dict[str, dict[str, Any]] = {
    "momentum_contrast": {"of": BOTH, "queue": 50, "alpha": 0.4, "ramp_steps": 4},
    "memory_bank": {"of": BOTH, "negatives": 16, "z_steps": 2},
    "agreement_mining": {"of": BOTH, "warm_up_steps": 2, "positives": 2, "negatives": 16},
    "nearest_neighbour": {"of": BOTH, "queue": 50},
    "cluster_prediction": {"of": BOTH, "clusters": 4, "recluster_every": 3},
    "self_labelling": {"of": BOTH, "clusters": 4, "relabel_every": 3},
    "swapped_prediction": {"of": BOTH, "clusters": 4, "queue": 50, "freeze_steps": 2},
    "cluster_contrast": {"of": BOTH, "clusters": 4, "recluster_every": 2, "queue": 50},
    "byol": {"of": BOTH},
    "siamese_margin": {"of": BOTH, "every": 2},
    "cycle_mapping": {"of": BOTH},
}


class Killed(BaseException):
    """What the training loop cannot catch."""


def run(toy: ModuleType, table: PairTable, out: Path, kind: str, **options: Any) -> Path:
    raw = {
        "name": kind,
        "about": "a test",
        "augment": {"noise": 0.1},
        "model": {"embedding": 8, "encoders": {n: {"kind": "table", "in_features": 6, "width": 16} for n in BOTH}},
        "objectives": [{"kind": kind, **OBJECTIVES[kind]}],
        "teacher": {"momentum": 0.9, "steps_to_one": 20},
        "optimisation": {"batch_size": 32, "steps": 9, "warmup_steps": 2},
    }
    return pretrain(complete_recipe(raw, toy.app, "here"), toy.app, table, out, checkpoint_every=4, **options)


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_a_resumed_run_is_the_unbroken_run(
    toy: ModuleType, toy_table: PairTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    table = toy_table.where_split("train").take(range(64))
    whole = run(toy, table, tmp_path / "whole", kind)
    steps: list[int] = []
    follow = Learner.after_step

    def killed(self: Learner) -> None:
        steps.append(1)
        if len(steps) == 7:
            raise Killed
        follow(self)

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "after_step", killed)
        with pytest.raises(Killed):
            run(toy, table, tmp_path / "broken", kind)
    resumed = run(toy, table, tmp_path / "broken", kind, resume=True)
    one, other = (load_file(folder / "model.safetensors") for folder in (whole, resumed))
    assert all(torch.equal(one[name], other[name]) for name in one)
    states = [torch.load(folder / "checkpoint.pt", weights_only=True)["learner"] for folder in (whole, resumed)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
