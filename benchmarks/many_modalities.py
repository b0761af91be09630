"""Contrast among two to five modalities of which rows lack some, beside what a user writes today.

That is a loop over every two modalities, a pair's CLIP loss on the rows that have both. Memory and time are those of
the loss, forward and backward, on given towers; the answers are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import combinations
from typing import override

import torch
from measure import DEVICE, Cell, alone, emit, library, medians, options, peak_megabytes, report
from torch import Tensor
from torch.nn import functional as F
from transformers.models.clip.modeling_clip import image_text_contrastive_loss

from plait.encoders.features import Encoder, Features
from plait.model import Model
from plait.objectives.instance_discrimination import InfoNCE
from plait.objectives.step import Step, View
from plait.pairs.batch import Batch, Value

type Towers = dict[str, Tensor]
type Loss = Callable[[Towers, Mapping[str, Tensor]], Tensor]

WIDTH, TEMPERATURE = 512, 0.07
MODALITIES, MISSING = (2, 3, 5), (0.0, 0.3, 0.7)


class Nothing(Encoder):
    """The encoder of a modality whose tower is given."""

    def __init__(self) -> None:
        super().__init__()
        self.width = WIDTH

    @override
    def forward(self, value: Value) -> Features:
        raise NotImplementedError


class Given(Step):
    """A step whose towers are given."""

    def __init__(self, model: Model, towers: Towers, present: Mapping[str, Tensor]) -> None:
        ids = ("",) * len(next(iter(present.values())))
        super().__init__(model, Batch(ids, ids, {}, dict(present)))
        self.towers = towers

    @override
    def projection(self, view: View) -> Tensor:
        assert isinstance(view, str)
        return self.towers[view]


def implementations(names: list[str]) -> dict[str, Loss]:
    """Ours, and each library's pairwise loss in a loop."""
    model = Model({name: Nothing() for name in names}, WIDTH).to(DEVICE)
    objective = InfoNCE(of=[*names], temperature=TEMPERATURE, learn_temperature=False).to(DEVICE)

    def ours(towers: Towers, present: Mapping[str, Tensor]) -> Tensor:
        return torch.stack([*objective(Given(model, towers, present)).values()]).sum()

    def loop(pairwise: Callable[[Tensor, Tensor], Tensor], towers: Towers, present: Mapping[str, Tensor]) -> Tensor:
        total = torch.zeros((), device=DEVICE)
        unit = {name: F.normalize(tower, dim=1) for name, tower in towers.items()}
        for first, second in combinations(names, 2):
            both = present[first] & present[second]
            total = total + pairwise(unit[first][both], unit[second][both])
        return total

    losses: dict[str, Loss] = {"plait InfoNCE": ours}
    if open_clip := library("open_clip.loss"):
        scale = torch.tensor(1 / TEMPERATURE, device=DEVICE)
        losses["open_clip ClipLoss in a loop"] = partial(loop, lambda a, b: open_clip.ClipLoss()(a, b, scale))
    losses["transformers CLIP loss in a loop"] = partial(
        loop, lambda a, b: image_text_contrastive_loss(a @ b.T / TEMPERATURE)
    )
    return losses


def world(n: int, modalities: int, missing: float) -> tuple[Towers, dict[str, Tensor]]:
    """Towers of n instances, and which of the modalities each has."""
    generator = torch.Generator().manual_seed(0)
    names = [f"modality {number}" for number in range(modalities)]
    shared = torch.randn(n, WIDTH, generator=generator)
    towers = {name: (shared + torch.randn(n, WIDTH, generator=generator)).to(DEVICE) for name in names}
    present = {name: (torch.rand(n, generator=generator) >= missing).to(DEVICE) for name in names}
    return {name: tower.requires_grad_() for name, tower in towers.items()}, present


def step(loss: Loss, towers: Towers, present: Mapping[str, Tensor]) -> list[Tensor]:
    """The loss, and the gradient of every tower."""
    value = loss(towers, present)
    return [value.detach(), *torch.autograd.grad(value, list(towers.values()))]


def peak(n: int, modalities: int, missing: float, name: str) -> float | None:
    """Peak memory of one implementation, for a fresh process."""
    towers, present = world(n, modalities, missing)
    loss = implementations(list(towers))[name]
    step(loss, *world(8, modalities, 0.0))  # what is loaded once, at first use
    return peak_megabytes(partial(step, loss, towers, present))


def compare(n: int, modalities: int, missing: float, rounds: int) -> list[dict[str, Cell]]:
    """A line for each implementation, ours first."""
    towers, present = world(n, modalities, missing)
    losses = implementations(list(towers))
    ours, *others = losses
    expected = step(losses[ours], towers, present)
    for name in others:
        for theirs, own in zip(step(losses[name], towers, present), expected, strict=True):
            off = float((theirs - own).norm() / own.norm())
            if not off < 1e-4:
                raise SystemExit(f"{name} and {ours} differ by {off:.1e} of the answer: no time of theirs counts.")
    times = medians({name: partial(step, loss, towers, present) for name, loss in losses.items()}, rounds)
    lines: list[dict[str, Cell]] = []
    for name in losses:
        line: dict[str, Cell] = {"loss": name, "N": n, "modalities": modalities, "missing": missing}
        line |= {"ms": 1000 * times[name], "plait_times_as_fast": times[name] / times[ours]}
        lines.append(emit(line | {"peak_MB": alone(peak, n, modalities, missing, name)}))
    return lines


def main() -> None:
    chosen = options(__doc__, sizes=(2048,), large=(8192,))
    settings = [(n, modalities, missing) for n in chosen.sizes for modalities in MODALITIES for missing in MISSING]
    report([line for setting in settings for line in compare(*setting, chosen.rounds)])


if __name__ == "__main__":
    main()
