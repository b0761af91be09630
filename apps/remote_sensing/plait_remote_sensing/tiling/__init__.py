"""Whole scenes, tile by tile: any function of a tile becomes a map, through bounded memory."""

from plait_remote_sensing.tiling.engine import MapSummary, run_map
from plait_remote_sensing.tiling.function import Named, TileFunction
from plait_remote_sensing.tiling.plan import Plan, Source, make_plan
from plait_remote_sensing.tiling.runners import cluster, processes

__all__ = ["MapSummary", "Named", "Plan", "Source", "TileFunction", "cluster", "make_plan", "processes", "run_map"]
