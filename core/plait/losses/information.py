"""How much one view tells of another: bounds of their mutual information, in nats.

A critic scores pairs: ``scores[i, j]`` says how much more likely a_i and b_j are together than apart, so the diagonal
holds the true pairs. The best critic is the log ratio log p(a, b) / p(a) p(b) (`nwj` wants it plus 1). What is returned
is an estimate of the information, to be made large by the critic and the encoders; only `cpc` is a loss. Where there
is no second row to compare with an estimate is zero.

No estimate from N rows is both unbiased and steady (Song and Ermon, ICLR 2020): `info_nce_bound` cannot exceed log N,
`nwj` and `donsker_varadhan` have a variance that grows with the information, in the end exponentially, and `smile`
trades one for the other by its clip. ``benchmarks/information.py`` shows by how much, with the best critic.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from plait.losses.contrastive import info_nce
from plait.losses.gaussians import gaussian_entropy, gaussian_log_likelihood
from plait.losses.precision import full_precision, upcast


def cpc(predicted: Tensor, target: Tensor, scale: Tensor | float) -> Tensor:
    """Which of the batch's predictions belongs to each target (Oord et al., 2018, eq. 4; Han et al., 2021, MMIM).

    ::

        L = -1/N sum_i [ s <x_i, g(z_i)> - log sum_j exp(s <x_i, g(z_j)>) ]

    It is `info_nce` in one direction, from the targets x to the predictions g(z); log N - L is a lower bound of the
    information of z and x, and `cpc_ceiling` the most that it can be.

    Args:
        predicted: (N, D) unit vectors g(z).
        target: (N, D) unit vectors x.
        scale: s, 1 / temperature. The published code of MMIM has none, which is 1: its bound ends below one nat.

    Returns:
        A 0-d tensor, not negative; zero for N < 2.

    Raises:
        ValueError: where the two are not (N, D) tensors of one shape.
    """
    return info_nce(target, predicted, scale, a_to_b=1.0)


def cpc_ceiling(rows: int, scale: float) -> float:
    """The most that log N - `cpc` of unit vectors can be, in nats.

    The loss is least where the N predictions are the corners of a simplex and each target lies on its own::

        log N - log(1 + (N - 1) exp(-s - s / (N - 1)))

    It is less than log N, and less than s: 0.977 nats for 32 rows at s = 1, and never above 1 however many the rows.

    Args:
        rows: N.
        scale: s.
    """
    if rows < 2:
        return 0.0
    return math.log(rows) - math.log1p((rows - 1) * math.exp(-scale - scale / (rows - 1)))


def info_nce_bound(scores: Tensor) -> Tensor:
    """In expectation a lower bound, and at most log N (Oord et al., 2018; Poole et al., 2019).

    ::

        log N + mean_i [ s_ii - log sum_j exp(s_ij) ]

    Args:
        scores: (N, N).

    Returns:
        A 0-d tensor, at most log N.

    Raises:
        ValueError: where the scores are not square.
    """
    with full_precision(scores):
        scores = _square(scores)
        found = scores.diagonal() - scores.logsumexp(dim=1)
        return found.sum() / max(len(scores), 1) + math.log(max(len(scores), 1))


def nwj(scores: Tensor) -> Tensor:
    """In expectation a lower bound (Nguyen, Wainwright and Jordan, 2010).

    ::

        mean_i s_ii - mean_{i != j} exp(s_ij - 1)

    The best critic is the log ratio plus 1.

    Args:
        scores: (N, N).

    Returns:
        A 0-d tensor.

    Raises:
        ValueError: where the scores are not square.
    """
    with full_precision(scores):
        scores = _square(scores)
        if len(scores) < 2:
            return scores.sum() * 0.0
        return scores.diagonal().mean() - (_log_mean_exp(_apart(scores)) - 1.0).exp()


def donsker_varadhan(scores: Tensor) -> Tensor:
    """What MINE maximises (Belghazi et al., 2018), after Donsker and Varadhan, 1983.

    ::

        mean_i s_ii - log mean_{i != j} exp(s_ij)

    A lower bound of the information only with infinitely many rows: the logarithm of a mean over few rows is too
    small on average, so the estimate is too large.

    Args:
        scores: (N, N).

    Returns:
        A 0-d tensor.

    Raises:
        ValueError: where the scores are not square.
    """
    with full_precision(scores):
        scores = _square(scores)
        if len(scores) < 2:
            return scores.sum() * 0.0
        return scores.diagonal().mean() - _log_mean_exp(_apart(scores))


def jsd(scores: Tensor) -> Tensor:
    """How well true pairs are told from false ones (Nowozin et al., 2016; Hjelm et al., 2019, eq. 4).

    ::

        -mean_i softplus(-s_ii) - mean_{i != j} softplus(s_ij)

    A lower bound of twice the Jensen-Shannon divergence of joint and independent pairs, less 2 log 2. It is not in nats
    of information, but its best critic is the log ratio, and its gradient is steady.

    Args:
        scores: (N, N).

    Returns:
        A 0-d tensor in (-inf, 0); -2 log 2 for a critic that knows nothing.

    Raises:
        ValueError: where the scores are not square.
    """
    with full_precision(scores):
        scores = _square(scores)
        if len(scores) < 2:
            return scores.sum() * 0.0
        return -F.softplus(-scores.diagonal()).mean() - F.softplus(_apart(scores)).mean()


def smile(scores: Tensor, clip: float = 5.0) -> Tensor:
    """`donsker_varadhan` with the false pairs' scores clipped, and the gradient of `jsd` (Song and Ermon, 2020).

    ::

        mean_i s_ii - log mean_{i != j} exp(clamp(s_ij, -clip, clip))

    The value alone could be made as large as one likes, by scores above the clip; so its gradient is not used.

    Args:
        scores: (N, N).
        clip: tau, positive; the larger the less bias and the more variance.

    Returns:
        A 0-d tensor.

    Raises:
        ValueError: where the scores are not square, or the clip is not positive.
    """
    if clip <= 0:
        raise ValueError(f"clip = {clip} must be positive.")
    with full_precision(scores):
        scores = _square(scores)
        if len(scores) < 2:
            return scores.sum() * 0.0
        guide = jsd(scores)
        estimate = scores.diagonal().mean() - _log_mean_exp(_apart(scores).clamp(-clip, clip))
        return guide + (estimate - guide).detach()


def barber_agakov(mean: Tensor, log_variance: Tensor, target: Tensor, noise: float = 1e-2) -> Tensor:
    """E log q(y | x) + H(y): a lower bound up to the entropy of y (Barber and Agakov, 2003).

    H(y) is that of a Gaussian with the batch's covariance S, as in MMIM (Han et al., 2021). Both terms are of a y with
    some noise of variance r added, in closed form::

        1/N sum_i [ log q(y_i | x_i) - r/2 sum_d 1 / v_id ] + 1/2 log det 2 pi e (S + r I)

    Without noise a target that learns can win by becoming constant: the likelihood is then without bound, and S, as of
    fewer rows than dimensions, has no logarithm (the NaN of MMIM's released code). With it a constant target is worth
    zero at best, and so is any q that does not look at x. The entropy of few rows is too small, and so is the bound, by
    about D (D + 3) / 4 N nats: as an estimate it asks for many more rows than dimensions.

    Args:
        mean: (N, D) of q(y | x).
        log_variance: (N, D) log v of q(y | x).
        target: (N, D) y.
        noise: r, positive, in the unit of the target's variance.

    Returns:
        A 0-d tensor; zero for N = 0.

    Raises:
        ValueError: where the three are not (N, D) tensors of one shape, or the noise is not positive.
    """
    if not target.ndim == 2 or not mean.shape == log_variance.shape == target.shape or noise <= 0:
        raise ValueError(
            f"mean {tuple(mean.shape)}, log_variance {tuple(log_variance.shape)} and target {tuple(target.shape)} must "
            f"be (N, D) tensors of one shape, and noise = {noise} positive."
        )
    with full_precision(target):
        likelihood = gaussian_log_likelihood(mean, log_variance, target, noise)
        return likelihood.mean() + gaussian_entropy(target, noise) if len(target) else likelihood.sum()


def club(mean: Tensor, log_variance: Tensor, target: Tensor) -> Tensor:
    """E log q(y_i | x_i) - E log q(y_j | x_i) over all i and j: an upper bound where q is right (Cheng et al., 2020).

    The double sum is O(N^2 D); for a Gaussian q only the mean and the variance of y are in it, so that
    it is O(N D) here, and exact::

        1/N sum_id [ (m_id - mean(y)_d)^2 + var(y)_d - (y_id - m_id)^2 ] / 2 v_id

    q is to be fitted by `gaussian_log_likelihood` alone; made small by q too, the bound would mean nothing.

    Args:
        mean: (N, D) m of q(y | x).
        log_variance: (N, D) log v of q(y | x).
        target: (N, D) y.

    Returns:
        A 0-d tensor; zero for N < 2. Negative where q is worse than none.
    """
    with full_precision(target):
        mean, log_variance, target = upcast(mean), upcast(log_variance), upcast(target)
        rows = max(len(target), 1)
        centre = target.sum(dim=0) / rows
        spread = (target - centre).square().sum(dim=0) / rows
        apart = (mean - centre).square() + spread - (target - mean).square()
        return 0.5 * (apart * (-log_variance).exp()).sum() / rows


def _square(scores: Tensor) -> Tensor:
    if scores.ndim != 2 or scores.shape[0] != scores.shape[1]:
        raise ValueError(f"scores {tuple(scores.shape)} are not (N, N).")
    return upcast(scores)


def _apart(scores: Tensor) -> Tensor:
    """(N (N - 1),) scores of the pairs that do not belong together."""
    return scores[~torch.eye(len(scores), dtype=torch.bool, device=scores.device)]


def _log_mean_exp(scores: Tensor) -> Tensor:
    return scores.logsumexp(dim=0) - math.log(len(scores))
