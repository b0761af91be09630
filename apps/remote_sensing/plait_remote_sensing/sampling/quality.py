"""How well patches are shuffled: what batches look like beside batches of independent draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from plait_remote_sensing.raster import Window


class ShuffleQuality(NamedTuple):
    """Of the patches of one place, in the order given and cut into batches.

    Attributes:
        distance: mean distance of two patches of a batch, over that of any two patches: 1 where they are independent.
        design_effect: variance of the mean of a value over a batch, over what it is for independent patches (Kish,
            1965): a batch of B is worth B / design_effect independent patches.
        superblocks: from how many superblocks a batch comes, as a mean.
        independent: how many it would be if patches were independent.
    """

    distance: float
    design_effect: float
    superblocks: float
    independent: float


def shuffle_quality(
    windows: Sequence[Window], blocks: Sequence[int], values: NDArray[np.floating], batch: int
) -> ShuffleQuality:
    """Measure how well one place's patches are shuffled.

    Args:
        windows: N patches in the order given.
        blocks: (N,) which superblock each comes from.
        values: (N,) what is learnt from a patch, such as the mean of a band or the share of a class in it.
        batch: patches in a batch, at least 2; those after the last whole batch are left out.
    """
    whole = len(windows) // batch * batch
    middles = np.asarray([(w.column + w.width / 2, w.row + w.height / 2) for w in windows])
    grouped = middles[:whole].reshape(-1, batch, 2)
    means = values[:whole].reshape(-1, batch).mean(axis=1)
    of_block = np.asarray(blocks)
    shares = np.unique(of_block, return_counts=True)[1] / len(of_block)
    return ShuffleQuality(
        float(np.mean([_spread(places) for places in grouped]) / _spread(middles)),
        float(batch * means.var() / values.var()),
        float(np.mean([len(np.unique(each)) for each in of_block[:whole].reshape(-1, batch)])),
        float((1 - (1 - shares) ** batch).sum()),
    )


def _spread(places: NDArray[np.float64]) -> float:
    """The mean distance of two different ones of (n, 2) places."""
    apart = places[:, None] - places[None]
    return float(np.hypot(apart[..., 0], apart[..., 1]).sum() / (len(places) * (len(places) - 1)))
