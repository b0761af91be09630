"""Words for what has none: a codebook learnt by online k-means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import override

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plait.losses.kmeans import nearest

DEAD = 0.01
"""A code is dead where it is used less than this share of its even part."""


@dataclass(frozen=True)
class Seen:
    """What a step shows a codebook.

    Attributes:
        counts: (K,) points of each code.
        sums: (K, P) their sums.
        spare: (S, P) points at which dead codes may start again.
    """

    counts: Tensor
    sums: Tensor
    spare: Tensor


class Codebook(nn.Module):
    """Running means of the points that are nearest to each code (van den Oord et al., 2017, VQ-VAE, appendix A.1).

    With n_k points of code k in a step and their sum s_k::

        N_k <- d N_k + (1 - d) n_k,   m_k <- d m_k + (1 - d) s_k,   e_k = m_k / N_k

    A code that has hardly any points starts anew at one of the step's (as in Dhariwal et al., 2020, Jukebox); so
    do all at first. Equal on every process, as it is fed what all of them see.

    Args:
        codes: K.
        width: P.
        decay: d in [0, 1).
    """

    masses: Tensor
    sums: Tensor

    def __init__(self, codes: int, width: int, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("masses", torch.zeros(codes))
        self.register_buffer("sums", torch.zeros(codes, width))

    @property
    def alive(self) -> Tensor:
        """(K,) bool: the codes that have begun."""
        return self.masses > 0.0

    @override
    def forward(self, points: Tensor) -> Tensor:
        """(N,) int64, the nearest code to each of (N, P) points; 0 while there is none."""
        alive = self.alive.nonzero().squeeze(1)
        if not len(alive) or not len(points):
            return torch.zeros(len(points), dtype=torch.int64, device=points.device)
        centres = (self.sums / self.masses[:, None])[alive]
        return alive[nearest(points.to(centres.dtype), centres)[1]]

    def see(self, points: Tensor, spare: Tensor) -> Seen:
        """What (N, P) points and ``spare`` (S, P) are to it; nothing changes until `learn`."""
        points = points.to(self.sums.dtype)
        counts, sums = torch.zeros_like(self.masses), torch.zeros_like(self.sums)
        if bool(self.alive.any()):
            codes = self(points)
            counts = F.one_hot(codes, len(counts)).sum(dim=0).to(counts)
            sums = sums.index_add(0, codes, points)
        return Seen(counts, sums, spare.to(self.sums.dtype))

    @torch.no_grad()
    def learn(self, seen: Seen) -> None:
        """Move a step, then begin dead codes anew."""
        self.masses.mul_(self.decay).add_(seen.counts, alpha=1.0 - self.decay)
        self.sums.mul_(self.decay).add_(seen.sums, alpha=1.0 - self.decay)
        even = float(self.masses.sum()) / len(self.masses) or 1.0
        dead = (self.masses < DEAD * even).nonzero().squeeze(1)[: len(seen.spare)]
        self.masses[dead] = even
        self.sums[dead] = even * seen.spare[: len(dead)]
