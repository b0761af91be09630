"""What a manifest may say, and what is said of a mistake in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from plait.errors import InputError
from plait_driving.ingest.manifest.calibration import to_ego
from plait_driving.ingest.manifest.contents import read_manifest
from tests.driving.miniatures.manifest import MANIFEST


@pytest.mark.parametrize(
    ("old", "new", "cause"),
    [
        ("lidars:", "lidar:", "has no key 'lidar' (is it 'lidars'?)"),
        ("    width: 64\n", "", "cameras.front lacks 'width'"),
        ("width: 64", "widht: 64", "cameras.front has no key 'widht' (is it 'width'?)"),
        ("width: 64", "width: wide", "cameras.front.width is wide: give a number"),
        ("cx: 31.5", "cx: 315", "lies outside 64 x 48 pixels"),
        ("fx: 40.0", "fx: 0", "cameras.front.intrinsic is no camera matrix"),
        ("model: brown", "model: brwon", "cameras.front.lens.model is brwon (is it 'brown'?)"),
        ("-0.1, 0.01, 0.0, 0.0, 0.0", "-0.1", "A brown lens has 4 or 5 or 8 coefficients, and 1 are given"),
        ("quaternion_wxyz", "quaternion", "has no key 'quaternion' (is it 'quaternion_"),
        ("[0.5, -0.5, 0.5, -0.5]", "[5, -5, 5, -5]", "cameras.front.to_ego.quaternion_wxyz has the length 10"),
        ("rpy_degrees: [0, 0, 90]", "matrix: [[1, 0], [0, 1]]", "lidars.top.to_ego has no key 'translation'"),
        ("translation: [0.5, 0.0, 1.9], rpy_degrees: [0, 0, 90]", "matrix: [[1, 0], [0, 1]]", "give 4 x 4 numbers"),
        (", rpy_degrees: [0, 0, 90]", "", "has 0 rotations: give one of quaternion_wxyz"),
        ("format: kitti-bin", "format: kitti", "lidars.top.format is kitti (is it 'kitti-bin'?)"),
        ("[x, y, z, intensity, time]", "{x: x}", "a kitti-bin file has no names, so list its columns"),
        ("    time_unit: us\n", "", "has a column for time, but no time_unit"),
        ("{drive}/lidar/{stamp}.bin", "{drive}/lidar/{frame}.bin", "poses need a {stamp} in every sensor's pattern"),
        ("{drive}/lidar/{stamp}.bin", "monday/lidar/{stamp}.bin", "has no {drive}, and others have"),
        ("{drive}/lidar/{stamp}.bin", "../{stamp}.bin", "leaves the data's root"),
        ("{drive}/lidar/{stamp}.bin", "{day}/{stamp}.bin", "{day} is not known in '{day}/{stamp}.bin'"),
        ("stamp_unit: ms", "stamp_unit: msec", "stamp_unit is msec (is it 'ms'?)"),
        ("format: tum", "format: kitti", "'times' names the file of one time [s] a line"),
        ("train: [monday]", "train: [tuesday]", "the drive 'tuesday' is in two splits"),
        ("train: [monday]", "trian: [monday]", "splits is trian (is it 'train'?)"),
        ("  top:", "  front:", "the sensor 'front' has the name of another frame"),
        ("stamp_unit: ms", "stamp_unit: ms\nstamp_unit: s", "line 3: the key 'stamp_unit' is there twice"),
        ('"{drive}/poses.txt"', '"{drive}/{stamp}.txt"', "has no field but {drive}"),
        ("stamp_unit: ms", "stamp_unit: [", "is not readable YAML"),
        ("stamp_unit: ms", "stamp_unit: !!python/object/apply:os.getcwd []", "is not readable YAML"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_mend(old: str, new: str, cause: str, tmp_path: Path) -> None:
    assert old in MANIFEST
    (tmp_path / "manifest.yaml").write_text(MANIFEST.replace(old, new))
    with pytest.raises(InputError) as caught:
        read_manifest(tmp_path / "manifest.yaml")
    assert cause in str(caught.value)


def test_aliases_are_refused_before_they_are_written_out(tmp_path: Path) -> None:
    # Each level repeats the last one nine times: of eight levels, a kilobyte, 387 million numbers are written out.
    levels = "".join(f"     - &a{k + 1} [{', '.join([f'*a{k}'] * 9)}]\n" for k in range(3))
    text = f"cameras:\n  front:\n    width:\n     - &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n{levels}lidars: {{}}\n"
    (tmp_path / "manifest.yaml").write_text(text)
    with pytest.raises(InputError, match=r"manifest.yaml, line \d+: it is repeated by an alias"):
        read_manifest(tmp_path / "manifest.yaml")


@pytest.mark.parametrize("form", ["quaternion_wxyz", "quaternion_xyzw", "rpy", "rpy_degrees"])
def test_rotations_are_those_of_scipy(form: str) -> None:
    turn = Rotation.from_euler("ZYX", [0.3, -0.2, 1.1])  # yaw, then pitch, then roll, as ROS counts them
    x, y, z, w = turn.as_quat().tolist()
    angles = np.array([1.1, -0.2, 0.3])
    written = {
        "quaternion_wxyz": [w, x, y, z],
        "quaternion_xyzw": [x, y, z, w],
        "rpy": angles.tolist(),
        "rpy_degrees": np.degrees(angles).tolist(),
    }[form]
    found = to_ego({"to_ego": {"translation": [1, 2, 3], form: written}}, "here")
    np.testing.assert_allclose(found[:3, :3], turn.as_matrix(), atol=1e-12)
    np.testing.assert_allclose(found[:3, 3], [1, 2, 3])


def test_formats_and_columns_become_words_for_the_reader(tmp_path: Path) -> None:
    text = MANIFEST.replace("    columns: [x, y, z, intensity, time]\n", "")
    text = text.replace("    time_unit: us\n    intensity_max: 255\n", "")
    (tmp_path / "manifest.yaml").write_text(text)
    assert read_manifest(tmp_path / "manifest.yaml").lidars["top"].sweep_format(1.0) == (
        "bin x=0 y=1 z=2 intensity=3 width=4"
    )
    named = "format: pcd\n    columns: {intensity: reflectivity, time: t, ring: ring}\n    time_from: clock\n"
    (tmp_path / "manifest.yaml").write_text(
        MANIFEST.replace("format: kitti-bin\n    columns: [x, y, z, intensity, time]\n", named)
    )
    assert read_manifest(tmp_path / "manifest.yaml").lidars["top"].sweep_format(1.5) == (
        f"pcd intensity=reflectivity*{1 / 255!r} time=t*1e-06@1.500000000 ring=ring"
    )
