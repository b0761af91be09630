"""What of a Waymo segment is missing or damaged costs no more than it must."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plait.errors import InputError
from plait_driving.geometry import pose
from plait_driving.ingest.calibration_checks import AXES, TURNED
from plait_driving.ingest.waymo import LAYOUT
from plait_driving.sensors import read_image, read_sweep
from tests.driving.miniatures.waymo import (
    SEGMENT,
    STAMPS,
    components,
    image_column,
    read_rows,
    sweep_of,
    vehicle_at,
    write_segment,
)


def test_missing_components_are_named(tmp_path: Path) -> None:
    rows, refused = read_rows(write_segment(tmp_path, vehicle_pose=None, camera_calibration=None))
    assert rows == {}
    cause = refused[f"training/{SEGMENT}"]
    assert cause == "the segment lacks camera_calibration and vehicle_pose: fetch these components too"


def changed(component: str, place: int, **values: Any) -> dict[str, list[dict[str, Any]]]:
    rows = components()[component]
    rows[place] |= {next(name for name in rows[place] if name.endswith(end)): value for end, value in values.items()}
    return {component: rows}


BAD: dict[str, tuple[Callable[[], dict[str, Any]], str, str, int]] = {
    "no pose of a frame": (
        lambda: {"vehicle_pose": components()["vehicle_pose"][:2]},
        f"training/{SEGMENT}, frame {STAMPS[2]}", "vehicle_pose has no such frame", 4,
    ),
    "no image": (
        lambda: {"camera_image": components()["camera_image"][:-1]},
        f"training/{SEGMENT}, frame {STAMPS[2]}", "camera_image has no image of side_left", 5,
    ),
    "mirrored extrinsic": (
        lambda: changed("camera_calibration", 0, transform=np.diag([1.0, -1, 1, 1]).ravel().tolist()),
        f"training/camera_calibration/{SEGMENT}.parquet", "the extrinsic of front", 3,
    ),
    "zero focal length": (
        lambda: changed("camera_calibration", 0, f_u=0.0),
        f"training/camera_calibration/{SEGMENT}.parquet", "front has no positive focal lengths", 3,
    ),
    "endless exposure": (
        lambda: changed("camera_image", 0, pose_timestamp=1e20),
        f"training/{SEGMENT}, frame {STAMPS[0]}", "is stamp_unit right", 5,
    ),
    "no moment of exposure": (
        lambda: changed("camera_image", 0, pose_timestamp=float("nan")),
        f"training/{SEGMENT}, frame {STAMPS[0]}", "is stamp_unit right", 5,
    ),
    "another size": (
        lambda: changed("camera_calibration", 0, width=1920, height=1280),
        f"training/camera_image/{SEGMENT}.parquet", "the image is 48 x 32 and its calibration is for 1920 x 1280", 3,
    ),
    "NaN in a pose": (
        lambda: changed("vehicle_pose", 1, transform=[float("nan")] * 16),
        f"training/{SEGMENT}, frame {STAMPS[1]}", "world_from_vehicle", 4,
    ),
}  # fmt: skip


@pytest.mark.parametrize("problem", BAD)
def test_a_bad_record_is_refused_by_name_and_the_rest_goes_on(problem: str, tmp_path: Path) -> None:
    change, what, cause, left = BAD[problem]
    rows, refused = read_rows(write_segment(tmp_path, **change()))
    assert cause in refused[what]
    assert len(rows) == left


def test_a_camera_on_its_side_and_a_turn_that_no_car_makes_are_told(tmp_path: Path) -> None:
    rolled = pose([[1, 0, 0], [0, 0, -1], [0, 1, 0]], [1.5, 0.0, 2.1])
    change = changed("camera_calibration", 0, transform=rolled.ravel().tolist())
    rows, said = read_rows(write_segment(tmp_path / "axes", **change))
    assert (len(rows), said) == (6, {f"training/{SEGMENT}, front": AXES})
    turned = vehicle_at(0.0) @ pose([[0, -1, 0], [1, 0, 0], [0, 0, 1]], [0, 0, 0])
    rows, said = read_rows(
        write_segment(tmp_path / "turn", **changed("camera_image", 0, transform=turned.ravel().tolist()))
    )
    assert (len(rows), said) == (6, {f"training/{SEGMENT}": TURNED})


def test_a_cut_file_costs_its_segment(tmp_path: Path) -> None:
    root = write_segment(tmp_path)
    path = root / f"training/camera_image/{SEGMENT}.parquet"
    path.write_bytes(path.read_bytes()[:-40])
    rows, refused = read_rows(root)
    assert rows == {}
    assert f"{SEGMENT}.parquet is damaged" in refused[f"training/{SEGMENT}"]


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda: {"lidar_pose": components()["lidar_pose"][1:]}, f"lidar_pose has no frame {STAMPS[0]}"),
        (lambda: changed("lidar", 1, shape=[6, 48, 3]), "values and the shape"),
        (lambda: changed("lidar_calibration", 0, values=[0.1, 0.2]), "2 beams for a range image of 6 rows"),
        (
            lambda: changed("lidar_pose", 0, values=[0.0] * 12, shape=[1, 2, 6]),
            "another shape, .1, 2, 6., than the range image",
        ),
        (lambda: changed("lidar", 1, **image_values(np.zeros((6, 48, 4)))), "no point with finite coordinates"),
        (lambda: changed("lidar", 1, **image_values(np.full((6, 48, 4), np.nan))), "no point with finite coordinates"),
    ],
)
def test_a_damaged_sweep_is_one_sentence(change: Callable[[], dict[str, Any]], cause: str, tmp_path: Path) -> None:
    root = write_segment(tmp_path, **change())
    row = read_rows(root)[0][f"{SEGMENT}-{STAMPS[0]}-front"]
    with pytest.raises(InputError, match=cause):
        sweep_of(root, row)


def image_values(values: np.ndarray) -> dict[str, Any]:
    return {name.rpartition(".")[2]: value for name, value in image_column("LiDARComponent", values).items()}


def test_a_reference_to_nothing_is_one_sentence(tmp_path: Path) -> None:
    root = write_segment(tmp_path)
    with pytest.raises(InputError, match="has 6 rows, and none of number 6"):
        read_image(root / f"training/camera_image/{SEGMENT}.parquet#6")
    with pytest.raises(InputError, match="has 6 rows, and none of number 9"):
        read_sweep(root / f"training/lidar/{SEGMENT}.parquet#9", "waymo")
    with pytest.raises(InputError, match="There is no image"):
        read_image(root / "training/camera_image/other.parquet#0")
    with pytest.raises(InputError, match=r"is named FILE\.parquet#ROW"):
        read_sweep(root / f"training/lidar/{SEGMENT}.parquet", "waymo")


def test_another_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not a 'waymo' folder.*version 1's \.tfrecord files are not read"):
        list(LAYOUT.read(tmp_path, pytest.fail))
