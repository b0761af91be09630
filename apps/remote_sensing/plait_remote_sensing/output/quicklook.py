"""A small picture of a map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plait_remote_sensing.output.info import MapInfo, rgb
from plait_remote_sensing.output.look import Look, look
from plait_remote_sensing.output.staging import staged


def quicklook(out: Path, info: MapInfo, asset: Path) -> None:
    """Write a PNG of at most 512 pixels a side: classes in their colours, values stretched, nodata transparent.

    Of three bands or more the first three are red, green and blue.
    """
    from PIL import Image

    seen = look(asset, 1 if info.classes else 3)
    colours = _classes(seen.values[0], info) if info.classes else _stretched(seen)
    known = np.isfinite(seen.values).all(axis=0)
    picture = np.dstack([colours, np.where(known, 255, 0).astype(np.uint8)])
    with staged(out) as path:
        Image.fromarray(picture, "RGBA").save(path)


def _classes(codes: NDArray[np.float32], info: MapInfo) -> NDArray[np.uint8]:
    """(h, w, 3) the colour of each class; grey for a code without one."""
    colours = np.full((*codes.shape, 3), 128, dtype=np.uint8)
    for code, (_, colour) in (info.classes or {}).items():
        colours[codes == code] = rgb(colour)
    return colours


def _stretched(seen: Look) -> NDArray[np.uint8]:
    """(h, w, 3) three bands, or one band three times."""
    low, high = np.asarray(seen.ranges, dtype=np.float32).T[..., None, None]
    shares = np.clip((np.nan_to_num(seen.values) - low) / (high - low), 0, 1)
    chosen = shares if len(shares) == 3 else shares[[0, 0, 0]]
    return np.moveaxis(np.round(chosen * 255).astype(np.uint8), 0, -1)
