"""Terrain-corrected Sentinel-1 products, as several archives name them, described and read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from plait.errors import InputError
from plait_remote_sensing.products.sentinel1 import describe_sentinel1
from plait_remote_sensing.raster import Grid, Window, grid_of
from plait_remote_sensing.reading import read_scene
from tests.remote_sensing.miniatures.sentinel1 import backscatter_power

type Write = Callable[..., Path]


class TestCorrectedProducts:
    def asf(self, root: Path, write_raster: Write, unit: str = "p") -> Path:
        name = f"S1A_IW_20221204T161641_DVR_RTC30_G_g{unit}uned_1AE1"
        write_raster(root / name / f"{name}_VH.tif", backscatter_power(-18))
        write_raster(root / name / f"{name}_VV.tif", backscatter_power(-11))
        return root / name

    def test_the_name_of_an_asf_product_says_time_and_unit(self, tmp_path: Path, write_raster: Write) -> None:
        folder = self.asf(tmp_path, write_raster)
        scene = describe_sentinel1(folder, tmp_path)
        assert [path.rsplit("_", 1)[1] for path in scene.paths] == ["VV.tif", "VH.tif"]
        assert (scene.bands, scene.unit, scene.level) == (("VV", "VH"), "power", "RTC")
        assert (scene.time, scene.calibration) == ("2022-12-04T16:16:41Z", None)
        assert describe_sentinel1(folder / f"{folder.name}_VH.tif", tmp_path) == scene

    def test_the_letter_in_the_name_decides_where_values_could_not(self, tmp_path: Path, write_raster: Write) -> None:
        scene = describe_sentinel1(self.asf(tmp_path, write_raster, "a"), tmp_path)
        assert scene.unit == "amplitude"
        assert "by the name RTC30_G_gauned" in scene.notes[0]

    def test_a_letter_that_the_values_contradict_is_refused(self, tmp_path: Path, write_raster: Write) -> None:
        with pytest.raises(InputError, match="'dB, by the name RTC30_G_gduned', but its values are least"):
            describe_sentinel1(self.asf(tmp_path, write_raster, "d"), tmp_path)

    def test_a_units_tag_decides_before_the_letter(self, tmp_path: Path, write_raster: Write) -> None:
        name = "S1A_IW_20221204T161641_DVR_RTC30_G_gpuned_1AE1_VV"
        path = write_raster(tmp_path / f"{name}.tif", 10 * np.log10(backscatter_power(-11)), tags={"UNITS": "dB"})
        assert describe_sentinel1(path, tmp_path).unit == "db"

    def test_a_planetary_computer_product_has_its_track_from_the_orbit_in_its_name(
        self, tmp_path: Path, write_raster: Write
    ) -> None:
        folder = tmp_path / "S1A_IW_GRDH_1SDV_20220331T174252_20220331T174317_042573_051407_rtc"
        for polarisation, level in (("vv", -11), ("vh", -18)):
            write_raster(
                folder / "measurement" / f"iw-{polarisation}.rtc.tiff", backscatter_power(level), nodata=-32768
            )
        scene = describe_sentinel1(folder, tmp_path)
        assert (scene.bands, scene.unit, scene.level) == (("VV", "VH"), "power", "RTC")
        assert (scene.time, scene.relative_orbit) == ("2022-03-31T17:42:52Z", (42573 - 73) % 175 + 1)
        found = read_scene(scene, tmp_path, Window(0, 0, 90, 80), grid_of(tmp_path / scene.paths[0]))
        assert np.nanmedian(found[0]) == pytest.approx(-11.3, abs=0.3)

    def test_a_raster_of_two_bands_has_its_tags_for_metadata(self, tmp_path: Path, write_raster: Write) -> None:
        both = np.concatenate([backscatter_power(-11), backscatter_power(-18)])
        tags = {
            "UNITS": "linear power",
            "ORBIT_DIRECTION": "ASCENDING",
            "RELATIVE_ORBIT": "24",
            "datetime": "2021-04-01",
        }
        path = write_raster(tmp_path / "a.tif", both, tags=tags | {"incidence_angle": "38.5"})
        scene = describe_sentinel1(path, tmp_path)
        assert (scene.bands, scene.unit, scene.level) == (("VV", "VH"), "power", None)
        assert (scene.orbit, scene.relative_orbit, scene.time) == ("ascending", 24, "2021-04-01")
        assert scene.incidence == (38.5, 38.5)
        assert scene.notes == (
            "Its two bands have no names and are taken as VV and VH; the first is the brighter.",
            "It stores power: its metadata say units 'linear power'.",
        )

    def test_bands_that_cannot_be_vv_and_vh_are_not_named_so(self, tmp_path: Path, write_raster: Write) -> None:
        both = np.concatenate([backscatter_power(-18), backscatter_power(-11)])
        with pytest.raises(InputError, match="the second is brighter"):
            describe_sentinel1(write_raster(tmp_path / "a.tif", both), tmp_path)

    def test_names_of_bands_are_kept(self, tmp_path: Path, write_raster: Write) -> None:
        path = write_raster(tmp_path / "a.tif", np.concatenate([backscatter_power(-18), backscatter_power(-11)]))
        with rasterio.open(path, "r+") as target:
            target.descriptions = ("Gamma0_VH", "Gamma0_VV")
        assert describe_sentinel1(path, tmp_path).bands == ("VH", "VV")

    def test_an_ambiguous_unit_is_refused_unless_it_is_said(self, tmp_path: Path, write_raster: Write) -> None:
        path = write_raster(tmp_path / "s1_vv.tif", backscatter_power(-11))
        with pytest.raises(InputError, match=r"s1_vv\.tif.*power and amplitude.*sar_unit="):
            describe_sentinel1(path, tmp_path)
        assert describe_sentinel1(path, tmp_path, unit="power").unit == "power"

    @pytest.mark.parametrize("tags", [{}, {"UNITS": "dB"}])
    def test_decibels_that_are_none_are_told_and_not_read(
        self, tags: dict[str, str], tmp_path: Path, write_raster: Write
    ) -> None:
        both = 10 * np.log10(np.concatenate([backscatter_power(-11), backscatter_power(-18)]))
        both[:, :20] = -9999.0
        path = write_raster(tmp_path / "a.tif", both, tags=tags)
        scene = describe_sentinel1(path, tmp_path)
        assert scene.unit == "db"
        assert "no decibels (such as -9999) and count as not observed" in scene.notes[-1]
        found = read_scene(scene, tmp_path, Window(0, 0, 90, 80), grid_of(path))
        assert np.isnan(found[:, :20]).all()
        assert np.isfinite(found[:, 20:]).all()

    def test_numbers_that_nobody_calibrated_are_refused_whoever_says_the_unit(
        self, tmp_path: Path, write_raster: Write
    ) -> None:
        numbers = (np.sqrt(backscatter_power(-11)) * 10_000).astype(np.uint16)
        path = write_raster(tmp_path / "s1_vv.tif", numbers, tags={"UNITS": "amplitude"})
        for unit in (None, "amplitude"):
            with pytest.raises(InputError, match=r"s1_vv\.tif: in amplitude, half of its pixels would be above \d+ dB"):
                describe_sentinel1(path, tmp_path, unit)

    def test_two_products_in_one_folder_are_refused(self, tmp_path: Path, write_raster: Write) -> None:
        for name in ("one_VV", "two_VV"):
            write_raster(tmp_path / f"{name}.tif", backscatter_power(-11))
        with pytest.raises(InputError, match=r"several rasters of VV \(one_VV\.tif, two_VV\.tif\)"):
            describe_sentinel1(tmp_path, tmp_path)

    def test_polarisations_on_two_grids_are_refused(self, tmp_path: Path, write_raster: Write) -> None:
        write_raster(tmp_path / "one_VV.tif", backscatter_power(-11))
        write_raster(tmp_path / "one_VH.tif", backscatter_power(-18)[:, :50])
        with pytest.raises(InputError, match=r"one_VV\.tif and one_VH\.tif are not on one grid"):
            describe_sentinel1(tmp_path, tmp_path)

    def test_a_name_with_an_impossible_date_has_no_time(self, tmp_path: Path, write_raster: Write) -> None:
        path = write_raster(tmp_path / "S1A_IW_20219999T161641_VH.tif", backscatter_power(-20))
        assert describe_sentinel1(path, tmp_path).time is None

    def test_a_folder_without_polarisations_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"no GeoTIFF whose name ends with a polarisation"):
            describe_sentinel1(tmp_path, tmp_path)

    def test_a_product_outside_the_root_is_refused(self, tmp_path: Path, write_raster: Write) -> None:
        (tmp_path / "root").mkdir()
        path = write_raster(tmp_path / "s1_vh.tif", backscatter_power(-20))
        with pytest.raises(InputError, match="is not in"):
            describe_sentinel1(path, tmp_path / "root")

    def test_a_product_that_is_linked_into_the_root_is_described(self, tmp_path: Path, write_raster: Write) -> None:
        archive, root = tmp_path / "archive", tmp_path / "root"
        root.mkdir()
        write_raster(archive / "s1_vh.tif", backscatter_power(-20))
        (root / "linked").symlink_to(archive)
        assert describe_sentinel1(root / "linked" / "s1_vh.tif", root).paths == ("linked/s1_vh.tif",)

    def test_a_picture_of_bytes_is_grey(self, tmp_path: Path, write_raster: Write) -> None:
        path = write_raster(tmp_path / "s1_vv.tif", np.full((1, 20, 20), 90, np.uint8), crs=None)
        assert describe_sentinel1(path, tmp_path).unit == "grey"

    def test_the_unit_of_a_band_is_its_own_metadata(self, tmp_path: Path, write_raster: Write) -> None:
        path = write_raster(tmp_path / "s1_vv.tif", backscatter_power(-11))
        with rasterio.open(path, "r+") as target:
            target.units = ("linear power",)
        assert describe_sentinel1(path, tmp_path).unit == "power"

    def test_the_unit_is_told_of_a_few_squares_of_a_large_raster(
        self, tmp_path: Path, write_raster: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from plait_remote_sensing.products import sentinel1

        read: list[Window] = []

        def counted(path: Path, window: Window, grid: Grid) -> np.ndarray:
            read.append(window)
            return backscatter_power(-20)[:, :64, :64]

        path = write_raster(tmp_path / "s1_vh.tif", np.zeros((1, 2000, 3000), np.float32), compress="deflate")
        monkeypatch.setattr(sentinel1, "read_window", counted)
        assert describe_sentinel1(path, tmp_path).unit == "power"
        assert len(read) == 16
        assert max(window.right for window in read) == 3000
