"""A label for each modality, made of the multimodal one and of where features lie between the classes' centres.

Self-MM (Yu et al., AAAI 2021) asks where a row lies in the fusion's features (place alpha_m) and in a modality's own
(alpha_s), between the centres of the positive and of the negative rows, and supposes two relations of labels and
places::

    ratio:       y_s / y_m = alpha_s / alpha_m
    difference:  y_s - y_m = alpha_s - alpha_m

`literal_labels` is its form. It is not finite where a class is empty, or where y_m is 0 and alpha_m is -1e-8; it
saturates wherever alpha_m is near 0; and alpha, a bare number between -1 and infinity, is added to labels that have a
unit. `stable_labels` mends these, and `class_labels` does the same for classes; both are ours. In all forms the ratio
turns a label round where the fusion lies on the wrong side of it: asking for equal signs was tried on CMU-MOSI, flipped
no fewer labels and inflated more. What Self-MI (PACLIC 2023) does here was published without equations or code.

Of B rows the labels are made; N rows, those of the banks, say where the centres are.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from plait.losses.precision import full_precision, upcast

EPS = 1e-8


class Bank(NamedTuple):
    """The training rows that were seen so far.

    Attributes:
        features: (N, D) of one modality, or of the fusion.
        labels: (N,) the multimodal label, 0 where it is neutral; or (N, K), one-hot.
    """

    features: Tensor
    labels: Tensor


def centres(features: Tensor, members: Tensor) -> Tensor:
    """The mean of the features of each class.

    Args:
        features: (N, D).
        members: (N, K) bool, the rows of each class.

    Returns:
        (K, D), in float32 or better; NaN for a class without rows.
    """
    features = upcast(features)
    # In float64, so that the mean of a constant is that constant, and a modality that says nothing is at distance 0.
    sums = members.T.double() @ features.double()
    return (sums / members.sum(dim=0)[:, None]).to(features.dtype)


def distances(features: Tensor, middles: Tensor) -> Tensor:
    """||F - C||_2 / sqrt(D) of rows and centres.

    The root is in Self-MM's paper and not in its released code; places are quotients, so only their eps notices.

    Args:
        features: (B, D).
        middles: (K, D) C.

    Returns:
        (B, K), not negative; NaN for a centre that is.
    """
    with full_precision(features):
        # Not by the products of matrices, which lose small distances of large features.
        apart = torch.cdist(upcast(features), middles, compute_mode="donot_use_mm_for_euclid_dist")
        return apart / features.shape[1] ** 0.5


def polar_distances(features: Tensor, bank: Bank) -> tuple[Tensor, Tensor]:
    """(B,) D_n and (B,) D_p: `distances` from the negative and the positive rows; those labelled 0 are neither."""
    members = torch.stack([bank.labels < 0, bank.labels > 0], dim=1)
    negative, positive = distances(features, centres(bank.features, members)).unbind(dim=1)
    return negative, positive


def literal_place(negative: Tensor, positive: Tensor) -> Tensor:
    """Alpha, (D_n - D_p) / (D_p + eps) of (B,) distances: in [-1, inf), positive nearer the positive rows."""
    return (negative - positive) / (positive + EPS)


def bounded_place(negative: Tensor, positive: Tensor) -> Tensor:
    """A place, (D_n - D_p) / (D_n + D_p) of (B,) distances: in [-1, 1], and 0 where both are 0."""
    total = negative + positive
    return (negative - positive) / total.masked_fill(total == 0, 1.0)


def ratio_relation(truth: Tensor, own: Tensor, fused: Tensor) -> Tensor:
    """y_m alpha_s / alpha_m of (B,) labels and places."""
    return truth * own / fused


def difference_relation(truth: Tensor, own: Tensor, fused: Tensor) -> Tensor:
    """y_m + alpha_s - alpha_m of labels and places of one shape."""
    return truth + own - fused


@torch.no_grad()
def literal_labels(truth: Tensor, own: Tensor, fused: Tensor, own_bank: Bank, fused_bank: Bank, limit: float) -> Tensor:
    """Self-MM's unimodal labels: the mean of the ratio and the difference relation (Yu et al., AAAI 2021).

    ::

        y_s = clamp( y_m alpha_s / 2 alpha_m + (y_m + alpha_s - alpha_m) / 2, -H, H )

    Args:
        truth: (B,) y_m in [-H, H].
        own: (B, D) features of the modality.
        fused: (B, E) features of the fusion.
        own_bank: of the modality.
        fused_bank: of the fusion.
        limit: H.

    Returns:
        (B,); NaN, as in the paper's form, where a class is empty or where y_m is 0 and alpha_m is -eps.
    """
    alpha_s = literal_place(*polar_distances(own, own_bank))
    alpha_m = literal_place(*polar_distances(fused, fused_bank))
    ratio = ratio_relation(truth, alpha_s, alpha_m + EPS)
    return ((ratio + difference_relation(truth, alpha_s, alpha_m)) / 2).clamp(-limit, limit)


@torch.no_grad()
def stable_labels(
    truth: Tensor,
    own: Tensor,
    fused: Tensor,
    own_bank: Bank,
    fused_bank: Bank,
    limit: float,
    delta: float = 0.1,
) -> Tensor:
    """`literal_labels` from bounded places in the label's unit: always finite (ours, after Yu et al., AAAI 2021).

    Places are k a, with a of `bounded_place`, and one k for all that makes the fusion's as large as the labels::

        k = mean |y_m| / mean |a_m|   over the fusion's bank

    The ratio relation counts where k |a_m| >= delta H; elsewhere it would divide by nearly nothing, and the difference
    relation stands alone. Each is clamped before their mean is taken. Where a class is empty the label is y_m. Scaling,
    turning or moving the features of a modality changes nothing.

    Args:
        truth: as all that follow but the last, those of `literal_labels`.
        own: (B, D).
        fused: (B, E).
        own_bank: of the modality.
        fused_bank: of the fusion.
        limit: H.
        delta: in (0, 1].

    Returns:
        (B,) in [-H, H].
    """
    placed = bounded_place(*polar_distances(fused_bank.features, fused_bank))
    unit = _as_large(placed, fused_bank.labels.abs().mean())
    place_s = unit * bounded_place(*polar_distances(own, own_bank))
    place_m = unit * bounded_place(*polar_distances(fused, fused_bank))
    difference = difference_relation(truth, place_s, place_m).clamp(-limit, limit)
    ratio = ratio_relation(truth, place_s, place_m).clamp(-limit, limit)
    made = torch.where(place_m.abs() >= delta * limit, (ratio + difference) / 2, difference)
    return torch.where(made.isnan(), truth, made)


@torch.no_grad()
def class_labels(truth: Tensor, own: Tensor, fused: Tensor, own_bank: Bank, fused_bank: Bank) -> Tensor:
    """Unimodal labels of a classification: `stable_labels` with a centre for every class (ours).

    ::

        p_s = softmax_c k (1 - D_sc / mean_c D_sc),   k = 1 / mean |1 - D_mc / mean_c D_mc|   over the fusion's bank
        y_s = the point of the simplex nearest to y_m + p_s - p_m

    It is the difference relation, the projection its clamp; the ratio relation y_mc p_sc / p_mc leaves a one-hot y_m as
    it is, and so has nothing to say. Classes that have no centre in either bank are left out of both p.

    Args:
        truth: (B, K) y_m, one-hot.
        own: (B, D).
        fused: (B, E).
        own_bank: of the modality, with (N, K) labels.
        fused_bank: of the fusion.

    Returns:
        (B, K), not negative, of sum one.
    """
    there = ((own_bank.labels > 0).any(dim=0) & (fused_bank.labels > 0).any(dim=0)).expand(1, -1)
    if not bool(there.any()):
        return truth
    sharpness = _as_large(_nearness(fused_bank.features, fused_bank, there), 1.0)
    p_s, p_m = (
        (sharpness * _nearness(features, bank, there)).masked_fill(~there, -torch.inf).softmax(dim=1).to(truth.dtype)
        for features, bank in ((own, own_bank), (fused, fused_bank))
    )
    return onto_simplex(difference_relation(truth, p_s, p_m))


def onto_simplex(points: Tensor) -> Tensor:
    """The nearest points that are probabilities (Duchi et al., ICML 2008).

    ::

        max(v_c - t, 0), with t such that they sum to one

    Args:
        points: (B, K) v.

    Returns:
        (B, K), not negative, of sum one.
    """
    largest = points.sort(dim=1, descending=True).values
    counts = torch.arange(1, points.shape[1] + 1, device=points.device, dtype=points.dtype)
    surplus = (largest.cumsum(dim=1) - 1.0) / counts
    kept = (largest > surplus).sum(dim=1, keepdim=True)
    return (points - surplus.gather(1, kept - 1)).clamp(min=0.0)


def moving_labels(previous: Tensor, made: Tensor, visit: Tensor) -> Tensor:
    """Self-MM's momentum, a mean in which the i-th of a row's labels weighs as i does (Yu et al., AAAI 2021).

    ::

        y^(i) = (i - 1) / (i + 1) y^(i-1) + 2 / (i + 1) y^i

    Args:
        previous: (B,) or (B, K) y^(i-1).
        made: of that shape, this visit's labels y^i.
        visit: (B,) i, from 1.

    Returns:
        As ``previous``.
    """
    share = 2.0 / (visit.to(previous.dtype) + 1.0).reshape(-1, *[1] * (previous.ndim - 1))
    return previous + share * (made - previous)


def soft_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """-sum_c y_c log softmax(z)_c of (B, K) logits and (B, K) labels of sum one: (B,)."""
    with full_precision(logits):
        return F.cross_entropy(upcast(logits), labels, reduction="none")


def _nearness(features: Tensor, bank: Bank, there: Tensor) -> Tensor:
    """(B, K) 1 - D_c / mean D over the classes that are ``there``; NaN for the others."""
    apart = distances(features, centres(bank.features, bank.labels > 0)).masked_fill(~there, torch.nan)
    mean = apart.nanmean(dim=1, keepdim=True)
    return 1.0 - apart / mean.masked_fill(mean == 0, 1.0)


def _as_large(places: Tensor, size: Tensor | float) -> Tensor:
    """What places are to be multiplied by to have this mean size; 0 where they are all 0."""
    mean = places.abs().nanmean()
    return torch.where(mean > 0, size / mean, torch.zeros_like(mean))
