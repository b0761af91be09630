"""Dense maps: what lies at one place in two modalities' maps agrees, what lies elsewhere does not.

A map is (B, T, D), its tokens the places of a grid, row by row; D are the channels. Every mean and norm here is over
places or over channels and says which.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from plait.losses.local import contrast
from plait.losses.precision import full_precision, upcast

type Critic = Callable[[Tensor, Tensor], Tensor]
"""How alike the rows of (N, ...) and of (M, ...) are: (N, M)."""


def cosine_critic(a: Tensor, b: Tensor) -> Tensor:
    """Cosine of the patches as vectors, over places and channels (CoMIR, Pielawski et al., 2020); in [-1, 1].

    Args:
        a: (N, K, D) patches of K places and D channels, or (N, D) for single places.
        b: (M, K, D) or (M, D).

    Returns:
        (N, M), in float32 or better.
    """
    with full_precision(a):
        a, b = (F.normalize(upcast(side).flatten(1), dim=1) for side in (a, b))
        return a @ b.T


def mse_critic(a: Tensor, b: Tensor) -> Tensor:
    """Minus the mean squared difference over places and channels (CoMIR, Pielawski et al., 2020); never positive.

    Args and result as for `cosine_critic`.
    """
    with full_precision(a):
        a, b = upcast(a).flatten(1), upcast(b).flatten(1)
        # Differences and not the expanded square: of near-equal patches the latter is all rounding.
        return -torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square() / max(a.shape[1], 1)


def dense_info_nce(a: Tensor, b: Tensor, temperature: float = 0.5, critic: Critic = mse_critic) -> Tensor:
    """Each patch finds the patch of the other modality at its own place (CoMIR, Pielawski et al., 2020).

    As in NT-Xent the 2N patches of both modalities are each other's negatives, those of one's own modality too::

        L = -1/2N sum_i log[ exp(h(z_i, z_i')/t) / sum_{j != i} exp(h(z_i, z_j)/t) ],   z = [a; b], z_i' its partner

    Args:
        a: (N, K, D) patches, or (N, D) single places, of the one modality.
        b: the same places of the other.
        temperature: t; positive. The authors have 0.5 for the squared difference on microscopy, 0.1 on Zurich.
        critic: h.

    Returns:
        A 0-d tensor, not negative; zero for N = 1, which has no negatives, and for N = 0.

    Raises:
        ValueError: where the two are not of one shape.
    """
    if a.shape != b.shape or a.ndim < 2:
        raise ValueError(f"a {tuple(a.shape)} and b {tuple(b.shape)} are not patches of the same places.")
    with full_precision(a):
        both = torch.cat([a, b])
        itself = torch.eye(len(both), dtype=torch.bool, device=a.device)
        logits = (critic(both, both) / temperature).masked_fill(itself, -torch.inf)
        # Row i's partner is N columns on; turned by N, the partners are the diagonal.
        return contrast(logits.roll(len(a), dims=1), a_to_b=1.0)


def patches_at(maps: Tensor, grid: tuple[int, int], corners: Tensor, side: int) -> Tensor:
    """Square patches of dense maps.

    Args:
        maps: (B, T, D), T = H * W.
        grid: (H, W), both at least ``side``.
        corners: (B, P, 2) in [0, 1), where each patch's first place lies between the least and the most possible.
        side: s, of a patch [places].

    Returns:
        (B * P, s * s, D).
    """
    room = torch.tensor([grid[0] - side + 1, grid[1] - side + 1], device=maps.device)
    row, column = (corners.to(maps.device) * room).long().unbind(dim=-1)
    inside = torch.arange(side, device=maps.device)
    rows = row[..., None, None] + inside[:, None]
    places = (rows * grid[1] + column[..., None, None] + inside).flatten(1)
    taken = maps.gather(1, places.unsqueeze(-1).expand(-1, -1, maps.shape[-1]))
    return taken.reshape(-1, side * side, maps.shape[-1])


def pooled_regions(maps: Tensor, grid: tuple[int, int], regions: Tensor) -> tuple[Tensor, Tensor]:
    """The mean unit feature over the pixels of each region of a batch (SLidR, Sautier et al., 2022, eq. 1 and 2).

    A pixel has the feature of the place of the grid that it lies in. Features are normalised before the mean and the
    mean is not normalised again: a region of mixed content says so by its length. Regions are told apart by row and
    id, whatever the ids; a narrow type such as uint8 cannot make two of them one.

    Args:
        maps: (B, T, D), T = H * W; normalised here, over the channels.
        grid: (H, W).
        regions: (B, Y, X) ids of any integer type; a negative one belongs to no region.

    Returns:
        (S, D) means, each of a length of at most 1, in float32 or better, and the (S, 2) row and id of each region,
        in order. Equal ``regions`` give equal orders, whatever the maps.

    Raises:
        ValueError: where the maps do not fit the grid or the regions.
    """
    if regions.ndim != 3 or len(regions) != len(maps) or maps.shape[1] != grid[0] * grid[1]:
        raise ValueError(f"Maps {tuple(maps.shape)} on grid {grid} do not fit regions {tuple(regions.shape)}.")
    with full_precision(maps):
        unit = F.normalize(upcast(maps), dim=-1)
        ids = regions.long().flatten(1)
        place = _place_of_pixel((regions.shape[1], regions.shape[2]), grid, ids.device).expand_as(ids)
        row = torch.arange(len(ids), device=ids.device)[:, None].expand_as(ids)
        inside = ids >= 0
        keys, segment = torch.unique(torch.stack([row[inside], ids[inside]], dim=1), dim=0, return_inverse=True)
        # How many pixels of a region lie in a place weighs that place: nothing is enlarged to the pixels' size.
        cell = row[inside] * maps.shape[1] + place[inside]
        pairs, count = torch.unique(torch.stack([segment, cell], dim=1), dim=0, return_counts=True)
        total = unit.new_zeros(len(keys), maps.shape[2])
        total = total.index_add(0, pairs[:, 0], unit.flatten(0, 1)[pairs[:, 1]] * count[:, None])
        pixels = torch.bincount(segment, minlength=len(keys))
        return total / pixels[:, None], keys


def _place_of_pixel(size: tuple[int, int], grid: tuple[int, int], device: torch.device) -> Tensor:
    """(Y * X,) the place of the grid that each pixel lies in, both row by row."""
    rows = torch.arange(size[0], device=device) * grid[0] // size[0]
    columns = torch.arange(size[1], device=device) * grid[1] // size[1]
    return (rows[:, None] * grid[1] + columns).flatten()
