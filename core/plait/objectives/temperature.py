"""The learnable temperature of contrastive objectives."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from plait.errors import InputError


def fixed_scale(temperature: float) -> float:
    """1 / temperature; raises `InputError` where that is not positive."""
    if temperature <= 0:
        raise InputError(f"The temperature of an objective is {temperature}: give a number above 0.")
    return 1.0 / temperature


class LogitScale(nn.Module):
    """``exp(log_scale)``, what similarities are multiplied by: 1 / temperature (Radford et al., 2021, section 2.5).

    The bound of 100 is held by `clamp_` after each optimiser step, as CLIP's authors do: a clamp in the forward
    pass would cut the gradient at the bound, and the scale could never come back. What is not learnt is not bounded.

    Args:
        temperature: the initial temperature.
        learn: whether it is a parameter or stays fixed.
        maximum: the largest scale that is learnt; the smallest is 1.

    Raises:
        InputError: where the temperature is not positive.
    """

    def __init__(self, temperature: float = 0.07, learn: bool = True, maximum: float = 100.0) -> None:
        super().__init__()
        self.maximum = maximum
        self.log_scale = nn.Parameter(torch.tensor(math.log(fixed_scale(temperature))), requires_grad=learn)

    def forward(self) -> Tensor:
        return self.log_scale.exp()

    @torch.no_grad()
    def clamp_(self) -> None:
        if self.log_scale.requires_grad:
            self.log_scale.clamp_(0.0, math.log(self.maximum))
