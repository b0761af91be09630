"""Coloured point clouds for viewers, through Open3D, which is imported only here and only when asked for."""

from __future__ import annotations

import ctypes
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError


def import_open3d() -> ModuleType:
    """Import Open3D, on machines without a system libusb too.

    Open3D's wheel links to ``libusb-1.0.so.0`` and does not bring it. The wheel ``libusb-package`` carries that
    library under the same soname, so once it is loaded the dynamic linker is content.

    Raises:
        InputError: saying which package to install.
    """
    try:
        import libusb_package
    except ImportError:
        pass  # a system libusb may be there
    else:
        library = libusb_package.get_library_path()
        if library is not None:
            ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    try:
        import open3d
    except (ImportError, OSError) as error:
        raise InputError(f"Open3D cannot be imported ({error}): run 'pip install open3d libusb-package'.") from error
    return open3d


def write_ply(path: Path, points: NDArray[np.floating], colours: NDArray[np.floating]) -> None:
    """Write (N, 3) points [m] with (N, 3) RGB in [0, 1] as a .ply file, which any point cloud viewer opens."""
    o3d = import_open3d()
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points.astype(np.float64)))
    cloud.colors = o3d.utility.Vector3dVector(colours.astype(np.float64))
    path.parent.mkdir(parents=True, exist_ok=True)
    if not o3d.io.write_point_cloud(str(path), cloud):
        raise InputError(f"{path} could not be written: name a .ply file in a folder that you may write to.")
