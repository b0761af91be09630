"""The pair report as a page: what a reader should know first, then the tables and the pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from plait import page
from plait.apps import Picture
from plait.pairs.table import PairTable
from plait_driving.pair_report.calibration import REACH, RESOLVED, Estimate
from plait_driving.pair_report.filters import CAUSES
from plait_driving.pair_report.pictures import said
from plait_driving.pair_report.summary import Json

UNKNOWN = "unknown"


def sections(
    path: Path, table: PairTable, figures: Json, estimates: Mapping[str, Estimate | None], pictures: Sequence[Picture]
) -> Iterator[str]:
    """The parts of the page, in order."""
    info = table.info
    yield page.paragraph(f"{path.name}: layout {info.layout}, {info.source}. Licence: {info.licence}.")
    yield page.section("In short", page.listed(headlines(figures, estimates)))
    yield page.section("Points by camera", _points(figures["cameras"]))
    yield page.section("Time and motion", _motion(figures["cameras"]))
    yield page.section("Calibration", _calibration(estimates))
    yield page.section("Voxels", _voxels(figures["mixed_share"]))
    problems = [f"{name}: {cause}" for frame in figures["frames"] for name, cause in frame["problems"].items()]
    if problems:
        yield page.section("Rows left out", page.listed(problems))
    yield page.section("Pictures", *(page.figure(picture) for picture in pictures))
    yield page.details("Frames", _frames(figures["frames"]))


def headlines(figures: Json, estimates: Mapping[str, Estimate | None]) -> Iterator[str]:
    """What to know before training, a sentence each."""
    frames, cameras = figures["frames"], figures["cameras"]
    kept = sorted(frame["kept"] for frame in frames)
    measured = f"{len(frames)} of {figures['frames_in_table']:,} frames measured"
    of = "one camera" if len(cameras) == 1 else f"{len(cameras)} cameras"
    yield f"{measured}: {kept[len(kept) // 2]:,} pairs a frame (median), over {of}."
    if not any(kept):
        yield "No point of any sweep falls into its image: check the calibration, its transforms' way, and stamps."
    seen = sum(camera["in_view"] for camera in cameras.values())
    hidden = sum(camera["removed"]["occluded"] for camera in cameras.values())
    yield f"{hidden / max(seen, 1):.1%} of the points in view are hidden from the camera that they project into."
    errors = {name: camera["pixel_error_if_ignored"] for name, camera in cameras.items()}
    known = {name: error for name, error in errors.items() if error is not None}
    if known:
        worst, most = (max(known, key=lambda name: known[name][what]) for what in ("median", "max"))
        yield (
            f"Ignoring the ego motion would move pixels by a median of {known[worst]['median']:.1f} px in {worst}, "
            f"at most {known[most]['max']:.0f} px in {most}."
        )
    elif all(camera["ego_motion_m"] is None for camera in cameras.values()):
        yield "No poses: the ego motion between sweep and image is unknown, and pixels are by calibration alone."
    pairs = [pair for frame in frames for pair in frame["pairs"].values()]
    for doubt, names in _grouped((doubt, pair["camera"]) for pair in pairs for doubt in pair["doubts"]).items():
        yield f"Check the calibration of {', '.join(names)}: {doubt}"
    for told, names in _grouped((said(estimate), name) for name, estimate in estimates.items()).items():
        yield f"Calibration of {', '.join(names)}: {told}."
    for grid, share in figures["mixed_share"].items():
        yield f"Voxels {grid}: {share:.1%} of the pairs share theirs with another superpixel."
    broken = sum(len(frame["problems"]) for frame in frames)
    if broken:
        yield f"{broken} of the rows measured make no pairs; report.html names them."


def _grouped(told: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """What is said, and the cameras that it is said of, each once."""
    found: dict[str, list[str]] = {}
    for what, camera in dict.fromkeys(told):
        found.setdefault(what, []).append(camera)
    return found


def _points(cameras: Mapping[str, Any]) -> str:
    header = ("camera", "sweeps", "points", "in view", *CAUSES, "kept", "kept / sweep")
    rows = (
        [
            name,
            str(camera["sweeps"]),
            f"{camera['points']:,}",
            f"{camera['in_view']:,}",
            *(f"{camera['removed'][cause]:,}" for cause in CAUSES),
            f"{camera['kept']:,}",
            f"{camera['kept'] / camera['sweeps']:,.0f}",
        ]
        for name, camera in cameras.items()
    )
    about = (
        "Each point counts under the first cause that removes it: behind the camera; beyond what the lens shows; "
        "outside the image; nearer than the least depth (the car itself); farther than the greatest range; occluded, "
        "seen by the LiDAR over something that hides it from the camera."
    )
    return page.paragraph(about) + page.table(header, rows)


def _motion(cameras: Mapping[str, Any]) -> str:
    offsets = ("image after sweep [ms]", "most", "ego motion [m]", "most", "turn [deg]", "most")
    header = ("camera", *offsets, "if ignored [px]", "95 %", "most")
    rows = (
        [
            name,
            *_two(camera["time_offset_s"], 1e3, "+.1f"),
            *_two(camera["ego_motion_m"], 1.0, ".3f"),
            *_two(camera["ego_motion_deg"], 1.0, ".3f"),
            *_three(camera["pixel_error_if_ignored"]),
        ]
        for name, camera in cameras.items()
    )
    unknown = [name for name, camera in cameras.items() if camera["ego_motion_m"] is None]
    about = "Medians over frames and, for pixels, over the kept points of all frames, in pixels of the image file."
    if unknown:
        about += f" No poses for {', '.join(unknown)}: ego motion unknown."
    return page.paragraph(about) + page.table(header, rows)


def _calibration(estimates: Mapping[str, Estimate | None]) -> str:
    about = (
        f"Turns of up to {REACH:g} degrees about each axis of a camera are tried; the estimate is the one that lays "
        "borders of things in the sweeps best on edges of the images: degrees about its x (pitch), y (yaw) and "
        "z (roll) by which to rotate lidar_to_camera from the left, a camera's mounting by the inverse; with one "
        f"standard deviation; 'none seen' where it is below two of these, or below {RESOLVED:g} degrees; 'cannot tell' "
        "where parts of the view disagree, nothing stands out, or the best turn is at the end of the search. A "
        "sideways shift of the camera looks like a turn. Borders are found in sweeps with beam numbers, and in those "
        "stored in the order of their beams; more frames tell more."
    )
    return page.paragraph(about) + page.table(("camera", "estimate"), ([n, said(e)] for n, e in estimates.items()))


def _voxels(shares: Mapping[str, float]) -> str:
    about = "Pairs whose voxel also holds a point of another superpixel: its features mix what the image keeps apart."
    rows = ([grid, f"{share:.2%}"] for grid, share in shares.items())
    return page.paragraph(about) + page.table(("voxels", "pairs that mix superpixels"), rows)


def _frames(frames: Sequence[Json]) -> str:
    rows = (
        [frame["group"], frame["frame"], f"{frame['points']:,}", f"{len(frame['pairs'])}", f"{frame['kept']:,}"]
        for frame in frames
    )
    return page.table(("group", "frame", "points of the largest sweep", "images with a sweep", "pairs"), rows)


def _two(value: Mapping[str, float] | None, unit: float, form: str) -> list[str]:
    return [UNKNOWN, ""] if value is None else [format(value[key] * unit, form) for key in ("median", "max")]


def _three(value: Mapping[str, float] | None) -> list[str]:
    return [UNKNOWN, "", ""] if value is None else [f"{value[key]:.1f}" for key in ("median", "p95", "max")]
