"""The synthetic sets on disk: one seed one world, the truth that they give, and readers that take them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import rasterio

from plait.pairs.table import PairTable
from plait_remote_sensing.backscatter import backscatter_db
from plait_remote_sensing.bands import L2A_BANDS
from plait_remote_sensing.clouds import cloud_share, read_observed
from plait_remote_sensing.ingest import LAYOUTS
from plait_remote_sensing.products.sentinel2 import describe_sentinel2
from plait_remote_sensing.raster import Window, grid_of, read_window
from plait_remote_sensing.reading import read_scene
from plait_remote_sensing.synthetic import (
    CITIES,
    COVERS,
    LOOKALIKE,
    SCENES,
    WITHOUT_SAR,
    synthetic,
    synthetic_change,
    synthetic_scenes,
)
from plait_remote_sensing.synthetic.cover import WATER
from plait_remote_sensing.synthetic.scenes import CLOUDS, LAND_COVER, OPTICAL, RADAR


def digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


class TestTheDemosWorld:
    def test_one_seed_gives_one_world_and_another_seed_another(self, world: Path, tmp_path: Path) -> None:
        synthetic(tmp_path / "same", 0)
        synthetic(tmp_path / "other", 1)
        assert digests(tmp_path / "same") == digests(world)
        assert digests(tmp_path / "other")[f"LULC/{SCENES[0]}.tif"] != digests(world)[f"LULC/{SCENES[0]}.tif"]

    def test_it_says_that_it_is_synthetic(self, world: Path, table: PairTable) -> None:
        assert (world / "SYNTHETIC").is_file()
        assert table.info.synthetic

    def test_files_are_those_of_the_real_layout(self, world: Path) -> None:
        for folder, kind, bands in (
            ("S1RTC", "float64", 2),
            ("S2L2A", "int16", 12),
            ("DEM", "int16", 1),
            ("LULC", "uint8", 1),
        ):
            with rasterio.open(world / folder / f"{SCENES[0]}.tif") as source:
                assert (source.shape, source.dtypes[0], source.count) == ((224, 168), kind, bands)
                assert source.crs.to_epsg() == 32633
                assert source.res == (10.0, 10.0)

    def test_backscatter_lies_between_a_class_and_what_it_is_taken_for(self, world: Path) -> None:
        with rasterio.open(world / "LULC" / f"{SCENES[0]}.tif") as source:
            codes = source.read(1)
        with rasterio.open(world / "S1RTC" / f"{SCENES[0]}.tif") as source:
            power = 10 ** (source.read(1) / 10)
        assert set(np.unique(codes)) <= set(COVERS)
        means = {code: 10 * np.log10(power[codes == code].mean()) for code in np.unique(codes)}
        for code, mean in means.items():
            ends = [COVERS[int(one)].backscatter[0] for one in (code, LOOKALIKE[int(code)])]
            assert min(ends) - 3.0 < mean < max(ends) + 3.0
        assert min(means, key=lambda code: means[code]) == 1  # calm water is the darkest

    def test_one_scene_has_no_radar_partner(self, world: Path) -> None:
        assert not (world / "S1RTC" / f"{WITHOUT_SAR}.tif").exists()
        assert (world / "S2L2A" / f"{WITHOUT_SAR}.tif").exists()

    def test_every_class_has_labelled_patches_in_both_splits(self, table: PairTable) -> None:
        labels, splits = table.array("label_land_cover"), table.splits
        for split in ("train", "val"):
            assert {1, 2, 4, 9} <= set(labels[(splits == split) & np.isfinite(labels)].astype(int))


@pytest.fixture(scope="module")
def cities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("change") / "cities"
    synthetic_change(root, 0)
    return root


class TestCities:
    def test_one_seed_gives_one_world(self, cities: Path, tmp_path: Path) -> None:
        synthetic_change(tmp_path / "same", 0)
        assert digests(tmp_path / "same") == digests(cities)
        assert (cities / "SYNTHETIC").is_file()

    def test_grids_are_as_awkward_as_those_of_the_real_set(self, cities: Path) -> None:
        fine, coarse, radar = (grid_of(cities / CITIES[0] / f"{name}_t1.tif") for name in ("s2_10m", "s2_20m", "s1_vv"))
        assert {grid.crs.to_epsg() for grid in (fine, coarse, radar) if grid.crs} == {4326}
        assert (coarse.width, coarse.height) == (fine.width // 2, fine.height // 2)
        assert coarse.transform.a == pytest.approx(2 * fine.transform.a)
        assert fine.transform.a > -1.3 * fine.transform.e  # square in metres
        assert radar.transform.a == pytest.approx(-radar.transform.e)  # square in degrees
        assert radar.transform.c < fine.transform.c
        assert radar.transform.f > fine.transform.f
        first, second = (grid_of(cities / CITIES[2] / f"s2_10m_t{i}.tif") for i in (1, 2))
        assert (first.width - second.width, first.height - second.height) == (2, 2)

    @pytest.mark.parametrize("city", CITIES)
    def test_the_map_of_change_knows_new_buildings_alone(self, cities: Path, city: str) -> None:
        grid = grid_of(cities / city / "change.tif")
        assert grid.crs is None
        urban, kinds = (
            read_window(cities / city / f"{name}.tif", grid.extent, grid)[0] for name in ("change", "changes")
        )
        np.testing.assert_array_equal(urban == 2, kinds == 1)
        assert set(np.unique(urban)) == {1, 2}
        assert 0.002 < (urban == 2).mean() < 0.15

    def test_the_layouts_reader_takes_it(self, cities: Path) -> None:
        told: list[tuple[str, object]] = []
        rows = list(LAYOUTS["oscd"].read(cities, lambda what, cause: told.append((what, cause))))
        assert {row["group"] for row in rows} == set(CITIES)
        assert not told

    def test_radar_lies_on_the_ground_of_the_optical_bands(self, cities: Path) -> None:
        """Water is dark to both: the two agree best without a shift."""
        folder = cities / CITIES[0]
        grid = grid_of(folder / "s2_10m_t1.tif")
        nir = np.log(read_window(folder / "s2_10m_t1.tif", grid.extent, grid)[3])
        radar = read_window(folder / "s1_vv_t1.tif", grid.extent, grid)[0]
        found = {
            (down, right): np.corrcoef(
                nir[10:-10, 10:-10].ravel(), np.roll(radar, (down, right), (0, 1))[10:-10, 10:-10].ravel()
            )[0, 1]
            for down in range(-3, 4)
            for right in range(-3, 4)
        }
        best = max(found, key=lambda at: found[at])
        assert max(map(abs, best)) <= 1
        assert found[best] > 0.2


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scenes") / "pair"
    synthetic_scenes(root, 0, 256)
    return root


class TestScenes:
    def test_one_seed_gives_one_pair(self, scenes: Path, tmp_path: Path) -> None:
        synthetic_scenes(tmp_path / "same", 0, 256)
        assert digests(tmp_path / "same") == digests(scenes)
        assert (scenes / "SYNTHETIC").is_file()

    def test_the_optical_scene_is_described_whole(self, scenes: Path) -> None:
        scene = describe_sentinel2(scenes / OPTICAL, scenes)
        assert scene.bands == L2A_BANDS
        assert (scene.offset, scene.level, scene.time) == (1000.0, "L2A", "2022-06-14T10:15:59Z")
        assert scene.scl == OPTICAL.replace(".tif", "_SCL.tif")
        assert not any("contradict" in note for note in scene.notes)
        grid = grid_of(scenes / OPTICAL)
        values = read_scene(scene, scenes, grid.extent, grid)
        assert np.isnan(values[:, -5, -5]).all()  # the corner that the swath did not reach
        assert 0.005 < np.isnan(values[0]).mean() < 0.01
        assert np.nanmin(values) > -0.05

    def test_the_radar_lies_in_the_next_zone_and_on_the_same_ground(self, scenes: Path) -> None:
        grid, own = grid_of(scenes / OPTICAL), grid_of(scenes / RADAR)
        assert [at.crs.to_epsg() for at in (grid, own) if at.crs] == [32633, 32632]
        inner = Window(30, 30, 190, 190)
        decibels = backscatter_db(read_window(scenes / RADAR, inner, grid), "db")[0]
        codes = read_window(scenes / LAND_COVER, inner, grid)[0]
        means = {code: np.nanmean(10 ** (decibels[codes == code] / 10)) for code in COVERS}
        assert min(means, key=lambda code: means[code]) == WATER
        expected = np.vectorize(means.get)(codes)
        found = {
            (down, right): np.corrcoef(
                expected[9:-9, 9:-9].ravel(),
                10 ** (np.roll(decibels, (down, right), (0, 1))[9:-9, 9:-9].ravel() / 10),
            )[0, 1]
            for down in range(-3, 4)
            for right in range(-8, 9)
        }
        down, right = max(found, key=lambda at: found[at])
        assert down == 0
        assert 0 <= right <= 3  # ascending, trees and buildings lie 1 to 3 pixels too far west

    def test_what_neither_swath_nor_land_reach_is_not_observed(self, scenes: Path) -> None:
        own = grid_of(scenes / RADAR)
        values = read_window(scenes / RADAR, own.extent, own)
        assert np.isnan(values[:, 0, 0]).all()
        assert 0.05 < np.isnan(values[0]).mean() < 0.4
        assert not np.isinf(values).any()

    def test_the_classification_finds_the_clouds_of_the_truth(self, scenes: Path) -> None:
        scene, grid = describe_sentinel2(scenes / OPTICAL, scenes), grid_of(scenes / OPTICAL)
        observed = read_observed(scene, scenes, grid.extent, grid)
        opacity = read_window(scenes / CLOUDS, grid.extent, grid)[0]
        assert observed[opacity > 60].mean() < 0.1
        assert scene.scl is not None
        with rasterio.open(scenes / scene.scl) as source:
            assert cloud_share(source.read(1)) == pytest.approx(0.15, abs=0.06)
