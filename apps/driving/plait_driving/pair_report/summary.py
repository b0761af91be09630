"""Figures of all frames together: what ``pairs.json`` and ``results.json`` hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.evaluation.measurement import Result
from plait.pairs.table import PairTable
from plait_driving.pair_report.calibration import AXES, Estimate
from plait_driving.pair_report.filters import CAUSES
from plait_driving.pair_report.measure import Measured, Pair

TASK = "driving/pairs"

type Json = dict[str, Any]


def frame_figures(measured: Measured) -> Json:
    """A frame's entry in ``pairs.json``."""
    pairs = {row: _pair_figures(pair) for row, pair in measured.pairs.items()}
    return {
        "group": measured.frame.group,
        "frame": measured.frame.name,
        "points": max((len(pair.sweep) for pair in measured.pairs.values()), default=0),
        "kept": sum(each["kept"] for each in pairs.values()),
        "pairs": pairs,
        "problems": measured.problems,
    }


def _pair_figures(pair: Pair) -> Json:
    motion = pair.motion
    return {
        "camera": pair.camera,
        "points": len(pair.sweep),
        "in_view": int(pair.points.in_view.sum()),
        "removed": pair.points.removed,
        "kept": int(pair.points.kept.sum()),
        "time_offset_s": motion.offset,
        "ego_motion_m": motion.metres,
        "ego_motion_deg": motion.degrees,
        "pixel_error_if_ignored": None if motion.pixels is None else _spread(motion.pixels),
        "mixed": pair.mixed,
        "doubts": pair.doubts,
    }


def camera_figures(pairs: Sequence[Pair], estimate: Estimate | None) -> Json:
    """One camera's entry in ``pairs.json``, over all frames; what is not known is null."""
    pixels = [pair.motion.pixels for pair in pairs if pair.motion.pixels is not None]
    kept = sum(int(pair.points.kept.sum()) for pair in pairs)
    removed = {cause: sum(pair.points.removed[cause] for pair in pairs) for cause in CAUSES}
    return {
        "sweeps": len(pairs),
        "points": sum(len(pair.sweep) for pair in pairs),
        "in_view": sum(int(pair.points.in_view.sum()) for pair in pairs),
        "removed": removed,
        "kept": kept,
        "time_offset_s": _of([pair.motion.offset for pair in pairs]),
        "ego_motion_m": _of([pair.motion.metres for pair in pairs]),
        "ego_motion_deg": _of([pair.motion.degrees for pair in pairs]),
        "pixel_error_if_ignored": _spread(np.concatenate(pixels)) if pixels else None,
        "calibration": None if estimate is None else calibration_figures(estimate),
        "mixed_share": {grid: sum(pair.mixed[grid] for pair in pairs) / max(kept, 1) for grid in pairs[0].mixed},
    }


def calibration_figures(estimate: Estimate) -> Json:
    """By axis, the turn [degrees] and how far it can be trusted; null where it cannot be told."""
    axes = {
        axis: {
            "degrees": float(estimate.degrees[place]) if estimate.sure[place] else None,
            "spread": float(estimate.spread[place]),
        }
        for place, axis in enumerate(AXES)
    }
    return axes | {"borders": estimate.borders, "closeness": estimate.given, "closeness_turned": estimate.best}


def mixed_shares(cameras: Mapping[str, Json]) -> dict[str, float]:
    """By grid, the share of all pairs whose voxel holds another superpixel of their camera."""
    kept = max(sum(camera["kept"] for camera in cameras.values()), 1)
    grids = next(iter(cameras.values()))["mixed_share"] if cameras else {}
    return {grid: sum(each["mixed_share"][grid] * each["kept"] for each in cameras.values()) / kept for grid in grids}


def results(table: PairTable, frames: Sequence[Json], cameras: Mapping[str, Json]) -> Iterator[Result]:
    """The figures as every command writes them."""
    groups = len({frame["group"] for frame in frames})

    def result(task: str, metric: str, value: float | None, n: int) -> Result:
        return Result(task, table.info.layout, metric, value, None, None, n, groups, None, "all")

    if frames:
        yield result(TASK, "pairs_per_frame", float(np.median([frame["kept"] for frame in frames])), len(frames))
    for name, camera in cameras.items():
        n, task = camera["sweeps"], f"{TASK}/{name}"
        yield result(task, "in_view_share", camera["in_view"] / max(camera["points"], 1), n)
        yield result(task, "occluded_share", camera["removed"]["occluded"] / max(camera["in_view"], 1), n)
        for key in ("time_offset_s", "ego_motion_m", "ego_motion_deg", "pixel_error_if_ignored"):
            if camera[key] is not None:
                yield result(task, f"{key}_median", camera[key]["median"], n)
        for axis in AXES:
            if camera["calibration"] is not None and camera["calibration"][axis]["degrees"] is not None:
                yield result(task, f"calibration_{axis}_deg", camera["calibration"][axis]["degrees"], n)
    for grid, share in mixed_shares(cameras).items():
        yield result(
            f"{TASK}/voxels", f"mixed_share, {grid}", share, sum(camera["kept"] for camera in cameras.values())
        )


def _of(values: Sequence[float | None]) -> dict[str, float] | None:
    """Median, and the value farthest from nothing."""
    known = np.array([value for value in values if value is not None])
    if not len(known):
        return None
    return {"median": float(np.median(known)), "max": float(known[np.abs(known).argmax()])}


def _spread(pixels: NDArray[np.float64]) -> dict[str, float] | None:
    if not len(pixels):
        return None
    return {
        "median": float(np.median(pixels)),
        "p95": float(np.percentile(pixels, 95)),
        "max": float(pixels.max()),
    }
