"""What a synthetic car carries: a spinning LiDAR and cameras of any lens.

The car's own frame is x forward, y left, z up, with its origin on the road below the LiDAR.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from plait_driving.geometry import Array, Camera, Lens, pose
from plait_driving.synthetic.street import about_z

_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""A camera's axes (right, down, forward) in the car's (forward, left, up)."""


@dataclass(frozen=True, eq=False)
class Lidar:
    """A LiDAR that turns clockwise, once a ``period``, and looks ahead at the stamp of its sweep.

    Attributes:
        to_ego: (4, 4) its mounting; x forward, y left, z up as the car.
        elevations: (B,) of its beams [rad], from the lowest; a point's ``ring`` is its place here.
        columns: firings a turn; all beams fire at once.
        period: of a turn [s].
        reach: the longest range [m].
        noise: standard deviation of the range, as a multiple of each surface's own roughness (2 cm for sheet metal,
            18 cm for leaves); 0 measures exactly.
    """

    to_ego: Array = field(default_factory=lambda: pose(np.eye(3), [0.0, 0.0, 1.9]))
    elevations: Array = field(default_factory=lambda: np.radians(np.linspace(-24.0, 8.0, 32)))
    columns: int = 1024
    period: float = 0.1
    reach: float = 80.0
    noise: float = 0.0

    @cached_property
    def firing(self) -> Array:
        """(columns,) when each column is measured [s], from half a period before the stamp to half a one after."""
        return ((np.arange(self.columns) + 0.5) / self.columns - 0.5) * self.period

    @cached_property
    def rays(self) -> Array:
        """(columns, B, 3) unit directions in the LiDAR's own frame at the time of each column."""
        around = (-2 * np.pi * self.firing / self.period)[:, None]
        flat = np.cos(self.elevations)
        up = np.broadcast_to(np.sin(self.elevations), (self.columns, len(self.elevations)))
        return np.stack([flat * np.cos(around), flat * np.sin(around), up], axis=2)


@dataclass(frozen=True, eq=False)
class Mount:
    """A camera on the car.

    Attributes:
        camera: its matrix, size and lens.
        to_ego: (4, 4) its mounting.
        delay: how long after the sweep's stamp it exposes its whole image [s].
    """

    camera: Camera
    to_ego: Array
    delay: float = 0.0

    @cached_property
    def rays(self) -> Array:
        """(H * W, 3) unit directions through the pixels, row by row; NaN where the lens has no ray."""
        v, u = (grid.ravel() for grid in np.mgrid[: self.camera.size[0], : self.camera.size[1]])
        return self.camera.rays(np.stack([u, v], axis=1))


@dataclass(frozen=True, eq=False)
class Suite:
    """All that one car carries; ``MIXED`` has a camera of each lens."""

    lidar: Lidar
    cameras: Mapping[str, Mount]


def mount(
    azimuth: float, focal: float, lens: Lens | None = None, size: tuple[int, int] = (136, 240), delay: float = 0.0
) -> Mount:
    """A camera on the roof's edge, 0.6 m ahead of the middle in its own direction and 1.65 m high.

    Args:
        azimuth: where it looks, counterclockwise from straight ahead [degrees].
        focal: length [px].
        lens: pinhole if None.
        size: H, W of its images.
        delay: after the sweep's stamp [s].
    """
    turn = about_z(np.radians(azimuth))
    matrix = np.array([[focal, 0.0, (size[1] - 1) / 2], [0.0, focal, (size[0] - 1) / 2], [0.0, 0.0, 1.0]])
    return Mount(Camera(matrix, size, lens or Lens()), pose(turn @ _OPTICAL, turn @ [0.6, 0.0, 1.65]), delay)


# The side cameras expose as the LiDAR's beam passes where they look, as those of nuScenes do.
MIXED = Suite(
    Lidar(),
    {
        "front": mount(0.0, 230.0, delay=0.004),
        "left": mount(70.0, 140.0, Lens("brown", (-0.25, 0.08, 0.001, -0.002, -0.01)), delay=-0.0194),
        "right": mount(-70.0, 95.0, Lens("fisheye", (0.02, -0.01, 0.004, -0.001)), delay=0.0194),
    },
)
"""A 32-beam LiDAR and three small cameras: a pinhole ahead, a Brown lens to the left, a fisheye to the right."""
