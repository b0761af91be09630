"""What goes wrong with a car's sensors: weather, lost beams and cameras, interference, calibration and clocks.

Graded from 1 to 5, seeded, and applied to a row or to what was read of it, so that no corrupted copy of a data set
has to be stored.
"""

from plait_driving.corruptions.corruption import KINDS, Corruption, corruption_of
from plait_driving.corruptions.depth import dense_depth

__all__ = ["KINDS", "Corruption", "corruption_of", "dense_depth"]
