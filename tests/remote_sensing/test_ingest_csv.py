"""A CSV of one's own: a line is the scenes of a place, with what is known of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plait.errors import InputError
from plait.pairs.ingest import ingest
from plait.pairs.table import PairTable
from plait_remote_sensing.ingest.generic_csv import CHANGES, LAYOUT
from plait_remote_sensing.load import Loader
from plait_remote_sensing.raster import grid_of
from tests.remote_sensing.pair_worlds import Told, write, write_optical, write_sar


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, east in (("a", 0.0), ("b", -50_000.0)):
        write_sar(tmp_path / f"{name}_radar.tif", east)
        write_optical(tmp_path / f"{name}_eye.tif", east)
    return tmp_path


def rows_of(root: Path, text: str, *options: str, layout: Any = LAYOUT) -> tuple[list[dict[str, Any]], Told]:
    (root / "pairs.csv").write_text(text)
    told = Told()
    return list(layout.with_options(["patch=32", *options]).read(root, told)), told


def test_each_line_becomes_the_patches_of_its_scenes_with_its_labels(root: Path) -> None:
    rows, _ = rows_of(
        root,
        "id,sar,optical,time,group,split,label_forest,note\n"
        "one,a_radar.tif,a_eye.tif,2021-04-01,north,train,1,x\n"
        "two,b_radar.tif,b_eye.tif,,south,val,,y\n",
    )
    assert [row["id"] for row in rows[:2]] == ["one/r00000c00000", "one/r00000c00032"]
    assert {(row["group"], row["split"], row["label_forest"]) for row in rows} == {
        ("north", "train", 1),
        ("south", "val", None),
    }
    assert {row["time"] for row in rows} == {"2021-04-01", None}
    assert {row["sar_unit"] for row in rows} == {"db"}
    assert "note" not in rows[0]
    assert (rows[0]["days_apart"], rows[0]["overlap"]) == (0.0, pytest.approx(1.0))
    for row in rows:
        assert all(value is not None for value in Loader()(row, root).values())


def test_what_a_line_says_of_a_scene_comes_before_what_is_found(root: Path) -> None:
    rows, _ = rows_of(
        root,
        "sar,optical,sar_unit,sar_bands,sar_time,optical_offset,optical_missing\n"
        "a_radar.tif,a_eye.tif,scaled,HH;HV,2021-04-01T05:00:00Z,1000,7\n",
    )
    row = rows[0]
    assert (row["sar_unit"], row["sar_bands"], row["sar_time"]) == ("scaled", "HH,HV", "2021-04-01T05:00:00Z")
    assert (row["optical_offset"], row["optical_missing"], row["optical_time"]) == (1000.0, 7.0, None)


def test_without_groups_places_are_found_by_coordinates(root: Path) -> None:
    rows, _ = rows_of(root, "sar,optical\na_radar.tif,a_eye.tif\nb_radar.tif,b_eye.tif\n")
    assert len({row["group"] for row in rows}) == 2
    assert {row["scene"] for row in rows} == {"line2", "line3"}


def test_an_empty_cell_is_a_missing_sensor(root: Path) -> None:
    rows, told = rows_of(root, "sar,optical\na_radar.tif,\n,b_eye.tif\n,\n")
    assert [(row["sar"], row["optical"]) for row in rows[::4]] == [(["a_radar.tif"], None), (None, ["b_eye.tif"])]
    assert rows[0]["grid"] == "a_radar.tif"
    assert told.refusals() == {"pairs.csv, line 4": "has no scene: fill in sar or optical"}


def test_several_rasters_of_a_scene_have_semicolons_between_them(root: Path) -> None:
    values = np.random.default_rng(0).normal(-12, 3, (1, 64, 64)).astype(np.float32)
    place = {"crs": "EPSG:32632", "transform": grid_of(root / "a_eye.tif").transform}
    for name in ("VV", "VH"):
        write(root / f"x_{name}.tif", values, tags={"UNITS": "dB"}, **place)
    rows, told = rows_of(root, "sar,optical\nx_VV.tif; x_VH.tif,a_eye.tif\na_radar.tif;b_radar.tif,b_eye.tif\n")
    assert {tuple(row["sar"]) for row in rows} == {("x_VV.tif", "x_VH.tif")}
    assert "hold VH, VV more than once" in told.refusals()["pairs.csv, line 3"]


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("../x.tif,a_eye.tif,,", "leaves the data's root"),
        ("/etc/x.tif,a_eye.tif,,", "leaves the data's root"),
        ("gone.tif,a_eye.tif,,", "There is no"),
        ("a_radar.tif,a_eye.tif,soon,", "'soon' is no time"),
        ("a_radar.tif,a_eye.tif,,forest", "the column 'label_x' is 'forest': give a whole number"),
        ("a_radar.tif,b_eye.tif,,", "km apart"),
    ],
)
def test_a_bad_line_costs_itself_alone(root: Path, line: str, cause: str) -> None:
    rows, told = rows_of(root, f"sar,optical,time,label_x\n{line}\nb_radar.tif,b_eye.tif,,3\n")
    assert {row["label_x"] for row in rows} == {3}
    assert len(rows) == 4
    assert len(told.refusals()) == 1
    assert cause in " ".join(told.refusals().values())


@pytest.mark.parametrize(
    ("text", "cause"),
    [("a,b\n1,2\n", "has no column sar or optical in its first line"), ("", "has no column sar or optical")],
)
def test_a_table_without_the_columns_is_refused(root: Path, text: str, cause: str) -> None:
    with pytest.raises(InputError, match=cause):
        rows_of(root, text)


def test_a_table_that_is_no_text_is_refused(root: Path) -> None:
    (root / "pairs.csv").write_bytes(b"sar,optical\n\xff\xfe,x\n")
    with pytest.raises(InputError, match="cannot be read as a CSV in UTF-8"):
        list(LAYOUT.with_options([]).read(root, Told()))


def test_an_id_twice_is_refused(root: Path) -> None:
    rows, told = rows_of(root, "id,sar,optical\nx,a_radar.tif,a_eye.tif\nx,b_radar.tif,b_eye.tif\n")
    assert len(rows) == 4
    assert told.refusals() == {"pairs.csv, line 3": "the id 'x' is that of another line: ids are unique"}


def test_before_and_after_have_columns_of_their_own(root: Path) -> None:
    rows, _ = rows_of(root, "sar_before,optical_after,label_changed\na_radar.tif,a_eye.tif,1\n", layout=CHANGES)
    assert {
        (row["sar_before"][0], row["optical_before"], row["sar_after"], row["optical_after"][0]) for row in rows
    } == {("a_radar.tif", None, None, "a_eye.tif")}
    assert {row["label_changed"] for row in rows} == {1}
    sample = Loader()(rows[0], root)
    assert [name for name, value in sample.items() if value is not None] == ["sar_before", "optical_after"]


def test_the_file_itself_may_be_named_and_becomes_a_table(root: Path) -> None:
    path = root / "mine.csv"
    path.write_text("sar,optical\na_radar.tif,a_eye.tif\nb_radar.tif,b_eye.tif\n")
    ingest("remote-sensing", LAYOUT.with_options(["patch=32"]), path, root / "out.parquet", Loader())
    table = PairTable.read(root / "out.parquet")
    assert len(table) == 8
    assert set(table.splits.tolist()) == {"train", "val"}
