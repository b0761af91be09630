"""Fusion: from the features of several modalities to those of one instance."""

from __future__ import annotations

from plait.fusion.concat import ConcatFusion, GridConcatFusion
from plait.fusion.cross_attention import CrossAttentionFusion
from plait.fusion.early import EarlyFusion
from plait.fusion.fusion import Fusion
from plait.fusion.late import LateFusion

FUSIONS: dict[str, type[Fusion]] = {
    "concat": ConcatFusion,
    "cross_attention": CrossAttentionFusion,
    "early": EarlyFusion,
    "grid_concat": GridConcatFusion,
    "late": LateFusion,
}
"""What a recipe may name as the fusion's ``kind``; ``none`` is no fusion at all."""

__all__ = ["FUSIONS", "Fusion"]
