"""Losses that teach a network the clusters of its data, and modalities each other's.

What a label is comes from elsewhere: `plait.losses.kmeans`, `plait.losses.labelling`, `plait.losses.transport`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from plait.losses.precision import full_precision, upcast


def swapped_prediction(
    scores_a: Tensor, scores_b: Tensor, assigned_a: Tensor, assigned_b: Tensor, scale: float
) -> Tensor:
    """Each view predicts the other's assignment to prototypes (SwAV; Caron et al., 2020, eq. 1-2).

    ::

        L = -1/2N sum_i [ <q_i^b, log softmax(scale s_i^a)> + <q_i^a, log softmax(scale s_i^b)> ]

    The paper sums the two directions; here they are averaged.

    Args:
        scores_a: (N, K) cosines of the first view with the prototypes.
        scores_b: (N, K), of the second.
        assigned_a: (N, K) q^a, held fixed; each row sums to one.
        assigned_b: (N, K) q^b, likewise.
        scale: positive, 1 / temperature.

    Returns:
        A 0-d tensor, at least the mean entropy of the assignments; zero for N = 0.

    Raises:
        ValueError: where the shapes are not the same.
    """
    shapes = {tuple(x.shape) for x in (scores_a, scores_b, assigned_a, assigned_b)}
    if len(shapes) != 1:
        raise ValueError(f"scores and assignments are of shapes {sorted(shapes)}: all must be (N, K).")
    with full_precision(scores_a):
        said = [(scale * upcast(scores)).log_softmax(dim=1) for scores in (scores_a, scores_b)]
        agreement = said[0] * assigned_b.detach() + said[1] * assigned_a.detach()
        return -agreement.sum() / (2 * max(len(scores_a), 1))


def balanced_weights(labels: Tensor, k: int) -> Tensor:
    """Weights with which every cluster that there is counts the same, however many rows it has.

    ``w_i = N / (K' n_i)`` with n_i the rows that share row i's label and K' the clusters that have any, so the mean
    weight is one. With them, saying the same of every row costs log K' or more, so small clusters cannot be ignored.
    To this end Caron et al., 2018 (DeepCluster) and Alwassel et al., 2020 (XDC) sample evenly over clusters.

    Args:
        labels: (N,) int64; negative for a row without a label.
        k: the number of clusters.

    Returns:
        (N,) float32; zero for a row without a label.
    """
    labelled = labels >= 0
    counts = labels[labelled].bincount(minlength=k)
    weights = labelled.sum() / (counts.count_nonzero() * counts).clamp(min=1)
    return torch.where(labelled, weights[labels.clamp(min=0)], 0.0)


def route(votes: Tensor, mask: Tensor, iterations: int = 3) -> Tensor:
    """Cluster each row's tokens about K centres of its own, each centre in a space of its own.

    From equal shares, so often (DMC; Hu et al., 2019)::

        o_k  =  unit vector of  sum_t share_tk u_tk,        share_t  =  softmax_k <o_k, u_tk>

    Args:
        votes: (B, T, K, D) u, each token as each centre's space shows it.
        mask: (B, T) bool, true where a token is real.
        iterations: at least 1.

    Returns:
        (B, K, D) o; zero for a row without tokens. The gradient goes through every iteration.
    """
    with full_precision(votes):
        votes = upcast(votes) * mask[:, :, None, None]
        shares = votes.new_full(votes.shape[:3], 1.0 / votes.shape[2])
        centres = _centres(votes, shares)
        for _ in range(iterations - 1):
            shares = torch.einsum("bkd,btkd->btk", centres, votes).softmax(dim=2)
            centres = _centres(votes, shares)
        return centres


def deep_multimodal_clustering(a: Tensor, b: Tensor, margin: float = 1.0) -> Tensor:
    """A row's centres in two modalities are alike, those of two rows are not, by a margin.

    With c_ij = sum_k cos(a_ik, b_jk), K centres and m the margin a centre::

        L = 1/2 1/(N (N - 1)) sum_i sum_{j != i} ( [K m + c_ij - c_ii]_+ + [K m + c_ji - c_ii]_+ )

    Hu et al., 2019 (DMC), the max-margin loss, here over all the batch's other rows and averaged. It is K m where all
    rows are alike.

    Args:
        a: (N, K, D) centres.
        b: (N, K, D) centres of the same rows in the same order of centres.
        margin: m, in units of the cosine.

    Returns:
        A 0-d tensor, not negative; zero for N < 2.

    Raises:
        ValueError: where ``a`` and ``b`` are not two (N, K, D) tensors of one shape.
    """
    if a.ndim != 3 or a.shape != b.shape:
        raise ValueError(f"a {tuple(a.shape)} and b {tuple(b.shape)} are not two (N, K, D) tensors of one shape.")
    with full_precision(a):
        a, b = F.normalize(upcast(a), dim=2), F.normalize(upcast(b), dim=2)
        alike = torch.einsum("ikd,jkd->ij", a, b)
        others = ~torch.eye(len(a), dtype=torch.bool, device=a.device)
        own, threshold = alike.diagonal(), a.shape[1] * margin
        hinges = F.relu(threshold + alike - own[:, None]) + F.relu(threshold + alike - own)
        return (hinges * others).sum() / (2 * max(len(a) * (len(a) - 1), 1))


def cluster_contrast(x: Tensor, centroids: Tensor, labels: Tensor, scale: float) -> Tensor:
    """Each row finds its centroid among all (MCN; Chen et al., 2021, the clustering loss).

    ::

        L_i = -log softmax_k(scale cos(x_i, centroid_k))_{label_i}

    Args:
        x: (N, D), of any length.
        centroids: (K, D), of any length, held fixed.
        labels: (N,) int64, the centroid of the row's modalities together.
        scale: positive, 1 / temperature.

    Returns:
        (N,), not negative; log K where all centroids are one.
    """
    with full_precision(x):
        x = F.normalize(upcast(x), dim=1)
        cosines = x @ F.normalize(centroids.detach().to(x.dtype), dim=1).T
        return F.cross_entropy(scale * cosines, labels, reduction="none")


def masked_margin_softmax(a: Tensor, b: Tensor, scale: float = 1.0, margin: float = 0.001) -> Tensor:
    """InfoNCE, both directions summed, in which a row must beat the others by a margin (Ilharco et al., 2019, MMS).

    With s_ij = scale <a_i, b_j>::

        L = -1/N sum_i [ log softmax_j(s_ij - margin [i = j])_i + the same of s_ji ]

    Args:
        a: (N, D), of any length.
        b: (N, D), likewise; the partners.
        scale: positive. The paper and MCN (Chen et al., 2021) have 1, as their vectors are not of unit length.
        margin: in units of s.

    Returns:
        A 0-d tensor, not negative; zero for N < 2.

    Raises:
        ValueError: where ``a`` and ``b`` are not two (N, D) tensors of one shape.
    """
    if a.ndim != 2 or a.shape != b.shape:
        raise ValueError(f"a {tuple(a.shape)} and b {tuple(b.shape)} are not two (N, D) tensors of one shape.")
    with full_precision(a):
        a, b = upcast(a), upcast(b)
        scores = scale * a @ b.T - margin * torch.eye(len(a), dtype=a.dtype, device=a.device)
        rows = scores.logsumexp(dim=0) + scores.logsumexp(dim=1) - 2 * scores.diagonal()
        return rows.sum() / max(len(a), 1)


def _centres(votes: Tensor, shares: Tensor) -> Tensor:
    return F.normalize(torch.einsum("btk,btkd->bkd", shares, votes), dim=2)
