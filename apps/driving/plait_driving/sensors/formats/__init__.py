"""The formats that sweeps are stored in, one file each: a reader gives what the file holds, not yet checked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from plait_driving.sensors.formats.argoverse2 import read_argoverse2
from plait_driving.sensors.formats.bin import read_bin
from plait_driving.sensors.formats.kitti import read_kitti
from plait_driving.sensors.formats.numpy_files import read_npy, read_npz
from plait_driving.sensors.formats.nuscenes import read_nuscenes
from plait_driving.sensors.formats.pandaset import read_pandaset
from plait_driving.sensors.formats.pandaset_pickle import read_pandaset_pickle
from plait_driving.sensors.formats.pcd import read_pcd
from plait_driving.sensors.formats.ply import read_ply
from plait_driving.sensors.formats.rellis3d import read_rellis3d
from plait_driving.sensors.formats.waymo import read_waymo
from plait_driving.sensors.sweep import Sweep


def _fixed(read: Callable[[Path], Sweep]) -> Callable[..., Sweep]:
    """A reader of files whose columns are always the same, so that none can be said."""

    def reads(path: Path, columns: str = "") -> Sweep:
        if columns:
            raise ValueError(f"its columns are fixed, so '{columns}' cannot be said of them")
        return read(path)

    return reads


FORMATS: dict[str, Callable[..., Sweep]] = {
    "kitti": _fixed(read_kitti),
    "nuscenes": _fixed(read_nuscenes),
    "pandaset": _fixed(read_pandaset),
    "pandaset-pkl": _fixed(read_pandaset_pickle),
    "argoverse2": _fixed(read_argoverse2),
    "waymo": _fixed(read_waymo),
    "rellis3d": _fixed(read_rellis3d),
    "bin": read_bin,
    "xyzi-npy": read_npy,
    "npz": read_npz,
    "pcd": read_pcd,
    "ply": read_ply,
}
"""What a row's ``sweep_format`` may say; a reader raises ValueError, OSError or KeyError where a file is damaged."""
