"""The rows of a pair table by moment."""

from plait_driving.moments import Moment as Frame
from plait_driving.moments import moments_of as frames_of

__all__ = ["Frame", "frames_of"]
