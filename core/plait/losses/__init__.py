"""Losses: pure functions of tensors."""

from plait.losses.contrastive import info_nce, multi_positive, sigmoid_contrastive, soft_targets

__all__ = ["info_nce", "multi_positive", "sigmoid_contrastive", "soft_targets"]
