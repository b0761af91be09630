"""Evaluation: arrays in, numbers out."""

from plait.evaluation.diagnostics import (
    alignment,
    effective_rank,
    is_collapsed,
    modality_gap,
    shift_gap,
    spread,
    uniformity,
)
from plait.evaluation.knn import knn_probe
from plait.evaluation.measurement import Measurement, Result
from plait.evaluation.metrics import accuracy, auroc, average_precision, balanced_accuracy, cohen_kappa, f1, mean_iou
from plait.evaluation.probes import label_fraction, linear_probe
from plait.evaluation.prompting import zero_shot
from plait.evaluation.ranking import RidgeAlignment, measure_retrieval, retrieval, retrieval_ranks
from plait.evaluation.statistics import Difference, holm, interval, paired_difference, summarise

__all__ = [
    "Difference",
    "Measurement",
    "Result",
    "RidgeAlignment",
    "accuracy",
    "alignment",
    "auroc",
    "average_precision",
    "balanced_accuracy",
    "cohen_kappa",
    "effective_rank",
    "f1",
    "holm",
    "interval",
    "is_collapsed",
    "knn_probe",
    "label_fraction",
    "linear_probe",
    "mean_iou",
    "measure_retrieval",
    "modality_gap",
    "paired_difference",
    "retrieval",
    "retrieval_ranks",
    "shift_gap",
    "spread",
    "summarise",
    "uniformity",
    "zero_shot",
]
