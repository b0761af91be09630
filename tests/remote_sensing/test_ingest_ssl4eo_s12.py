"""SSL4EO-S12 on a miniature: seasons paired in time, bands on one grid, locations split by cells with a gap."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from plait.errors import InputError
from plait.pairs.ingest import ingest
from plait.pairs.layout import Row
from plait.pairs.table import PairTable
from plait_remote_sensing.backscatter import unscaled as unscaled_db
from plait_remote_sensing.ingest import ssl4eo_s12
from plait_remote_sensing.load import Loader
from plait_remote_sensing.reflectance import unscaled
from tests.remote_sensing.miniatures.ssl4eo_s12 import optical, sar

FAR = ("EPSG:32734", 262_000.0, 6_243_000.0)


def read(root: Path, **options: object) -> tuple[list[Row], list[tuple[str, str]]]:
    told: list[tuple[str, str]] = []
    return list(ssl4eo_s12.read(root, lambda what, cause: told.append((what, cause)), **options)), told


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A location with two optical and three SAR seasons, and one on the other side of the Earth with one of each."""
    optical(tmp_path, 0, "20200604T054639")
    optical(tmp_path, 0, "20200901T054639")
    for time in ("20200301T001515", "20200610T001515", "20200828T174639"):
        sar(tmp_path, 0, time)
    optical(tmp_path, 7, "20210105T081339", FAR)
    sar(tmp_path, 7, "20210104T171500", FAR)
    return tmp_path


def test_seasons_are_paired_by_the_least_days_and_what_is_left_stays_alone(root: Path) -> None:
    rows, told = read(root)
    assert [(row["id"], row["optical_time"], row["sar_time"]) for row in rows] == [
        ("0000000/0", "2020-06-04T05:46:39Z", "2020-06-10T00:15:15Z"),
        ("0000000/1", "2020-09-01T05:46:39Z", "2020-08-28T17:46:39Z"),
        ("0000000/2", None, "2020-03-01T00:15:15Z"),
        ("0000007/0", "2021-01-05T08:13:39Z", "2021-01-04T17:15:00Z"),
    ]
    assert [row["days_apart"] for row in rows] == [
        pytest.approx(5.77, abs=0.01),
        -3.5,
        None,
        pytest.approx(-0.624, abs=1e-3),
    ]
    assert [row["time"] for row in rows][2:] == ["2020-03-01T00:15:15Z", "2021-01-05T08:13:39Z"]
    assert not told


def test_pairs_with_more_days_than_allowed_are_not_made(root: Path) -> None:
    rows, _ = read(root, days=4.0)
    assert [(row["sar"] is not None, row["optical"] is not None) for row in rows] == [
        (False, True), (True, True), (True, False), (True, False), (True, True),
    ]  # fmt: skip


def test_a_pair_too_far_apart_never_takes_the_place_of_one_that_is_not(tmp_path: Path) -> None:
    """Of June and July with SAR of July and January, the least sum of days without a limit would spoil July's pair."""
    for time in ("20200610T000000", "20200705T000000"):
        optical(tmp_path, 0, time)
    for time in ("20200715T000000", "20210120T000000"):
        sar(tmp_path, 0, time)
    rows, _ = read(tmp_path, days=30.0)
    assert [row["days_apart"] for row in rows] == [None, 10.0, None]


@pytest.mark.parametrize("days", [-1.0, float("nan"), float("inf")])
def test_days_are_a_number_of_days(root: Path, days: float) -> None:
    with pytest.raises(InputError, match="no number of days"):
        read(root, days=days)


def test_level_2a_is_read_where_it_is_asked_for(root: Path) -> None:
    (root / "s2c").rename(root / "s2a")
    rows, _ = read(root, level="l2a")
    assert rows[0]["optical_level"] == "L2A"
    assert len(rows[0]["optical"]) == 12
    assert not [path for path in rows[0]["optical"] if path.endswith("B10.tif")]
    with pytest.raises(InputError, match="no level 'l3a'"):
        read(root, level="l3a")


def test_locations_are_split_by_cells_and_all_seasons_of_one_go_together(root: Path) -> None:
    rows, _ = read(root)
    of_location: dict[str, set[tuple[str, str]]] = {}
    for row in rows:
        of_location.setdefault(row["tile"], set()).add((row["group"], row["split"]))
    assert all(len(found) == 1 for found in of_location.values())
    assert {split for found in of_location.values() for _, split in found} == {"train", "val"}


def test_the_8_bit_version_is_refused(tmp_path: Path) -> None:
    optical(tmp_path, 0, "20200604T054639", dtype="uint8")
    with pytest.raises(InputError, match="8-bit version"):
        read(tmp_path)


def test_a_location_that_cannot_be_placed_and_a_folder_without_time_are_told(root: Path) -> None:
    (root / "s2c" / "0000007" / "20210105T081339_20210105T081339_T33UUU" / "B2.tif").write_bytes(b"no raster")
    (root / "s1" / "0000007").rename(root / "s1" / "0000009")
    (root / "s2c" / "0000000" / "spring").mkdir()
    rows, told = read(root)
    assert {row["tile"] for row in rows} == {"0000000", "0000009"}
    assert [what for what, _ in told] == ["s2c/0000000/spring", "0000007"]


def test_another_folder_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give the folder"):
        read(tmp_path)


def test_end_to_end_bands_of_three_resolutions_lie_on_the_10_m_grid(root: Path, tmp_path: Path) -> None:
    layout = ssl4eo_s12.LAYOUT.with_options(["days=10"])
    ingest("remote-sensing", layout, root, tmp_path / "out.parquet", Loader(), allow_leakage=True)
    table = PairTable.read(tmp_path / "out.parquet")
    assert table.info.options == "level=l1c days=10.0"
    assert len(table) == 4
    sample = Loader(context=0)(table.row(table.ids.index("0000000/1")), root)
    radar, image = sample["sar"], sample["optical"]
    assert isinstance(radar, torch.Tensor)
    assert isinstance(image, torch.Tensor)
    assert radar.shape == (2, 264, 264)
    assert image.shape == (13, 264, 264)
    assert unscaled_db(radar)[:, 100, 7].tolist() == pytest.approx([-9.0, -16.0])
    numbers = [1, 2, 3, 4, 5, 6, 7, 8, 8.5, 9, 10, 11, 12]
    for row, column in ((0, 0), (131, 77), (263, 263)):
        assert unscaled(image)[:, row, column].tolist() == pytest.approx(
            [0.01 * number for number in numbers], abs=1e-6
        )
