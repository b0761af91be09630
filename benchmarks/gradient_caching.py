"""A large batch through towers that would not fit: memory, time, and whether the gradient is the right one.

Right is the gradient of the loss on the whole batch with one draw of dropout, every activation kept. open_clip's
``--accum-freq`` encodes each chunk twice and draws dropout anew the second time; plait's ``encode_chunk`` draws the
same again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import override

import torch
from measure import DEVICE, Cell, alone, emit, medians, options, peak_megabytes, report
from torch import Tensor, nn
from torch.nn import functional as F

from plait.encoders.features import Encoder, Features
from plait.losses.contrastive import info_nce
from plait.model import Model
from plait.objectives.step import Step
from plait.pairs.batch import Batch, Value

TOKENS, INPUTS, HIDDEN, LAYERS, WIDTH, CHUNK, SCALE, SEED = 32, 64, 256, 4, 128, 64, 10.0, 0
NAMES = ("first", "second")

type Order = Sequence[tuple[str, Tensor]]


class Tower(Encoder):
    """(B, T, C) tokens through a perceptron each, and their mean."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.width = HIDDEN
        widths = [INPUTS, *[HIDDEN] * LAYERS]
        blocks = [(nn.Linear(*pair), nn.GELU(), nn.Dropout(dropout)) for pair in pairwise(widths)]
        self.layers = nn.Sequential(*[layer for block in blocks for layer in block])

    @override
    def forward(self, value: Value) -> Features:
        assert isinstance(value, Tensor)
        pooled = self.layers(value).mean(dim=1)
        return Features(pooled[:, None], torch.ones(len(pooled), 1, dtype=torch.bool, device=pooled.device), pooled)


def world(n: int, dropout: float) -> tuple[Model, Batch]:
    """Two towers, and a batch of n rows that have both modalities."""
    torch.manual_seed(SEED)
    model = Model({name: Tower(dropout) for name in NAMES}, WIDTH).to(DEVICE).train()
    # Each row has something of its own that both modalities show, strong enough for embeddings that differ.
    shared = 20 * torch.randn(n, 1, INPUTS)
    values: dict[str, Value] = {name: (shared + torch.randn(n, TOKENS, INPUTS)).to(DEVICE) for name in NAMES}
    ids = tuple(map(str, range(n)))
    return model, Batch(ids, ids, values, {name: torch.ones(n, dtype=torch.bool, device=DEVICE) for name in NAMES})


def through_step(chunk: int | None, model: Model, batch: Batch) -> None:
    """Plait's step: the whole batch at once, or in chunks that are encoded again in the backward pass."""
    pairs = Step(model, batch, encode_chunk=chunk).pairs(*NAMES)
    assert pairs is not None
    info_nce(pairs[0], pairs[1], SCALE).backward()


def accumulated(model: Model, batch: Batch) -> None:
    """The loop of open_clip: all chunks without gradient, then each again with it, among the others' first outputs."""
    order = by_chunk(len(batch))
    with torch.no_grad():
        parts = [encoded(model, batch, name, rows) for name, rows in order]
    for i in range(0, len(order), 2):
        again = [encoded(model, batch, name, rows) for name, rows in order[i : i + 2]]
        sides = [[*parts[side::2]] for side in range(2)]
        for side in range(2):
            sides[side][i // 2] = again[side]
        info_nce(torch.cat(sides[0]), torch.cat(sides[1]), SCALE).backward()


def kept(order: Callable[[int], Order], model: Model, batch: Batch) -> None:
    """The right gradient: chunks encoded once, in an order that draws dropout as the other does, and all kept."""
    parts: dict[str, list[Tensor]] = {name: [] for name in NAMES}
    for name, rows in order(len(batch)):
        parts[name].append(encoded(model, batch, name, rows))
    info_nce(torch.cat(parts[NAMES[0]]), torch.cat(parts[NAMES[1]]), SCALE).backward()


def encoded(model: Model, batch: Batch, name: str, rows: Tensor) -> Tensor:
    """Embeddings of some rows."""
    return F.normalize(model.projection(name, model.encode(name, batch.values[name][rows]).pooled), dim=1)


def by_tower(n: int) -> Order:
    """All chunks of the first tower, then those of the second."""
    return [(name, rows) for name in NAMES for rows in torch.arange(n, device=DEVICE).split(CHUNK)]


def by_chunk(n: int) -> Order:
    """Both towers of the first chunk, then of the second."""
    return [(name, rows) for rows in torch.arange(n, device=DEVICE).split(CHUNK) for name in NAMES]


def whole(n: int) -> Order:
    """Everything at once."""
    return [(name, torch.arange(n, device=DEVICE)) for name in NAMES]


WAYS: dict[str, tuple[Callable[[Model, Batch], None], Callable[[int], Order]]] = {
    f"plait encode_chunk={CHUNK}": (partial(through_step, CHUNK), by_tower),
    "plait whole batch": (partial(through_step, None), whole),
    "loop of open_clip --accum-freq": (accumulated, by_chunk),
}


def gradient(run: Callable[[Model, Batch], None], model: Model, batch: Batch) -> Tensor:
    """Every parameter's gradient in one vector."""
    model.zero_grad()
    torch.manual_seed(SEED)
    run(model, batch)
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None])


def peak(n: int, name: str) -> float | None:
    """Peak memory of one way, for a fresh process."""
    gradient(WAYS[name][0], *world(CHUNK + 1, 0.1))  # what is loaded once, at first use
    return peak_megabytes(partial(gradient, WAYS[name][0], *world(n, 0.1)))


def main() -> None:
    chosen = options(__doc__, sizes=(512, 2048), large=(8192,))
    lines: list[dict[str, Cell]] = []
    for n in chosen.sizes:
        times = medians(
            {name: partial(gradient, run, *world(n, 0.1)) for name, (run, _) in WAYS.items()}, chosen.rounds
        )
        ours = next(iter(times))
        for name, (run, order) in WAYS.items():
            line: dict[str, Cell] = {"way": name, "N": n, "ms": 1000 * times[name]}
            line |= {"plait_times_as_fast": times[name] / times[ours], "peak_MB": alone(peak, n, name)}
            for dropout in (0.0, 0.1):
                right = gradient(partial(kept, order), *world(n, dropout))
                error = float((gradient(run, *world(n, dropout)) - right).norm() / right.norm())
                line[f"gradient_error_dropout_{dropout}"] = error
            lines.append(emit(line))
    report(lines)


if __name__ == "__main__":
    main()
