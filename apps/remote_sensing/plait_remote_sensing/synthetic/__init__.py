"""Synthetic worlds: land cover with plausible shapes, seen by radar and optically, through seasons, clouds and change.

One seed gives one world, byte for byte. Nothing in them is measured; every figure on them says "synthetic".
"""

from plait_remote_sensing.synthetic.change import KINDS, changed
from plait_remote_sensing.synthetic.cities import CITIES, synthetic_change
from plait_remote_sensing.synthetic.cover import COVERS, LOOKALIKE
from plait_remote_sensing.synthetic.land import Land, make_land
from plait_remote_sensing.synthetic.scenes import synthetic_scenes
from plait_remote_sensing.synthetic.terramesh import CUT_SHORT, SCENES, WITH_OFFSET, WITHOUT_SAR, synthetic

__all__ = [
    "CITIES",
    "COVERS",
    "CUT_SHORT",
    "KINDS",
    "LOOKALIKE",
    "SCENES",
    "WITHOUT_SAR",
    "WITH_OFFSET",
    "Land",
    "changed",
    "make_land",
    "synthetic",
    "synthetic_change",
    "synthetic_scenes",
]
