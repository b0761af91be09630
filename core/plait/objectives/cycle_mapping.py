"""Maps between two modalities' features that were never paired, held by cycles and by critics."""

from __future__ import annotations

from typing import Any, override

import torch
from torch import Tensor, nn

from plait.losses.mapping import critic_gap, cycle_consistency
from plait.losses.precision import upcast
from plait.model import Model
from plait.objectives.objective import Objective
from plait.objectives.step import Step


class CycleMapping(Objective):
    """Pooled features of one modality are mapped among the other's and back (DM2C, Jiang et al., 2019).

    Two mappers close the cycle in both directions, and for each modality a critic says how it tells the mapped from
    the real (WGAN). Mapper and critic are learnt by one optimiser in one backward pass: the critic's loss is minus
    its gap, and on its way into the mapped features the gradient is reversed, so that the mapper, and the encoder
    behind it, narrow the gap that the critic widens (Ganin et al., 2016; the paper alternates). Real features are held
    fixed for the critic. After each step the critics' weights are clipped.

    The encoders can close the cycle by saying nothing; in the paper their decoders forbid it. So this wants a loss
    beside it that keeps what each modality says, such as a reconstruction.

    Args:
        of: the two modalities; every row that has one takes part on its side, paired or not.
        adversarial: how much of the reversed gradient reaches the mappers, against 1 for the cycles.
        clip: the largest weight of a critic.
        width: hidden units of mappers and critics.
    """

    def __init__(self, of: tuple[str, str], adversarial: float = 0.5, clip: float = 0.05, width: int = 128) -> None:
        super().__init__()
        self.modalities = (of[0], of[1])
        self.adversarial, self.clip, self.width = adversarial, clip, width
        self.mappers, self.critics = nn.ModuleList(), nn.ModuleList()

    @override
    def prepare(self, model: Model, rows: int) -> None:
        first, second = (model.encoder(name).width for name in self.modalities)
        self.mappers = nn.ModuleList([_perceptron(first, self.width, second), _perceptron(second, self.width, first)])
        self.critics = nn.ModuleList([_perceptron(first, self.width, 1), _perceptron(second, self.width, 1)])
        self.after_step()

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        a, b = (self._rows(step, name) for name in self.modalities)
        to_b, to_a = self.mappers
        critic_a, critic_b = self.critics
        cycles = cycle_consistency(a, to_b, to_a) + cycle_consistency(b, to_a, to_b)
        gaps = self._gap(critic_a, a, to_a(b)) + self._gap(critic_b, b, to_b(a))
        name = "~".join(self.modalities)
        return {f"cycle_mapping/{name}/cycle": cycles, f"cycle_mapping/{name}/critic": -gaps}

    @override
    @torch.no_grad()
    def after_step(self) -> None:
        for parameter in self.critics.parameters():
            parameter.clamp_(-self.clip, self.clip)

    def _gap(self, critic: nn.Module, real: Tensor, mapped: Tensor) -> Tensor:
        return critic_gap(critic(real.detach())[:, 0], critic(_Reverse.apply(mapped, self.adversarial))[:, 0])

    def _rows(self, step: Step, name: str) -> Tensor:
        """(N, D) pooled features of the rows of all processes that have the modality."""
        pooled = upcast(step.features(name).pooled) + step.nothing()
        return step.gather(pooled)[step.gather(step.present(name))]


class _Reverse(torch.autograd.Function):
    """The identity, whose gradient is turned round and weighed."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: float) -> Tensor:
        ctx.weight = weight
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.weight * gradients[0], None


def _perceptron(inputs: int, hidden: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
