"""Writes the pair report: ``pairs.json``, ``results.json``, ``report.html`` and its pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from plait import page
from plait.apps import Picture
from plait.errors import InputError
from plait.pairs.table import PairTable
from plait.progress import progress
from plait_driving.moments import moments_of
from plait_driving.pair_report import sections
from plait_driving.pair_report.calibration import Estimate, estimate
from plait_driving.pair_report.measure import Chosen, Measured, Pair, measure
from plait_driving.pair_report.pictures import calibration_picture, frame_pictures
from plait_driving.pair_report.summary import Json, camera_figures, frame_figures, mixed_shares, results


def pairs(path: Path, out: Path, most: int, chosen: Chosen) -> int:
    """Tell what the pairs of a table are worth, before anyone trains.

    Args:
        path: the pair table.
        out: the folder to write.
        most: frames that are measured at most, spread evenly over the table.
        chosen: which points are kept, and the grid that superpixels and voxels have.

    Raises:
        InputError: for a table of another app, one without a frame that can be measured, or a folder that cannot be
            written.
    """
    table = PairTable.read(path)
    if table.info.app != "driving":
        raise InputError(f"{path} was ingested by '{table.info.app}': use 'plait {table.info.app}' for it.")
    if most < 1:
        raise InputError(f"--max-frames {most} leaves nothing to measure: give 1 or more.")
    frames, total = moments_of(table, most)
    measured: list[Measured] = []
    with progress("frames", len(frames)) as advance:
        for frame in frames:
            measured.append(measure(frame, table.root, chosen))
            advance()
    if not any(each.pairs for each in measured):
        causes = [cause for each in measured for cause in each.problems.values()]
        raise InputError(f"No row of {path} makes pairs, such as: {causes[0] if causes else 'it has no rows'}")
    by_camera = _by_camera(measured)
    estimates = {name: estimate([pair.look for pair in found]) for name, found in by_camera.items()}
    every = [frame_figures(each) for each in measured]
    cameras = {name: camera_figures(found, estimates[name]) for name, found in by_camera.items()}
    figures: Json = {
        "layout": table.info.layout,
        "synthetic": table.info.synthetic,
        "frames_in_table": total,
        "frames": every,
        "cameras": cameras,
        "mixed_share": mixed_shares(cameras),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "pairs.json").write_text(json.dumps(figures, indent=1, allow_nan=False), encoding="utf-8")
        told = [asdict(result) for result in results(table, every, cameras)]
        (out / "results.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
        pictures = list(_pictures(measured, by_camera, estimates, out / "pictures"))
        parts = sections.sections(path, table, figures, estimates, pictures)
        title = f"Pairs of {table.info.layout}"
        (out / "report.html").write_text(page.page(title, parts, table.info.synthetic), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error}): give another folder, or make room.") from error
    for line in sections.headlines(figures, estimates):
        print(line)
    print(f"wrote {out / 'report.html'}, pairs.json and results.json")
    return 0


def _by_camera(measured: Sequence[Measured]) -> dict[str, list[Pair]]:
    found: dict[str, list[Pair]] = {}
    for each in measured:
        for pair in each.pairs.values():
            found.setdefault(pair.camera, []).append(pair)
    return found


def _pictures(
    measured: Sequence[Measured],
    by_camera: Mapping[str, list[Pair]],
    estimates: Mapping[str, Estimate | None],
    folder: Path,
) -> Iterator[Picture]:
    """Of the frame with the most pairs, and of every camera's calibration."""
    yield from frame_pictures(max(measured, key=lambda each: len(each.pairs)), folder)
    for number, (name, found) in enumerate(by_camera.items()):
        judged = estimates[name]
        if judged is not None:
            yield calibration_picture(name, found[0], judged, folder / f"calibration_{number}.png")
