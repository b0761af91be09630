"""Warps whose answer is known: rasters that hold their own coordinates, read on grids that are turned or far away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.transform import Affine

from plait.errors import InputError
from plait_remote_sensing.raster import RESAMPLINGS, Grid, Window, grid_of, has_gcps, read_window, warp

type Write = Callable[..., Path]

SIZE = 60


def centres(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """(H, W) coordinates of pixel centres, by the geotransform's definition."""
    rows, columns = np.mgrid[0 : grid.height, 0 : grid.width] + 0.5
    t = grid.transform
    return t.a * columns + t.b * rows + t.c, t.d * columns + t.e * rows + t.f


def expected(grid: Grid, of: str) -> np.ndarray:
    """(2, H, W) what a raster that holds its own coordinates in ``of`` should give on a grid."""
    assert grid.crs is not None
    project = Transformer.from_crs(grid.crs.to_wkt(), of, always_xy=True)
    return np.stack(project.transform(*centres(grid)))


@pytest.fixture
def itself(tmp_path: Path, write_raster: Write) -> Callable[..., Path]:
    """A raster of two bands that hold the coordinates of each pixel, less those of the corner, in pixels."""

    def write(crs: str, transform: Affine, size: int = SIZE) -> Path:
        x, y = centres(Grid(CRS.from_string(crs), transform, size, size))
        values = np.stack([(x - transform.c) / transform.a, (y - transform.f) / transform.a])
        return write_raster(tmp_path / "itself.tif", values.astype(np.float32), crs=crs, transform=transform)

    return write


def check(path: Path, grid: Grid, tolerance: float = 0.01) -> None:
    """What is read on ``grid`` is where it should be, to a hundredth of a pixel; most of it is there."""
    own = grid_of(path)
    assert own.crs is not None
    t = own.transform
    x, y = expected(grid, own.crs.to_wkt())
    if own.crs.is_geographic:
        x = x + 360 * np.round((t.c - x) / 360)
    found = read_window(path, grid.extent, grid)
    assert np.isfinite(found).mean() > 0.5
    wanted = np.stack([(x - t.c) / t.a, (y - t.f) / t.a])
    np.testing.assert_allclose(found, np.where(np.isfinite(found), wanted, np.nan), atol=tolerance)


