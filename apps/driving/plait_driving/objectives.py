"""Contrast between an image and the sweep that it shows part of, by superpixels and by single points."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from plait.errors import InputError
from plait.losses.contrastive import info_nce
from plait.objectives import Objective, Step
from plait.pairs.batch import Padded, Value, pad, stack
from plait_driving.pairing import patches_of_pixels, pixel_of, segment_means


class Dense(NamedTuple):
    """The rows of a batch in which image and points are paired, in the shared space.

    Attributes:
        patches: (R, T, E) unit vectors on ``grid``.
        points: (R, N, E) unit vectors.
        mask: (R, N) whether a point is real.
        pixels: (R, N) the row-major pixel of each point.
        rows: (R,) positions in the batch.
        size: (H, W) of the images; ``grid`` of the patches.
    """

    patches: Tensor
    points: Tensor
    mask: Tensor
    pixels: Tensor
    rows: Tensor
    size: tuple[int, int]
    grid: tuple[int, int]


class SuperpixelInfoNCE(Objective):
    """A superpixel's pixels and its points agree, those of other superpixels do not (SLidR, Sautier et al., 2022).

    Unit features are averaged over all pixels, and over all points, of each superpixel that holds a point (eq. 1 and
    2: normalised before the mean and not after it), and contrasted over all superpixels of the whole batch (eq. 3).
    There is no teacher here: both encoders learn, so neither side is a fixed target, and both directions are used
    where SLidR goes from points to image only.

    Args:
        of: the image and the points.
        temperature: fixed, as in SLidR.
    """

    collators: Mapping[str, Callable[[list[Any]], Value]] = {"point_pixels": pad, "superpixels": stack}

    def __init__(self, of: tuple[str, str] = ("image", "points"), temperature: float = 0.07) -> None:
        super().__init__()
        self.modalities = _two(of)
        self.temperature = temperature

    def forward(self, step: Step) -> dict[str, Tensor]:
        dense = _dense(step, *self.modalities, needs=("point_pixels", "superpixels"))
        if dense is None:
            pair = _nothing(step)
        else:
            pair = _superpixel_means(dense, cast(Tensor, step.batch.values["superpixels"]))
        return {"superpixel_info_nce": _contrast(step, pair, self.temperature)}


class PointPixelInfoNCE(Objective):
    """A point and the patch that it falls on agree (PPKT, Liu et al., 2021), here without a teacher.

    Points that share a patch are each other's false negatives, so of each patch one point is taken.

    Args:
        of: the image and the points.
        temperature: fixed.
        pairs: the most pairs of one image, spread evenly over its points.
    """

    collators: Mapping[str, Callable[[list[Any]], Value]] = {"point_pixels": pad}

    def __init__(self, of: tuple[str, str] = ("image", "points"), temperature: float = 0.07, pairs: int = 256) -> None:
        super().__init__()
        self.modalities = _two(of)
        self.temperature, self.pairs = temperature, pairs

    def forward(self, step: Step) -> dict[str, Tensor]:
        dense = _dense(step, *self.modalities, needs=("point_pixels",))
        pair = _nothing(step) if dense is None else _point_pairs(dense, self.pairs)
        return {"point_pixel_info_nce": _contrast(step, pair, self.temperature)}


def _two(of: tuple[str, str]) -> tuple[str, str]:
    if len(of) != 2:
        raise InputError(f"of: {list(of)} is not the image's and the points' name: give two.")
    return of[0], of[1]


def _contrast(step: Step, pair: tuple[Tensor, Tensor], temperature: float) -> Tensor:
    """Symmetric InfoNCE over the pairs of all processes; zero, with a gradient of zero, where there are none."""
    first, second = (step.gather(side) for side in pair)
    return info_nce(first, second, 1.0 / temperature)


def _nothing(step: Step) -> tuple[Tensor, Tensor]:
    """No pairs; they require a gradient, so that this process, too, takes part in the gather's backward pass."""
    weight = next(step.model.parameters())
    dtype = torch.promote_types(weight.dtype, torch.float32)
    none = torch.zeros(0, step.model.embedding, dtype=dtype, device=weight.device, requires_grad=True)
    return none, none


def _dense(step: Step, image: str, points: str, needs: tuple[str, ...]) -> Dense | None:
    """Features of all rows that have both modalities and what ``needs`` names; ``None`` where there is no row."""
    present = step.batch.present
    paired = torch.stack([present[name] for name in (image, points, *needs)]).all(dim=0)
    if not bool(paired.any()):
        return None
    seen, swept = step.features(image), step.features(points)
    images, pixels = step.batch.values[image], step.batch.values["point_pixels"]
    if seen.grid is None or not isinstance(images, Tensor) or not isinstance(pixels, Padded):
        raise InputError(f"The encoder of '{image}' gives no grid of patches: choose a dense kind, such as timm_dense.")
    size = (images.shape[-2], images.shape[-1])
    return Dense(
        step.model.project(image, seen.tokens[paired]),
        step.model.project(points, swept.tokens[paired]),
        swept.mask[paired] & pixels.mask[paired],
        pixel_of(pixels.values[paired], size),
        paired.nonzero().squeeze(1),
        size,
        seen.grid,
    )


def _superpixel_means(dense: Dense, superpixels: Tensor) -> tuple[Tensor, Tensor]:
    """(S, E), (S, E): image and point means of every superpixel that holds a point."""
    ids = superpixels[dense.rows].flatten(1)
    # An id counts within its image; numbering them afresh over the batch has no limit to overflow.
    stride = int(ids.max()) + 1
    ids = ids + torch.arange(len(ids), device=ids.device)[:, None] * stride
    held, of_point = torch.unique(ids.gather(1, dense.pixels)[dense.mask], return_inverse=True)
    points = segment_means(dense.points[dense.mask], of_point, len(held))
    return _pooled_patches(dense, ids, held), points


def _pooled_patches(dense: Dense, ids: Tensor, held: Tensor) -> Tensor:
    """(S, E) means over all pixels of the superpixels ``held``, of patch features enlarged by nearest neighbour.

    Nothing is enlarged: how many pixels of a superpixel lie in a patch is counted, and weighs that patch.
    """
    patches = patches_of_pixels(dense.size, dense.grid, ids.device)
    number = dense.patches.shape[1]
    patches = patches + torch.arange(len(ids), device=ids.device)[:, None] * number
    position = torch.searchsorted(held, ids).clamp(max=len(held) - 1)
    inside = held[position] == ids
    key = position[inside] * (len(ids) * number) + patches[inside]
    cells, counts = torch.unique(key, return_counts=True)
    rows = dense.patches.flatten(0, 1)[cells % (len(ids) * number)]
    return segment_means(rows, cells // (len(ids) * number), len(held), counts)


def _point_pairs(dense: Dense, most: int) -> tuple[Tensor, Tensor]:
    """(P, E), (P, E): patches and points, at most ``most`` of an image and one of a patch."""
    patches = patches_of_pixels(dense.size, dense.grid, dense.pixels.device)[dense.pixels]
    firsts, seconds = [], []
    for row, mask in enumerate(dense.mask):
        points = mask.nonzero().squeeze(1)
        points = points[:: max(1, -(-len(points) // most))]
        patch, inverse = torch.unique(patches[row, points], return_inverse=True)
        chosen = points.new_zeros(len(patch)).scatter_reduce(0, inverse, points, "amax")
        firsts.append(dense.patches[row, patch])
        seconds.append(dense.points[row, chosen])
    return torch.cat(firsts), torch.cat(seconds)
