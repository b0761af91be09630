"""The points of each row that tasks are scored on, and what a subject says of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plait.errors import InputError
from plait.model import Model
from plait.pairs.batch import Sample
from plait.pairs.table import PairTable
from plait_driving.load import Loader
from plait_driving.pairing import patches_of_pixels, pixel_of
from plait_driving.raw import colours, geometry

type Array = NDArray[np.float32]

POINTS = {"train": 1000, "val": 3000}
"""A frame. shared/data/TASKS.md takes 3,000 of both; a third of the training points gives the same raw figures to
within 0.01, in a third of the time."""


@dataclass(frozen=True)
class Frame:
    """A row with some of its points chosen, the same in every run.

    Attributes:
        id, split, camera: the row's.
        sample: image (3, H, W), points (N, 4) and point_pixels (N, 2), as a model sees them.
        chosen: (n,) positions among the N points.
        labels: (n,) class group, or -1 throughout where the row has no labels.
        colour: (n, 3) RGB under each chosen point.
        geometry: (n, 7) as of `plait_driving.raw.geometry`.
    """

    id: str
    split: str
    camera: str
    sample: Sample
    chosen: NDArray[np.int64]
    labels: NDArray[np.int64]
    colour: Array
    geometry: Array


@lru_cache(maxsize=2)
def frames_of(table: PairTable, loader: Loader) -> tuple[Frame, ...]:
    """The train and validation rows that have image and points and can be read, each loaded once for all subjects.

    At most `POINTS` points a row are drawn (seeded by the row's place in the table), of those with a label where
    there are labels. Points that the camera cannot see are among them, as in shared/data/TASKS.md, and nothing is
    corrupted: what is asked is the same of all subjects, whatever their recipes take for hidden or trained under.
    """
    loader = replace(loader, occluded=True, corruption=None)
    frames: list[Frame] = []
    used = np.isin(table.splits, ("train", "val")) & table.present("image") & table.present("points")
    names = ("image", "points", "point_pixels", "labels")
    for index in np.flatnonzero(used):
        row = table.row(int(index))
        try:
            sample = loader(row, table.root, names)
            cloud = replace(loader, max_points=2**62).load(row, table.root, ("points",))["points"]
        except InputError:
            continue  # ingest has named it
        if sample["point_pixels"] is None:
            continue
        labels = sample.pop("labels")
        labels = np.full(len(sample["points"]), -1) if labels is None else labels.numpy()
        eligible = np.flatnonzero(labels >= 0) if (labels >= 0).any() else np.arange(len(labels))
        rng = np.random.default_rng([0, int(index)])
        chosen = np.sort(rng.choice(eligible, min(POINTS[row["split"]], len(eligible)), replace=False))
        points, pixels = sample["points"][chosen], sample["point_pixels"][chosen]
        colour, shape = colours(sample["image"], pixels), geometry(points, cloud)
        frames.append(Frame(row["id"], row["split"], row["camera"], sample, chosen, labels[chosen], colour, shape))
    return tuple(frames)


def patches(frame: Frame, grid: tuple[int, int]) -> NDArray[np.int64]:
    """(n,) the patch of an image encoder's grid that each chosen point falls on."""
    height, width = frame.sample["image"].shape[1:]
    pixels = pixel_of(frame.sample["point_pixels"][frame.chosen], (height, width))
    return patches_of_pixels((height, width), grid)[pixels].numpy()


@torch.no_grad()
def tokens_of(model: Model, frame: Frame, embed: bool = False) -> tuple[Tensor, Tensor, tuple[int, int]]:
    """What a model says of a frame: patch features (T, D), point features (N, D) of all N points, and the grid.

    With ``embed``, both are unit vectors in the shared space (T, E), (N, E). Raises `InputError` for a model
    whose image encoder has no grid of patches.
    """
    device = next(model.parameters()).device
    batch = model.collate([frame.sample], [frame.id], [frame.id]).to(device)
    image, points = (model.encode(name, batch.values[name]) for name in ("image", "points"))
    if image.grid is None:
        raise InputError("This run's image encoder gives no grid of patches: use a dense kind, such as timm_dense.")
    both = [features.tokens[0] for features in (image, points)]
    if embed:
        both = [model.project(name, tokens) for name, tokens in zip(("image", "points"), both, strict=True)]
    return both[0].float().cpu(), both[1].float().cpu(), image.grid


def at_points(model: Model, frame: Frame, embed: bool = False) -> tuple[Array, Array, NDArray[np.int64]]:
    """(n, D) the features of the patch under each chosen point, (n, D) its own, and (n,) which patch it is."""
    image, points, grid = tokens_of(model, frame, embed)
    under = patches(frame, grid)
    return cast(Array, image[under].numpy()), cast(Array, points[frame.chosen].numpy()), under
