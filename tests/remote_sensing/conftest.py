"""One synthetic world for all tests, ingested once."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine

from plait.pairs.ingest import ingest
from plait.pairs.table import PairTable
from plait_remote_sensing.ingest import LAYOUTS
from plait_remote_sensing.load import Loader
from plait_remote_sensing.synthetic import synthetic


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("remote_sensing") / "world"
    synthetic(root, 0)
    return root


@pytest.fixture(scope="session")
def pairs(world: Path) -> Path:
    path = world.parent / "pairs.parquet"
    ingest("remote-sensing", LAYOUTS["terramesh"], world, path, Loader())
    return path


@pytest.fixture(scope="session")
def table(pairs: Path) -> PairTable:
    return PairTable.read(pairs)


@pytest.fixture(scope="session")
def report(pairs: Path) -> dict[str, Any]:
    return json.loads(pairs.with_suffix(".ingest.json").read_text())


type Write = Callable[..., Path]


@pytest.fixture(scope="session")
def write_raster() -> Write:
    return _write


def _write(path: Path, values: Any, *, crs: str | None = "EPSG:32633", transform: Any = None, **profile: Any) -> Path:
    """Write (C, H, W) values as a GeoTIFF; ``crs=None`` writes one without coordinates."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.asarray(values)
    place = {} if crs is None else {"crs": CRS.from_string(crs)}
    if crs is not None:
        place["transform"] = transform or Affine(10, 0, 500_000, 0, -10, 5_000_000)
    count, height, width = values.shape
    shape = {"count": count, "height": height, "width": width, "dtype": values.dtype}
    tags = profile.pop("tags", {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        _fill(path, values, tags, **shape, **place, **profile)
    return path


def _fill(path: Path, values: np.ndarray, tags: dict[str, str], **profile: Any) -> None:
    with rasterio.open(path, "w", driver="GTiff", **profile) as target:
        target.write(values)
        target.update_tags(**tags)
