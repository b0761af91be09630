"""Losses: pure functions of tensors, one file a family. Formulas live here, wiring in `plait.objectives`."""

from plait.losses.contrastive import info_nce, multi_positive_info_nce, siglip

__all__ = ["info_nce", "multi_positive_info_nce", "siglip"]
