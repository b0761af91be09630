"""What one turn of a LiDAR saw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Sweep:
    """One LiDAR sweep, its frame as the data set has it.

    Attributes:
        points: (N, 4) float32: x, y, z [m] and intensity in [0, 1]; all finite.
        classes: (N,) the data set's class of each point, where it has them.
        time: (N,) float32, when each point was measured [s], relative to the sweep's stamp; only where the points
            still lie in the frame of their own moment, and need `deskew`.
        ring: (N,) uint8, the beam that measured each point, where the data set says.
    """

    points: NDArray[np.float32]
    classes: NDArray[np.uint8] | NDArray[np.uint16] | None = None
    time: NDArray[np.float32] | None = None
    ring: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.points)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Sweep:
        """The points at these positions, or where this mask is true."""
        return Sweep(
            self.points[rows],
            None if self.classes is None else self.classes[rows],
            None if self.time is None else self.time[rows],
            None if self.ring is None else self.ring[rows],
        )
