"""Sensors in one time and space: images and sweeps of every format, and the rig that carries them."""

from plait_driving.sensors.deskew import deskew
from plait_driving.sensors.formats import FORMATS
from plait_driving.sensors.images import image_size, read_image
from plait_driving.sensors.projection import Projection, project_all
from plait_driving.sensors.reading import read_sweep
from plait_driving.sensors.rig import Rig
from plait_driving.sensors.sweep import Sweep
from plait_driving.sensors.trajectory import Trajectory

__all__ = [
    "FORMATS",
    "Projection",
    "Rig",
    "Sweep",
    "Trajectory",
    "deskew",
    "image_size",
    "project_all",
    "read_image",
    "read_sweep",
]
