"""Objectives: modules that take a `Step` and return named losses. `OBJECTIVES` is what a recipe may name."""

from plait.objectives.agreement_mining import AgreementMining
from plait.objectives.bags import MILNCE
from plait.objectives.captioning import BackwardCaptioning, Captioning, PrefixLanguage
from plait.objectives.cluster_contrast import ClusterContrast
from plait.objectives.cluster_prediction import ClusterPrediction
from plait.objectives.cutmix import CrossModalCutMix
from plait.objectives.cycle_mapping import CycleMapping
from plait.objectives.deep_clustering import DeepClustering
from plait.objectives.dense import DenseInfoNCE, RegionInfoNCE
from plait.objectives.discrete_tokens import DiscreteTokens
from plait.objectives.distillation import AttentionAlignment, SoftInfoNCE
from plait.objectives.information import CLUB, CPC, SMILE, BarberAgakov, ClassBarberAgakov
from plait.objectives.instance_discrimination import InfoNCE, SigLIP
from plait.objectives.latent import BYOL, LatentRegression
from plait.objectives.latent_dynamics import ContrastiveDynamics, LatentDynamics
from plait.objectives.local import GLoRIA, LateInteraction, SoftCycle, WordPatchTransport
from plait.objectives.margins import VSE, BatchTriplet, SiameseMargin, VSEHardest
from plait.objectives.masked_autoencoding import MaskedAutoencoding
from plait.objectives.masked_clusters import MaskedClusters
from plait.objectives.masked_feature import MaskedFeature
from plait.objectives.masked_image import MaskedImage
from plait.objectives.masked_language import DistilledMaskedLanguage, MaskedLanguage
from plait.objectives.matching import DistanceMatching, Matching
from plait.objectives.memory_bank import MemoryBank
from plait.objectives.misalignment import MisalignmentContrast, MisalignmentMatching
from plait.objectives.mixup import MixupContrast
from plait.objectives.momentum_contrast import MomentumContrast
from plait.objectives.nearest_neighbour import NearestNeighbour
from plait.objectives.negatives import CrossCLR, Decoupled, HardNegative, NTXent, PrototypeNTXent
from plait.objectives.objective import Objective
from plait.objectives.redundancy import CCA, BarlowTwins, DeCUR, VICReg
from plait.objectives.self_labelling import SelfLabelling
from plait.objectives.semantic import SemanticMatching, TagAnchored
from plait.objectives.shared_private import SharedPrivate
from plait.objectives.step import Step
from plait.objectives.supervised import Supervised
from plait.objectives.swapped_prediction import SwappedPrediction
from plait.objectives.unimodal_labels import ULG, LiteralULG
from plait.objectives.unpaired import RetrievedPairs, TransportAlignment

