"""Images and sweeps: every format to the same units, and one sentence for every bad file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from plait.errors import InputError
from plait_driving.sensors import image_size, read_image, read_sweep


def test_all_formats_come_out_in_metres_and_unit_intensity(tmp_path: Path) -> None:
    truth = np.array([[1.5, -2.0, 0.25, 1.0], [10.0, 3.0, -1.0, 0.0]], dtype=np.float32)
    truth.tofile(tmp_path / "kitti.bin")
    np.column_stack([truth[:, :3], truth[:, 3] * 255, [7, 9]]).astype("<f4").tofile(tmp_path / "nuscenes.pcd.bin")
    np.savez(
        tmp_path / "pandaset.npz",
        xyz_cm=(truth[:, :3] * 100).astype(np.int16),
        intensity=(truth[:, 3] * 255).astype(np.uint8),
        semseg=np.array([13, 7], dtype=np.uint8),
    )
    for name, kind in (("kitti.bin", "kitti"), ("nuscenes.pcd.bin", "nuscenes"), ("pandaset.npz", "pandaset")):
        np.testing.assert_allclose(read_sweep(tmp_path / name, kind).points, truth, atol=1e-6)
    classes = read_sweep(tmp_path / "pandaset.npz", "pandaset").classes
    assert classes is not None
    assert classes.tolist() == [13, 7]


def test_points_that_no_lidar_measures_are_left_out(tmp_path: Path) -> None:
    rows = np.array([[1e25, 0, 0, 0.5], [0, -2e5, 0, 0.5], [0, 0, 1e20, 0.5], [300, -9e4, 0, 0.5], [1, 2, 3, np.inf]])
    rows.astype("<f4").tofile(tmp_path / "sweep.bin")
    assert read_sweep(tmp_path / "sweep.bin", "kitti").points[:, :3].tolist() == [[300, -9e4, 0]]


def test_points_that_are_not_finite_are_left_out_with_their_labels(tmp_path: Path) -> None:
    points = np.ones((4, 4), dtype=np.float32)
    points[1, 2], points[3, 0] = np.nan, np.inf
    points[2] = 2
    points.tofile(tmp_path / "sweep.bin")
    assert read_sweep(tmp_path / "sweep.bin", "kitti").points[:, 0].tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("content", "kind", "cause"),
    [
        (np.ones(7, dtype="<f4").tobytes(), "kitti", "do not make rows of 4"),
        (b"", "kitti", "no point with finite coordinates"),
        (np.full(8, np.nan, dtype="<f4").tobytes(), "kitti", "no point with finite coordinates"),
        (b"not a zip", "pandaset", "not a readable 'pandaset' sweep"),
        (np.ones(4, dtype="<f4").tobytes(), "velodyne", "no sweep format 'velodyne': choose one of kitti"),
    ],
)
def test_a_bad_sweep_is_named_with_its_cause(content: bytes, kind: str, cause: str, tmp_path: Path) -> None:
    (tmp_path / "sweep").write_bytes(content)
    with pytest.raises(InputError, match=cause):
        read_sweep(tmp_path / "sweep", kind)


def test_a_sweep_with_pickled_code_is_refused_and_not_run(tmp_path: Path) -> None:
    np.savez(tmp_path / "evil.npz", xyz_cm=np.array([{"a": 1}], dtype=object), intensity=[1], semseg=[1])
    with pytest.raises(InputError, match=r"evil\.npz is not a readable"):
        read_sweep(tmp_path / "evil.npz", "pandaset")


def test_a_sweep_that_lacks_an_array_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "half.npz", xyz_cm=np.zeros((3, 3), dtype=np.int16))
    with pytest.raises(InputError, match=r"half\.npz is not a readable 'pandaset' sweep"):
        read_sweep(tmp_path / "half.npz", "pandaset")


def test_images_come_out_as_rgb_whatever_they_were(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 6), 128, dtype=np.uint8)).save(tmp_path / "grey.png")
    image = read_image(tmp_path / "grey.png")
    assert (image.mode, image.size, image_size(tmp_path / "grey.png")) == ("RGB", (6, 4), (4, 6))


def test_a_bad_image_is_named_with_its_cause(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(whole)
    (tmp_path / "cut.jpg").write_bytes(whole.read_bytes()[:900])
    (tmp_path / "text.jpg").write_text("hello")
    for name, cause in (("cut.jpg", "cut.jpg is not a readable image"), ("text.jpg", "not a readable image")):
        with pytest.raises(InputError, match=cause):
            read_image(tmp_path / name)
    for read in (read_image, image_size):
        with pytest.raises(InputError, match=r"There is no image .*gone.jpg"):
            read(tmp_path / "gone.jpg")
