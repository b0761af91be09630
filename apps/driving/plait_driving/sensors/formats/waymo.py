"""Waymo's sweeps in its v2 Parquet files: range images of the LiDAR on the roof.

A reference ``lidar/SEGMENT.parquet#ROW`` names the range image; what turns it into points lies in files of the same
name in the folders beside ``lidar/``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait_driving.geometry import Array, inverse, transform_points
from plait_driving.sensors.containers import place_in, read_row, read_table
from plait_driving.sensors.sweep import Sweep

TOP = 1
TIME, LASER = "key.frame_timestamp_micros", "key.laser_name"
_RETURN = ".range_image_return1."
_LIDAR, _POSE, _CLASSES = "[LiDARComponent]", "[LiDARPoseComponent]", "[LiDARSegmentationLabelComponent]"
_CALIBRATION, _VEHICLE = "[LiDARCalibrationComponent].", "[VehiclePoseComponent].world_from_vehicle.transform"
_MOST = 2**24


def read_waymo(path: Path) -> Sweep:
    """The first returns of the roof's LiDAR, x, y, z [m] in the vehicle's frame at the frame's time stamp.

    Each pixel has the vehicle's pose at its own moment, and by it is brought to the frame's: nothing is left to deskew.
    Intensity has no upper end; its tanh is taken, as is usual. ``ring`` is the range image's row, 0 the uppermost.
    Classes are there for the frames that Waymo labelled.
    """
    place = place_in(path)
    if place is None:
        raise ValueError("a sweep of Waymo is named FILE.parquet#ROW")
    file, row = place
    of = file.parent.parent
    keys = read_row(file, row, [TIME, LASER])
    stamp, laser = int(keys[TIME][0].as_py()), int(keys[LASER][0].as_py())
    image = _image(file, row, _LIDAR)
    there = np.isfinite(image[:, :, 0]) & (image[:, :, 0] > 0)
    points = _in_vehicle(of / "lidar_calibration" / file.name, image[:, :, 0], laser)[there]
    if laser == TOP:
        points = _at_stamp(of, file.name, stamp, points, there)
    values = np.column_stack([points, np.tanh(image[:, :, 1][there])]).astype(np.float32)
    return Sweep(values, _classes(of / "lidar_segmentation" / file.name, stamp, laser, there), ring=_ring(there))


def _ring(there: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.nonzero(there)[0].astype(np.uint8)


def _image(file: Path, row: int, component: str) -> NDArray[np.float32]:
    """(H, W, channels) of a range image of a row."""
    columns = [component + _RETURN + name for name in ("values", "shape")]
    table = read_row(file, row, columns)
    if not table[columns[0]][0].is_valid:
        raise ValueError(f"row {row} of {file.name} has no first return")
    shape = table[columns[1]][0].as_py()
    values = table[columns[0]][0].values.to_numpy(zero_copy_only=False)
    if len(shape) != 3 or values.size > _MOST or values.size != np.prod(shape):
        raise ValueError(f"row {row} of {file.name} has {values.size:,} values and the shape {shape}")
    return values.reshape(shape)


def _in_vehicle(calibration: Path, distance: NDArray[np.float32], laser: int) -> Array:
    """(H, W, 3) the range image's points in the vehicle's frame, as if it had stood still."""
    names = ("extrinsic.transform", *(f"beam_inclination.{name}" for name in ("min", "max", "values")))
    found = _row_of(calibration, {LASER: laser}, [_CALIBRATION + name for name in names])
    if found is None:
        raise ValueError(f"{calibration.name} in lidar_calibration has no LiDAR {laser}")
    transform, lowest, highest, beams = (found[_CALIBRATION + name][0].as_py() for name in names)
    extrinsic = np.array(transform, dtype=np.float64).reshape(4, 4)
    height, width = distance.shape
    if not beams and None in (lowest, highest):
        raise ValueError(f"{calibration.name} in lidar_calibration has no inclinations of LiDAR {laser}")
    if not beams:
        beams = lowest + (np.arange(height) + 0.5) / height * (highest - lowest)
    if len(beams) != height:
        raise ValueError(f"{calibration.name} has {len(beams)} beams for a range image of {height} rows")
    inclination = np.asarray(beams, dtype=np.float64)[::-1, None]  # they go up, the image's rows go down
    # Columns go clockwise from straight back, in the vehicle's directions though in the LiDAR's place.
    turned = np.arctan2(extrinsic[1, 0], extrinsic[0, 0])
    azimuth = (1.0 - 2.0 * (np.arange(width) + 0.5) / width) * np.pi - turned
    flat = distance * np.cos(inclination)
    axes = (flat * np.cos(azimuth), flat * np.sin(azimuth), distance * np.sin(inclination))
    return transform_points(extrinsic, np.stack(axes, axis=-1).reshape(-1, 3)).reshape(height, width, 3)


def _at_stamp(of: Path, name: str, stamp: int, points: Array, there: NDArray[np.bool_]) -> Array:
    """Points from the vehicle's frame of their own moment to that of the frame's time stamp, in float64."""
    place = _place(of / "lidar_pose" / name, {TIME: stamp, LASER: TOP})
    vehicle = _row_of(of / "vehicle_pose" / name, {TIME: stamp}, [_VEHICLE])
    if place is None or vehicle is None:
        raise ValueError(f"{name} in {'lidar_pose' if place is None else 'vehicle_pose'} has no frame {stamp}")
    pixel = _image(of / "lidar_pose" / name, place, _POSE)
    if pixel.shape != (*there.shape, 6):
        raise ValueError(f"{name} in lidar_pose has another shape, {pixel.shape}, than the range image")
    poses = pixel[there].astype(np.float64)
    world = np.einsum("nij,nj->ni", _rotations(*poses[:, :3].T), points) + poses[:, 3:]
    return transform_points(inverse(np.array(vehicle[_VEHICLE][0].as_py(), dtype=np.float64).reshape(4, 4)), world)


def _rotations(roll: Array, pitch: Array, yaw: Array) -> Array:
    """(N, 3, 3) Rz(yaw) Ry(pitch) Rx(roll)."""
    (cr, sr), (cp, sp), (cy, sy) = ((np.cos(angle), np.sin(angle)) for angle in (roll, pitch, yaw))
    rows = [
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ]
    return np.moveaxis(np.array(rows), -1, 0)


def _classes(file: Path, stamp: int, laser: int, there: NDArray[np.bool_]) -> NDArray[np.uint8] | None:
    """(N,) 0 (undefined) to 22; None where this frame has no labels."""
    place = _place(file, {TIME: stamp, LASER: laser}) if file.is_file() else None
    if place is None:
        return None
    labels = _image(file, place, _CLASSES)
    if labels.shape[:2] != there.shape:
        raise ValueError(f"{file.name} in lidar_segmentation has another shape, {labels.shape}, than the range image")
    return labels[:, :, 1][there].astype(np.uint8)


def _place(file: Path, keys: dict[str, int]) -> int | None:
    """The row with these keys."""
    table = read_table(file, list(keys))
    matches = [table[name].to_numpy() == value for name, value in keys.items()]
    rows = np.flatnonzero(np.logical_and.reduce(matches))
    return int(rows[0]) if len(rows) else None


def _row_of(file: Path, keys: dict[str, int], columns: list[str]) -> Any | None:
    place = _place(file, keys)
    return None if place is None else read_row(file, place, columns)
