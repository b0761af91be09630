"""Rasters as they should not be: one sentence each, or NaN, and never a number that was not measured."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.transform import Affine

from plait.errors import InputError
from plait_remote_sensing.raster import Grid, Window, band_names_of, grid_of, read_window

type Write = Callable[..., Path]

BESIDE = Grid(CRS.from_epsg(32633), Affine(10, 0, 500_003, 0, -10, 4_999_998), 6, 6)
"""A grid beside that of `write_raster`: reading on it warps."""


@pytest.fixture(params=["aligned", "warped"])
def read(request: pytest.FixtureRequest) -> Callable[..., np.ndarray]:
    """Read the first 6 x 6 pixels of a raster, on its own grid and on another."""

    def run(path: Path, **more: Any) -> np.ndarray:
        grid = grid_of(path) if request.param == "aligned" else BESIDE
        return read_window(path, Window(0, 0, 6, 6), grid, **more)

    return run


class TestWhatCannotBeRead:
    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="is a folder and not a raster: name a file in it"):
            grid_of(tmp_path)

    def test_an_empty_file(self, tmp_path: Path) -> None:
        (tmp_path / "a.tif").touch()
        with pytest.raises(InputError, match=r"a\.tif cannot be read as a raster \(.*not recognized"):
            grid_of(tmp_path / "a.tif")

    def test_a_pointer_of_git_lfs(self, tmp_path: Path) -> None:
        path = tmp_path / "a.tif"
        path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
        with pytest.raises(InputError, match=r"a\.tif is a Git-LFS pointer.*git lfs pull"):
            grid_of(path)

    @pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.5, 0.9])
    def test_a_file_cut_short_says_gdals_reason(self, tmp_path: Path, write_raster: Write, share: float) -> None:
        noise = np.random.default_rng(0).normal(size=(2, 64, 64)).astype(np.float32)
        path = write_raster(tmp_path / "cut.tif", noise, compress="deflate")
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
        with pytest.raises(InputError, match=r"cut\.tif cannot be read as a raster \(.{10,}\): fetch the file again"):
            read_window(path, Window(0, 0, 64, 64), grid_of(path))

    def test_a_size_that_no_memory_holds(self, tmp_path: Path, write_raster: Write) -> None:
        """Two numbers in the header are changed: the file says it is 400,000 pixels wide and high."""
        path = write_raster(tmp_path / "huge.tif", np.ones((1, 4, 4), np.uint8), sparse_ok=True)
        raw = bytearray(path.read_bytes())
        for tag in (256, 257):
            at = raw.rindex(struct.pack("<HHI", tag, 3, 1))
            raw[at : at + 12] = struct.pack("<HHII", tag, 4, 1, 400_000)
        path.write_bytes(raw)
        grid = grid_of(path)
        with pytest.raises(InputError, match=r"huge\.tif declares 400000 x 400000 pixels of 1 bands.*596 GiB"):
            read_window(path, grid.extent, grid)

    def test_no_pixels_at_all(self, tmp_path: Path, write_raster: Write) -> None:
        path = write_raster(tmp_path / "none.tif", np.ones((1, 4, 4), np.uint8))
        raw = bytearray(path.read_bytes())
        at = raw.rindex(struct.pack("<HHI", 256, 3, 1))
        raw[at + 8 : at + 10] = struct.pack("<H", 0)
        path.write_bytes(raw)
        with pytest.raises(InputError, match=r"none\.tif cannot be read as a raster"):
            grid_of(path)

    def test_complex_numbers_are_no_backscatter(
        self, tmp_path: Path, write_raster: Write, read: Callable[..., np.ndarray]
    ) -> None:
        path = write_raster(tmp_path / "slc.tif", np.ones((1, 8, 8), np.complex64))
        with pytest.raises(InputError, match=r"slc\.tif holds complex numbers.*amplitude"):
            read(path)

    def test_one_of_two_without_coordinates(self, tmp_path: Path, write_raster: Write) -> None:
        path = write_raster(tmp_path / "a.tif", np.ones((1, 6, 6)), crs=None)
        with pytest.raises(InputError, match=r"a\.tif has 6 x 6 pixels, its partner 6 x 6.*coordinate reference"):
            read_window(path, Window(0, 0, 2, 2), BESIDE)

    def test_a_reference_system_without_a_transform_places_nothing(self, tmp_path: Path, write_raster: Write) -> None:
        path = write_raster(tmp_path / "a.tif", np.ones((1, 5, 6)), transform=Affine.identity())
        assert grid_of(path) == Grid(None, Affine.identity(), 6, 5)
        with pytest.raises(InputError, match="no coordinate reference system"):
            read_window(path, Window(0, 0, 2, 2), BESIDE)

    def test_a_reference_system_that_leads_nowhere(self, tmp_path: Path, write_raster: Write) -> None:
        path = write_raster(tmp_path / "a.tif", np.ones((1, 6, 6)))
        nowhere = CRS.from_wkt('LOCAL_CS["of the mine",UNIT["metre",1],AXIS["x",EAST],AXIS["y",NORTH]]')
        with pytest.raises(InputError, match=r"no way from the reference system .* to .*: correct the wrong one"):
            read_window(path, Window(0, 0, 2, 2), Grid(nowhere, BESIDE.transform, 6, 6))


class TestMissing:
    def test_all_nodata_is_all_nan(self, tmp_path: Path, write_raster: Write, read: Callable[..., np.ndarray]) -> None:
        path = write_raster(tmp_path / "a.tif", np.full((2, 8, 8), -9999.0, np.float32), nodata=-9999.0)
        assert np.isnan(read(path)).all()

    def test_not_a_number_and_infinity_are_missing_and_stay_where_they_are(
        self, tmp_path: Path, write_raster: Write, read: Callable[..., np.ndarray]
    ) -> None:
        values = np.full((1, 8, 8), 5.0, np.float32)
        values[0, 2, 2], values[0, 4, 4], values[0, 5, 1] = np.nan, np.inf, -np.inf
        found = read(write_raster(tmp_path / "a.tif", values))
        assert set(found[np.isfinite(found)].tolist()) == {5.0}
        assert not np.isinf(found).any()
        assert 0 < np.isnan(found).sum() <= 3

    def test_a_mask_beside_the_values_is_honoured(
        self, tmp_path: Path, write_raster: Write, read: Callable[..., np.ndarray]
    ) -> None:
        path = write_raster(tmp_path / "a.tif", np.where(np.arange(8) < 4, 5.0, 99.0)[None, None].repeat(8, 1))
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as target:
            target.write_mask(np.broadcast_to(np.arange(8) < 4, (8, 8)).astype(np.uint8) * 255)
        found = read(path)
        assert set(found[np.isfinite(found)].tolist()) == {5.0}
        assert np.isnan(found[..., 4:]).all()

    def test_transparency_is_a_mask_and_no_band(
        self, tmp_path: Path, write_raster: Write, read: Callable[..., np.ndarray]
    ) -> None:
        values = np.full((4, 8, 8), 50, np.uint8)
        values[3] = np.where(np.arange(8) < 4, 255, 0)
        path = write_raster(tmp_path / "a.tif", values)
        assert band_names_of(path) == (None, None, None)
        found = read(path)
        assert found.shape == (3, 6, 6)
        assert set(found[np.isfinite(found)].tolist()) == {50.0}
        assert np.isnan(found[..., 4:]).all()

    def test_a_near_infrared_band_with_a_name_is_no_transparency(
        self, tmp_path: Path, write_raster: Write, read: Callable[..., np.ndarray]
    ) -> None:
        """GDAL takes the last of four bands of 8 bits for transparency, unless it is told otherwise."""
        values = np.full((4, 8, 8), 50, np.uint8)
        values[3] = 0
        path = write_raster(tmp_path / "a.tif", values)
        with rasterio.open(path, "r+") as target:
            assert target.colorinterp[3] == ColorInterp.alpha
            target.descriptions = ("B02", "B03", "B04", "B08")
        assert band_names_of(path) == ("B02", "B03", "B04", "B08")
        found = read(path)
        assert found.shape == (4, 6, 6)
        assert set(found[3].ravel().tolist()) == {0.0}
        assert set(found[0].ravel().tolist()) == {50.0}

    def test_a_second_missing_value_is_missing_beside_the_files_own(
        self, tmp_path: Path, write_raster: Write, read: Callable[..., np.ndarray]
    ) -> None:
        """Sen1Floods11's radar has NaN for nodata, and zeros that mean the same."""
        values = np.full((1, 8, 8), -15.0, np.float32)
        values[0, :, 1], values[0, :, 5] = np.nan, 0.0
        found = read(write_raster(tmp_path / "a.tif", values, nodata=np.nan), missing=0.0)
        assert set(found[np.isfinite(found)].tolist()) == {-15.0}

    @pytest.mark.parametrize(
        ("dtype", "nodata"), [("uint16", 0), ("uint16", 65535), ("int16", -32768), ("float32", -3.4028234663852886e38)]
    )
    def test_nodata_at_the_ends_of_a_type(
        self, tmp_path: Path, write_raster: Write, read: Callable[..., np.ndarray], dtype: str, nodata: float
    ) -> None:
        values = np.full((1, 8, 8), 1000, dtype)
        values[0, 3:5] = nodata
        found = read(write_raster(tmp_path / "a.tif", values, nodata=nodata))
        assert set(found[np.isfinite(found)].tolist()) == {1000.0}
        assert np.isnan(found).any()


