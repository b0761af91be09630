"""Names of files and folders: which sensor, when, and which files are one product."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from plait.errors import InputError
from plait_remote_sensing.products.names import instant, orbit_in, place_of, product_of, sensor_in, time_in


@pytest.mark.parametrize(
    ("path", "sensor"),
    [
        ("s1/p1", "sar"),
        ("optical/p1", "optical"),
        ("Spain_7370579_S1Hand", "sar"),
        ("a/S2L2A/282D_485L", "optical"),
        ("S1B_IW_GRDH_1SDV_20210401T052623.SAFE", "sar"),
        ("S2A_MSIL1C_20220412T101601_N0400.SAFE", "optical"),
        ("s1_s2/pair", None),
        ("optical_sar/s1/x", "sar"),
        ("s2/fields/s1_p3", "sar"),
        ("dem/s10", None),
    ],
)
def test_the_last_part_of_a_path_that_speaks_of_one_sensor_tells_it(path: str, sensor: str | None) -> None:
    assert sensor_in(path) == sensor


@pytest.mark.parametrize(
    ("path", "time"),
    [
        ("S1B_IW_GRDH_1SDV_20210401T052623_20210401T052648.tif", "2021-04-01T05:26:23Z"),
        ("S2A_MSIL1C_20220412T101601_N0400_R022/20220412T135521/x.tif", "2022-04-12T10:16:01Z"),
        ("p/2021-04-01.tif", "2021-04-01"),
        ("p/20210401_VV.tif", "2021-04-01"),
        ("20200101/p_20210401.tif", "2021-04-01"),
        ("20210231/x.tif", None),
        ("p/32632_5000000.tif", None),
        ("p/120210401.tif", None),
    ],
)
def test_the_first_date_of_the_last_part_that_has_one_is_the_time(path: str, time: str | None) -> None:
    if path.startswith("S2A"):
        path = path.replace("/20220412T135521", "")
    assert time_in({}, path) == time


def test_tags_come_before_names_but_the_time_of_writing_is_no_acquisition() -> None:
    assert time_in({"acquisition_time": "2021:04:01 05:26:23"}, "p_20200101.tif") == "2021-04-01T05:26:23Z"
    assert time_in({"TIFFTAG_DATETIME": "2023:01:01 00:00:00"}, "p.tif") is None


def test_a_day_is_its_noon_and_a_time_is_in_utc() -> None:
    assert instant("2021-04-01") == datetime(2021, 4, 1, 12, tzinfo=UTC)
    assert instant("2021-04-01T05:26:23Z") == datetime(2021, 4, 1, 5, 26, 23, tzinfo=UTC)
    assert instant("2021-04-01T07:26:23+02:00") == datetime(2021, 4, 1, 5, 26, 23, tzinfo=UTC)
    assert instant(None) is None
    with pytest.raises(InputError, match="'yesterday' is no time"):
        instant("yesterday")


@pytest.mark.parametrize(
    ("tags", "path", "orbit"),
    [
        ({"ORBIT_DIRECTION": "DESCENDING"}, "x_asc.tif", "descending"),
        ({}, "asc/x.tif", "ascending"),
        ({}, "desc_20210401.tif", "descending"),
        ({}, "cascade.tif", None),
    ],
)
def test_the_orbit_is_told_by_tags_or_words(tags: dict[str, str], path: str, orbit: str | None) -> None:
    assert orbit_in(tags, path) == orbit


@pytest.mark.parametrize(
    ("path", "product"),
    [
        ("a/T32_20210401_B02_10m.jp2", "a/T32_20210401"),
        ("a/T32_20210401_B11_20m.jp2", "a/T32_20210401"),
        ("a/T32_20210401_SCL_20m.jp2", "a/T32_20210401"),
        ("a/S1_VV.tif", "a/S1"),
        ("a/VH.tif", "a"),
        ("city/s2_10m_t1.tif", "city/s2_t1"),
        ("city/s2_20m_t1.tif", "city/s2_t1"),
        ("scene-1.v2.tif", "scene-1.v2"),
        ("scene-1.v2_SCL.tif", "scene-1.v2"),
    ],
)
def test_files_that_differ_by_band_and_pixel_are_one_product(path: str, product: str) -> None:
    assert product_of(path) == product


def test_the_two_of_a_pair_have_their_place_in_common() -> None:
    assert place_of("s1/x_s1_p1") == place_of("s2/x_s2_p1") == "x_p1"
    assert place_of("sar/p1") == place_of("optical/p1") != place_of("optical/p2")
