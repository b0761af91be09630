"""Changes of a training sample after which each point still belongs to the pixel that shows it."""

from plait_driving.augment.augment import Augment
from plait_driving.augment.image import crop_image, flip_image
from plait_driving.augment.points import OF_POINTS, drop_beams, drop_cuboid, take_points

__all__ = ["OF_POINTS", "Augment", "crop_image", "drop_beams", "drop_cuboid", "flip_image", "take_points"]
