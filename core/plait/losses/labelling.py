"""Labels that a network's own predictions give its data, under a rule on how large each cluster is.

Without such a rule the best labels for any network are all the same one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from plait.losses.precision import full_precision, upcast
from plait.losses.transport import sinkhorn


@torch.no_grad()
def self_labels(
    log_probabilities: Sequence[Tensor], masses: Tensor, sharpness: float = 25.0, iterations: int = 100
) -> Tensor:
    """Spread rows over clusters as their predictions like it best while the clusters keep their masses.

    With P the geometric mean of the modalities' predictions and lambda the sharpness::

        Q = diag(a) P^lambda diag(b)   with   Q 1 = 1 / N,  Q^T 1 = masses

    Asano et al., ICLR 2020 (SeLa), with equal masses; Asano et al., NeurIPS 2020 (SeLaVi), of several modalities, for
    which P^lambda is the product of their P_m^(lambda / M), and of any masses. Computed as `sinkhorn` of log P.

    Args:
        log_probabilities: of each modality (N, K) log-softmax predictions; cluster k must be the same in all of them.
        masses: (K,), not negative, of sum one.
        sharpness: lambda, positive; the larger, the nearer Q is to a hard assignment.
        iterations: of Sinkhorn, at least 1.

    Returns:
        (N, K) Q, of which ``argmax(dim=1)`` are the labels. The row sums are exact, the column sums in the limit.

    Raises:
        ValueError: where the shapes do not fit, or as for `sinkhorn`.
    """
    if not log_probabilities or any(p.shape != log_probabilities[0].shape for p in log_probabilities):
        raise ValueError("log_probabilities are not one or more (N, K) tensors of one shape.")
    with full_precision(masses):
        shared = torch.stack([upcast(p) for p in log_probabilities]).mean(dim=0)
        return sinkhorn(shared, 1.0 / sharpness, iterations, columns=masses.to(shared.dtype))


def gaussian_masses(k: int, deviation: float, generator: torch.Generator, least: float = 0.1) -> Tensor:
    """Cluster sizes about their mean, as clusters of real data are not of one size (SeLaVi).

    ::

        m_k = max(1 + deviation z_k, least) / sum,   z_k normal

    Args:
        k: the number of clusters.
        deviation: of the sizes relative to their mean; 0 for equal sizes.
        generator: on the CPU.
        least: the smallest size, relative to the mean.

    Returns:
        (k,) float64, positive, of sum one.
    """
    sizes = (1.0 + deviation * torch.randn(k, generator=generator, dtype=torch.float64)).clamp(min=least)
    return sizes / sizes.sum()


def ranked_masses(masses: Tensor, current: Tensor) -> Tensor:
    """Give the largest mass to what is the largest cluster now, the next to the next, and so on.

    Of all permutations of the masses it costs the least transport (SeLaVi). The released code divides
    where it should multiply, and so gives the largest mass to the smallest cluster.

    Args:
        masses: (K,).
        current: (K,) sizes in any unit.

    Returns:
        (K,), a permutation of ``masses``.
    """
    ranked = torch.empty_like(masses)
    ranked[current.argsort(stable=True)] = masses.sort().values
    return ranked
