"""Rigid transforms, lenses and cameras, and where pixels lie.

Two conventions hold in the whole app.

*Transforms* are (4, 4) float64 and named by what they map: ``lidar_to_camera @ [x, y, z, 1]``. They are composed
first, in float64, and applied to points once. Points carried through a map frame in float32 are off by several
pixels where the map's origin is far: float32 resolves 0.5 m at a UTM northing of 5e6 m.

*Pixels*: whole-number coordinates are pixel centres, so an image of width W covers u from -0.5 to W - 0.5. A
resize by s therefore moves u to (u + 0.5) s - 0.5, and a flip to W - 1 - u.
"""

from plait_driving.geometry.camera import Camera
from plait_driving.geometry.lens import Lens
from plait_driving.geometry.pixels import MIN_DEPTH, project, resize_pixels, visible
from plait_driving.geometry.transforms import (
    Array,
    exp_se3,
    interpolate,
    inverse,
    log_se3,
    pose,
    rigid,
    rotation_of_quaternion,
    transform_points,
)

__all__ = [
    "MIN_DEPTH",
    "Array",
    "Camera",
    "Lens",
    "exp_se3",
    "interpolate",
    "inverse",
    "log_se3",
    "pose",
    "project",
    "resize_pixels",
    "rigid",
    "rotation_of_quaternion",
    "transform_points",
    "visible",
]
