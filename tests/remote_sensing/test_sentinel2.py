"""Sentinel-2 on disk: miniatures of ESA's products, of folders of band files, and of stacks, are told what they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import Affine

from plait.errors import InputError
from plait_remote_sensing.bands import L2A_BANDS, MSI, MSI_BANDS
from plait_remote_sensing.products.sentinel2 import describe_sentinel2, reference_path
from plait_remote_sensing.raster import Window, grid_of
from plait_remote_sensing.reading import read_scene
from plait_remote_sensing.scene import Scene

type Write = Callable[..., Path]

SIDE = 240
"""Metres that a miniature is wide: 24 pixels of 10 m, 12 of 20 m, 4 of 60 m."""
L1C = "S2A_MSIL1C_20220412T162841_N0400_R083_T16TGM_20220412T201522.SAFE"
L2A = "S2B_MSIL2A_20200607T101559_N0214_R065_T32TQM_20200607T134045.SAFE"
MTD = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:{level}_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_{level}.xsd">
<n1:General_Info><Product_Info>
<PRODUCT_START_TIME>2022-04-12T16:28:41.024Z</PRODUCT_START_TIME>
<PROCESSING_LEVEL>{level}</PROCESSING_LEVEL>
<PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE>
<Datatake><SENSING_ORBIT_NUMBER>83</SENSING_ORBIT_NUMBER>
<SENSING_ORBIT_DIRECTION>DESCENDING</SENSING_ORBIT_DIRECTION></Datatake>
<Product_Organisation><Granule_List><Granule>{images}</Granule></Granule_List></Product_Organisation>
</Product_Info><Product_Image_Characteristics>
<{quantification} unit="none">10000</{quantification}>{offsets}
</Product_Image_Characteristics></n1:General_Info></n1:{level}_User_Product>
"""
TL = """<?xml version="1.0" encoding="UTF-8"?>
<n1:Level-1C_Tile_ID xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/S2_PDI_Level-1C_Tile_Metadata.xsd">
<n1:General_Info><TILE_ID>S2A_OPER_MSI_L1C_TL_ATOS_20220412T201522_A035543_T16TGM_N04.00</TILE_ID>
<SENSING_TIME metadataLevel="Standard">2022-04-12T16:39:59.000000Z</SENSING_TIME></n1:General_Info>
</n1:Level-1C_Tile_ID>
"""


def numbers(band: str, side: int, pedestal: int = 0) -> np.ndarray:
    """(1, n, n) digital numbers with dark pixels, different in every band."""
    rng = np.random.default_rng(MSI_BANDS.index(band))
    return (rng.integers(10, 3000, (1, SIDE // side, SIDE // side)) + pedestal).astype(np.uint16)


def write_image(path: Path, values: np.ndarray, side: int) -> None:
    """A lossless JPEG 2000 or a GeoTIFF, as its ending says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lossless = {"driver": "JP2OpenJPEG", "QUALITY": "100", "REVERSIBLE": "YES"}
    count, height, width = values.shape
    with rasterio.open(
        path,
        "w",
        count=count,
        height=height,
        width=width,
        dtype=values.dtype,
        crs=CRS.from_epsg(32616),
        transform=Affine(side, 0, 699_960, 0, -side, 4_600_020),
        **(lossless if path.suffix == ".jp2" else {"driver": "GTiff"}),
    ) as target:
        target.write(values)


def write_safe(
    root: Path,
    name: str,
    *,
    baseline: str,
    offset: int | None,
    pedestal: int = 0,
    without: Sequence[str] = (),
) -> Path:
    """A product as ESA lays it out; level 2A holds 20 m copies of the 10 m bands too, and the classification."""
    level, tile, stamp = name[4:10], name[38:44], name[11:26]
    folder = root / name
    granule = f"GRANULE/{level[3:]}_{tile}_A035543_20220412T163959"
    files: dict[str, tuple[np.ndarray, int]] = {}
    for band in L2A_BANDS if level == "MSIL2A" else MSI_BANDS:
        side = MSI[band].resolution
        if level == "MSIL1C":
            files[f"{granule}/IMG_DATA/{tile}_{stamp}_{band}"] = numbers(band, side, pedestal), side
            continue
        for coarse in sorted({side, 20} if side == 10 else {side}):
            values = numbers(band, coarse, pedestal)
            files[f"{granule}/IMG_DATA/R{coarse}m/{tile}_{stamp}_{band}_{coarse}m"] = values, coarse
    if level == "MSIL2A":
        for layer, side in (("TCI", 10), ("AOT", 20), ("SCL", 20), ("SCL", 60)):
            values = np.full((1, SIDE // side, SIDE // side), 4, np.uint8)
            files[f"{granule}/IMG_DATA/R{side}m/{tile}_{stamp}_{layer}_{side}m"] = values, side
    for image, (values, side) in files.items():
        if not any(band in image for band in without):
            write_image(folder / f"{image}.jp2", values, side)
    prefix = "BOA" if level == "MSIL2A" else "RADIO"
    offsets = "".join(f'<{prefix}_ADD_OFFSET band_id="{i}">{offset}</{prefix}_ADD_OFFSET>' for i in range(13))
    long = {"MSIL1C": "Level-1C", "MSIL2A": "Level-2A"}[level]
    text = MTD.format(
        level=long,
        baseline=baseline,
        images="".join(f"<IMAGE_FILE>{image}</IMAGE_FILE>" for image in files),
        quantification="BOA_QUANTIFICATION_VALUE" if level == "MSIL2A" else "QUANTIFICATION_VALUE",
        offsets="" if offset is None else f"<{prefix}_Offset_List>{offsets}</{prefix}_Offset_List>",
    )
    (folder / f"MTD_{level}.xml").write_text(text, encoding="utf-8")
    (folder / granule / "MTD_TL.xml").write_text(TL, encoding="utf-8")
    return folder


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
            (lambda text: text.replace("<n1:G", "<!DOCTYPE a><n1:G", 1), "holds a DOCTYPE"),
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