class TestRotated:
    def test_a_turned_target(self, itself: Callable[..., Path]) -> None:
        path = itself("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 5_000_000))
        turned = Affine(8, 3, 500_150, 3, -8, 4_999_800)
        check(path, Grid(CRS.from_epsg(32633), turned, 20, 20))

    def test_a_turned_source(self, itself: Callable[..., Path]) -> None:
        path = itself("EPSG:32633", Affine(9, 4, 500_000, 4, -9, 5_000_000))
        check(path, Grid(CRS.from_epsg(32633), Affine(10, 0, 500_250, 0, -10, 5_000_000), 20, 20))

    def test_a_turned_pixel_by_hand(self, tmp_path: Path, write_raster: Write) -> None:
        """A quarter turn: the first row of the source lies along the first column of the target."""
        values = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
        path = write_raster(tmp_path / "a.tif", values, transform=Affine(0, 10, 500_000, -10, 0, 5_000_040))
        grid = Grid(CRS.from_epsg(32633), Affine(10, 0, 500_000, 0, -10, 5_000_040), 4, 4)
        np.testing.assert_array_equal(read_window(path, grid.extent, grid, resampling="nearest")[0], values[0].T)


class TestAroundTheWorld:
    def test_across_the_antimeridian_between_utm_zones(self, itself: Callable[..., Path]) -> None:
        project = Transformer.from_crs("EPSG:4326", "EPSG:32660", always_xy=True)
        x, y = project.transform(180.0, -17.0)
        path = itself("EPSG:32660", Affine(100, 0, x - 3000, 0, -100, y + 3000))
        x, y = Transformer.from_crs("EPSG:4326", "EPSG:32601", always_xy=True).transform(180.0, -17.0)
        check(path, Grid(CRS.from_epsg(32601), Affine(100, 0, x - 1500, 0, -100, y + 1500), 30, 30))

    @pytest.mark.parametrize("left", [179.95, -180.05])
    def test_from_degrees_across_the_antimeridian_into_a_utm_zone(
        self, itself: Callable[..., Path], left: float
    ) -> None:
        path = itself("EPSG:4326", Affine(0.002, 0, left, 0, -0.002, -16.95))
        x, y = Transformer.from_crs("EPSG:4326", "EPSG:32601", always_xy=True).transform(180.0, -17.0)
        check(path, Grid(CRS.from_epsg(32601), Affine(200, 0, x - 3000, 0, -200, y + 3000), 30, 30))

    @pytest.mark.parametrize(("left", "there"), [(179.95, -180.03), (-180.05, 179.97), (-179.99, 180.03)])
    def test_degrees_east_and_degrees_west_of_the_same_place(
        self, itself: Callable[..., Path], left: float, there: float
    ) -> None:
        path = itself("EPSG:4326", Affine(0.002, 0, left, 0, -0.002, -16.95))
        check(path, Grid(CRS.from_epsg(4326), Affine(0.002, 0, there, 0, -0.002, -16.97), 30, 30))

    @pytest.mark.parametrize(("crs", "sign"), [("EPSG:3413", 1), ("EPSG:3031", -1)])
    def test_over_the_poles(self, itself: Callable[..., Path], crs: str, sign: int) -> None:
        """A polar stereographic raster read on another that is turned about the pole."""
        path = itself(crs, Affine(500, 0, -15_000, 0, -500, 15_000))
        other = CRS.from_string(f"+proj=stere +lat_0={90 * sign} +lon_0=10 +datum=WGS84")
        check(path, Grid(other, Affine(500, 0, -5_000, 0, -500, 5_000), 20, 20), tolerance=0.02)


class TestRastersOfTheWholeEarth:
    """A raster of ones in degrees, on polar grids: any NaN is a part of the window that the warp did not read for."""

    def ones(self, tmp_path: Path, write_raster: Write, left: float, top: float) -> Path:
        transform = Affine(0.2, 0, left, 0, -0.005, top)
        return write_raster(
            tmp_path / "a.tif", np.ones((1, 1000, 1800), np.float32), crs="EPSG:4326", transform=transform
        )

    @pytest.mark.parametrize("left", [-180.0, 0.0])
    @pytest.mark.parametrize(("crs", "top"), [("EPSG:3413", 90.0), ("EPSG:3031", -85.0)])
    @pytest.mark.parametrize("pole", [(48, 48), (53, 61), (3, 80), (100, 50), (-3, 50)])
    def test_there_is_no_hole_at_the_pole(
        self, crs: str, top: float, left: float, pole: tuple[int, int], tmp_path: Path, write_raster: Write
    ) -> None:
        path = self.ones(tmp_path, write_raster, left, top)
        transform = Affine(3000, 0, -3000 * pole[0], 0, -3000, 3000 * pole[1])
        found = read_window(path, Window(0, 0, 96, 96), Grid(CRS.from_string(crs), transform, 96, 96))
        np.testing.assert_allclose(found, 1.0, atol=1e-5)

    def test_there_is_no_stripe_where_longitudes_begin_again(self, tmp_path: Path, write_raster: Write) -> None:
        path = self.ones(tmp_path, write_raster, -180.0, 90.0)
        polar = CRS.from_string("+proj=stere +lat_0=90 +lon_0=177.3 +datum=WGS84")
        grid = Grid(polar, Affine(1000, 0, -200_000, 0, -1000, -120_000), 400, 120)
        np.testing.assert_allclose(read_window(path, grid.extent, grid), 1.0, atol=1e-5)


class TestResampling:
    @pytest.fixture
    def quarters(self, tmp_path: Path, write_raster: Write) -> tuple[Path, Grid]:
        """Pixels of 10 m in blocks of four, and a grid whose pixels are such blocks."""
        values = np.asarray([[1, 1, 5, 7], [1, 9, 7, 7], [2, 2, 0, 0], [2, 2, 0, 4]], dtype=np.float32)[None]
        path = write_raster(tmp_path / "q.tif", values)
        return path, Grid(CRS.from_epsg(32633), Affine(20, 0, 500_000, 0, -20, 5_000_000), 2, 2)

    def test_the_average_is_over_what_was_observed(self, quarters: tuple[Path, Grid]) -> None:
        path, grid = quarters
        found = read_window(path, grid.extent, grid, missing=0.0, resampling="average")
        np.testing.assert_allclose(found[0], [[3.0, 6.5], [2.0, 4.0]])

    def test_the_mode_is_what_most_pixels_are(self, quarters: tuple[Path, Grid]) -> None:
        path, grid = quarters
        np.testing.assert_array_equal(
            read_window(path, grid.extent, grid, resampling="mode")[0], [[1.0, 7.0], [2.0, 0.0]]
        )

    def test_nearest_takes_no_value_that_was_not_there(self, tmp_path: Path, write_raster: Write) -> None:
        values = np.random.default_rng(0).integers(0, 9, (1, 20, 20)).astype(np.uint8) * 20
        path = write_raster(tmp_path / "c.tif", values)
        grid = Grid(CRS.from_epsg(32633), Affine(7, 0, 500_001, 0, -7, 4_999_998), 20, 20)
        found = read_window(path, grid.extent, grid, resampling="nearest")[0]
        columns = ((1 + 7 * (np.arange(20) + 0.5)) / 10).astype(int)
        rows = ((2 + 7 * (np.arange(20) + 0.5)) / 10).astype(int)
        np.testing.assert_array_equal(found, values[0][rows][:, columns])

    def test_another_name_is_refused(self, quarters: tuple[Path, Grid]) -> None:
        path, grid = quarters
        with pytest.raises(InputError, match=rf"no resampling 'linear': choose one of {', '.join(RESAMPLINGS)}"):
            read_window(path, grid.extent, grid, resampling="linear")

    @pytest.mark.parametrize("resampling", RESAMPLINGS)
    def test_a_large_read_is_warped_in_parts_that_fit(
        self, tmp_path: Path, write_raster: Write, monkeypatch: pytest.MonkeyPatch, resampling: str
    ) -> None:
        source = np.random.default_rng(0).integers(0, 5, (2, 60, 60)).astype(np.float32)
        path = write_raster(tmp_path / "s.tif", source)
        grid = Grid(CRS.from_epsg(32633), Affine(23, 2, 500_011, 1, -23, 4_999_990), 28, 25)
        whole = read_window(path, grid.extent, grid, resampling=resampling)
        monkeypatch.setattr(warp, "_MOST", 900)
        np.testing.assert_allclose(read_window(path, grid.extent, grid, resampling=resampling), whole, atol=1e-4)


def test_a_bands_missing_pixels_are_its_own(tmp_path: Path, write_raster: Write) -> None:
    """A value missing in VV and there in VH takes part in VH only."""
    values = np.full((2, 10, 10), 5.0, np.float32)
    values[0, :, 4] = -9999.0
    path = write_raster(tmp_path / "s.tif", values, nodata=-9999.0)
    grid = Grid(CRS.from_epsg(32633), Affine(10, 0, 500_003, 0, -10, 5_000_000), 9, 10)
    found = read_window(path, grid.extent, grid)
    assert set(found[np.isfinite(found)].tolist()) == {5.0}
    assert np.isfinite(found[1]).all()
    assert np.isnan(found[0]).any(axis=0).sum() <= 1


def test_overviews_made_by_whoever_are_not_used(tmp_path: Path, write_raster: Write) -> None:
    path = write_raster(tmp_path / "s.tif", np.full((1, 64, 64), 5.0, np.float32))
    with rasterio.open(path, "r+") as target:
        target.build_overviews([2, 4], Resampling.average)
        target.write(np.full((1, 64, 64), 7.0, np.float32))  # the overviews still say 5
    grid = Grid(CRS.from_epsg(32633), Affine(40, 0, 500_000, 0, -40, 5_000_000), 16, 16)
    assert set(np.unique(read_window(path, grid.extent, grid)).tolist()) == {7.0}


class TestControlPoints:
    """A swath like that of a raw Sentinel-1 product: curved, and with no more than points to say so."""

    height, width = 90, 120

    @staticmethod
    def place(column: Any, row: Any) -> tuple[Any, Any]:
        u, v = column / 120, row / 90
        return 10 + 0.12 * u + 0.02 * v + 0.003 * u * u, 47 - 0.09 * v + 0.015 * u + 0.002 * np.sin(2 * u) * v

    @pytest.fixture
    def swath(self, tmp_path: Path) -> Path:
        return self.write(tmp_path / "swath.tif", 0.0)

    def write(self, path: Path, east: float) -> Path:
        """The swath, moved east; longitudes stay within 180 degrees, as products have them."""
        rows, columns = np.mgrid[0 : self.height, 0 : self.width] + 0.5
        points = [
            GroundControlPoint(row=row, col=column, x=(x + east + 180) % 360 - 180, y=y)
            for row in np.linspace(0, self.height, 10)
            for column in np.linspace(0, self.width, 13)
            for x, y in [self.place(column, row)]
        ]
        profile = {"driver": "GTiff", "width": self.width, "height": self.height, "count": 2, "dtype": "float32"}
        with rasterio.open(path, "w", gcps=points, crs="EPSG:4326", **profile) as target:
            target.write(np.stack([columns, rows]).astype(np.float32))
        return path

    def test_it_says_that_points_are_all_it_has(self, swath: Path, tmp_path: Path, write_raster: Write) -> None:
        assert has_gcps(swath)
        assert grid_of(swath) == Grid(None, Affine.identity(), self.width, self.height)
        assert not has_gcps(write_raster(tmp_path / "a.tif", np.ones((1, 2, 2))))

    def test_its_own_pixels_are_read_as_they_are(self, swath: Path) -> None:
        found = read_window(swath, Window(3, 5, 4, 2), grid_of(swath))
        np.testing.assert_allclose(found[0], [[3.5, 4.5, 5.5, 6.5]] * 2)
        np.testing.assert_allclose(found[1][:, 0], [5.5, 6.5])

    @pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32632"])
    def test_it_is_warped_by_a_spline(self, swath: Path, crs: str) -> None:
        """The bands hold column and row, so the place of what is read must be that of the pixel it is read on."""
        x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(10.05, 46.975)
        step = 0.001 if crs == "EPSG:4326" else 80.0
        grid = Grid(CRS.from_string(crs), Affine(step, 0, x, 0, -step, y), 30, 25)
        window = Window(4, 3, 20, 20)
        columns, rows = read_window(swath, window, grid)
        lon, lat = expected(grid, "EPSG:4326")[:, 3:23, 4:24]
        found = self.place(columns, rows)
        pixel = 0.001
        assert np.abs(found[0] - lon).max() < 0.02 * pixel
        assert np.abs(found[1] - lat).max() < 0.02 * pixel

    def test_it_may_lie_across_the_antimeridian(self, tmp_path: Path) -> None:
        path = self.write(tmp_path / "swath.tif", 169.94)
        x, y = Transformer.from_crs("EPSG:4326", "EPSG:32660", always_xy=True).transform(179.99, 46.975)
        grid = Grid(CRS.from_epsg(32660), Affine(80, 0, x, 0, -80, y), 30, 25)
        columns, rows = read_window(path, grid.extent, grid)
        lon, lat = expected(grid, "EPSG:4326")
        found = self.place(columns, rows)
        assert np.abs((found[0] + 169.94 - lon + 180) % 360 - 180).max() < 2e-5
        assert np.abs(found[1] - lat).max() < 2e-5
