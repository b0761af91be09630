"""Evaluation: arrays in, numbers out."""

from plait.evaluation.backdoor import attack_success, concentration, with_patch
from plait.evaluation.calibration import calibration_error
from plait.evaluation.copying import memorisation
from plait.evaluation.corruptions import CORRUPTIONS
from plait.evaluation.degradation import corruption_grid, mean_corruption_drop, missing_modality_drop, robustness
from plait.evaluation.diagnostics import (
    alignment,
    effective_rank,
    is_collapsed,
    modality_gap,
    shift_gap,
    spread,
    uniformity,
)
from plait.evaluation.hubs import hubness
from plait.evaluation.knn import knn_probe
from plait.evaluation.language import drop_words, negate, preference, shuffle_words, swap_neighbours, swap_terms, typos
from plait.evaluation.measurement import Measurement, Result
from plait.evaluation.metrics import accuracy, auroc, average_precision, balanced_accuracy, cohen_kappa, f1, mean_iou
from plait.evaluation.probes import label_fraction, linear_probe
from plait.evaluation.prompting import zero_shot
from plait.evaluation.ranking import RidgeAlignment, measure_retrieval, retrieval, retrieval_ranks
from plait.evaluation.statistics import Difference, holm, interval, paired_difference, summarise
from plait.evaluation.subgroups import gap_p_value, measure_gap, subgroup_gaps

__all__ = [
    "CORRUPTIONS",
    "Difference",
    "Measurement",
    "Result",
    "RidgeAlignment",
    "accuracy",
    "alignment",
    "attack_success",
    "auroc",
    "average_precision",
    "balanced_accuracy",
    "calibration_error",
    "cohen_kappa",
    "concentration",
    "corruption_grid",
    "drop_words",
    "effective_rank",
    "f1",
    "gap_p_value",
    "holm",
    "hubness",
    "interval",
    "is_collapsed",
    "knn_probe",
    "label_fraction",
    "linear_probe",
    "mean_corruption_drop",
    "mean_iou",
    "measure_gap",
    "measure_retrieval",
    "memorisation",
    "missing_modality_drop",
    "modality_gap",
    "negate",
    "paired_difference",
    "preference",
    "retrieval",
    "retrieval_ranks",
    "robustness",
    "shift_gap",
    "shuffle_words",
    "spread",
    "subgroup_gaps",
    "summarise",
    "swap_neighbours",
    "swap_terms",
    "typos",
    "uniformity",
    "with_patch",
    "zero_shot",
]
