"""Open files: kept between reads, never shared between threads or processes, never too many, never out of date."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
import rasterio
from rasterio.env import getenv
from rasterio.io import DatasetReader

from plait.errors import InputError
from plait_remote_sensing.raster import Window, grid_of, read_window
from plait_remote_sensing.raster.handles import Handles

type Write = Callable[..., Path]


class Opened:
    """A file that counts how often it was opened, and whether it was closed."""

    count = 0

    def __init__(self, path: Path) -> None:
        type(self).count += 1
        self.path, self.closed = path, False

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def handles(monkeypatch: pytest.MonkeyPatch) -> Handles[Opened]:
    monkeypatch.setattr(Opened, "count", 0)
    return Handles(Opened, most=3)


def files(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"{index}.bin" for index in range(count)]
    for path in paths:
        path.write_bytes(b"a")
    return paths


def test_a_file_is_opened_once(handles: Handles[Opened], tmp_path: Path) -> None:
    (path,) = files(tmp_path, 1)
    assert handles.get(path) is handles.get(path)
    assert Opened.count == 1


def test_the_one_not_used_for_longest_is_closed_first(handles: Handles[Opened], tmp_path: Path) -> None:
    paths = files(tmp_path, 4)
    first, second, _ = (handles.get(path) for path in paths[:3])
    handles.get(paths[0])
    handles.get(paths[3])
    assert second.closed
    assert not first.closed
    assert handles.get(paths[0]) is first


def test_a_file_that_was_forgotten_is_closed_and_opened_anew(handles: Handles[Opened], tmp_path: Path) -> None:
    (path,) = files(tmp_path, 1)
    old = handles.get(path)
    handles.forget(path)
    assert old.closed
    assert handles.get(path) is not old


@pytest.mark.parametrize("change", [lambda path: path.write_bytes(b"longer"), lambda path: os.utime(path, ns=(5, 5))])
def test_a_file_that_changed_is_opened_anew(handles: Handles[Opened], tmp_path: Path, change: Callable) -> None:
    (path,) = files(tmp_path, 1)
    old = handles.get(path)
    change(path)
    assert handles.get(path) is not old
    assert old.closed


def test_threads_never_share_an_open_file(handles: Handles[Opened], tmp_path: Path) -> None:
    (path,) = files(tmp_path, 1)
    together = Barrier(4)

    def get(_: int) -> int:
        together.wait()
        found = handles.get(path)
        together.wait()
        return id(found)

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(get, range(4)))) == 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_opens_its_own_and_leaves_its_parents_alone(handles: Handles[Opened], tmp_path: Path) -> None:
    (path,) = files(tmp_path, 1)
    mine = handles.get(path)
    child = os.fork()
    if child == 0:
        os._exit(0 if handles.get(path) is not mine and not mine.closed else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert handles.get(path) is mine


def test_a_raster_that_was_replaced_is_read_anew(tmp_path: Path, write_raster: Write) -> None:
    path = write_raster(tmp_path / "a.tif", np.full((1, 4, 4), 1.0, np.float32))
    assert read_window(path, Window(0, 0, 2, 2), grid_of(path)).max() == 1
    write_raster(path, np.full((2, 8, 8), 2.0, np.float32))
    assert grid_of(path).width == 8
    assert read_window(path, Window(4, 4, 2, 2), grid_of(path)).shape == (2, 2, 2)


@pytest.mark.skipif(sys.platform != "linux", reason="counts the files that Linux says are open")
def test_many_files_never_exhaust_what_may_be_open(tmp_path: Path, write_raster: Write) -> None:
    original = write_raster(tmp_path / "a.tif", np.full((1, 2, 2), 3.0, np.float32)).read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len([*Path("/proc/self/fd").iterdir()]) + 100, limits[1]))
    try:
        for index in range(200):
            path = tmp_path / f"{index}.tif"
            path.write_bytes(original)
            assert read_window(path, Window(0, 0, 2, 2), grid_of(path)).min() == 3
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_file_beside_ten_thousand_others_is_opened_without_listing_them(
    tmp_path: Path, write_raster: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GDAL by default reads the whole folder for every file that it opens; the companions of a file still count."""
    path = write_raster(tmp_path / "a.tif", np.full((1, 2, 2), 3.0, np.float32))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as target:
        target.write_mask(np.asarray([[0, 255], [255, 255]], dtype=np.uint8))
    assert (tmp_path / "a.tif.msk").exists()
    seen: list[object] = []
    opened = rasterio.open

    def spy(path: Path) -> DatasetReader:
        seen.append(getenv().get("GDAL_DISABLE_READDIR_ON_OPEN"))
        return opened(path)

    monkeypatch.setattr(rasterio, "open", spy)
    found = read_window(path, Window(0, 0, 2, 2), grid_of(path))
    np.testing.assert_array_equal(found, [[[np.nan, 3], [3, 3]]])
    assert seen
    assert all(value in (True, "TRUE") for value in seen)


def test_threads_read_the_right_pixels_of_one_file(tmp_path: Path, write_raster: Write) -> None:
    values = np.arange(256 * 256, dtype=np.float32).reshape(1, 256, 256)
    path = write_raster(tmp_path / "a.tif", values, tiled=True, blockxsize=64, blockysize=64, compress="deflate")
    grid = grid_of(path)
    windows = [Window(column, row, 40, 30) for column in range(0, 200, 25) for row in range(0, 200, 25)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda window: read_window(path, window, grid), windows))
    for window, pixels in zip(windows, found, strict=True):
        np.testing.assert_array_equal(pixels, values[:, window.row : window.bottom, window.column : window.right])


def test_a_broken_file_is_not_kept(tmp_path: Path, write_raster: Write) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(b"not a raster")
    with pytest.raises(InputError):
        grid_of(path)
    write_raster(path, np.ones((1, 4, 4), np.float32))
    assert grid_of(path).width == 4
