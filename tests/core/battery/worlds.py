"""Small worlds with the structure that objectives exploit: what one modality shows, the others show too.

A `World` has 32 instances; a batch is made of some of them. Models are tiny; the checks make them float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, override

import numpy as np
import torch
from torch import Tensor, nn

from plait.encoders.features import Encoder, Features
from plait.encoders.patches import Patches
from plait.encoders.pooling import masked_mean
from plait.encoders.text import Text
from plait.encoders.token_encoder import Between, TokenEncoder
from plait.encoders.transformer import Transformer
from plait.fusion import FUSIONS
from plait.model import Model
from plait.pairs.batch import Batch, Padded, Value, pad, spread_rows

INSTANCES = 32


@dataclass(frozen=True)
class World:
    """A model and data for it.

    Attributes:
        model: makes the model, the same each time.
        values: every entry of a batch, over all instances: modalities, further views, labels.
        missing: what ``batch()`` lacks by default: name to positions in the batch.
    """

    model: Callable[[], Model]
    values: Mapping[str, Value]
    missing: Mapping[str, Sequence[int]]

    def batch(self, rows: Sequence[int] | None = None, missing: Mapping[str, Sequence[int]] | None = None) -> Batch:
        """The instances ``rows``; positions ``missing[name]`` of the batch lack the modality and all its views."""
        rows = list(range(8)) if rows is None else rows
        gone = self.missing if missing is None else missing
        values: dict[str, Value] = {}
        present: dict[str, Tensor] = {}
        for name, whole in self.values.items():
            there = torch.ones(len(rows), dtype=torch.bool)
            there[list(gone.get(name.partition(":")[0], []))] = False
            present[name] = there
            if there.any():
                values[name] = blank(whole[torch.tensor(rows)], there)
        ids = tuple(f"row {row}" for row in rows)
        return Batch(ids, ids, values, present, rows=torch.tensor(rows))


def blank(value: Value, present: Tensor) -> Value:
    """Zero the rows that are not present."""
    if isinstance(value, Padded):
        return Padded(blank(value.values, present), value.mask & present[:, None])
    return spread_rows(value[present], present)


def part(batch: Batch, positions: Sequence[int]) -> Batch:
    """Some rows of a batch, as a process sees them: a modality that none of them has is not there at all."""
    index = torch.tensor(list(positions))
    present = {name: flags[index] for name, flags in batch.present.items()}
    values = {name: value[index] for name, value in batch.values.items() if present[name].any()}
    ids = tuple(batch.ids[position] for position in positions)
    assert batch.rows is not None
    return Batch(ids, ids, values, present, rows=batch.rows[index])


def double(batch: Batch) -> Batch:
    """The batch with its real numbers in float64."""

    def cast(value: Value) -> Value:
        if isinstance(value, Padded):
            return Padded(cast(value.values), value.mask)
        return value.double() if value.is_floating_point() else value

    return Batch(batch.ids, batch.groups, {n: cast(v) for n, v in batch.values.items()}, batch.present, rows=batch.rows)


class Vector(Encoder):
    """One token a row, by a small perceptron."""

    def __init__(self, inputs: int, width: int = 6) -> None:
        super().__init__()
        self.width = width
        self.layers = nn.Sequential(nn.Linear(inputs, 12), nn.Tanh(), nn.Linear(12, width))

    @override
    def forward(self, value: Value) -> Features:
        pooled = self.layers(value)
        return Features(pooled[:, None], torch.ones(len(pooled), 1, dtype=torch.bool), pooled)


class Steps(TokenEncoder):
    """One token a time step of (B, T, C) series, mixed by a transformer."""

    def __init__(self, inputs: int, width: int = 8, layers: int = 1) -> None:
        super().__init__()
        self.width, self.depth = width, layers
        self.project = nn.Linear(inputs, width)
        self.mask_token = nn.Parameter(torch.zeros(width))
        self.places = nn.Parameter(0.1 * torch.randn(16, width))
        self.trunk = Transformer(width, layers, 2)

    @override
    def collate(self, samples: Sequence[Any]) -> Value:
        return pad(samples)

    @override
    def embed(self, value: Value, hidden: Tensor | None = None) -> Padded:
        assert isinstance(value, Padded)
        tokens = self.project(value.values)
        if hidden is not None:
            tokens = torch.where(hidden.unsqueeze(-1), self.mask_token, tokens)
        return Padded(tokens + self.places[: tokens.shape[1]], value.mask)

    @override
    def mix(self, tokens: Padded, grid: tuple[int, int] | None = None, between: Between | None = None) -> Features:
        layers = self.trunk.layers(tokens.values, tokens.mask, between=between)
        mixed = self.trunk.last_norm(layers[-1])
        return Features(mixed, tokens.mask, masked_mean(mixed, tokens.mask), grid, tokens.values, tuple(layers[1:]))


def vectors() -> World:
    """Modalities a (3 numbers), b (4), c (2): linear views of one two-dimensional cause, with little noise.

    Instance 5 has the same c as instance 0. Labels ``label_x`` and ``label_y`` are the signs of the two causes.
    """
    rng = np.random.default_rng(0)
    cause = rng.normal(size=(INSTANCES, 2))
    values: dict[str, Value] = {}
    for name, width in {"a": 3, "b": 4, "c": 2}.items():
        shown = cause @ rng.normal(size=(2, width))
        for view in ("", ":2"):
            values[name + view] = torch.tensor(shown + 0.1 * rng.normal(size=shown.shape)).float()
    c = values["c"]
    assert isinstance(c, Tensor)
    c[5] = c[0]
    values |= {f"label_{k}": torch.tensor(np.sign(cause[:, i])).float() for i, k in enumerate("xy")}

    def model() -> Model:
        torch.manual_seed(0)
        encoders = {"a": Vector(3), "b": Vector(4), "c": Vector(2)}
        fusion = FUSIONS["concat"](dict.fromkeys(encoders, 6), width=6)
        return Model(encoders, 8, fusion)

    return World(model, values, {"a": [1], "b": [6, 7]})


COLOURS = ("red", "green", "blue", "white")


def scenes(fusion: str = "merged_attention") -> World:
    """Modalities image and depth (1 x 8 x 8, co-registered, four patches) and text (four words): one colour a patch.

    The words name the patches' colours in reading order; each colour has a pattern of its own in image and in depth.
    ``regions`` are the patches as region ids of each pixel; ``label_red`` says whether any patch is red.
    """
    rng = np.random.default_rng(0)
    colours = rng.integers(len(COLOURS), size=(INSTANCES, 4))
    colours[: INSTANCES // 2] = colours[INSTANCES // 2 :][:, ::-1]
    patterns = {name: rng.normal(size=(len(COLOURS), 4, 4)) for name in ("image", "depth")}
    values: dict[str, Value] = {}
    for name, pattern in patterns.items():
        cells = pattern[colours].reshape(INSTANCES, 2, 2, 4, 4).swapaxes(2, 3).reshape(INSTANCES, 1, 8, 8)
        for view in ("", ":2"):
            values[name + view] = torch.tensor(cells + 0.1 * rng.normal(size=cells.shape)).float()
    texts = [" ".join(COLOURS[k] for k in row) for row in colours]
    text = Text(layers=1, width=8, heads=2, vocabulary=64, max_tokens=8)
    text.fit(texts)
    values["text"] = text.collate(texts)
    values["regions"] = (
        torch.arange(4).reshape(1, 2, 2).repeat_interleave(4, 1).repeat_interleave(4, 2).repeat(INSTANCES, 1, 1)
    )
    values["label_red"] = torch.tensor((colours == 0).any(axis=1) * 2.0 - 1.0).float()

    def model() -> Model:
        torch.manual_seed(0)
        words = Text(layers=1, width=8, heads=2, vocabulary=64, max_tokens=8)
        words.fit(texts)
        encoders = {
            "image": Patches(1, patch=4, width=8, layers=2, heads=2),
            "depth": Patches(1, patch=4, width=8, layers=2, heads=2),
            "text": words,
        }
        return Model(encoders, 8, FUSIONS[fusion](dict.fromkeys(encoders, 8), width=8))

    return World(model, values, {"image": [1], "text": [6, 7]})


def motions() -> World:
    """Modalities state (6 steps of 3 numbers) and action (6 steps of 2): the next state is linear in both."""
    rng = np.random.default_rng(0)
    turn, push = np.linalg.qr(rng.normal(size=(3, 3)))[0], rng.normal(size=(2, 3))
    action = rng.normal(size=(INSTANCES, 6, 2))
    state = [rng.normal(size=(INSTANCES, 3))]
    for t in range(5):
        state.append(state[-1] @ turn + action[:, t] @ push)
    mask = torch.ones(INSTANCES, 6, dtype=torch.bool)
    values: dict[str, Value] = {
        "state": Padded(torch.tensor(np.stack(state, axis=1)).float(), mask),
        "action": Padded(torch.tensor(action).float(), mask),
    }

    def model() -> Model:
        torch.manual_seed(0)
        encoders: dict[str, Encoder] = {"state": Steps(3, layers=0), "action": Steps(2, layers=0)}
        return Model(encoders, 8)

    return World(model, values, {"state": [1], "action": [6, 7]})
