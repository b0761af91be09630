"""Margin losses: what belongs together is nearer than what does not, by a margin, and then left alone.

N rows, D dimensions. Row i of ``a`` and row i of ``b`` are two views of one instance. All is computed in float32 or
better. A distance of zero has the gradient zero.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from plait.losses.precision import full_precision
from plait.losses.rows import mean_of, off_diagonal, paired


def vse_sum(a: Tensor, b: Tensor, margin: float = 0.2) -> Tensor:
    """The sum of hinges: each row's partner is more alike than every other row is, by a margin, both ways.

    With s_ij = <a_i, b_j>::

        L = 1/N sum_i sum_{j != i} ( [margin + s_ij - s_ii]_+ + [margin + s_ji - s_ii]_+ )

    Kiros et al., 2014 (VSE); the "sum of hinges" of Faghri et al., 2018 (VSE++).

    Args:
        a: (N, D) unit vectors.
        b: (N, D) unit vectors.
        margin: positive.

    Returns:
        A 0-d tensor, not negative. Zero for N < 2.

    Raises:
        ValueError: where ``a`` and ``b`` are not two (N, D) tensors of one shape.
    """
    with full_precision(a):
        forth, back = _hinges(a, b, margin)
        return mean_of(forth.sum(dim=1) + back.sum(dim=1))


def vse_hardest(a: Tensor, b: Tensor, margin: float = 0.2) -> Tensor:
    """The hinge of the hardest negative alone, both ways.

    With the notation of `vse_sum`::

        L = 1/N sum_i ( max_{j != i} [margin + s_ij - s_ii]_+ + max_{j != i} [margin + s_ji - s_ii]_+ )

    The "max of hinges" of Faghri et al., 2018 (VSE++). Where all rows are alike it is 2 margin, without a gradient;
    from random weights, training first lingers near there.

    Args:
        a: (N, D) unit vectors.
        b: (N, D) unit vectors.
        margin: positive.

    Returns:
        A 0-d tensor, not negative. Zero for N < 2.

    Raises:
        ValueError: as for `vse_sum`.
    """
    with full_precision(a):
        # A column of zeros changes no maximum of what is not negative, and one row has no other column.
        forth, back = (functional.pad(hinges, (0, 1)).amax(dim=1) for hinges in _hinges(a, b, margin))
        return mean_of(forth + back)


def siamese_margin(a: Tensor, b: Tensor, same: Tensor, margin: float = 0.6) -> Tensor:
    """Pairs of one instance are near; pairs of two are at least a margin apart.

    With d_i = |a_i - b_i| and y_i whether pair i is of one instance::

        L = 1/N sum_i ( y_i d_i^2 + (1 - y_i) [margin - d_i]_+^2 )

    Hadsell et al., 2006, without its halves; Nagrani et al., 2018 (Learnable PINs); Korbar et al., 2018 (AVTS).

    Args:
        a: (N, D).
        b: (N, D).
        same: (N,) bool.
        margin: positive, in units of the distance; between unit vectors that is at most 2.

    Returns:
        A 0-d tensor, not negative. Zero for N = 0.

    Raises:
        ValueError: as for `vse_sum`.
    """
    with full_precision(a):
        a, b = paired(a, b)
        difference = a - b
        apart = functional.relu(margin - torch.linalg.vector_norm(difference, dim=1))
        return mean_of(torch.where(same, difference.square().sum(dim=1), apart.square()))


@torch.no_grad()
def negative_at(a: Tensor, b: Tensor, hardness: float) -> Tensor:
    """For each row of ``a``, the row of ``b`` of another instance that is harder than a share of the others.

    The N - 1 rows of the other instances are ordered from the farthest to the nearest, and the one at
    ``hardness (N - 2)``, rounded, is taken: 0 the easiest, 1 the hardest (Nagrani et al., 2018, curriculum mining).

    Args:
        a: (N, D), N at least 2.
        b: (N, D).
        hardness: in [0, 1].

    Returns:
        (N,) int64 positions in ``b``.

    Raises:
        ValueError: as for `vse_sum`, and for fewer than two rows.
    """
    if len(a) < 2:
        raise ValueError(f"There is no negative among {len(a)} rows: at least 2 are needed.")
    with full_precision(a):
        a, b = paired(a, b)
        others = off_diagonal(_distances(a, b)).argsort(dim=1, descending=True, stable=True)
        chosen = others[:, round(hardness * (len(a) - 2))]
        # Positions were counted without the row itself.
        return chosen + (chosen >= torch.arange(len(a), device=a.device))


def batch_triplet(a: Tensor, b: Tensor, margin: float = 1.0) -> Tensor:
    """Each row's partner is nearer than every other row, by a margin, both ways; averaged over all triplets.

    With d_ij = |a_i - b_j|::

        L = 1/2 1/(N (N - 1)) sum_i sum_{j != i} ( [margin + d_ii - d_ij]_+ + [margin + d_ii - d_ji]_+ )

    Heidler et al., 2023 (SoundingEarth), batch triplet loss. The released code averages over j = i too: that is
    ((N - 1) L + margin) / N, which no embedding can bring below margin / N.

    Args:
        a: (N, D).
        b: (N, D).
        margin: positive, in units of the distance.

    Returns:
        A 0-d tensor, not negative. Zero for N < 2.

    Raises:
        ValueError: as for `vse_sum`.
    """
    with full_precision(a):
        distances = _distances(*paired(a, b))
        partner = distances.diagonal()[:, None]
        triplets = [functional.relu(margin + partner - off_diagonal(square)) for square in (distances, distances.T)]
        return mean_of(torch.cat(triplets).flatten())


def _hinges(a: Tensor, b: Tensor, margin: float) -> list[Tensor]:
    """(N, N - 1) hinges of each row of ``a`` with all other rows of ``b``, and of each of ``b`` with those of ``a``."""
    a, b = paired(a, b)
    similarities = a @ b.T
    partner = similarities.diagonal()[:, None]
    return [functional.relu(margin + off_diagonal(square) - partner) for square in (similarities, similarities.T)]


def _distances(a: Tensor, b: Tensor) -> Tensor:
    """(N, N) Euclidean distances, from differences: by products, those of near rows would lose half their digits."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
