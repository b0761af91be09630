"""The raw-feature baseline: what can be had from colours and coordinates without learning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree
from torch import Tensor
from torch.nn import functional as F

from plait_driving.pairing import pixel_of

type Array = NDArray[np.float32]

NEIGHBOURS = 16


class ColourGrid:
    """An image as the mean colours of 4 x 8 fields."""

    def fit(self, samples: list[Tensor]) -> ColourGrid:  # noqa: ARG002 - there is nothing to fit
        return self

    def transform(self, samples: list[Tensor]) -> Array:
        return np.stack([F.adaptive_avg_pool2d(image, (4, 8)).flatten().numpy() for image in samples])


class HeightHistogram:
    """A sweep as the shares of its points in 8 heights x 6 distances, and the mean intensity of each."""

    heights = (-np.inf, -1.5, -1.0, -0.5, 0.0, 1.0, 2.0, 4.0, np.inf)
    distances = (0.0, 5.0, 10.0, 20.0, 40.0, 80.0, np.inf)

    def fit(self, samples: list[Tensor]) -> HeightHistogram:  # noqa: ARG002 - there is nothing to fit
        return self

    def transform(self, samples: list[Tensor]) -> Array:
        return np.stack([self._histogram(points.numpy()) for points in samples])

    def _histogram(self, points: Array) -> Array:
        place = points[:, 2], np.hypot(points[:, 0], points[:, 1])
        count, *_ = np.histogram2d(*place, bins=(self.heights, self.distances))
        bright, *_ = np.histogram2d(*place, bins=(self.heights, self.distances), weights=points[:, 3])
        both = [count / len(points), bright / np.maximum(count, 1)]
        return np.concatenate([part.ravel() for part in both]).astype(np.float32)


RAW = {"image": ColourGrid, "points": HeightHistogram}


def colours(image: Tensor, pixels: Tensor) -> Array:
    """(N, 3) RGB of a (3, H, W) image at (N, 2) pixels (u, v)."""
    height, width = image.shape[1:]
    return image.flatten(1)[:, pixel_of(pixels, (height, width))].T.numpy()


def geometry(points: Tensor, cloud: Tensor) -> Array:
    """(N, 7) height z, range, intensity, and the shape of each point's surroundings.

    The shape is read off the covariance of the 16 nearest points of the cloud, with eigenvalues a <= b <= c: how
    level the surface is (|z| of its normal), linear (c - b) / c, planar (b - a) / c and scattered a / c
    (Demantké et al., 2011, eq. 2). x and y alone are left out: what lies where is this street's, not the world's.

    Args:
        points: (N, 4) x, y, z [m], intensity.
        cloud: (M, 4) all points that may be neighbours, these among them.
    """
    place, around = points[:, :3].double().numpy(), cloud[:, :3].double().numpy()
    _, nearest = KDTree(around).query(place, k=min(NEIGHBOURS, len(around)))
    offsets = around[np.asarray(nearest).reshape(len(place), -1)]
    offsets -= offsets.mean(axis=1, keepdims=True)
    values, vectors = np.linalg.eigh(np.einsum("nki,nkj->nij", offsets, offsets))
    a, b, c = np.maximum(values, 1e-9).T
    level = np.abs(vectors[:, 2, 0])
    own = [place[:, 2], np.linalg.norm(place, axis=1), points[:, 3].numpy()]
    return np.stack([*own, level, (c - b) / c, (b - a) / c, a / c], axis=1).astype(np.float32)


def colour_of_geometry(geometry: Array, colour: Array, queries: Sequence[Array]) -> list[Array]:
    """Guess each query's colour from its geometry by ridge regression; colours in and out as (N, 3)."""
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    ridge = make_pipeline(StandardScaler(), Ridge(1.0)).fit(geometry, colour)
    return [ridge.predict(query).astype(np.float32) for query in queries]
