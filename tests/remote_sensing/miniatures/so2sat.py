"""Miniatures of So2Sat's HDF5 files: names, shapes and types of the real ones, with values known by their position."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def patches(root: Path, name: str, count: int) -> None:
    """Write ``name``.h5: band b of ``sen1`` of patch n is (b + 1) (n + 1) / 100, of ``sen2`` (b + 1) / 100."""
    import h5py

    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(count)
    texture = rng.uniform(0.9, 1.1, (count, 32, 32, 1))
    bands = np.arange(1, 9) / 100
    numbers = np.arange(1, count + 1).reshape(-1, 1, 1, 1)
    with h5py.File(root / f"{name}.h5", "w") as file:
        sen1 = np.broadcast_to(bands * numbers, (count, 32, 32, 8)).copy()
        sen1[:, 0, 0, 4:6] = 0.0
        file["sen1"] = sen1
        file["sen2"] = np.arange(1, 11) / 100 * texture
        file["label"] = np.eye(17)[np.arange(count) % 17]


def places(root: Path, name: str, cities: list[tuple[int, float, float, int]]) -> None:
    """Write ``name``_geo.h5: runs of patches 320 m apart, each run (EPSG code, easting, northing, count)."""
    import h5py

    coordinates = [(x + 320.0 * step, y, 0, 0, 0, 0) for _, x, y, count in cities for step in range(count)]
    with h5py.File(root / f"{name}_geo.h5", "w") as file:
        file["coord"] = np.asarray(coordinates)
        file["epsg"] = np.asarray([[epsg] for epsg, _, _, count in cities for _ in range(count)], dtype=np.int32)
