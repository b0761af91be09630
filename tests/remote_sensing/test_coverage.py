"""Which share of a patch was observed, from every n-th pixel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.transform import Affine

from plait_remote_sensing.pairing import coverage
from plait_remote_sensing.pairing.coverage import border_of, observed_shares
from plait_remote_sensing.raster import Grid, Window, grid_of
from plait_remote_sensing.scene import Scene
from tests.remote_sensing.pair_worlds import ORIGIN, write, write_optical, write_sar

SAR = Scene("sar", ("s.tif",), ("VV", "VH"), "db")
GRD = Scene("sar", ("s.tif",), ("VV", "VH"), "sigma0", calibration="tables")
PLACE = {"crs": "EPSG:32632", "transform": Affine(10, 0, ORIGIN[0], 0, -10, ORIGIN[1])}


def shares_of(scene: Scene, root: Path, windows: Sequence[Window], grid: Grid) -> NDArray[np.float64]:
    return observed_shares(coverage.coverage(scene, root, grid), windows, grid)


def test_the_share_of_each_window_is_that_of_its_observed_pixels(tmp_path: Path) -> None:
    write_sar(tmp_path / "s.tif", unobserved=24)
    grid = grid_of(tmp_path / "s.tif")
    windows = [Window(0, 0, 32, 32), Window(32, 0, 32, 32), Window(16, 16, 16, 16)]
    assert shares_of(SAR, tmp_path, windows, grid).tolist() == [0.25, 1.0, 0.5]


def test_a_gap_that_someone_filled_with_a_number_was_not_observed(tmp_path: Path) -> None:
    values = np.full((2, 64, 64), -10.0, np.float32)
    values[:, :, :32] = -9999.0
    write(tmp_path / "s.tif", values, **PLACE)
    grid = grid_of(tmp_path / "s.tif")
    assert shares_of(SAR, tmp_path, [Window(0, 0, 32, 32), Window(32, 0, 32, 32)], grid).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("zone", [32, 33])
def test_a_raster_on_another_grid_is_looked_up_where_it_lies(tmp_path: Path, zone: int) -> None:
    write_optical(tmp_path / "o.tif")
    write_sar(tmp_path / "s.tif", east=320, zone=zone)
    shares = shares_of(SAR, tmp_path, [Window(0, 0, 32, 32), Window(32, 0, 32, 32)], grid_of(tmp_path / "o.tif"))
    assert shares == pytest.approx([0.0, 1.0], abs=0.15)


def test_any_raster_of_a_scene_observes(tmp_path: Path) -> None:
    for number, name in enumerate(("a", "b")):
        values = np.full((1, 32, 32), 400, np.uint16)
        values[:, :, 16 * number : 16 * number + 12] = 0
        write(tmp_path / f"{name}.tif", values, **PLACE)
    scene = Scene("optical", ("a.tif", "b.tif"), ("B02", "B03"), "dn")
    grid = grid_of(tmp_path / "a.tif")
    assert shares_of(scene, tmp_path, [grid.extent], grid).tolist() == [1.0]
    one = Scene("optical", ("a.tif",), ("B02",), "dn")
    assert shares_of(one, tmp_path, [grid.extent], grid).tolist() == [1 - 12 / 32]


def test_one_observed_band_is_enough(tmp_path: Path) -> None:
    values = np.full((2, 32, 32), -9, np.float32)
    values[0, :8], values[:, 24:] = np.nan, np.nan
    write(tmp_path / "s.tif", values, **PLACE)
    grid = grid_of(tmp_path / "s.tif")
    assert shares_of(SAR, tmp_path, [grid.extent], grid).tolist() == [0.75]


@pytest.mark.parametrize(("unit", "share"), [("grey", 0.5), ("power", 0.75)])
def test_what_stands_for_unobserved_depends_on_the_unit(tmp_path: Path, unit: str, share: float) -> None:
    values = np.full((1, 32, 32), 9, np.uint8)
    values[:, :16], values[:, 16:24] = 255, 0
    write(tmp_path / "s.tif", values, **PLACE)
    grid = grid_of(tmp_path / "s.tif")
    scene = Scene("sar", ("s.tif",), ("VV",), unit)
    assert shares_of(scene, tmp_path, [grid.extent], grid).tolist() == [share]


def test_nodata_tags_count(tmp_path: Path) -> None:
    values = np.full((1, 32, 32), 9, np.int16)
    values[:, :8] = -99
    write(tmp_path / "s.tif", values, nodata=-99, **PLACE)
    grid = grid_of(tmp_path / "s.tif")
    assert shares_of(Scene("sar", ("s.tif",), ("VV",), "db"), tmp_path, [grid.extent], grid).tolist() == [0.75]


def test_ground_control_points_are_followed(tmp_path: Path) -> None:
    write_optical(tmp_path / "o.tif")
    corners = [(0, 0), (0, 64), (64, 0), (64, 64), (32, 32)]
    points = [GroundControlPoint(r, c, ORIGIN[0] + 320 + 10 * c, ORIGIN[1] - 10 * r) for r, c in corners]
    write(tmp_path / "s.tif", np.full((1, 64, 64), 9, np.uint16), gcps=points, crs="EPSG:32632")
    scene = Scene("sar", ("s.tif",), ("VV",), "amplitude")
    windows = [Window(0, 0, 32, 32), Window(32, 0, 32, 32)]
    assert shares_of(scene, tmp_path, windows, grid_of(tmp_path / "o.tif")) == pytest.approx([0, 1], abs=0.05)


def test_a_large_raster_is_read_thinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "_MOST", 64)
    values = np.full((1, 1024, 512), 9, np.uint16)
    values[:, 256:] = 0
    write(tmp_path / "s.tif", values, **PLACE)
    grid = grid_of(tmp_path / "s.tif")
    windows = [Window(0, row, 256, 256) for row in (0, 128, 256)]
    assert shares_of(Scene("sar", ("s.tif",), ("VV",), "power"), tmp_path, windows, grid).tolist() == [1, 0.5, 0]


def noisy(path: Path, unit: str = "db") -> Path:
    """Land at -10 dB with a lake at -50 dB, a fringe of 6 columns at -45 dB, and 4 columns that were not observed."""
    decibels = np.full((2, 64, 64), -10.0)
    decibels[:, 20:40, 30:50] = -50.0
    decibels[:, :, :10] = -45.0
    decibels[:, :, :4] = np.nan
    values = decibels if unit == "db" else np.nan_to_num(10 ** (decibels / 10))
    return write(path, values.astype(np.float32), **PLACE)


@pytest.mark.parametrize("unit", ["db", "power"])
def test_the_noisy_fringe_of_a_radar_scene_is_counted_and_a_dark_lake_is_not(tmp_path: Path, unit: str) -> None:
    grid = grid_of(noisy(tmp_path / "s.tif", unit))
    scene = Scene("sar", ("s.tif",), ("VV", "VH"), unit)
    border = border_of(scene, coverage.coverage(scene, tmp_path, grid))
    assert border is not None
    assert border.observed == 60 * 64
    # The mean over 5 x 5 pixels tells, so the last two columns of the fringe pass for ground.
    assert border.removed == 4 * 64


def test_the_bands_of_a_radar_scene_tell_together_what_is_noise(tmp_path: Path) -> None:
    noisy(tmp_path / "a.tif")
    grid = grid_of(write_sar(tmp_path / "s.tif"))
    scene = Scene("sar", ("s.tif", "a.tif"), ("VV", "VH", "VV", "VH"), "db")
    border = border_of(scene, coverage.coverage(scene, tmp_path, grid))
    assert border is not None
    assert border.removed == 0


@pytest.mark.parametrize("scene", [GRD, Scene("optical", ("s.tif",), ("B02", "B03"), "dn")])
def test_noise_is_told_of_terrain_corrected_radar_only(tmp_path: Path, scene: Scene) -> None:
    grid = grid_of(noisy(tmp_path / "s.tif"))
    assert border_of(scene, coverage.coverage(scene, tmp_path, grid)) is None
