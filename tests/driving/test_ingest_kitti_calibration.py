"""KITTI's calibration text: its three forms say the same, and what is wrong with a file is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plait.errors import InputError
from plait_driving.geometry import project
from plait_driving.ingest.kitti.calibration import read_calibration, read_day

P2 = "721.5377 0 609.5593 44.85728 0 721.5377 172.854 0.2163791 0 0 1 0.002745884"
P3 = "721.5377 0 609.5593 -339.5242 0 721.5377 172.854 2.199936 0 0 1 0.002729905"
R0 = "0.9999239 0.00983776 -0.007445048 -0.009869795 0.9999421 -0.004278459 0.007402527 0.004351614 0.9999631"
TURN = ("0.007533745 -0.9999714 -0.000616602", "0.01480249 0.0007280733 -0.9998902", "0.9998621 0.00752379 0.01480755")
MOVE = ("-0.004069766", "-0.07631618", "-0.2717806")
TR = " ".join(f"{row} {offset}" for row, offset in zip(TURN, MOVE, strict=True))
OBJECT = f"P0: {P2}\nP2: {P2}\nP3: {P3}\nR0_rect: {R0}\nTr_velo_to_cam: {TR}\n\n"


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def numbers(text: str, *shape: int) -> np.ndarray:
    return np.array(text.split(), dtype=float).reshape(shape)


def by_hand(projection: str, points: np.ndarray) -> np.ndarray:
    """Pixels by P R_rect Tr, one point after the other."""
    rectify, velodyne = np.eye(4), np.eye(4)
    rectify[:3, :3], velodyne[:3] = numbers(R0, 3, 3), numbers(TR, 3, 4)
    pixels = []
    for point in points:
        u, v, w = numbers(projection, 3, 4) @ (rectify @ (velodyne @ np.append(point, 1.0)))
        pixels.append((u / w, v / w))
    return np.array(pixels)


POINTS = np.random.default_rng(0).uniform([5, -10, -2], [60, 10, 2], size=(100, 3))


@pytest.mark.parametrize(("number", "projection"), [("02", P2), ("03", P3)])
def test_the_projection_is_p_r0_tr(number: str, projection: str, tmp_path: Path) -> None:
    transform, matrix = read_calibration(written(tmp_path / "calib.txt", OBJECT)).camera(number)
    uv, _ = project(POINTS, transform, matrix)
    # The seven digits of R0_rect and Tr are rounded, and mended to the nearest rotations.
    np.testing.assert_allclose(uv, by_hand(projection, POINTS), atol=5e-3)
    assert not np.allclose(uv, by_hand(P3 if number == "02" else P2, POINTS), atol=1)


def test_the_day_of_kitti_raw_says_the_same_as_the_object_file(tmp_path: Path) -> None:
    other = "0.9998817 0.01511453 -0.002841595 -0.01511724 0.9998853 -0.0009338 0.002827154 0.0009766 0.9999955"
    written(
        tmp_path / "calib_cam_to_cam.txt",
        f"calib_time: 09-Jan-2012 13:57:47\nS_rect_02: 1242.0 375.0\n"
        f"R_rect_00: {R0}\nR_rect_02: {other}\nP_rect_02: {P2}\n",
    )
    written(tmp_path / "calib_velo_to_cam.txt", f"calib_time: now\nR: {' '.join(TURN)}\nT: {' '.join(MOVE)}\n")
    calibration, imu_to_lidar = read_day(tmp_path)
    expected = read_calibration(written(tmp_path / "object.txt", OBJECT)).camera("02")
    for found, wanted in zip(calibration.camera("02"), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-12)
    assert calibration.sizes == {"02": (375, 1242)}
    assert imu_to_lidar is None


def test_without_r0_rect_the_identity_is_used(tmp_path: Path) -> None:
    odometry = f"P0: {P2}\nP2: {P2}\nTr: {TR}\n"
    calibration = read_calibration(written(tmp_path / "calib.txt", odometry))
    assert not calibration.rectified
    np.testing.assert_allclose(calibration.lidar_to_rectified[:3], numbers(TR, 3, 4), atol=1e-5)


SWAPPED = " ".join(f"{row} {offset}" for row, offset in zip((TURN[1], TURN[0], TURN[2]), MOVE, strict=True))
STRETCHED = TR.replace("0.9998621", "1.2")


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "lacks 'P2' with 12 numbers"),
        ("P2: 1 2 3\n", "lacks 'P2' with 12 numbers"),
        ("P2: a b\n", "not a readable KITTI calibration"),
        (OBJECT.replace("0.9999239", "nan"), "R0_rect holds a number that is not finite"),
        (OBJECT.replace(f"P2: {P2}", f"P2: {'0 ' * 12}"), "P2 is all zeros"),
        (OBJECT.replace(f"P2: {P2}", f"P2: {TR}"), "P2 is no K "),
        (OBJECT.replace(TR, "0 " * 12), "Tr_velo_to_cam is all zeros"),
        (OBJECT.replace(TR, SWAPPED), "Tr_velo_to_cam mirrors the world"),
        (OBJECT.replace(TR, STRETCHED), "Tr_velo_to_cam is no rotation"),
        (f"P0: {P2}\nP2: {P2}\n", "image download alone"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(text: str, cause: str, tmp_path: Path) -> None:
    path = written(tmp_path / "calib.txt", text)
    with pytest.raises(InputError, match=cause) as caught:
        read_calibration(path).camera("02")
    assert str(path) in str(caught.value)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no calibration"):
        read_calibration(tmp_path / "calib.txt")
