"""A small synthetic drive for the driving tests, made once a session, and rows made by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from plait.pairs.layout import Row
from plait.pairs.table import PairTable
from plait_driving.load import Loader
from plait_driving.synthetic import synthetic

type MakeRow = Callable[..., Row]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The synthetic drive, seed 0."""
    root = tmp_path_factory.mktemp("drive")
    synthetic(root, 0)
    return root


@pytest.fixture(scope="session")
def table(world: Path) -> PairTable:
    """Its pair table, ingested as a user would."""
    from plait.pairs.ingest import ingest
    from plait_driving.ingest import LAYOUTS

    pairs = world / "pairs.parquet"
    ingest("driving", LAYOUTS["pandaset"], world, pairs, Loader())
    return PairTable.read(pairs)


@pytest.fixture
def make_row(tmp_path: Path) -> MakeRow:
    """``make_row(points, ...)`` writes an image and a KITTI sweep, and gives back their row.

    The image is 160 x 80, its red growing with u and its green with v, so that a colour says where it was. The camera
    looks along the LiDAR's z with focal length 40.
    """

    def make(points: np.ndarray, image: bool = True, **columns: object) -> Row:
        v, u = np.mgrid[:80, :160]
        Image.fromarray(np.stack([u, v * 2, u * 0], axis=-1).astype(np.uint8)).save(tmp_path / "image.png")
        np.asarray(points, dtype="<f4").tofile(tmp_path / "sweep.bin")
        matrix = [[40.0, 0.0, 79.5], [0.0, 40.0, 39.5], [0.0, 0.0, 1.0]]
        row: Row = {
            "id": str(tmp_path),
            "image": "image.png" if image else None,
            "sweep": "sweep.bin",
            "sweep_format": "kitti",
            "semantics": None,
            "lidar_to_camera": np.eye(4).ravel().tolist(),
            "camera_matrix": np.ravel(matrix).tolist(),
        }
        return row | columns

    return make
