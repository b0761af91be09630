"""A bound of information in which the entropy is that of classes."""

from __future__ import annotations

import torch
from torch import Tensor

from plait.losses.gaussians import gaussian_entropy, gaussian_log_likelihood
from plait.losses.precision import full_precision


def class_barber_agakov(
    mean: Tensor, log_variance: Tensor, target: Tensor, known: Tensor, classes: Tensor, noise: float = 1e-2
) -> Tensor:
    """`barber_agakov` with H(y) from one Gaussian a class: E log q(y | x) + H(y | class) (Han et al., 2021, MMIM).

    With the covariance S_c of the rows of class c, of which there are C, and y with noise of variance r added::

        1/N sum_i E log q(y_i | x_i) + 1 / 2C sum_c log det 2 pi e (S_c + r I)

    For two classes this is MMIM's 1/4 [log det S_1 + log det S_2] with its constant. A y with classes is no Gaussian:
    one Gaussian over them all takes the distance between the classes for information. Of Gaussian classes that are
    equally frequent this is a lower bound of the information, short of it by I(y; class) or more; that is at most
    log C.

    Args:
        mean: (N, D) of q(y | x).
        log_variance: (N, D) log v of q(y | x).
        target: (N, D) y.
        known: (M, D) rows of y whose class may be known, such as those of ``target`` after those of earlier batches.
        classes: (M,) int64, negative where none is known. A class of fewer than two rows has no spread, and no say.
        noise: r, positive, in the unit of the target's variance.

    Returns:
        A 0-d tensor; zero where N = 0, or no class has two rows.

    Raises:
        ValueError: where the shapes do not fit, or the noise is not positive.
    """
    if not target.ndim == known.ndim == 2 or not mean.shape == log_variance.shape == target.shape or noise <= 0:
        raise ValueError(
            f"mean {tuple(mean.shape)}, log_variance {tuple(log_variance.shape)} and target {tuple(target.shape)} must "
            f"be (N, D) tensors of one shape, known {tuple(known.shape)} (M, D), and noise = {noise} positive."
        )
    with full_precision(target):
        likelihood = gaussian_log_likelihood(mean, log_variance, target, noise)
        names, counts = classes[classes >= 0].unique(return_counts=True)
        found = [gaussian_entropy(known[classes == name], noise) for name in names[counts > 1].tolist()]
        if not found or not len(target):
            return likelihood.sum() * 0.0
        return likelihood.mean() + torch.stack(found).mean()
