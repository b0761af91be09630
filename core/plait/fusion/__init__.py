"""Fusion: from the features of several modalities to those of one instance."""

from __future__ import annotations

from plait.fusion.bottleneck import BottleneckFusion
from plait.fusion.concat import ConcatFusion, GridConcatFusion
from plait.fusion.concat_levels import ConcatLevelsFusion
from plait.fusion.cross_attention import CrossAttentionFusion
from plait.fusion.decoder import DecoderFusion
from plait.fusion.directional_attention import DirectionalAttentionFusion
from plait.fusion.early import EarlyFusion
from plait.fusion.film import FilmFusion
from plait.fusion.fusion import Fusion
from plait.fusion.gated import GatedFusion
from plait.fusion.inserted_cross_attention import InsertedCrossAttentionFusion
from plait.fusion.late import LateFusion
from plait.fusion.learned_gate import LearnedGateFusion
from plait.fusion.low_rank import LowRankFusion
from plait.fusion.merged_attention import MergedAttentionFusion
from plait.fusion.modality_experts import ModalityExpertsFusion
from plait.fusion.product_of_experts import ProductOfExpertsFusion
from plait.fusion.prompt import PromptFusion
from plait.fusion.shared_private import SharedPrivateFusion
from plait.fusion.tensor import TensorFusion

FUSIONS: dict[str, type[Fusion]] = {
    "bottleneck": BottleneckFusion,
    "concat": ConcatFusion,
    "concat_levels": ConcatLevelsFusion,
    "cross_attention": CrossAttentionFusion,
    "decoder": DecoderFusion,
    "directional_attention": DirectionalAttentionFusion,
    "early": EarlyFusion,
    "film": FilmFusion,
    "gated": GatedFusion,
    "grid_concat": GridConcatFusion,
    "inserted_cross_attention": InsertedCrossAttentionFusion,
    "late": LateFusion,
    "learned_gate": LearnedGateFusion,
    "low_rank": LowRankFusion,
    "merged_attention": MergedAttentionFusion,
    "modality_experts": ModalityExpertsFusion,
    "product_of_experts": ProductOfExpertsFusion,
    "prompt": PromptFusion,
    "shared_private": SharedPrivateFusion,
    "tensor": TensorFusion,
}
"""What a recipe may name as the fusion's ``kind``; ``none`` is no fusion at all."""

__all__ = ["FUSIONS", "Fusion"]
