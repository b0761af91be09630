"""A page of one moment: the sweep over every camera's image, from above, and as an image of ranges."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from plait import page
from plait.apps import Picture
from plait.errors import InputError
from plait.pairs.layout import Row
from plait.pairs.table import PairTable, file_in
from plait_driving.drawing import birds_eye, overlay, range_image
from plait_driving.geometry import transform_points, visible
from plait_driving.load import sweep_of
from plait_driving.moments import Moment, moments_of
from plait_driving.occlusion import hidden
from plait_driving.sensors import Sweep, image_size, read_image
from plait_driving.view import view_of
from plait_driving.viewing.recording import write_recording

_ALL = 2**31


def view(pairs: Path, out: Path, frame: str | None, rerun: bool) -> int:
    """Draw one moment of a pair table, and with ``rerun`` record all of them.

    Args:
        pairs: the pair table.
        out: the folder to write.
        frame: the frame's name, or the id of one of its rows; the middle one of the table where ``None``.
        rerun: write ``drive.rrd`` as well, which the rerun viewer opens.

    Raises:
        InputError: for a table of another app, an unknown frame, and files that cannot be read or written.
    """
    table = PairTable.read(pairs)
    if table.info.app != "driving":
        raise InputError(f"{pairs} was ingested by '{table.info.app}': there is nothing of this app to see.")
    moments, _ = moments_of(table, _ALL)
    moment = _asked(moments, frame, pairs)
    try:
        pictures = list(_pictures(moment, table.root, out / "pictures"))
        title = f"{table.info.layout}, {moment.group}, frame {moment.name}"
        html = page.page(title, [page.figure(picture) for picture in pictures], table.info.synthetic)
        (out / "view.html").write_text(html, encoding="utf-8")
        if rerun:
            write_recording(out / "drive.rrd", [each.rows for each in moments], table.root)
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error}): give another folder, or make room.") from error
    print(f"wrote {out / 'view.html'}" + (f" and {out / 'drive.rrd'}: open it with 'rerun'" if rerun else ""))
    return 0


def _asked(moments: list[Moment], frame: str | None, pairs: Path) -> Moment:
    if frame is None:
        return moments[len(moments) // 2]
    for moment in moments:
        if frame == moment.name or any(row["id"] == frame for row in moment.rows):
            return moment
    raise InputError(f"{pairs} has no frame '{frame}': name one such as {moments[0].name}, or a row's id.")


def _pictures(moment: Moment, root: Path, folder: Path) -> Iterator[Picture]:
    folder.mkdir(parents=True, exist_ok=True)
    swept: dict[str, Sweep] = {}
    for number, row in enumerate(moment.rows):
        if row["sweep"] is None or row["image"] is None:
            continue
        sweep = swept.setdefault(row["sweep"], sweep_of(row, root, view_of(row)))
        yield _overlay(row, sweep, root, folder / f"camera_{number}.png")
    for number, (name, sweep) in enumerate(swept.items()):
        above, ranges = folder / f"birds_eye_{number}.png", folder / f"ranges_{number}.png"
        birds_eye(above, sweep.points)
        yield Picture(above, f"{name} from above, {len(sweep):,} points.")
        range_image(ranges, sweep.points, sweep.ring)
        yield Picture(ranges, f"{name} unrolled: a row for each beam, a column for each direction.")
    if not swept:
        raise InputError(f"Frame {moment.name} has no row with both an image and a sweep: choose another with --frame.")


def _overlay(row: Row, sweep: Sweep, root: Path, path: Path) -> Picture:
    seen_by = view_of(row)
    if seen_by is None:
        raise InputError(f"Row {row['id']} has no calibration: its points have no place in its image.")
    image = file_in(root, row["image"])
    camera = seen_by.camera(image_size(image))
    uv, depth = camera.project(transform_points(seen_by.lidar_to_camera, sweep.points[:, :3]))
    inside = visible(uv, depth, camera.size)
    unseen = hidden(sweep.points, seen_by.lidar_to_camera, camera)[inside]
    distance = np.linalg.norm(sweep.points[inside, :3], axis=1)
    overlay(path, np.asarray(read_image(image)), uv[inside], distance, unseen)
    said = (
        f"{row['camera']}: {int(inside.sum()):,} points in view, {int(unseen.sum()):,} of them hidden from the camera."
    )
    return Picture(path, said)
