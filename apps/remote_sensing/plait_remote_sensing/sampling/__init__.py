"""Patches of many scenes: where they may lie, which are drawn, and a stream that decodes each part of a file once."""

from plait_remote_sensing.sampling.classes import balanced_frames, by_class
from plait_remote_sensing.sampling.frame import Frame, frames_of
from plait_remote_sensing.sampling.place import Place, places_of
from plait_remote_sensing.sampling.samplers import (
    Patch,
    balanced_patches,
    grid_patches,
    random_patches,
    stratified_patches,
)
from plait_remote_sensing.sampling.stream import PatchStream

__all__ = [
    "Frame",
    "Patch",
    "PatchStream",
    "Place",
    "balanced_frames",
    "balanced_patches",
    "by_class",
    "frames_of",
    "grid_patches",
    "places_of",
    "random_patches",
    "stratified_patches",
]
