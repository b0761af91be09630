"""Superpixels of uneven size that follow the picture's own scale, by Felzenszwalb and Huttenlocher."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plait_driving.superpixels.colour import picture_size


def felzenszwalb(image: NDArray[np.floating], scale: float, sigma: float, smallest: int) -> NDArray[np.int64]:
    """Cut an image into superpixels by a minimum spanning forest (Felzenszwalb and Huttenlocher, IJCV 2004).

    scikit-image does it: the forest grows edge by edge, which a compiled loop does best.

    Args:
        image: (H, W, 3) in [0, 1].
        scale: the larger, the larger the superpixels (k of the paper, for values from 0 to 255).
        sigma: width [pixels] of the smoothing before.
        smallest: superpixels of fewer pixels are merged with a neighbour.

    Returns:
        (H, W) ids from 0 without holes.

    Raises:
        InputError: where the image is empty, no colour image, or has values that are not finite.
    """
    from skimage import segmentation

    size = picture_size(image)
    ids = segmentation.felzenszwalb(image, scale=scale, sigma=sigma, min_size=smallest)
    return np.unique(ids, return_inverse=True)[1].reshape(size)
