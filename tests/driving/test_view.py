"""A row's columns say all of the camera, the sweep and the motion between them; unknown is null."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plait.errors import InputError
from plait_driving.geometry import Lens, exp_se3
from plait_driving.ingest.rows import camera_row
from plait_driving.semantics import GROUPS, IGNORED, SEMANTICS, groups_of
from plait_driving.view import COLUMNS, View, view_of

MATRIX = np.array([[800.0, 0.0, 480.0], [0.0, 810.0, 270.0], [0.0, 0.0, 1.0]])


def arrays(view: View) -> list[np.ndarray | None]:
    return [view.lidar_to_camera, view.camera_matrix, view.static, view.lidar_to_world, view.sweep_twist]


def test_a_view_comes_back_from_its_columns_to_the_last_bit() -> None:
    static, far = exp_se3(np.arange(6) / 7), exp_se3(np.array([5e5, 5e6, 30.0, 0.1, 0.2, 0.3]))
    lens = Lens("brown", (-0.13, -0.02, 0.002, 0.0008, 0.0))
    view = View(exp_se3(np.ones(6)), MATRIX, lens, static, 12.25, 12.2, far, np.arange(6) / 3)
    row = view.columns()
    assert tuple(row) == COLUMNS
    back = view_of(row)
    assert back is not None
    assert (back.lens, back.image_time, back.sweep_time) == (lens, 12.25, 12.2)
    for one, other in zip(arrays(view), arrays(back), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_unknown_is_null_and_a_row_without_calibration_has_no_view() -> None:
    row = View(np.eye(4), MATRIX).columns()
    assert {name for name, value in row.items() if value is not None} == {"lidar_to_camera", "camera_matrix"}
    assert view_of(row | {"lidar_to_camera": None}) is None
    # Tables of before have the two columns alone.
    old = view_of({name: row[name] for name in ("lidar_to_camera", "camera_matrix")})
    assert old is not None
    assert old.lens == Lens()


def test_a_view_is_about_the_lidar_wherever_the_points_frame_lies() -> None:
    raw = View(exp_se3(np.ones(6)), MATRIX, static=np.eye(4), lidar_origin=np.array([0.0, 0.78, 1.85]))
    seen = view_of(raw.columns())
    assert seen is not None
    at_lidar, in_file = np.array([3.0, 4.0, 5.0, 1.0]), np.array([3.0, 4.78, 6.85, 1.0])
    np.testing.assert_allclose(seen.lidar_to_camera @ at_lidar, raw.lidar_to_camera @ in_file)
    assert seen.static is not None
    np.testing.assert_allclose(seen.static @ at_lidar, in_file)


def test_missing_files_are_told_and_cost_their_modality_alone(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    (tmp_path / "s.parquet").touch()
    told: list[tuple[str, str]] = []

    def row(image: str, sweep: str, labels: str | None = None) -> dict[str, object] | None:
        return camera_row(
            tmp_path, lambda what, cause: told.append((what, cause)), row_id="0", group="g", frame="0", camera="front",
            image=image, sweep=sweep, sweep_format="waymo", lidar_to_camera=np.eye(4), camera_matrix=MATRIX,
            semantics="nuscenes", sweep_labels=labels,
        )  # fmt: skip

    whole = row("a.jpg", "s.parquet#3", "gone.bin")
    assert whole is not None
    assert (whole["sweep"], whole["semantics"], whole["sweep_labels"]) == ("s.parquet#3", None, None)
    blind = row("gone.jpg", "s.parquet#3")
    assert blind is not None
    assert (blind["image"], blind["sweep"]) == (None, "s.parquet#3")
    assert row("gone.jpg", "gone.bin") is None
    assert told == [
        ("gone.bin", "the labels of the sweep are missing"),
        ("gone.jpg", "the image is missing"),
        ("gone.jpg", "the image is missing"),
        ("gone.bin", "the sweep is missing"),
    ]


@pytest.mark.parametrize(
    ("semantics", "road", "person", "nothing"),
    [("pandaset", 7, 30, 0), ("semantickitti", 40, 254, 0), ("nuscenes", 24, 2, 31), ("rellis3d", 31, 17, 7)],
)
def test_classes_of_each_set_fall_into_their_groups(semantics: str, road: int, person: int, nothing: int) -> None:
    beyond = 1 + max(id_ for ids in SEMANTICS[semantics].values() for id_ in ids)
    found = groups_of(np.array([road, person, nothing, beyond, 65_535], dtype=np.uint16), semantics)
    assert found.tolist() == [GROUPS.index("road"), GROUPS.index("person"), IGNORED, IGNORED, IGNORED]


@pytest.mark.parametrize("semantics", SEMANTICS)
def test_no_class_belongs_to_two_groups(semantics: str) -> None:
    assert tuple(SEMANTICS[semantics]) == GROUPS
    ids = [id_ for group in SEMANTICS[semantics].values() for id_ in group]
    assert len(ids) == len(set(ids))


def test_an_unknown_class_list_is_one_sentence() -> None:
    with pytest.raises(InputError, match="no class list 'cityscapes': choose one of pandaset, semantickitti"):
        groups_of(np.zeros(1, dtype=np.uint8), "cityscapes")
