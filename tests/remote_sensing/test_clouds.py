"""Clouds: the scene classification says which pixels show the ground, whatever window they are read in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.transform import Affine

from plait.errors import InputError
from plait_remote_sensing.bands import L2A_BANDS, MSI_BANDS
from plait_remote_sensing.clouds import SCL, cloud_share, read_observed, scl_mask, spectral_clouds
from plait_remote_sensing.raster import Window, grid_of, read_window
from plait_remote_sensing.reflectance import reflectance
from plait_remote_sensing.scene import Scene

type Write = Callable[..., Path]


def test_clouds_their_shadows_and_gaps_hide_the_ground_and_snow_does_not() -> None:
    observed = scl_mask(np.arange(12, dtype=np.uint8)[None])[0]
    assert {SCL[code] for code in np.flatnonzero(~observed)} == {
        "no data",
        "saturated or defective",
        "cloud shadow",
        "cloud, medium probability",
        "cloud, high probability",
        "thin cirrus",
    }


def test_the_classes_are_the_users_choice() -> None:
    assert scl_mask(np.asarray([[8, 11, 4]]), classes=(11,)).tolist() == [[True, False, True]]


@given(st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_dilation_is_a_square_around_every_cloud_as_a_slow_search_says(pixels: int, seed: int) -> None:
    codes = np.random.default_rng(seed).choice([4, 9], size=(9, 8), p=[0.9, 0.1])
    found = scl_mask(codes, dilation_px=pixels)
    for row in range(9):
        for column in range(8):
            near = codes[max(row - pixels, 0) : row + pixels + 1, max(column - pixels, 0) : column + pixels + 1]
            assert found[row, column] == (9 not in near)


def test_the_edge_of_the_swath_does_not_grow() -> None:
    codes = np.asarray([[0, 0, 4, 4, 4, 9]])
    assert scl_mask(codes, dilation_px=1).tolist() == [[False, False, True, True, False, False]]


def test_codes_may_be_floats_with_gaps() -> None:
    codes = np.asarray([[np.nan, np.nan, 4, 4, 9]], np.float32)
    assert scl_mask(codes).tolist() == [[False, False, True, True, False]]
    assert scl_mask(codes, dilation_px=1).tolist() == [[False, False, True, False, False]]
    assert cloud_share(codes) == pytest.approx(1 / 3)


def test_a_negative_dilation_is_refused() -> None:
    with pytest.raises(InputError, match="cannot grow by -1 pixels"):
        scl_mask(np.zeros((2, 2), np.uint8), dilation_px=-1)


def test_the_cloud_share_is_of_the_pixels_with_data() -> None:
    assert cloud_share(np.asarray([[0, 0, 3, 8], [9, 10, 4, 6]])) == pytest.approx(3 / 6)
    assert np.isnan(cloud_share(np.zeros((3, 3), np.uint8)))


@pytest.fixture
def classified(tmp_path: Path, write_raster: Write) -> tuple[Scene, Path]:
    """A band of 40 x 40 pixels of 10 m, and 20 x 20 codes of 20 m of the same ground."""
    codes = np.random.default_rng(0).choice(np.asarray([4, 5, 9], np.uint8), (1, 20, 20), p=[0.6, 0.35, 0.05])
    write_raster(tmp_path / "B02.tif", np.ones((1, 40, 40), np.uint16))
    write_raster(tmp_path / "SCL.tif", codes, transform=Affine(20, 0, 500_000, 0, -20, 5_000_000))
    return Scene("optical", ("B02.tif",), ("B02",), "dn", scl="SCL.tif"), tmp_path


def test_a_20_m_code_covers_its_four_10_m_pixels(classified: tuple[Scene, Path]) -> None:
    scene, root = classified
    grid, own = grid_of(root / "B02.tif"), grid_of(root / "SCL.tif")
    codes = read_window(root / "SCL.tif", own.extent, own)[0]
    expected = np.kron(codes != 9, np.ones((2, 2), dtype=bool))
    np.testing.assert_array_equal(read_observed(scene, root, grid.extent, grid), expected)


def test_a_pixels_answer_does_not_depend_on_its_window(classified: tuple[Scene, Path]) -> None:
    scene, root = classified
    grid = grid_of(root / "B02.tif")
    whole = read_observed(scene, root, grid.extent, grid, dilation_px=3)
    for window in (Window(0, 0, 7, 9), Window(13, 11, 8, 5), Window(33, 30, 7, 10)):
        part = read_observed(scene, root, window, grid, dilation_px=3)
        np.testing.assert_array_equal(part, whole[window.row : window.bottom, window.column : window.right])


def test_a_scene_without_classification_is_taken_as_observed(classified: tuple[Scene, Path]) -> None:
    scene, root = classified
    grid = grid_of(root / "B02.tif")
    bare = Scene("optical", scene.paths, scene.bands, "dn")
    assert read_observed(bare, root, Window(3, 3, 4, 2), grid).tolist() == [[True] * 4] * 2


class TestSpectrum:
    BANDS = ("B02", "B03", "B04", "B08", "B11")
    SURFACES = (
        ("cloud", (0.45, 0.45, 0.46, 0.50, 0.35), "cloud"),
        ("forest", (0.02, 0.045, 0.03, 0.26, 0.14), None),
        ("water", (0.06, 0.05, 0.03, 0.015, 0.01), None),
        ("snow", (0.80, 0.80, 0.78, 0.70, 0.10), None),
        ("shadow on soil", (0.04, 0.05, 0.05, 0.08, 0.07), "shadow"),
        ("haze over water", (0.19, 0.15, 0.10, 0.05, 0.02), None),
        ("nothing", (np.nan,) * 5, None),
    )

    @pytest.mark.parametrize(("name", "spectrum", "expected"), SURFACES, ids=[name for name, *_ in SURFACES])
    def test_typical_surfaces(self, name: str, spectrum: tuple[float, ...], expected: str | None) -> None:
        cloud, shadow = spectral_clouds(np.asarray(spectrum, np.float32)[:, None, None], self.BANDS)
        assert (bool(cloud[0, 0]), bool(shadow[0, 0])) == (expected == "cloud", expected == "shadow")

    def test_cirrus_is_seen_where_its_band_is(self) -> None:
        values = np.asarray([0.06, 0.06, 0.06, 0.2, 0.2, 0.02], np.float32)[:, None, None]
        assert spectral_clouds(values, (*self.BANDS, "B10"))[0].all()
        assert not spectral_clouds(values, (*self.BANDS, "B09"))[0].any()

    def test_a_missing_band_is_named(self) -> None:
        with pytest.raises(InputError, match="without the band B11"):
            spectral_clouds(np.ones((4, 2, 2), np.float32), self.BANDS[:4])


@pytest.mark.real
class TestRealScenes:
    """Shares that the crude look finds; there is no truth beside them, the masks were compared with pictures by eye."""

    def share(self, path: Path, bands: tuple[str, ...], offset: float = 0.0) -> float:
        grid = grid_of(path)
        values = reflectance(read_window(path, grid.extent, grid), "dn", offset)
        return float(spectral_clouds(values, bands)[0].mean())

    def test_the_cloudy_half_of_the_pair_is_half_clouds_and_the_clear_one_has_none(self, shared_data: Path) -> None:
        root = shared_data / "remote_sensing" / "sen12mscr_sample"
        shares = {sky: self.share(next((root / sky).glob("*.tif")), MSI_BANDS) for sky in ("s2_cloudfree", "s2_cloudy")}
        assert shares["s2_cloudfree"] < 0.01
        assert 0.4 < shares["s2_cloudy"] < 0.65

    def test_a_beach_is_taken_for_clouds_as_the_docstring_warns(self, shared_data: Path) -> None:
        path = shared_data / "remote_sensing" / "terramesh_lulc" / "S2L2A" / "282D_485L_3_3.tif"
        assert 0.05 < self.share(path, L2A_BANDS) < 0.15

    def test_snow_and_clear_land_are_not_taken_for_clouds(self, shared_data: Path) -> None:
        root = shared_data / "remote_sensing" / "terramesh_lulc" / "S2L2A"
        for name, offset in (
            ("609U_541L_3_0", 0.0),  # snow alone
            ("38D_378R_2_3", 0.0),
            ("433D_629L_3_1", 1000.0),
            ("637U_59R_1_3", 0.0),
        ):
            assert self.share(root / f"{name}.tif", L2A_BANDS, offset) < 0.01