class TestNumbers:
    def test_unsigned_numbers_never_wrap(
        self, tmp_path: Path, write_raster: Write, read: Callable[..., np.ndarray]
    ) -> None:
        values = np.full((1, 8, 8), 65535, np.uint16)
        values[0, :, :4] = 3
        found = read(write_raster(tmp_path / "a.tif", values))
        assert found.dtype == np.float32
        assert found.min() >= 3
        assert found.max() <= 65535
        assert (found - 1000).min() < 0

    def test_what_is_too_large_for_a_float_is_missing(
        self, tmp_path: Path, write_raster: Write, read: Callable[..., np.ndarray]
    ) -> None:
        values = np.full((1, 8, 8), 5.0)
        values[0, 2] = 1e300
        found = read(write_raster(tmp_path / "a.tif", values))
        assert set(found[np.isfinite(found)].tolist()) == {5.0}
        assert np.isnan(found).any()


def test_bands_say_their_names(tmp_path: Path, write_raster: Write) -> None:
    path = write_raster(tmp_path / "a.tif", np.ones((2, 2, 2), np.float32))
    assert band_names_of(path) == (None, None)
    with rasterio.open(path, "r+") as target:
        target.descriptions = ("VV", "VH")
    assert band_names_of(path) == ("VV", "VH")
