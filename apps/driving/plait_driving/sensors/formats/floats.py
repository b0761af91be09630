"""Files that are nothing but rows of float32 numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def rows_of_floats(path: Path, number: int) -> NDArray[np.float32]:
    """(N, number) of a file of little-endian float32; ValueError where it ends inside a row, or rows hold none."""
    if number < 1:
        raise ValueError(f"rows of {number} numbers hold nothing")
    values = np.fromfile(path, dtype="<f4")
    if values.size % number or path.stat().st_size % 4:
        raise ValueError(f"its {path.stat().st_size:,} bytes do not make rows of {number} numbers of 4 bytes")
    return values.reshape(-1, number).astype(np.float32, copy=False)
