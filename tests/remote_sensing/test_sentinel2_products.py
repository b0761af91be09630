"""Sentinel-2 products as ESA lays them out, whole and damaged, are told what they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from plait.errors import InputError
from plait_remote_sensing.bands import L2A_BANDS, MSI, MSI_BANDS
from plait_remote_sensing.products.sentinel2 import describe_sentinel2, reference_path
from plait_remote_sensing.raster import Window, grid_of
from plait_remote_sensing.reading import read_scene
from plait_remote_sensing.scene import Scene
from tests.remote_sensing.miniatures.sentinel2 import L1C, L2A, numbers, write_safe


@pytest.fixture(scope="module")
def products(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sentinel2")
    write_safe(root, L1C, baseline="04.00", offset=-1000, pedestal=1000)
    write_safe(root, L2A, baseline="02.14", offset=None)
    return root


@pytest.fixture(scope="module")
def l1c(products: Path) -> Scene:
    return describe_sentinel2(products / L1C, products)


@pytest.fixture(scope="module")
def l2a(products: Path) -> Scene:
    return describe_sentinel2(products / L2A, products)


class TestProducts:
    def test_level_1c_has_13_bands_in_the_products_order_and_its_offset_from_metadata(self, l1c: Scene) -> None:
        assert (l1c.sensor, l1c.unit, l1c.level) == ("optical", "dn", "L1C")
        assert l1c.bands == MSI_BANDS
        assert [path.rpartition("_")[2] for path in l1c.paths] == [f"{band}.jp2" for band in MSI_BANDS]
        assert (l1c.offset, l1c.quantification) == (1000.0, 10_000.0)
        assert "offset 1000: its metadata say RADIO_ADD_OFFSET -1000" in l1c.notes
        assert l1c.scl is None

    def test_level_2a_has_12_bands_each_at_its_finest_and_the_classification(self, l2a: Scene) -> None:
        assert l2a.level == "L2A"
        assert l2a.bands == L2A_BANDS
        assert [path.rpartition("_")[2] for path in l2a.paths] == [f"{MSI[band].resolution}m.jp2" for band in l2a.bands]
        assert l2a.offset == 0.0
        assert "offset 0: its processing baseline is 02.14" in l2a.notes
        assert l2a.scl is not None
        assert l2a.scl.endswith("R20m/T32TQM_20200607T101559_SCL_20m.jp2")

    def test_time_orbit_and_tile_are_those_of_the_metadata(self, l1c: Scene) -> None:
        assert l1c.time == "2022-04-12T16:28:41Z"
        assert (l1c.orbit, l1c.relative_orbit) == ("descending", 83)
        assert "MGRS tile T16TGM" in l1c.notes

    def test_the_metadata_file_itself_may_be_given(self, products: Path, l1c: Scene) -> None:
        assert describe_sentinel2(products / L1C / "MTD_MSIL1C.xml", products) == l1c

    def test_the_first_10_m_band_is_the_grid(self, products: Path, l1c: Scene, l2a: Scene) -> None:
        for scene in (l1c, l2a):
            assert scene.bands[scene.paths.index(reference_path(scene))] == "B02"
            assert grid_of(products / reference_path(scene)).transform.a == 10.0

    def test_reflectance_is_that_of_the_numbers(self, products: Path, l1c: Scene) -> None:
        grid = grid_of(products / reference_path(l1c))
        values = read_scene(l1c, products, grid.extent, grid)
        assert values.shape == (13, 24, 24)
        blue = (numbers("B02", 10) / 10_000)[0]
        np.testing.assert_allclose(values[1], blue, atol=1e-6)

    def test_a_20_m_pixel_covers_its_four_10_m_pixels(self, products: Path, l2a: Scene) -> None:
        grid = grid_of(products / reference_path(l2a))
        values = read_scene(l2a, products, grid.extent, grid, "nearest")
        for band, factor in (("B05", 2), ("B12", 2), ("B01", 6)):
            coarse = numbers(band, 10 * factor)[0] / 10_000
            expected = np.kron(coarse, np.ones((factor, factor)))
            np.testing.assert_allclose(values[l2a.bands.index(band)], expected, atol=1e-6)

    def test_bilinear_weights_are_three_quarters_and_a_quarter(self, products: Path, l2a: Scene) -> None:
        """The centre of a 10 m pixel lies a quarter of a 20 m pixel from the centre of the 20 m pixel it is in."""
        grid, window = grid_of(products / reference_path(l2a)), Window(6, 8, 8, 6)
        found = read_scene(l2a, products, window, grid)[l2a.bands.index("B8A")]
        coarse = numbers("B8A", 20)[0] / 10_000
        for row in range(window.height):
            for column in range(window.width):
                y, x = (window.row + row) // 2, (window.column + column) // 2
                down = 1 if (window.row + row) % 2 else -1
                right = 1 if (window.column + column) % 2 else -1
                near = 0.75 * coarse[y, x] + 0.25 * coarse[y, x + right]
                far = 0.75 * coarse[y + down, x] + 0.25 * coarse[y + down, x + right]
                assert found[row, column] == pytest.approx(0.75 * near + 0.25 * far, abs=1e-6)

    def test_a_missing_band_file_is_named_and_the_others_are_read(self, tmp_path: Path) -> None:
        scene = describe_sentinel2(
            write_safe(tmp_path, L1C, baseline="03.01", offset=None, without=("B05", "B11")), tmp_path
        )
        assert scene.bands == tuple(band for band in MSI_BANDS if band not in ("B05", "B11"))
        assert "missing bands: B05, B11" in scene.notes
        assert "its metadata name T16TGM_20220412T162841_B11, which is not there" in scene.notes
        # The name says N0400, and the metadata 03.01: they decide.
        assert scene.offset == 0.0

    def test_a_band_whose_finest_file_is_lost_is_read_at_20_m(self, tmp_path: Path) -> None:
        folder = write_safe(tmp_path, L2A, baseline="02.14", offset=None, without=("B02_10m", "B03_10m"))
        scene = describe_sentinel2(folder, tmp_path)
        assert scene.paths[1].endswith("B02_20m.jp2")
        assert reference_path(scene).endswith("B04_10m.jp2")

    def test_metadata_that_pixels_contradict_are_told(self, tmp_path: Path) -> None:
        folder = write_safe(tmp_path, L2A.replace("N0214", "N0509"), baseline="05.09", offset=-1000)
        scene = describe_sentinel2(folder, tmp_path)
        assert scene.offset == 1000.0
        assert any("its pixels contradict" in note for note in scene.notes)


def edited(folder: Path, edit: Callable[[str], str]) -> Path:
    record = next(folder.glob("MTD_MSI*.xml"))
    record.write_text(edit(record.read_text(encoding="utf-8")), encoding="utf-8")
    return folder


class TestDamagedProducts:
    @pytest.fixture
    def product(self, tmp_path: Path) -> Path:
        return write_safe(tmp_path, L1C, baseline="04.00", offset=-1000, pedestal=1000)

    @pytest.mark.parametrize(
        ("edit", "said"),
        [
            (lambda text: text[:400], r"MTD_MSIL1C\.xml is damaged \(.*fetch the product again"),
            (lambda text: text.replace("PROCESSING_LEVEL", "OTHER"), "is no metadata of a Sentinel-2 product"),
            (lambda text: text.replace(">83<", ">many<"), "is no metadata of a Sentinel-2 product"),
            (lambda text: text.replace("<n1:G", "<!DOCTYPE a><n1:G", 1), "declares a document type"),
            (lambda text: text.replace('band_id="3">-1000', 'band_id="3">0'), "gives its bands the offsets 0 and 1000"),
        ],
        ids=["cut short", "no level", "orbit", "doctype", "mixed"],
    )
    def test_damaged_metadata_are_a_sentence(self, product: Path, edit: Callable[[str], str], said: str) -> None:
        with pytest.raises(InputError, match=said):
            describe_sentinel2(edited(product, edit), product.parent)

    def test_a_band_file_cut_short_is_named(self, product: Path) -> None:
        path = next(product.glob("GRANULE/*/IMG_DATA/*_B08.jp2"))
        path.write_bytes(path.read_bytes()[:60])
        with pytest.raises(InputError, match=r"_B08\.jp2 cannot be read as a raster"):
            describe_sentinel2(product, product.parent)

    def test_a_product_of_several_granules_is_refused(self, product: Path) -> None:
        (product / "GRANULE" / "L1C_T16TGN_A035543_20220412T163959" / "IMG_DATA").mkdir(parents=True)
        with pytest.raises(InputError, match="holds 2 granules"):
            describe_sentinel2(product, product.parent)

    def test_nothing_there_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no Sentinel-2 scene at"):
            describe_sentinel2(tmp_path / "gone.SAFE", tmp_path)

    def test_a_scene_outside_the_root_is_refused(self, product: Path) -> None:
        with pytest.raises(InputError, match="is not under"):
            describe_sentinel2(product, product / "GRANULE")
