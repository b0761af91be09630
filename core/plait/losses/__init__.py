"""Losses: pure functions of tensors."""

from plait.losses.autoregressive import next_token
from plait.losses.bags import mil_nce
from plait.losses.class_information import class_barber_agakov
from plait.losses.clustering import (
    cluster_contrast,
    deep_multimodal_clustering,
    masked_margin_softmax,
    swapped_prediction,
)
from plait.losses.contrastive import info_nce, multi_positive, sigmoid_contrastive, soft_targets
from plait.losses.correlation import cca
from plait.losses.dense import dense_info_nce, pooled_regions
from plait.losses.distillation import attention_alignment, similarity_smoothing
from plait.losses.information import barber_agakov, club, cpc, donsker_varadhan, info_nce_bound, jsd, nwj, smile
from plait.losses.labelling import self_labels
from plait.losses.latent import negative_cosine, smooth_l1_latent
from plait.losses.local import gloria_similarity, late_interaction
from plait.losses.mapping import critic_gap, cycle_consistency, soft_cycle
from plait.losses.margins import batch_triplet, siamese_margin, vse_hardest, vse_sum
from plait.losses.masked import masked_cross_entropy, masked_nce, masked_regression
from plait.losses.matching import distance_logits, matching_loss
from plait.losses.negatives import cross_clr, decoupled, hard_negative, nt_xent
from plait.losses.noise_contrastive import nce, sampled_softmax
from plait.losses.redundancy import barlow_twins, decur, vicreg
from plait.losses.semantic import semantic_targets
from plait.losses.shared_private import central_moment_discrepancy, soft_orthogonality
from plait.losses.transport import gromov_wasserstein, ipot, sinkhorn, transport_alignment, wasserstein_alignment
from plait.losses.unimodal_labels import class_labels, literal_labels, moving_labels, stable_labels

__all__ = [
    "attention_alignment",
    "barber_agakov",
    "barlow_twins",
    "batch_triplet",
    "cca",
    "central_moment_discrepancy",
    "class_barber_agakov",
    "class_labels",
    "club",
    "cluster_contrast",
    "cpc",
    "critic_gap",
    "cross_clr",
    "cycle_consistency",
    "decoupled",
    "decur",
    "deep_multimodal_clustering",
    "dense_info_nce",
    "distance_logits",
    "donsker_varadhan",
    "gloria_similarity",
    "gromov_wasserstein",
    "hard_negative",
    "info_nce",
    "info_nce_bound",
    "ipot",
    "jsd",
    "late_interaction",
    "literal_labels",
    "masked_cross_entropy",
    "masked_margin_softmax",
    "masked_nce",
    "masked_regression",
    "matching_loss",
    "mil_nce",
    "moving_labels",
    "multi_positive",
    "nce",
    "negative_cosine",
    "next_token",
    "nt_xent",
    "nwj",
    "pooled_regions",
    "sampled_softmax",
    "self_labels",
    "semantic_targets",
    "siamese_margin",
    "sigmoid_contrastive",
    "similarity_smoothing",
    "sinkhorn",
    "smile",
    "smooth_l1_latent",
    "soft_cycle",
    "soft_orthogonality",
    "soft_targets",
    "stable_labels",
    "swapped_prediction",
    "transport_alignment",
    "vicreg",
    "vse_hardest",
    "vse_sum",
    "wasserstein_alignment",
]
