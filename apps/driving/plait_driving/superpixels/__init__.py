"""Superpixels: small patches of an image that mostly show one thing, the units that SLidR contrasts.

All ids are int64 and count from 0 without holes within one image, so the number of an image's superpixels is its
largest id plus one. Whoever joins images offsets each by that number, never by a number that was asked for.
"""

from plait_driving.superpixels.felzenszwalb import felzenszwalb
from plait_driving.superpixels.files import read_ids
from plait_driving.superpixels.slic import superpixels

__all__ = ["felzenszwalb", "read_ids", "superpixels"]
