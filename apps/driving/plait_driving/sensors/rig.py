"""The sensors of one vehicle in one time and space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait_driving.geometry import Array, Camera, inverse, rigid, transform_points, visible
from plait_driving.sensors.projection import Projection, project_all
from plait_driving.sensors.trajectory import Trajectory


@dataclass(frozen=True, eq=False)
class Rig:
    """Cameras and LiDARs on one vehicle, and where it drove.

    Attributes:
        cameras: each camera's intrinsics, by name.
        camera_to_ego: (4, 4) each camera's mounting.
        lidar_to_ego: (4, 4) each LiDAR's mounting.
        trajectory: the ego poses; None where they are unknown.

    Frames are named ``world``, ``ego``, or as the sensor is.

    Raises:
        InputError: where a camera has no mounting, a mounting is not rigid, or two frames share a name.
    """

    cameras: Mapping[str, Camera]
    camera_to_ego: Mapping[str, Array]
    lidar_to_ego: Mapping[str, Array]
    trajectory: Trajectory | None = None

    def __post_init__(self) -> None:
        if lacking := sorted(self.cameras.keys() ^ self.camera_to_ego.keys()):
            raise InputError(f"Camera '{lacking[0]}' needs both its intrinsics and its mounting on the vehicle.")
        names = ["world", "ego", *self.camera_to_ego, *self.lidar_to_ego]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise InputError(f"Two frames are called '{twice[0]}': give every sensor a name of its own.")
        for mountings in ("camera_to_ego", "lidar_to_ego"):
            given: Mapping[str, Array] = getattr(self, mountings)
            checked = {name: rigid(matrix, f"The mounting of '{name}'") for name, matrix in given.items()}
            object.__setattr__(self, mountings, checked)

    def transform(
        self, source: str, target: str, source_time: float | None = None, target_time: float | None = None
    ) -> Array:
        """The (4, 4) ``source_to_target``, composed in float64.

        Args:
            source: frame of the points.
            target: frame that they are wanted in.
            source_time: when they were measured [s].
            target_time: when the target looked [s]. With both times the motion of the vehicle between them is in the
                transform; with neither it is the calibration alone.

        Raises:
            InputError: for a frame that is not there, one time without the other, and a time without ego poses.
        """
        if "world" in (source, target):
            source_time = target_time if source_time is None else source_time
            target_time = source_time if target_time is None else target_time
            if source_time is None:
                raise InputError(f"The vehicle moves through the world: give the time of '{source}' or '{target}'.")
        if (source_time is None) != (target_time is None):
            raise InputError(f"From '{source}' to '{target}' one of two times is missing: give both or neither.")
        out, back = self._to_ego(source), self._to_ego(target)
        if (
            source_time is None
            or target_time is None
            or (source_time == target_time and "world" not in (source, target))
        ):
            return inverse(back) @ out
        return inverse(self._to_world(target, target_time) @ back) @ self._to_world(source, source_time) @ out

    def project(
        self,
        points: NDArray[np.floating],
        lidar: str,
        camera: str,
        lidar_time: float | None = None,
        camera_time: float | None = None,
    ) -> Projection:
        """Project (N, 3 or more) points of a LiDAR [m] into a camera, in float64; raises as `transform` does."""
        if camera not in self.cameras:
            raise InputError(f"This rig has no camera '{camera}': choose one of {', '.join(self.cameras)}.")
        lidar_to_camera = self.transform(lidar, camera, lidar_time, camera_time)
        uv, depth = self.cameras[camera].project(transform_points(lidar_to_camera, points[:, :3]))
        return Projection(uv, depth, visible(uv, depth, self.cameras[camera].size))

    def project_all(
        self, points: NDArray[np.floating], lidar: str, times: Mapping[str, float] | None = None
    ) -> dict[str, Projection]:
        """Project points of a LiDAR into all cameras at once, in float32.

        Args:
            points: (N, 3 or more) x, y, z [m].
            lidar: which LiDAR measured them.
            times: of the LiDAR and of every camera [s], by name; None for the calibration alone.

        The transforms are composed in float64 and applied once, so pixels are as near to `project`'s as
        `plait_driving.sensors.projection.project_all` says.
        """
        if times is None:
            return project_all(points, {name: self.transform(lidar, name) for name in self.cameras}, self.cameras)
        if lacking := sorted({lidar, *self.cameras} - times.keys()):
            raise InputError(f"The time of '{lacking[0]}' is missing: give those of the LiDAR and of every camera.")
        to_world = self.transform(lidar, "world", times[lidar])
        views = {name: self.transform("world", name, None, times[name]) @ to_world for name in self.cameras}
        return project_all(points, views, self.cameras)

    def _to_ego(self, frame: str) -> Array:
        if frame in ("world", "ego"):
            return np.eye(4)
        known = {**self.camera_to_ego, **self.lidar_to_ego}
        if frame not in known:
            raise InputError(f"This rig has no frame '{frame}': choose one of world, ego, {', '.join(known)}.")
        return known[frame]

    def _to_world(self, frame: str, time: float) -> Array:
        if frame == "world":
            return np.eye(4)
        if self.trajectory is None:
            raise InputError("This rig has no ego poses: give its trajectory, or leave the times out.")
        return self.trajectory.at(time)
