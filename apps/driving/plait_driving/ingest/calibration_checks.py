"""What a calibration gives away about itself: swapped axes, turns that no car makes, and images of another size.

None is certain, so that they are told and the rows kept; what is certain is refused where it is read.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from plait.errors import InputError
from plait.pairs.layout import Refuse, Remark
from plait_driving.geometry import Array
from plait_driving.sensors import image_size
from plait_driving.sensors.axes import MOST_TURN

_UPRIGHT = 0.5
"""Of the cosine between the image's down and down: a camera that rolls or pitches by 60 degrees."""
_OFF_CENTRE = 0.25

AXES = (
    "by this calibration the image's down is not down: the camera lies on its side, or axes are swapped (a camera's "
    "are x right, y down, z forward), or the transform is the other way round"
)
OFF_CENTRE = (
    "the principal point is far from the image's middle: image and calibration may be of different sizes, and pixels "
    "then are wrong"
)
TURNED = (
    f"the transform and the calibration without motion differ by more than {MOST_TURN:g} degrees, and no car turns "
    "that far between a sweep and an image: one of them is the other way round, or poses or stamps are wrong"
)


def check_axes(to_camera: Array, what: str, refuse: Refuse) -> None:
    """Tell where a camera is not upright in the frame of a LiDAR or a vehicle whose z is up."""
    if -to_camera[1, 2] < _UPRIGHT:
        refuse(what, Remark(AXES))


def check_turn(to_camera: Array, static: Array | None, what: str, refuse: Refuse) -> None:
    """Tell where a transform with the motion between its two stamps turns far from the one without."""
    if static is not None and (np.sum(to_camera[:3, :3] * static[:3, :3]) - 1) / 2 < np.cos(np.radians(MOST_TURN)):
        refuse(what, Remark(TURNED))


def right_size(path: Path, camera_matrix: Array, said: tuple[int, int] | None, what: str, refuse: Refuse) -> bool:
    """Whether an image has the size (H, W) that its calibration is ``said`` to be for; refused where it has not.

    Where the calibration does not say, a principal point that is a quarter of the image off its middle is told. An
    image that cannot be read is left to what reads it later.
    """
    try:
        height, width = image_size(path)
    except InputError:
        return True
    if said is not None and said != (height, width):
        cause = f"the image is {width} x {height} and its calibration is for {said[1]} x {said[0]}"
        refuse(what, f"{cause}: take images and calibration of one release")
        return False
    off = abs(camera_matrix[0, 2] / width - 0.5), abs(camera_matrix[1, 2] / height - 0.5)
    if max(off) > _OFF_CENTRE:
        refuse(what, Remark(OFF_CENTRE))
    return True
