"""Loading a row: units, nodata, missing partners, bands by name, and context that never sees the other split."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio
import torch

from plait.errors import InputError
from plait.pairs.table import PairTable
from plait_remote_sensing import backscatter, reflectance
from plait_remote_sensing.load import Loader
from plait_remote_sensing.radar.speckle import FILTERS
from plait_remote_sensing.raster import Window
from plait_remote_sensing.synthetic import SCENES, WITHOUT_SAR

type Write = Callable[..., Path]


def row_of(path: str, size: int, **more: Any) -> dict[str, Any]:
    """A row with the same raster as SAR and as optical."""
    return {
        "id": "a",
        "sar": [path],
        "optical": [path],
        "grid": path,
        "window": f"0,0,{size},{size}",
        "area": f"0,0,{size},{size}",
        "sar_unit": "db",
        "sar_bands": "VV",
        "optical_unit": "dn",
        "optical_bands": "B04",
        "optical_offset": 0.0,
        **more,
    }


@pytest.fixture
def row(table: PairTable) -> dict[str, Any]:
    """A patch of the middle of the first scene."""
    return table.row(table.ids.index(f"{SCENES[0]}/r064c048"))


def test_both_sensors_come_on_one_grid(table: PairTable, row: dict[str, Any]) -> None:
    sample = Loader(context=3)(row, table.root)
    assert sample["sar"].shape == (2, 22, 22)
    assert sample["optical"].shape == (12, 22, 22)
    assert sample["sar"].dtype == sample["optical"].dtype == torch.float32


def test_values_are_the_files_pixels_in_decibels_and_reflectance(table: PairTable, row: dict[str, Any]) -> None:
    sample = Loader(context=0)(row, table.root)
    here = ((64, 80), (48, 64))
    with rasterio.open(table.root / row["sar"][0]) as source:
        np.testing.assert_allclose(backscatter.unscaled(sample["sar"]), source.read(window=here), atol=1e-3)
    with rasterio.open(table.root / row["optical"][0]) as source:
        np.testing.assert_allclose(reflectance.unscaled(sample["optical"]), source.read(window=here) / 1e4, atol=1e-5)


def test_the_offset_of_the_row_is_subtracted(table: PairTable) -> None:
    row = table.row(table.ids.index(f"{SCENES[1]}/r000c000"))
    assert row["optical_offset"] == 1000.0
    with rasterio.open(table.root / row["optical"][0]) as source:
        stored = source.read(window=((0, 16), (0, 16)))
    found = reflectance.unscaled(Loader(context=0)(row, table.root)["optical"])
    np.testing.assert_allclose(found, (stored - 1000.0) / 1e4, atol=1e-5)


def test_a_missing_partner_is_none(table: PairTable) -> None:
    row = table.row(table.ids.index(f"{WITHOUT_SAR}/r000c000"))
    sample = Loader()(row, table.root)
    assert sample["sar"] is None
    assert sample["optical"] is not None


def test_only_what_is_asked_for_is_read(table: PairTable, row: dict[str, Any]) -> None:
    assert set(Loader()(row, table.root, ("sar",))) == {"sar"}
    with pytest.raises(InputError, match="no 'lidar'"):
        Loader()(row, table.root, ("lidar",))


@pytest.mark.parametrize("name", ["lee", "refined_lee", "gamma_map"])
def test_speckle_is_filtered_in_power_on_the_patch_with_its_context(
    table: PairTable, row: dict[str, Any], name: str
) -> None:
    plain, filtered = Loader()(row, table.root), Loader(speckle_filter=name, looks=3.0)(row, table.root)
    power = 10 ** (backscatter.unscaled(plain["sar"]).double() / 10)
    wanted = backscatter.scaled(10 * FILTERS[name](power, 3.0).log10())
    torch.testing.assert_close(filtered["sar"].double(), wanted, atol=1e-4, rtol=0)
    assert filtered["sar"].std() < 0.9 * plain["sar"].std()
    assert torch.equal(filtered["optical"], plain["optical"])
    assert torch.equal(Loader()(row, table.root)["sar"], plain["sar"]), "what is cached is not filtered"


def test_a_speckle_filter_leaves_what_was_not_observed(tmp_path: Path, write_raster: Write) -> None:
    values = np.random.default_rng(0).normal(-12.0, 2.0, (1, 9, 9)).astype(np.float32)
    values[0, 2:4, 5] = np.nan
    write_raster(tmp_path / "a.tif", values)
    found = Loader(context=0, speckle_filter="lee")(row_of("a.tif", 9), tmp_path, ("sar",))["sar"]
    assert torch.equal(found == 0, torch.from_numpy(np.isnan(values)))


def test_a_speckle_filter_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(InputError, match=r"no speckle filter 'frost': choose one of lee, refined_lee, gamma_map\."):
        Loader(speckle_filter="frost")
    with pytest.raises(InputError, match=r"more than -1\.0 looks"):
        Loader(speckle_filter="lee", looks=-1.0)


def test_speckle_is_not_filtered_where_there_is_no_backscatter_around(tmp_path: Path, write_raster: Write) -> None:
    write_raster(tmp_path / "a.tif", np.full((1, 4, 4), 90, np.uint8))
    with pytest.raises(InputError, match=r"Row 'a' is no patch of backscatter: leave out data\.speckle_filter"):
        Loader(speckle_filter="lee")(row_of("a.tif", 4, sar_unit="grey"), tmp_path, ("sar",))
    numbers = {f"SAR-VV-ts{month}-20m": [20_000] for month in range(12)}
    pq.write_table(pa.table(numbers), tmp_path / "points.parquet")
    point = row_of("points.parquet", 1, window=None, point=0, sar_unit="dn")
    assert Loader()(point, tmp_path, ("sar",))["sar"].shape == (12, 1)
    with pytest.raises(InputError, match="is no patch of backscatter"):
        Loader(speckle_filter="lee")(point, tmp_path, ("sar",))


def test_bands_are_chosen_by_name_and_in_the_order_asked(table: PairTable, row: dict[str, Any]) -> None:
    whole = Loader()(row, table.root)["optical"]
    some = Loader(optical_bands=("B08", "B02"))(row, table.root)["optical"]
    assert torch.equal(some, whole[[7, 1]])


def test_a_band_that_the_row_lacks_is_named(table: PairTable, row: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"no band HH \(it has VV, VH\)"):
        Loader(sar_bands=("HH",))(row, table.root)


def test_pixels_that_were_not_observed_become_zero(tmp_path: Path, write_raster: Write) -> None:
    values = np.full((1, 4, 4), -12.0, np.float32)
    values[0, 0, :3] = [np.nan, 0.0, -np.inf]
    write_raster(tmp_path / "a.tif", values)
    found = Loader(context=0)(row_of("a.tif", 4), tmp_path, ("sar",))["sar"]
    assert found[0, 0].tolist() == [0.0, 0.0, 0.0, 0.5]  # (-12 + 15) / 6


def test_a_patch_without_any_observed_pixel_is_refused(tmp_path: Path, write_raster: Write) -> None:
    write_raster(tmp_path / "a.tif", np.zeros((1, 4, 4), np.float32))
    for sensor in ("sar", "optical"):
        with pytest.raises(InputError, match=rf"a\.tif, row 'a': no pixel of {sensor} was observed"):
            Loader()(row_of("a.tif", 4), tmp_path, (sensor,))


def test_a_window_outside_the_raster_is_refused(tmp_path: Path, write_raster: Write) -> None:
    write_raster(tmp_path / "a.tif", np.ones((1, 4, 4), np.float32))
    with pytest.raises(InputError, match="is not inside its grid of 4 x 4 pixels"):
        Loader()(row_of("a.tif", 4, window="2,2,4,4", area="0,0,9,9"), tmp_path)


def test_an_area_that_does_not_meet_the_window_is_refused(tmp_path: Path, write_raster: Write) -> None:
    write_raster(tmp_path / "a.tif", np.ones((1, 9, 9), np.float32))
    with pytest.raises(InputError, match="window 0,0,2,2 is not inside its area 6,6,2,2"):
        Loader()(row_of("a.tif", 9, window="0,0,2,2", area="6,6,2,2"), tmp_path)


def test_a_path_that_leaves_the_root_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="leaves the data's root"):
        Loader()(row_of("../secret.tif", 4), tmp_path)


def test_a_file_replaced_since_is_read_anew(tmp_path: Path, write_raster: Write) -> None:
    for value in (-9.0, -21.0):
        (tmp_path / "a.tif").unlink(missing_ok=True)
        write_raster(tmp_path / "a.tif", np.full((1, 4, 4), value, np.float32))
        found = Loader()(row_of("a.tif", 4), tmp_path, ("sar",))["sar"]
        assert backscatter.unscaled(found).mean().item() == pytest.approx(value)


@pytest.mark.parametrize("context", [4, 8, 24])
def test_no_split_sees_a_pixel_that_another_split_sees(
    table: PairTable, tmp_path: Path, context: int, write_raster: Write
) -> None:
    """Poison what lies right of column 120 in a copy: no train patch changes; and left of it: no val patch does."""
    scene, loader = SCENES[0], Loader(context=context)
    rows = [row for row in map(table.row, range(len(table))) if row["scene"] == scene]
    for split, poisoned in (("train", slice(120, None)), ("val", slice(None, 120))):
        root = tmp_path / split
        for folder in ("S1RTC", "S2L2A"):
            (root / folder).mkdir(parents=True)
            shutil.copy(table.root / folder / f"{scene}.tif", root / folder)
        with rasterio.open(root / "S1RTC" / f"{scene}.tif", "r+") as raster:
            values = raster.read()
            values[:, :, poisoned] = 30.0
            raster.write(values)
        for row in rows:
            if row["split"] == split:
                clean, dirty = (loader(row, place, ("sar",))["sar"] for place in (table.root, root))
                assert torch.equal(clean, dirty)


def test_labelled_windows_stay_as_they_are_whatever_the_context(table: PairTable, row: dict[str, Any]) -> None:
    narrow, wide = Loader(context=0)(row, table.root)["sar"], Loader(context=5)(row, table.root)["sar"]
    assert torch.equal(wide[:, 5:-5, 5:-5], narrow)
    assert Window.parse(row["window"]).width == narrow.shape[2]
