"""Instance discrimination against a memory of every training row."""

from __future__ import annotations

import math
from itertools import combinations, permutations
from typing import Literal, cast, override

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plait.losses.noise_contrastive import cosines, log_mean_exp, nce, sampled_softmax
from plait.model import Model
from plait.objectives.momentum_contrast import latest
from plait.objectives.objective import Objective
from plait.objectives.step import Step
from plait.objectives.temperature import fixed_scale
from plait.objectives.views import two_or_more


class Bank(nn.Module):
    """A running mean of the embedding of each training row, all in buffers.

    Args:
        rows: how many training rows there are.
        width: E.
        momentum: mu in m <- norm(mu m + (1 - mu) z); a row's first embedding is taken as it is.
    """

    places: Tensor
    seen: Tensor

    def __init__(self, rows: int, width: int, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("places", torch.zeros(rows, width))
        self.register_buffer("seen", torch.zeros(rows, dtype=torch.bool))

    def read(self, rows: Tensor, instead: Tensor) -> Tensor:
        """(B, E) places of (B,) rows, and ``instead`` (B, E) where a row was never written."""
        return torch.where(self.seen[rows][:, None], self.places[rows].to(instead.dtype), instead)

    def draw(self, draws: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Draw others for each of (B,) rows, uniformly from those that were ever written.

        Args:
            draws: (B, K) uniform in [0, 1).
            rows: (B,).

        Returns:
            (B, K) int64 rows, and (B, K) bool whether it may count as a negative: it is not the row itself.
        """
        written = self.seen.nonzero().squeeze(1)
        if not len(written):
            return torch.zeros_like(draws, dtype=torch.int64), torch.zeros_like(draws, dtype=torch.bool)
        drawn = written[(draws.double() * len(written)).long()]
        return drawn, drawn != rows[:, None]

    @torch.no_grad()
    def write(self, rows: Tensor, places: Tensor) -> None:
        """Move (N,) rows towards (N, E) new places; of a row that comes twice the first counts."""
        # Several writes to one place have no defined order on a GPU.
        rows, order = rows.sort(stable=True)
        first = torch.ones_like(rows, dtype=torch.bool)
        first[1:] = rows[1:] != rows[:-1]
        rows, places = rows[first], places[order[first]].to(self.places.dtype)
        # A row that was never seen is at zero, so that its first embedding is taken as it is.
        self.places[rows] = F.normalize(self.momentum * self.places[rows] + (1 - self.momentum) * places, dim=1)
        self.seen[rows] = True


class Partition(nn.Module):
    """log Z, estimated as the mean over the first steps that have negatives and then frozen.

    The papers freeze what the first batch says, which is as good as that batch, drawn from a memory of noise.

    Args:
        over: the number of steps.
    """

    log_sum: Tensor
    steps: Tensor

    def __init__(self, over: int) -> None:
        super().__init__()
        self.over = over
        self.register_buffer("log_sum", torch.tensor(-math.inf))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @property
    def frozen(self) -> bool:
        """Whether it is estimated no more."""
        return int(self.steps) >= self.over

    def forward(self, latest: Tensor) -> Tensor:
        """Log Z with the ``latest`` step's log mean counted in; where frozen, without."""
        if self.frozen:
            return self.log_sum - math.log(int(self.steps))
        return torch.logaddexp(self.log_sum, latest) - math.log(int(self.steps) + 1)

    @torch.no_grad()
    def update(self, latest: Tensor) -> None:
        """Count a step in, if it had a negative and the estimate is not yet frozen."""
        if not self.frozen and bool(latest > -math.inf):
            self.log_sum.copy_(torch.logaddexp(self.log_sum, latest))
            self.steps.add_(1)


class MemoryBank(Objective):
    """Each view tells its partner's place in the memory from those of K other rows.

    Tian et al., 2020 (CMC); Morgado et al., 2021 (AVID), the cross-modal form. A row that the memory has never seen
    is nobody's negative, and as a positive its partner's present embedding stands for it.

    Args:
        of: the views, two or more; every two are contrasted, in both directions.
        temperature: fixed, as the estimate of Z is made at one temperature.
        negatives: K.
        momentum: mu in m <- norm(mu m + (1 - mu) z).
        estimator: ``nce`` asks K + 1 yes-or-no questions, ``softmax`` one question with K + 1 answers.
        z_steps: steps over which NCE's normaliser is estimated before it is frozen.
    """

    def __init__(
        self,
        of: list[str],
        temperature: float = 0.07,
        negatives: int = 1024,
        momentum: float = 0.5,
        estimator: Literal["nce", "softmax"] = "nce",
        z_steps: int = 100,
    ) -> None:
        super().__init__()
        self.modalities, self.scale = two_or_more("memory_bank", of), fixed_scale(temperature)
        self.negatives, self.momentum, self.estimator = negatives, momentum, estimator
        self.banks = nn.ModuleDict()
        self.partitions = nn.ModuleDict({f"{a}~{b}": Partition(z_steps) for a, b in permutations(of, 2)})
        self._to_write: dict[str, tuple[Tensor, Tensor]] = {}
        self._log_means: dict[str, Tensor] = {}

    @override
    def prepare(self, model: Model, rows: int) -> None:
        self.banks.update({view: Bank(rows, model.embedding, self.momentum) for view in self.modalities})

    def bank(self, view: str) -> Bank:
        return cast(Bank, self.banks[view])

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        return self.discriminate(step, "memory_bank")

    def discriminate(self, step: Step, kind: str, aside: Tensor | None = None) -> dict[str, Tensor]:
        """The losses, named after ``kind``; of the (B, P) rows ``aside`` none is that anchor's negative."""
        losses: dict[str, Tensor] = {}
        for first, second in combinations(self.modalities, 2):
            both = step.present(first) & step.present(second)
            rows = [
                self.ask(step, asking, answering, self._partner(step, answering), both, aside=aside)
                for asking, answering in ((first, second), (second, first))
            ]
            losses[f"{kind}/{first}~{second}"] = step.mean((rows[0] + rows[1]) / 2, both)
        keys = step.gather(step.rows)
        self._to_write = {view: latest(step, view, self.modalities, step, keys) for view in self.modalities}
        return losses

    def ask(
        self,
        step: Step,
        asking: str,
        answering: str,
        positives: Tensor,
        asked: Tensor,
        right: Tensor | None = None,
        aside: Tensor | None = None,
    ) -> Tensor:
        """The loss of each row.

        Args:
            step: this step.
            asking: the view of the anchors.
            answering: the view from whose bank negatives are drawn.
            positives: (B, P, E).
            asked: (B,) bool, the rows that are counted.
            right: (B, P) bool, the positives that there are; all where ``None``.
            aside: (B, P) rows that are no negatives.
        """
        name, bank, anchors = f"{asking}~{answering}", self.bank(answering), step.embedding(asking)
        drawn, counted = bank.draw(step.uniform(f"memory_bank/{name}", self.negatives), step.rows)
        counted = counted & asked[:, None]
        if aside is not None:
            counted = counted & ~(drawn[:, :, None] == aside[:, None, :]).any(dim=2)
        alike, others = cosines(anchors, positives), cosines(anchors, bank.places[drawn].to(anchors.dtype))
        if self.estimator == "softmax":
            return sampled_softmax(alike[:, 0], others, self.scale, counted)
        self._log_means[name] = log_mean_exp(step.gather(others.detach()), self.scale, step.gather(counted))
        log_z = cast(Partition, self.partitions[name])(self._log_means[name])
        return nce(alike, others, self.scale, log_z, right, counted)

    def _partner(self, step: Step, view: str) -> Tensor:
        """(B, 1, E) what the memory knows of each row."""
        return self.bank(view).read(step.rows, step.embedding(view).detach())[:, None]

    @override
    def after_step(self) -> None:
        for view, (places, rows) in self._to_write.items():
            self.bank(view).write(rows, places)
        for name, log_mean in self._log_means.items():
            cast(Partition, self.partitions[name]).update(log_mean)
        self._to_write, self._log_means = {}, {}
