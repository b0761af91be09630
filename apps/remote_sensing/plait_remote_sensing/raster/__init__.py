"""Rasters on one pixel grid: where they lie, and their pixels on any grid."""

from plait_remote_sensing.raster.footprint import distance_m, footprint, overlap, require_overlap
from plait_remote_sensing.raster.grid import Grid, Window
from plait_remote_sensing.raster.read import (
    band_names_of,
    footprint_of,
    grid_of,
    has_gcps,
    read_window,
    read_with_context,
    tags_of,
    tile_of,
)
from plait_remote_sensing.raster.reference import Reference
from plait_remote_sensing.raster.warp import RESAMPLINGS

__all__ = [
    "RESAMPLINGS",
    "Grid",
    "Reference",
    "Window",
    "band_names_of",
    "distance_m",
    "footprint",
    "footprint_of",
    "grid_of",
    "has_gcps",
    "overlap",
    "read_window",
    "read_with_context",
    "require_overlap",
    "tags_of",
    "tile_of",
]
