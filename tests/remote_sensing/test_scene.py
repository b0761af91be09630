"""A scene: from a row and back, and physical values on any grid, NaN where nothing was observed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from rasterio.crs import CRS
from rasterio.transform import Affine

from plait.errors import InputError
from plait_remote_sensing.load import Loader, modalities_of
from plait_remote_sensing.raster import Grid, Window, grid_of
from plait_remote_sensing.reading import read_clear, read_scene
from plait_remote_sensing.scene import Scene, scene_columns, scene_of, sensor_of

type Write = Callable[..., Path]

SAR = Scene(
    "sar", ("s1.tif",), ("VV", "VH"), "power", missing=-1.0, time="2021-04-01T05:26:23Z", orbit="descending",
    relative_orbit=66, incidence=(30.5, 46.0), level="GRD", calibration="calibration.xml",
)  # fmt: skip
OPTICAL = Scene(
    "optical", ("b02.tif", "b05.tif"), ("B02", "B05"), "dn", offset=1000.0, quantification=5000.0, scl="scl.tif"
)


@pytest.mark.parametrize(("modality", "scene"), [("sar", SAR), ("sar_before", SAR), ("optical_after", OPTICAL)])
def test_a_row_keeps_all_of_a_scene_through_a_table(modality: str, scene: Scene) -> None:
    row = pa.table({name: [value] for name, value in scene_columns(modality, scene).items()}).to_pylist()[0]
    assert scene_of(row, modality) == scene


def test_a_missing_scene_has_the_same_columns_all_null() -> None:
    missing = scene_columns("sar", None)
    assert missing.keys() == scene_columns("sar", SAR).keys()
    assert set(missing.values()) == {None}


def test_every_attribute_but_the_notes_is_kept_by_one_of_the_sensors() -> None:
    kept = {*scene_columns("sar", None), *scene_columns("optical", None)}
    names = {field.name for field in fields(Scene)} - {"sensor", "paths", "notes"}
    assert {name.partition("_")[2] for name in kept if "_" in name} == names


def test_a_modality_is_of_the_sensor_that_its_name_starts_with() -> None:
    assert (sensor_of("sar_before"), sensor_of("optical")) == ("sar", "optical")
    with pytest.raises(InputError, match="has no 'lidar'"):
        sensor_of("lidar")


def test_bands_of_several_files_are_stacked_and_made_physical(tmp_path: Path, write_raster: Write) -> None:
    write_raster(tmp_path / "b02.tif", np.full((1, 4, 4), 3500, np.uint16))
    write_raster(tmp_path / "b05.tif", np.full((1, 4, 4), 6000, np.uint16))
    grid = grid_of(tmp_path / "b02.tif")
    values = read_scene(OPTICAL, tmp_path, Window(1, 1, 2, 2), grid)
    np.testing.assert_allclose(values, [np.full((2, 2), 0.5), np.full((2, 2), 1.0)])


def test_radar_is_decibels_with_gaps_as_nan(tmp_path: Path, write_raster: Write) -> None:
    power = np.asarray([[[0.1, 0.0], [-1.0, 10.0]]], np.float32)
    write_raster(tmp_path / "s1.tif", power)
    scene = replace(SAR, bands=("VV",), calibration=None)
    grid = grid_of(tmp_path / "s1.tif")
    found = read_scene(scene, tmp_path, grid.extent, grid)
    np.testing.assert_allclose(found[0], [[-10.0, np.nan], [np.nan, 10.0]], atol=1e-5)


SPECKLED = (0.1 * np.random.default_rng(0).gamma(1.0, 1.0, (1, 120, 120))).astype(np.float32)
STORED = {
    "power": SPECKLED,
    "amplitude": np.sqrt(SPECKLED),
    "db": 10 * np.log10(SPECKLED),
    "dn": 10 ** ((10 * np.log10(SPECKLED) + 83) / 20),
    "scaled": (10 * np.log10(SPECKLED) + 25) / 30,
}


class TestAveragesOfRadar:
    def read(self, tmp_path: Path, write_raster: Write, unit: str, stored: np.ndarray, resampling: str) -> np.ndarray:
        """The raster on pixels of six times the size."""
        write_raster(tmp_path / "s1.tif", stored.astype(np.float32))
        grid = Grid(CRS.from_epsg(32633), Affine(60, 0, 500_000, 0, -60, 5_000_000), 20, 20)
        return read_scene(Scene("sar", ("s1.tif",), ("VV",), unit), tmp_path, grid.extent, grid, resampling)[0]

    @pytest.mark.parametrize("resampling", ["bilinear", "average", "cubic"])
    @pytest.mark.parametrize("unit", sorted(STORED))
    def test_they_are_of_power_however_it_is_stored(
        self, unit: str, resampling: str, tmp_path: Path, write_raster: Write
    ) -> None:
        found = self.read(tmp_path, write_raster, unit, STORED[unit], resampling)
        assert 10 * np.log10((10 ** (found / 10)).mean()) == pytest.approx(-10.0, abs=0.2), "not -12.5"
        expected = self.read(tmp_path, write_raster, "power", SPECKLED, resampling)
        np.testing.assert_allclose(found, expected, atol=2e-3)
        if resampling == "average":
            boxes = 10 * np.log10(SPECKLED.reshape(20, 6, 20, 6).mean(axis=(1, 3)))
            np.testing.assert_allclose(found, boxes, atol=1e-3)

    def test_the_nearest_pixel_is_what_is_stored(self, tmp_path: Path, write_raster: Write) -> None:
        found = self.read(tmp_path, write_raster, "db", STORED["db"], "nearest")
        assert np.isin(found, STORED["db"]).all()

    def test_pixels_that_are_on_the_grid_are_what_is_stored(self, tmp_path: Path, write_raster: Write) -> None:
        grid = grid_of(write_raster(tmp_path / "s1.tif", STORED["db"]))
        found = read_scene(Scene("sar", ("s1.tif",), ("VV",), "db"), tmp_path, grid.extent, grid)
        np.testing.assert_array_equal(found, STORED["db"])

    @pytest.mark.parametrize("unit", ["db", "power"])
    @pytest.mark.parametrize("resampling", ["bilinear", "average", "cubic", "nearest"])
    def test_a_number_that_fills_gaps_does_not_reach_its_neighbours(
        self, unit: str, resampling: str, tmp_path: Path, write_raster: Write
    ) -> None:
        stored = np.full((1, 120, 120), {"db": -10.0, "power": 0.1}[unit])
        stored[:, :30, :33] = -9999.0
        found = self.read(tmp_path, write_raster, unit, stored, resampling)
        assert np.isnan(found[:4, :4]).all()
        np.testing.assert_allclose(found[np.isfinite(found)], -10.0, atol=1e-4)

    def test_beside_a_bright_target_it_is_dark_and_not_missing(self, tmp_path: Path, write_raster: Write) -> None:
        stored = np.full((1, 120, 120), -20.0)
        stored[0, 60:66, 60:66] = 25.0
        found = self.read(tmp_path, write_raster, "db", stored, "cubic")
        assert np.isfinite(found).all()
        assert found.min() == pytest.approx(-40.0, abs=1e-4)


def test_another_number_of_bands_is_said(tmp_path: Path, write_raster: Write) -> None:
    write_raster(tmp_path / "s1.tif", np.ones((3, 2, 2), np.float32))
    grid = grid_of(tmp_path / "s1.tif")
    with pytest.raises(InputError, match=r"s1\.tif has 3 bands where VV, VH are wanted"):
        read_scene(replace(SAR, calibration=None), tmp_path, grid.extent, grid)


def test_a_path_that_leaves_the_root_is_refused(tmp_path: Path, write_raster: Write) -> None:
    write_raster(tmp_path / "s1.tif", np.ones((2, 2, 2), np.float32))
    grid = grid_of(tmp_path / "s1.tif")
    with pytest.raises(InputError, match="leaves the data's root"):
        read_scene(replace(SAR, paths=("../s1.tif",), calibration=None), tmp_path / "in", grid.extent, grid)


class TestClouds:
    @pytest.fixture
    def scene(self, tmp_path: Path, write_raster: Write) -> Scene:
        """Reflectance 0.5 everywhere; the classification has 20 m pixels, of which the upper left one is cloud."""
        write_raster(tmp_path / "b02.tif", np.full((1, 40, 40), 6000, np.uint16))
        codes = np.full((1, 20, 20), 4, np.uint8)
        codes[0, 0, 0] = 9
        write_raster(tmp_path / "scl.tif", codes, transform=Affine(20, 0, 500_000, 0, -20, 5_000_000))
        return Scene("optical", ("b02.tif",), ("B02",), "dn", offset=1000.0, scl="scl.tif")

    def test_what_is_cloud_was_not_observed(self, scene: Scene, tmp_path: Path) -> None:
        grid = grid_of(tmp_path / "b02.tif")
        clear = read_clear(scene, tmp_path, grid.extent, grid)[0]
        assert np.isnan(clear[:2, :2]).all()
        assert clear[-1, -1] == 0.5
        assert np.isfinite(read_scene(scene, tmp_path, grid.extent, grid)).all()

    def test_a_loader_masks_clouds_unless_told_not_to(self, scene: Scene, tmp_path: Path) -> None:
        row = {"id": "a", "grid": "b02.tif", "window": "0,0,40,40", "area": "0,0,40,40"}
        row |= scene_columns("optical", scene)
        masked = Loader(context=0)(row, tmp_path)["optical"]
        kept = Loader(context=0, mask_clouds=False)(row, tmp_path)["optical"]
        assert masked[0, 0, 0] == 0.0
        assert kept[0, 0, 0] != 0.0

    def test_a_scene_without_classification_is_clear(self, scene: Scene, tmp_path: Path) -> None:
        grid = grid_of(tmp_path / "b02.tif")
        assert np.isfinite(read_clear(replace(scene, scl=None), tmp_path, grid.extent, grid)).all()


def test_a_row_of_two_dates_is_loaded_by_the_names_that_it_has(tmp_path: Path, write_raster: Write) -> None:
    for name, value in (("before.tif", -10.0), ("after.tif", -5.0)):
        write_raster(tmp_path / name, np.full((1, 4, 4), value, np.float32))
    row = {"id": "a", "grid": "before.tif", "window": "0,0,4,4", "area": "0,0,4,4"}
    row |= scene_columns("sar_before", Scene("sar", ("before.tif",), ("VV",), "db"))
    row |= scene_columns("sar_after", Scene("sar", ("after.tif",), ("VV",), "db"))
    row |= scene_columns("optical_after", None)
    assert modalities_of(row) == ["sar_before", "sar_after", "optical_after"]
    sample = Loader(context=0)(row, tmp_path)
    assert sample["sar_before"].mean() < sample["sar_after"].mean()
    assert sample["optical_after"] is None
    with pytest.raises(InputError, match="has no 'optical': it has sar_before, sar_after, optical_after"):
        Loader()(row, tmp_path, ["optical"])
