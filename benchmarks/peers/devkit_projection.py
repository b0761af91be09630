"""The nuScenes devkit's own projection, for `projection.py`: run in an environment of its own, which forces numpy < 2.

``python devkit_projection.py ROOT`` reads the tables below ROOT, writes what it finds to ROOT/found.npy and says
"ready". For every line of input, "files" or "in memory", it then projects the sweep into all cameras `CALLS` times and
answers with the seconds that the fastest took.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import nuscenes.nuscenes as devkit  # pyright: ignore[reportMissingImports]
from nuscenes.utils.data_classes import LidarPointCloud  # pyright: ignore[reportMissingImports]

CALLS = 5


class Remembered:
    """Stands for the devkit's reader: the points from memory, its own copy for every camera."""

    cloud = np.zeros((4, 0), dtype=np.float32)

    @classmethod
    def from_file(cls, path: str) -> LidarPointCloud:
        """A copy of them."""
        return LidarPointCloud(cls.cloud.copy())


class Opened:
    """Stands for ``PIL.Image``: the devkit asks an image for its size alone."""

    size = (1600, 900)

    @classmethod
    def open(cls, path: str) -> type[Opened]:
        """The same for every file."""
        return cls


def main() -> None:
    """Load the tables, answer what is found, then be timed."""
    root = Path(sys.argv[1])
    tables = devkit.NuScenes("v1.0-mini", str(root), verbose=False)
    tokens = [record["token"] for record in tables.sample_data if record["sensor_modality"] == "camera"]
    np.save(root / "found.npy", np.stack([every_pixel(tables.explorer, token) for token in tokens]))
    Remembered.cloud = LidarPointCloud.from_file(str(root / "sweep.pcd.bin")).points
    readers = {"files": (LidarPointCloud, devkit.Image), "in memory": (Remembered, Opened)}
    print("ready", flush=True)
    for line in sys.stdin:
        devkit.LidarPointCloud, devkit.Image = readers[line.strip()]
        print(min(seconds(tables.explorer, tokens) for _ in range(CALLS)), flush=True)


def seconds(explorer: devkit.NuScenesExplorer, tokens: list[str]) -> float:
    """Wall-clock time of all cameras once."""
    start = time.perf_counter()
    for token in tokens:
        explorer.map_pointcloud_to_image("LIDAR_TOP", token)
    return time.perf_counter() - start


def every_pixel(explorer: devkit.NuScenesExplorer, token: str) -> np.ndarray:
    """(2, N) the pixels that the devkit computes; NaN for points that it leaves out."""
    pixels, project = [], devkit.view_points

    def kept(points: np.ndarray, view: np.ndarray, normalize: bool) -> np.ndarray:
        pixels.append(project(points, view, normalize))
        return pixels[-1]

    devkit.view_points = kept
    seen, _, _ = explorer.map_pointcloud_to_image("LIDAR_TOP", token)
    devkit.view_points = project
    (every,) = pixels
    is_seen = np.isin(every[0] + 1j * every[1], seen[0] + 1j * seen[1])
    return np.where(is_seen, every[:2], np.nan)


if __name__ == "__main__":
    main()
