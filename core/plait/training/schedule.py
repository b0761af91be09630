"""The learning rate as a function of the step alone, so that resuming needs no scheduler's state."""

from __future__ import annotations

import math

from plait.recipes import Optimisation


def learning_rate(step: int, optimisation: Optimisation, steps: int) -> float:
    """Linear warm-up to the peak, then a cosine to zero at ``steps`` (Loshchilov & Hutter, 2017, eq. 5)."""
    warmup = min(optimisation.warmup_steps, steps)
    if step < warmup:
        return optimisation.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(steps - warmup, 1)
    return optimisation.learning_rate * 0.5 * (1.0 + math.cos(math.pi * progress))
