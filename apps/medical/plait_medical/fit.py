"""A film made smaller: the one way this suite resizes."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional


def fitted(pixels: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Resize (H, W) in [0, 1] so that its longest side is ``side``; proportions stay, and what shrinks is averaged."""
    height, width = pixels.shape
    scale = side / max(height, width)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    film = torch.from_numpy(pixels)[None, None]
    small = functional.interpolate(film, size=size, mode="bilinear", antialias=True)[0, 0]
    return small.clamp_(0, 1).numpy()  # the weights of an average sum to 1 but for their rounding


def squared(film: NDArray[np.float32], size: int) -> Tensor:
    """Fit a film (1, H, W) into (1, size, size), averaging over pixels, centred on black."""
    image = torch.from_numpy(fitted(film[0], size))[None]
    height, width = image.shape[1:]
    top, left = (size - height) // 2, (size - width) // 2
    return functional.pad(image, (left, size - width - left, top, size - height - top))
