"""Reading windows: the right pixels, from any grid, with one warp; and one sentence where that is not possible."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rasterio.transform import Affine

from plait.errors import InputError
from plait_remote_sensing.raster import Window, grid_of, read_window, read_with_context, tags_of

type Write = Callable[..., Path]


@pytest.fixture
def numbered(tmp_path: Path, write_raster: Write) -> Path:
    """A 2-band raster of 12 x 10 pixels, each with its own number."""
    return write_raster(tmp_path / "numbered.tif", np.arange(2 * 10 * 12, dtype=np.float32).reshape(2, 10, 12) + 1)


def test_a_window_is_read_as_the_slice_it_names(numbered: Path) -> None:
    whole = np.arange(240).reshape(2, 10, 12) + 1
    found = read_window(numbered, Window(3, 2, 5, 4), grid_of(numbered))
    np.testing.assert_array_equal(found, whole[:, 2:6, 3:8])


@pytest.mark.parametrize("window", ["8,0,5,4", "-1,0,4,4", "0,9,4,4", "100,100,4,4", "0,0,0,4"])
def test_a_window_outside_its_raster_is_refused(numbered: Path, window: str) -> None:
    with pytest.raises(InputError, match=r"numbered\.tif.*is not inside its grid of 12 x 10"):
        read_window(numbered, Window.parse(window), grid_of(numbered))


def test_a_window_survives_its_text() -> None:
    assert Window.parse(str(Window(1, 2, 3, 4))) == Window(1, 2, 3, 4)


@pytest.mark.parametrize("text", ["1,2,3", "a,b,c,d", "", "1.5,0,2,2"])
def test_a_window_that_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not 'column,row,width,height'"):
        Window.parse(text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no raster at .*gone\.tif"):
        grid_of(tmp_path / "gone.tif")


def test_a_file_that_is_no_raster_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.tif").write_text("not a raster")
    with pytest.raises(InputError, match=r"text\.tif cannot be read as a raster"):
        grid_of(tmp_path / "text.tif")


def test_a_raster_cut_short_is_found_when_its_pixels_are_read(tmp_path: Path, write_raster: Write) -> None:
    noise = np.random.default_rng(0).normal(size=(1, 64, 64)).astype(np.float32)
    path = write_raster(tmp_path / "cut.tif", noise, compress="deflate")
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match=r"cut\.tif cannot be read as a raster"):
        read_window(path, Window(0, 0, 64, 64), grid_of(path))


def test_nodata_of_the_file_becomes_nan(tmp_path: Path, write_raster: Write) -> None:
    path = write_raster(tmp_path / "a.tif", np.asarray([[[7, -1], [3, -1]]], dtype=np.int16), nodata=-1)
    np.testing.assert_array_equal(read_window(path, Window(0, 0, 2, 2), grid_of(path)), [[[7, np.nan], [3, np.nan]]])


def test_the_value_that_means_missing_is_used_where_the_file_has_no_nodata_tag(
    tmp_path: Path, write_raster: Write
) -> None:
    path = write_raster(tmp_path / "a.tif", np.asarray([[[0.0, 5.0]]], dtype=np.float32))
    found = read_window(path, Window(0, 0, 2, 1), grid_of(path), missing=0.0)
    np.testing.assert_array_equal(found, [[[np.nan, 5.0]]])


def test_grids_that_agree_to_a_thousandth_of_a_pixel_are_one(tmp_path: Path, write_raster: Write) -> None:
    values = np.ones((1, 4, 4), np.float32)
    one = grid_of(write_raster(tmp_path / "one.tif", values))
    near = grid_of(write_raster(tmp_path / "near.tif", values, transform=Affine(10, 0, 500_000 + 1e-7, 0, -10, 5e6)))
    off = grid_of(write_raster(tmp_path / "off.tif", values, transform=Affine(10, 0, 500_001, 0, -10, 5e6)))
    assert one.same_as(near)
    assert not one.same_as(off)


class TestContext:
    area = Window(0, 0, 6, 10)

    def test_inside_the_area_it_is_the_neighbourhood(self, numbered: Path) -> None:
        grid = grid_of(numbered)
        found = read_with_context(numbered, Window(3, 4, 2, 2), 1, self.area, grid, None)
        np.testing.assert_array_equal(found, read_window(numbered, Window(2, 3, 4, 4), grid))

    def test_beyond_the_area_it_is_the_mirror_image(self, numbered: Path) -> None:
        found = read_with_context(numbered, Window(4, 4, 2, 2), 2, self.area, grid_of(numbered), None)
        np.testing.assert_array_equal(found[..., 4:], found[..., [3, 2]])

    def test_nothing_from_beyond_the_area_is_ever_seen(self, tmp_path: Path, write_raster: Write) -> None:
        values = np.ones((1, 10, 12), np.float32)
        values[..., 6:] = 999.0
        path = write_raster(tmp_path / "a.tif", values)
        for column in range(5):
            found = read_with_context(path, Window(column, 4, 2, 2), 5, self.area, grid_of(path), None)
            assert found.max() == 1.0


def bilinear(values: np.ndarray, x: float, y: float, scale: float) -> float:
    """One target pixel by definition: weights fall linearly to zero one pixel (of the larger kind) away.

    ``x`` and ``y`` are the target's centre in source pixels; ``scale`` is how many source pixels a target pixel spans,
    if that is more than one. Missing pixels have no weight.
    """
    total = weight = 0.0
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            w = max(0.0, 1 - abs(column + 0.5 - x) / scale) * max(0.0, 1 - abs(row + 0.5 - y) / scale)
            if w and np.isfinite(values[row, column]):
                total, weight = total + w * values[row, column], weight + w
    return total / weight if weight else np.nan


class TestWarp:
    @pytest.mark.parametrize("size", [5.0, 9.0, 12.0, 20.0])
    def test_another_grid_is_interpolated_as_the_slow_definition_says(
        self, tmp_path: Path, size: float, write_raster: Write
    ) -> None:
        source = np.random.default_rng(0).normal(size=(1, 50, 50)).astype(np.float32)
        path = write_raster(tmp_path / "source.tif", source, transform=Affine(size, 0, 499_990, 0, -size, 5_000_010))
        reference = write_raster(tmp_path / "reference.tif", np.zeros((1, 20, 20), np.float32))
        window = Window(4, 6, 8, 5)
        found = read_window(path, window, grid_of(reference))[0]
        for row in range(window.height):
            for column in range(window.width):
                easting = 500_000 + 10 * (window.column + column + 0.5)
                northing = 5_000_000 - 10 * (window.row + row + 0.5)
                x, y = (easting - 499_990) / size, (5_000_010 - northing) / size
                assert found[row, column] == pytest.approx(bilinear(source[0], x, y, max(1.0, 10 / size)), abs=1e-4)

    def test_a_pixel_is_the_same_whatever_window_it_is_read_with(self, tmp_path: Path, write_raster: Write) -> None:
        source = np.random.default_rng(0).normal(size=(1, 60, 60)).astype(np.float32)
        path = write_raster(tmp_path / "s.tif", source, transform=Affine(9, 0, 499_990, 0, -9, 5_000_010))
        grid = grid_of(write_raster(tmp_path / "r.tif", np.zeros((1, 40, 40), np.float32)))
        whole = read_window(path, grid.extent, grid)
        for window in (Window(0, 0, 7, 7), Window(11, 3, 1, 1), Window(20, 5, 9, 30)):
            part = read_window(path, window, grid)
            inside = whole[:, window.row : window.bottom, window.column : window.right]
            np.testing.assert_allclose(part, inside, atol=1e-5)

    def test_a_plane_stays_a_plane_across_utm_zones(self, tmp_path: Path, write_raster: Write) -> None:
        """A raster that holds its own easting, stored in the next zone, gives each pixel's easting back."""
        from rasterio.warp import transform

        rows, columns = np.mgrid[0:60, 0:60]
        # A square around 18 degrees east, where zones 33 and 34 meet.
        corner = transform("EPSG:4326", "EPSG:32633", [18.0], [45.0])
        away = transform("EPSG:4326", "EPSG:32634", [18.0], [45.0])
        reference = write_raster(
            tmp_path / "r.tif", np.zeros((1, 20, 20)), transform=Affine(10, 0, corner[0][0], 0, -10, corner[1][0])
        )
        eastings = away[0][0] - 200 + 10 * (columns + 0.5)
        northings = away[1][0] + 200 - 10 * (rows + 0.5)
        here = np.asarray(transform("EPSG:32634", "EPSG:32633", eastings.ravel(), northings.ravel())[0])
        source = write_raster(
            tmp_path / "s.tif",
            (here - corner[0][0]).reshape(1, 60, 60),
            crs="EPSG:32634",
            transform=Affine(10, 0, away[0][0] - 200, 0, -10, away[1][0] + 200),
        )
        found = read_window(source, Window(2, 2, 10, 10), grid_of(reference))[0]
        expected = 10 * (np.arange(2, 12) + 0.5)
        np.testing.assert_allclose(found, np.broadcast_to(expected, (10, 10)), atol=0.01)

    def test_missing_pixels_take_no_part_in_the_interpolation(self, tmp_path: Path, write_raster: Write) -> None:
        source = np.full((1, 10, 10), 5.0, np.float32)
        source[0, :, 4:] = 0.0
        path = write_raster(tmp_path / "s.tif", source, transform=Affine(10, 0, 500_003, 0, -10, 5_000_000))
        reference = grid_of(write_raster(tmp_path / "r.tif", np.zeros((1, 10, 10), np.float32)))
        found = read_window(path, Window(1, 1, 8, 8), reference, missing=0.0)[0]
        assert set(np.unique(found[np.isfinite(found)])) == {5.0}
        assert np.isnan(found[:, 5:]).all()

    def test_outside_the_warped_raster_there_is_nothing(self, tmp_path: Path, write_raster: Write) -> None:
        path = write_raster(
            tmp_path / "s.tif", np.ones((1, 5, 5), np.float32), transform=Affine(11, 0, 500_000, 0, -11, 5e6)
        )
        reference = grid_of(write_raster(tmp_path / "r.tif", np.zeros((1, 20, 20), np.float32)))
        assert np.isnan(read_window(path, Window(10, 10, 10, 10), reference)).all()

    def test_without_coordinates_two_sizes_cannot_be_joined(self, tmp_path: Path, write_raster: Write) -> None:
        one = write_raster(tmp_path / "one.tif", np.ones((1, 4, 4), np.float32), crs=None)
        other = grid_of(write_raster(tmp_path / "other.tif", np.ones((1, 5, 5), np.float32), crs=None))
        with pytest.raises(InputError, match=r"one\.tif has 4 x 4 pixels, its partner 5 x 5.*coordinate reference"):
            read_window(one, Window(0, 0, 2, 2), other)


def test_tags_and_a_bands_offset_are_read(tmp_path: Path, write_raster: Write) -> None:
    path = write_raster(tmp_path / "a.tif", np.ones((1, 2, 2), np.int16), tags={"BOA_ADD_OFFSET": "-1000"})
    assert tags_of(path)["BOA_ADD_OFFSET"] == "-1000"
