"""What a product on disk is: told by metadata, names and values, in this order, or refused with what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio.transform import Affine

from plait.errors import InputError
from plait_remote_sensing.products import describe as module
from plait_remote_sensing.products import glance
from plait_remote_sensing.products.describe import describe
from plait_remote_sensing.products.glance import sample
from plait_remote_sensing.scene import Scene
from tests.remote_sensing.pair_worlds import L2A, write, write_optical, write_sar


def test_a_radar_raster_is_told_by_its_bands_and_its_unit_by_its_tag(tmp_path: Path) -> None:
    path = write_sar(tmp_path / "x" / "p_20210401T052623.tif", tags={"ORBIT_DIRECTION": "ASCENDING"})
    scene = describe(path, tmp_path)
    assert (scene.sensor, scene.bands, scene.unit) == ("sar", ("VV", "VH"), "db")
    assert (scene.paths, scene.time, scene.orbit) == (("x/p_20210401T052623.tif",), "2021-04-01T05:26:23Z", "ascending")
    assert any("UNITS" in note or "dB" in note for note in scene.notes)


def test_an_optical_raster_is_told_by_its_bands_and_its_offset_by_its_dark_pixels(tmp_path: Path) -> None:
    scene = describe(write_optical(tmp_path / "p.tif", offset=1000), tmp_path)
    assert (scene.sensor, scene.bands, scene.unit, scene.offset) == ("optical", L2A, "dn", 1000.0)
    assert any(note.startswith("offset 1000") for note in scene.notes)


def test_bands_without_names_are_taken_by_their_number_and_that_is_a_note(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    decibels = rng.normal(-12, 3, (2, 32, 32)).astype(np.float32) - np.float32([[[0]], [[6]]])
    scene = describe(write(tmp_path / "s1" / "p.tif", decibels, tags={"UNITS": "dB"}), tmp_path)
    assert (scene.sensor, scene.bands) == ("sar", ("VV", "VH"))
    assert any("no names" in note for note in scene.notes)
    scene = describe(write(tmp_path / "s2" / "q.tif", rng.integers(9, 3000, (12, 32, 32)).astype(np.uint16)), tmp_path)
    assert scene.bands == L2A
    assert f"its bands have no names and are taken for {', '.join(L2A)}, by their number" in scene.notes
    values = rng.integers(100, 3000, (5, 32, 32)).astype(np.uint16)
    scene = describe(write(tmp_path / "s2" / "p.tif", values), tmp_path)
    assert scene.bands == ("p_1", "p_2", "p_3", "p_4", "p_5")
    assert any("no names of Sentinel" in note for note in scene.notes)


def test_what_tells_no_sensor_is_refused_unless_the_user_says_it(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tif", np.random.default_rng(0).normal(-12, 3, (1, 32, 32)).astype(np.float32))
    with pytest.raises(InputError, match="does not tell whether it is SAR or optical: put it into a folder named sar"):
        describe(path, tmp_path)
    with pytest.raises(InputError, match=r"they fit db and 10 log10 of amplitude.*sar_unit="):
        describe(path, tmp_path, "sar")
    assert describe(path, tmp_path, "sar", "db").unit == "db"


def test_the_user_decides_the_unit_and_the_offset(tmp_path: Path) -> None:
    path = write_sar(tmp_path / "p.tif")
    assert describe(path, tmp_path).unit == "db"
    assert describe(path, tmp_path, unit="power").unit == "power"
    with pytest.raises(InputError, match="no backscatter unit 'watt': choose one of db, power"):
        describe(path, tmp_path, unit="watt")
    optical = write_optical(tmp_path / "q.tif")
    assert describe(optical, tmp_path, offset=1000.0).offset == 1000.0
    assert describe(optical, tmp_path, unit="power").unit == "dn", "a unit is of backscatter only"


def test_floats_up_to_three_are_reflectance_and_bytes_a_picture(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scene = describe(write(tmp_path / "p.tif", rng.random((3, 32, 32), np.float32), ("B02", "B03", "B04")), tmp_path)
    assert (scene.unit, scene.quantification, scene.offset) == ("dn", 1.0, 0.0)
    picture = rng.integers(0, 256, (3, 32, 32)).astype(np.uint8)
    assert describe(write(tmp_path / "q.tif", picture, ("red", "green", "blue")), tmp_path).unit == "grey"


def test_polarisations_in_files_of_their_own_are_one_scene(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(-12, 3, (1, 32, 32)).astype(np.float32)
    for name in ("VH", "VV"):
        write(tmp_path / "scene" / f"x_{name}.tif", values, tags={"UNITS": "dB"})
    scene = describe(tmp_path / "scene", tmp_path)
    assert scene.paths == ("scene/x_VV.tif", "scene/x_VH.tif")
    assert scene.bands == ("VV", "VH")


def test_of_a_band_the_finest_raster_counts_and_scl_is_the_classification(tmp_path: Path) -> None:
    for name, pixel in (("B02_10m", 10), ("B02_20m", 20), ("B11_20m", 20), ("B01_60m", 60), ("SCL_20m", 20)):
        side = 240 // pixel
        values = np.full((1, side, side), 400, np.uint16)
        write(tmp_path / f"T32_{name}.tif", values, crs="EPSG:32632", transform=Affine(pixel, 0, 5e5, 0, -pixel, 5e6))
    scene = describe(tmp_path, tmp_path)
    assert scene.paths == ("T32_B01_60m.tif", "T32_B02_10m.tif", "T32_B11_20m.tif")
    assert scene.bands == ("B01", "B02", "B11")
    assert scene.scl == "T32_SCL_20m.tif"


def test_two_acquisitions_in_one_folder_are_no_product(tmp_path: Path) -> None:
    for name, bands in (("a", ("VV", "HH")), ("b", ("VV", "HV"))):
        write(tmp_path / f"{name}.tif", np.full((2, 8, 8), -10, np.float32), bands, tags={"UNITS": "dB"})
    with pytest.raises(InputError, match="hold VV more than once: keep one of each"):
        describe(tmp_path, tmp_path)


def test_two_files_of_one_band_and_one_size_of_pixels_are_refused(tmp_path: Path) -> None:
    for name in ("20220412_B02", "20220417_B02", "20220412_B03"):
        write(tmp_path / f"{name}.tif", np.full((1, 8, 8), 400, np.uint16))
    with pytest.raises(InputError, match="hold B02 more than once: keep one of each"):
        describe(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("tag", "values"), [("BOA_ADD_OFFSET", ("-1000", "0")), ("PROCESSING_BASELINE", ("05.09", "02.14"))]
)
def test_files_of_two_baselines_are_no_product(tmp_path: Path, tag: str, values: tuple[str, str]) -> None:
    for band, value in zip(("B02", "B03"), values, strict=True):
        write(tmp_path / f"x_{band}.tif", np.full((1, 8, 8), 1400, np.uint16), tags={tag: value})
    with pytest.raises(InputError, match="has bands with the offsets 0 and 1000: keep the processing baselines apart"):
        describe(tmp_path, tmp_path)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_zeros_alone_are_neither_reflectance_nor_a_picture(tmp_path: Path, kind: type) -> None:
    path = write(tmp_path / "p.tif", np.zeros((2, 8, 8), kind), ("B02", "B03"))
    with pytest.raises(InputError, match=r"p\.tif has no observed pixel"):
        describe(path, tmp_path)


def test_products_in_the_safe_format_are_described_by_their_own_metadata(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Scene("optical", ("x",), ("B02",), "dn", offset=0.0)
    monkeypatch.setattr(module, "describe_sentinel2", lambda path, root: told)
    (tmp_path / "S2.SAFE").mkdir()
    (tmp_path / "S2.SAFE" / "MTD_MSIL2A.xml").write_text("<x/>")
    assert describe(tmp_path / "S2.SAFE", tmp_path) is told
    asked = describe(tmp_path / "S2.SAFE", tmp_path, offset=1000.0)
    assert (asked.offset, asked.notes) == (1000.0, ("offset 1000: as asked, and not 0",))
    with pytest.raises(InputError, match="is a product of the optical sensor, and sar is wanted"):
        describe(tmp_path / "S2.SAFE", tmp_path, "sar")


@pytest.mark.parametrize("what", ["nothing", "no raster", "cut short"])
def test_what_is_no_product_is_refused_by_name(tmp_path: Path, what: str) -> None:
    path = tmp_path / "p.tif"
    if what == "no raster":
        (tmp_path / "p.tif").mkdir()
    elif what == "cut short":
        whole = write_sar(tmp_path / "whole.tif").read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"p\.tif"):
        describe(path, tmp_path)


def test_a_sample_is_bounded_however_large_the_raster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.arange(1200 * 1300, dtype=np.uint32).reshape(1, 1200, 1300)
    path = write(tmp_path / "x.tif", values, tiled=True, blockxsize=128, blockysize=128)
    read: list[Any] = []
    original = glance.read_window
    monkeypatch.setattr(glance, "read_window", lambda *given: read.append(given[1]) or original(*given))
    seen = sample(path)
    assert len(read) == 16
    assert max(window.width * window.height for window in read) <= 128**2
    assert all(window.column % 128 == 0 and window.row % 128 == 0 for window in read), "one block each"
    assert seen.max() == 1200 * 1300 - 1, "to the last corner"
    assert seen.min() == 0


def test_a_sample_of_a_small_raster_is_all_of_it(tmp_path: Path) -> None:
    values = np.arange(300 * 200, dtype=np.float32).reshape(1, 300, 200)
    assert sorted(sample(write(tmp_path / "x.tif", values))[0]) == sorted(values.ravel())
