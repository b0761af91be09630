"""Synthetic drives: a street of boxes, ray-cast by every sensor of a moving car, with the whole truth beside it.

One seed gives one world. Nothing in it is measured; every figure on it says "synthetic".
"""

from plait_driving.synthetic.pandaset import synthetic

__all__ = ["synthetic"]
