"""A teacher that follows the model: the running mean of its weights."""

from __future__ import annotations

import copy
import math
from typing import override

import torch
from torch import Tensor, nn

from plait.model import Model
from plait.recipes import TeacherSection


class Teacher(nn.Module):
    """The exponential moving average of a model's weights, of its buffers the latest; always in evaluation mode.

    Args:
        model: what it follows; it starts as a copy.
        section: how.
    """

    def __init__(self, model: Model, section: TeacherSection) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).requires_grad_(False)
        self.section = section
        self.updates: Tensor
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.eval()

    @override
    def train(self, mode: bool = True) -> Teacher:
        del mode
        return super().train(False)

    @property
    def momentum(self) -> float:
        """The m of the next update."""
        start, steps = self.section.momentum, self.section.steps_to_one
        if steps is None:
            return start
        done = min(int(self.updates) / steps, 1.0)
        return 1.0 - (1.0 - start) * (math.cos(math.pi * done) + 1.0) / 2.0

    @torch.no_grad()
    def follow(self, model: Model) -> None:
        """Move one step towards the model."""
        m = self.momentum
        for mine, new in zip(self.model.parameters(), model.parameters(), strict=True):
            mine.lerp_(new, 1.0 - m)
        for mine, new in zip(self.model.buffers(), model.buffers(), strict=True):
            mine.copy_(new)
        self.updates.add_(1)
