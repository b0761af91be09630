"""The scenes of a folder tree: each product once, a bad one costs itself alone."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from plait.errors import InputError
from plait_remote_sensing.pairing.catalogue import catalogue
from tests.remote_sensing.pair_worlds import Told, write, write_optical, write_sar


def test_every_product_is_an_entry_with_its_place_and_its_time(tmp_path: Path) -> None:
    write_sar(tmp_path / "a" / "s1_20210401T052623.tif", zone=33)
    write_optical(tmp_path / "deep" / "er" / "s2_20210403.tif")
    told = Told()
    sar, optical = catalogue(tmp_path, told)
    assert told.all == []
    assert (sar.name, sar.scene.sensor) == ("a/s1_20210401T052623", "sar")
    assert sar.time == datetime(2021, 4, 1, 5, 26, 23, tzinfo=UTC)
    assert (optical.name, optical.time) == ("deep/er/s2_20210403", datetime(2021, 4, 3, 12, tzinfo=UTC))
    assert sar.footprint is not None
    assert optical.footprint is not None
    shared = sar.footprint.intersection(optical.footprint).area
    assert shared > 0.9 * optical.footprint.area, "the same ground, by two zones"
    west, south, east, north = optical.footprint.bounds
    assert (west, south, east, north) == pytest.approx((12.8, 45.09, 12.82, 45.1), abs=0.02)


def test_a_scene_without_coordinates_has_no_footprint(tmp_path: Path) -> None:
    write_sar(tmp_path / "s1.tif", crs=False)
    (entry,) = catalogue(tmp_path, Told())
    assert entry.footprint is None


def test_bad_files_are_refused_by_name_and_the_rest_is_taken(tmp_path: Path) -> None:
    whole = write_sar(tmp_path / "s1_good.tif").read_bytes()
    (tmp_path / "s1_cut.tif").write_bytes(whole[: len(whole) // 3])
    (tmp_path / "s1_text.tif").write_text("no raster")
    (tmp_path / "s2_pointer.tif").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    (tmp_path / "readme.txt").write_text("not looked at")
    (tmp_path / ".hidden.tif").write_text("not looked at")
    told = Told()
    assert [entry.name for entry in catalogue(tmp_path, told)] == ["s1_good"]
    assert set(told.refusals()) == {"s1_cut", "s1_text", "s2_pointer"}
    assert "Git-LFS pointer" in told.refusals()["s2_pointer"]


def test_a_label_raster_is_no_scene(tmp_path: Path) -> None:
    write_optical(tmp_path / "s2.tif")
    write(tmp_path / "labels.tif", np.ones((1, 8, 8), np.uint8))
    told = Told()
    assert [entry.name for entry in catalogue(tmp_path, told)] == ["s2"]
    assert "does not tell whether it is SAR or optical" in told.refusals()["labels"]


def test_a_classification_beside_a_stack_belongs_to_it(tmp_path: Path) -> None:
    write_optical(tmp_path / "s2_20210403.tif")
    write(tmp_path / "s2_20210403_SCL.tif", np.full((1, 32, 32), 4, np.uint8))
    (entry,) = catalogue(tmp_path, Told())
    assert entry.scene.scl == "s2_20210403_SCL.tif"
    assert entry.scene.paths == ("s2_20210403.tif",)


def test_links_are_followed_but_not_in_a_circle(tmp_path: Path) -> None:
    write_sar(tmp_path / "store" / "s1.tif")
    (tmp_path / "store" / "up").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path / "store")
    assert len(catalogue(tmp_path, Told())) == 1


def test_what_the_user_says_holds_for_all_scenes_of_the_sensor(tmp_path: Path) -> None:
    write_sar(tmp_path / "s1.tif")
    write_optical(tmp_path / "s2.tif")
    sar, optical = catalogue(tmp_path, Told(), sar_unit="amplitude", optical_offset="1000")
    assert sar.scene.unit == "amplitude"
    assert optical.scene.offset == 1000.0
    with pytest.raises(InputError, match="optical_offset=much is no number"):
        catalogue(tmp_path, Told(), optical_offset="much")


def test_the_work_grows_with_the_number_of_files_and_not_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_sar(tmp_path / "s1_0.tif", side=4)
    for number in range(1, 40):
        (tmp_path / f"s1_{number}.tif").write_bytes(path.read_bytes())
    for number in range(500):
        (tmp_path / f"note{number}.txt").touch()
    opened: list[Any] = []
    original = rasterio.open
    monkeypatch.setattr(rasterio, "open", lambda *given, **more: opened.append(given) or original(*given, **more))
    assert len(catalogue(tmp_path, Told())) == 40
    assert len(opened) <= 3 * 40
