"""What every recipe of every app must do: train, with every loss finite and none silent."""

from __future__ import annotations

import json
import math
from pathlib import Path

from plait.apps import App
from plait.pairs.table import PairTable
from plait.recipes import Recipe
from plait.training.pretrain import pretrain


def assert_steps_train(recipe: Recipe, app: App, table: PairTable, run: Path, steps: int = 2) -> None:
    """Train a few steps from the loader to the run folder; no row is refused and every objective has a loss by then."""
    pretrain(recipe, app, table, run, max_steps=steps, log_every=1)
    logged = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for step in logged:
        assert step["refused"] == 0
        assert math.isfinite(step["loss"])
    last = logged[-1]
    kinds = {objective["kind"] for objective in recipe.objectives}
    # Figures of made labels, `ulg/flipped/image`, are no losses.
    names = [key for key in last if key.split("/")[0] in kinds and not (key.startswith("ulg/") and key.count("/") > 1)]
    losses = {key: last[key] for key in names}
    assert {key.split("/")[0] for key in losses} == kinds
    assert all(math.isfinite(loss) for loss in losses.values()), losses
    # A modality whose made labels are still the given ones has nothing to learn from them yet: one of them must have.
    silent = [key for key, loss in losses.items() if loss == 0.0 and not key.startswith("ulg/")]
    assert not silent, losses
    assert {key.split("/")[0] for key, loss in losses.items() if loss != 0.0} == kinds, losses
    assert last["gradient_norm"] > 0.0
