"""The learning rate: a peak for each parameter, and a function of the step alone, so that resuming needs no state."""

from __future__ import annotations

import math
from typing import Any

from torch import nn

from plait.errors import InputError
from plait.recipes import Optimisation
from plait.training.learner import Learner


def parameter_groups(learner: Learner, optimisation: Optimisation) -> list[dict[str, Any]]:
    """The optimiser's groups: weight decay on matrices, none on biases, norms and temperatures; ``lr`` is the peak.

    Raises:
        InputError: where ``encoder_learning_rates`` names what has no encoder.
    """
    encoders, own = learner.model.encoders, dict[nn.Parameter, float]()
    for name, peak in optimisation.encoder_learning_rates.items():
        if name not in encoders:
            raise InputError(
                f"optimisation.encoder_learning_rates: '{name}' has no encoder; the model has {', '.join(encoders)}."
            )
        own |= dict.fromkeys(encoders[name].parameters(), peak)
    trained = [(own.get(p, optimisation.learning_rate), p) for p in learner.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = []
    for peak in dict.fromkeys([optimisation.learning_rate, *optimisation.encoder_learning_rates.values()]):
        mine = [parameter for of, parameter in trained if of == peak]
        groups.append(
            {"params": [p for p in mine if p.ndim >= 2], "lr": peak, "weight_decay": optimisation.weight_decay}
        )
        groups.append({"params": [p for p in mine if p.ndim < 2], "lr": peak, "weight_decay": 0.0})
    return groups


def learning_rate(step: int, peak: float, warmup_steps: int, steps: int) -> float:
    """Linear warm-up to the peak, then a cosine to zero at ``steps`` (Loshchilov & Hutter, 2017, eq. 5)."""
    warmup = min(warmup_steps, steps)
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / max(steps - warmup, 1)
    return peak * 0.5 * (1.0 + math.cos(math.pi * progress))