OBJECTIVES: dict[str, type[Objective]] = {
    # Instance discrimination: contrast.
    "info_nce": InfoNCE,
    "siglip": SigLIP,
    "soft_info_nce": SoftInfoNCE,
    "nt_xent": NTXent,
    "prototype_nt_xent": PrototypeNTXent,
    "decoupled": Decoupled,
    "hard_negative": HardNegative,
    "cross_clr": CrossCLR,
    "mil_nce": MILNCE,
    "vse": VSE,
    "vse_hardest": VSEHardest,
    "siamese_margin": SiameseMargin,
    "batch_triplet": BatchTriplet,
    "momentum_contrast": MomentumContrast,
    "memory_bank": MemoryBank,
    "agreement_mining": AgreementMining,
    "nearest_neighbour": NearestNeighbour,
    "mixup_contrast": MixupContrast,
    # Instance discrimination: matching.
    "matching": Matching,
    "distance_matching": DistanceMatching,
    "misalignment_matching": MisalignmentMatching,
    "misalignment_contrast": MisalignmentContrast,
    # Instance discrimination: local.
    "gloria": GLoRIA,
    "late_interaction": LateInteraction,
    "word_patch_transport": WordPatchTransport,
    "soft_cycle": SoftCycle,
    "dense_info_nce": DenseInfoNCE,
    "region_info_nce": RegionInfoNCE,
    # Redundancy reduction and latent prediction.
    "vicreg": VICReg,
    "barlow_twins": BarlowTwins,
    "cca": CCA,
    "decur": DeCUR,
    "shared_private": SharedPrivate,
    "byol": BYOL,
    "latent_regression": LatentRegression,
    # Clustering.
    "cluster_prediction": ClusterPrediction,
    "self_labelling": SelfLabelling,
    "swapped_prediction": SwappedPrediction,
    "deep_clustering": DeepClustering,
    "cluster_contrast": ClusterContrast,
    "masked_clusters": MaskedClusters,
    # Masked prediction: auto-encoding.
    "masked_language": MaskedLanguage,
    "distilled_masked_language": DistilledMaskedLanguage,
    "masked_image": MaskedImage,
    "discrete_tokens": DiscreteTokens,
    "masked_autoencoding": MaskedAutoencoding,
    "masked_feature": MaskedFeature,
    # Masked prediction: auto-regressive.
    "captioning": Captioning,
    "backward_captioning": BackwardCaptioning,
    "prefix_language": PrefixLanguage,
    "latent_dynamics": LatentDynamics,
    "contrastive_dynamics": ContrastiveDynamics,
    # Without pairs.
    "semantic_matching": SemanticMatching,
    "tag_anchored": TagAnchored,
    "retrieved_pairs": RetrievedPairs,
    "transport_alignment": TransportAlignment,
    "cross_modal_cutmix": CrossModalCutMix,
    "cycle_mapping": CycleMapping,
    # Distillation.
    "attention_alignment": AttentionAlignment,
    # Mutual information.
    "cpc": CPC,
    "barber_agakov": BarberAgakov,
    "class_barber_agakov": ClassBarberAgakov,
    "smile": SMILE,
    "club": CLUB,
    # With labels.
    "supervised": Supervised,
    "ulg": ULG,
    "ulg_literal": LiteralULG,
}
"""By the branches of the survey."""

__all__ = [
    "BYOL",
    "CCA",
    "CLUB",
    "CPC",
    "MILNCE",
    "OBJECTIVES",
    "SMILE",
    "ULG",
    "VSE",
    "AgreementMining",
    "AttentionAlignment",
    "BackwardCaptioning",
    "BarberAgakov",
    "BarlowTwins",
    "BatchTriplet",
    "Captioning",
    "ClassBarberAgakov",
    "ClusterContrast",
    "ClusterPrediction",
    "ContrastiveDynamics",
    "CrossCLR",
    "CrossModalCutMix",
    "CycleMapping",
    "DeCUR",
    "Decoupled",
    "DeepClustering",
    "DenseInfoNCE",
    "DiscreteTokens",
    "DistanceMatching",
    "DistilledMaskedLanguage",
    "GLoRIA",
    "HardNegative",
    "InfoNCE",
    "LateInteraction",
    "LatentDynamics",
    "LatentRegression",
    "LiteralULG",
    "MaskedAutoencoding",
    "MaskedClusters",
    "MaskedFeature",
    "MaskedImage",
    "MaskedLanguage",
    "Matching",
    "MemoryBank",
    "MisalignmentContrast",
    "MisalignmentMatching",
    "MixupContrast",
    "MomentumContrast",
    "NTXent",
    "NearestNeighbour",
    "Objective",
    "PrefixLanguage",
    "PrototypeNTXent",
    "RegionInfoNCE",
    "RetrievedPairs",
    "SelfLabelling",
    "SemanticMatching",
    "SharedPrivate",
    "SiameseMargin",
    "SigLIP",
    "SoftCycle",
    "SoftInfoNCE",
    "Step",
    "SwappedPrediction",
    "TagAnchored",
    "TransportAlignment",
    "VICReg",
    "VSEHardest",
    "WordPatchTransport",
]
