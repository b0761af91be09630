"""Objectives: modules that take a `Step` and return named losses. `OBJECTIVES` is what a recipe may name."""

from plait.objectives.instance_discrimination import InfoNCE, SigLIP
from plait.objectives.objective import Objective
from plait.objectives.step import Step

OBJECTIVES: dict[str, type[Objective]] = {
    "info_nce": InfoNCE,
    "siglip": SigLIP,
}

__all__ = ["OBJECTIVES", "InfoNCE", "Objective", "SigLIP", "Step"]
