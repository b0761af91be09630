"""What every recipe of every app must do: train, with every loss finite and none silent."""

from __future__ import annotations

import json
import math
from pathlib import Path

from plait.apps import App
from plait.pairs.table import PairTable
from plait.recipes import Recipe
from plait.training.pretrain import pretrain


def assert_two_steps_train(recipe: Recipe, app: App, table: PairTable, run: Path) -> None:
    """Train two steps from the loader to the run folder; no row is refused and every objective has a loss."""
    pretrain(recipe, app, table, run, max_steps=2, log_every=1)
    first, second = (json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines())
    for step in (first, second):
        assert step["refused"] == 0
        assert math.isfinite(step["loss"])
    kinds = {objective["kind"] for objective in recipe.objectives}
    losses = {key: value for key, value in second.items() if key.split("/")[0] in kinds}
    assert {key.split("/")[0] for key in losses} == kinds
    assert all(math.isfinite(loss) and loss != 0.0 for loss in losses.values()), losses
    assert second["gradient_norm"] > 0.0
