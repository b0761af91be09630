"""Sentinel-2 without a product around it: folders of band files, and stacks, are told what they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import rasterio

from plait.errors import InputError
from plait_remote_sensing.bands import L2A_BANDS, MSI, MSI_BANDS
from plait_remote_sensing.products.sentinel2 import describe_sentinel2, reference_path
from plait_remote_sensing.raster import grid_of
from plait_remote_sensing.reading import read_scene
from tests.remote_sensing.miniatures.sentinel2 import L1C, numbers, write_image

type Write = Callable[..., Path]


def write_bands(folder: Path, names: Mapping[str, str], pedestal: int = 0) -> Path:
    for band, name in names.items():
        write_image(folder / name, numbers(band, MSI[band].resolution, pedestal), MSI[band].resolution)
    return folder


class TestFolders:
    def test_planetary_computers_names(self, tmp_path: Path) -> None:
        names = {b: f"T16TGM_20220412T162841_{b}_{MSI[b].resolution}m.tif" for b in ("B04", "B02", "B11")}
        folder = write_bands(tmp_path / "item", names, pedestal=1000)
        write_image(folder / "T16TGM_20220412T162841_SCL_20m.tif", np.full((1, 12, 12), 4, np.uint8), 20)
        write_image(folder / "T16TGM_20220412T162841_visual_10m.tif", np.full((3, 24, 24), 4, np.uint8), 10)
        scene = describe_sentinel2(folder, tmp_path)
        assert scene.bands == ("B02", "B04", "B11")
        assert scene.paths[0] == "item/T16TGM_20220412T162841_B02_10m.tif"
        assert (scene.time, scene.level) == ("2022-04-12T16:28:41Z", "L2A")
        assert scene.scl == "item/T16TGM_20220412T162841_SCL_20m.tif"
        assert "missing bands: B01, B03, B05, B06, B07, B08, B8A, B09, B12" in scene.notes
        assert scene.offset == 1000.0
        assert any(note.startswith("offset 1000: the darkest band's first percentile is 1") for note in scene.notes)

    def test_earth_searchs_names(self, tmp_path: Path) -> None:
        names = {"B02": "blue.tif", "B08": "nir.tif", "B8A": "nir08.tif", "B12": "swir22.tif", "B05": "rededge1.tif"}
        scene = describe_sentinel2(write_bands(tmp_path / "S2B_32TQM_20220126_0_L2A", names), tmp_path)
        assert scene.bands == ("B02", "B05", "B08", "B8A", "B12")
        assert (scene.time, scene.level, scene.offset) == ("2022-01-26", "L2A", 0.0)
        assert reference_path(scene).endswith("blue.tif")

    def test_folders_of_resolutions(self, tmp_path: Path) -> None:
        write_bands(tmp_path / "tile" / "R10m", {"B02": "B02.jp2"})
        write_bands(tmp_path / "tile" / "R20m", {"B05": "B05.jp2"})
        write_image(tmp_path / "tile" / "R20m" / "B02.jp2", numbers("B02", 20), 20)
        scene = describe_sentinel2(tmp_path / "tile", tmp_path)
        assert scene.paths == ("tile/R10m/B02.jp2", "tile/R20m/B05.jp2")

    def test_of_two_files_of_a_band_the_finer_counts_whatever_their_names(self, tmp_path: Path) -> None:
        write_image(tmp_path / "tile" / "B02_20m.tif", numbers("B02", 20), 20)
        write_image(tmp_path / "tile" / "blue_10m.tif", numbers("B02", 10), 10)
        assert describe_sentinel2(tmp_path / "tile", tmp_path).paths == ("tile/blue_10m.tif",)

    def test_the_folders_name_tells_the_baseline(self, tmp_path: Path) -> None:
        folder = write_bands(tmp_path / L1C.removesuffix(".SAFE"), {"B02": "B02.tif", "B04": "B04.tif"}, pedestal=1000)
        scene = describe_sentinel2(folder, tmp_path)
        assert "offset 1000: by its name its processing baseline is 04.00" in scene.notes
        assert scene.time == "2022-04-12T16:28:41Z"  # and not that of its processing

    def test_two_acquisitions_in_one_folder_are_refused(self, tmp_path: Path) -> None:
        write_bands(tmp_path / "mixed", {"B02": "20220412_B02.tif"})
        write_bands(tmp_path / "mixed", {"B02": "20220417_B02.tif"})
        with pytest.raises(InputError, match=r"20220412_B02\.tif and 20220417_B02\.tif, both B02"):
            describe_sentinel2(tmp_path / "mixed", tmp_path)

    def test_baselines_mixed_in_one_folder_are_refused(self, tmp_path: Path) -> None:
        folder = write_bands(tmp_path / "mixed", {"B02": "B02.tif", "B03": "B03.tif"})
        for name, offset in (("B02.tif", "-1000"), ("B03.tif", "0")):
            with rasterio.open(folder / name, "r+") as target:
                target.update_tags(BOA_ADD_OFFSET=offset)
        with pytest.raises(InputError, match="has bands with the offsets 0 and 1000"):
            describe_sentinel2(folder, tmp_path)

    def test_a_folder_of_something_else_is_refused(self, tmp_path: Path) -> None:
        write_image(tmp_path / "dem" / "dem.tif", np.ones((1, 12, 12), np.uint16), 20)
        with pytest.raises(InputError, match="holds no band of Sentinel-2"):
            describe_sentinel2(tmp_path / "dem", tmp_path)


class TestStacks:
    @pytest.fixture
    def stack(self, tmp_path: Path, write_raster: Write) -> Callable[..., Path]:
        def write(values: np.ndarray, names: Sequence[str] = (), name: str = "stack.tif") -> Path:
            path = write_raster(tmp_path / name, values)
            if names:
                with rasterio.open(path, "r+") as target:
                    target.descriptions = tuple(names)
            return path

        return write

    def test_descriptions_name_the_bands_in_their_own_order(self, stack: Callable[..., Path]) -> None:
        path = stack(np.concatenate([numbers(b, 10) for b in ("B08", "B04", "B02")]), ("nir", "B4", "Blue"))
        scene = describe_sentinel2(path, path.parent)
        assert scene.paths == ("stack.tif",)
        assert scene.bands == ("B08", "B04", "B02")
        assert reference_path(scene) == "stack.tif"

    @pytest.mark.parametrize("bands", [MSI_BANDS, L2A_BANDS])
    def test_a_whole_levels_number_of_bands_is_taken_in_its_order_and_said(
        self, stack: Callable[..., Path], bands: tuple[str, ...]
    ) -> None:
        path = stack(np.concatenate([numbers(band, 10) for band in bands]), ["bands"] * len(bands))
        scene = describe_sentinel2(path, path.parent)
        assert scene.bands == bands
        assert f"its bands have no names and are taken for {', '.join(bands)}, by their number" in scene.notes

    def test_another_number_of_bands_without_names_is_refused(self, stack: Callable[..., Path]) -> None:
        path = stack(np.ones((10, 8, 8), np.uint16))
        with pytest.raises(InputError, match=r"has 10 bands without names of Sentinel-2's: describe them"):
            describe_sentinel2(path, path.parent)

    def test_one_band_twice_is_refused(self, stack: Callable[..., Path]) -> None:
        path = stack(np.concatenate([numbers("B02", 10)] * 2), ("B02", "blue"))
        with pytest.raises(InputError, match="more than once"):
            describe_sentinel2(path, path.parent)

    def test_values_that_are_reflectance_already_are_not_divided(self, stack: Callable[..., Path]) -> None:
        values = (np.concatenate([numbers(b, 10) for b in ("B02", "B03")]) / 10_000).astype(np.float32)
        path = stack(values, ("B02", "B03"))
        scene = describe_sentinel2(path, path.parent)
        assert (scene.offset, scene.quantification) == (0.0, 1.0)
        grid = grid_of(path)
        np.testing.assert_allclose(read_scene(scene, path.parent, grid.extent, grid), values, atol=1e-6)

    def test_the_classification_lies_beside_its_stack(self, stack: Callable[..., Path]) -> None:
        path = stack(numbers("B02", 10), ("B02",))
        stack(np.full((1, 12, 12), 4, np.uint8), name="stack_SCL.tif")
        scene = describe_sentinel2(path, path.parent)
        assert (scene.paths, scene.scl) == (("stack.tif",), "stack_SCL.tif")

    def test_an_archive_may_be_linked_in(self, stack: Callable[..., Path], tmp_path: Path) -> None:
        path = stack(numbers("B02", 10), ("B02",))
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "linked.tif").symlink_to(path)
        scene = describe_sentinel2(tmp_path / "data" / "linked.tif", tmp_path / "data")
        assert scene.paths == ("linked.tif",)

    def test_a_scene_without_observed_pixels_is_refused(self, tmp_path: Path, write_raster: Write) -> None:
        path = write_raster(tmp_path / "B02.tif", np.zeros((1, 8, 8), np.uint16), nodata=0)
        with pytest.raises(InputError, match="no observed pixel"):
            describe_sentinel2(path, tmp_path)


@pytest.mark.real
def test_the_real_stacks_are_told_what_they_are(shared_data: Path) -> None:
    """Bands without names, of two levels, one scene with the offset: by the README 433D_629L_3_1."""
    root = shared_data / "remote_sensing"
    found = {
        path.relative_to(root).as_posix(): describe_sentinel2(path, root)
        for pattern in ("terramesh_lulc/S2L2A/*.tif", "sen12mscr_sample/s2_*/*.tif", "sen1floods11_sample/*S2Hand.tif")
        for path in root.glob(pattern)
    }
    assert len(found) == 8
    assert {name for name, scene in found.items() if scene.offset} == {"terramesh_lulc/S2L2A/433D_629L_3_1.tif"}
    for name, scene in found.items():
        assert scene.bands == (L2A_BANDS if "S2L2A" in name else MSI_BANDS)
        assert (scene.unit, scene.quantification) == ("dn", 10_000.0)
