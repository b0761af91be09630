"""NIH ChestX-ray14, in the form that lies beside the repository and in NIH's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from plait.errors import InputError
from plait_medical.ingest.nih_cxr14 import LABELS
from tests.medical.folders import POINTER, SECRET, draw, read, table, write

HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient {},View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)


def line(name: str, finding: str = "No Finding", patient: str = "1", age: str = "58", view: str = "PA") -> str:
    return f"{name},{finding},{int(name[9:12])},{patient},{age},M,{view},2682,2749,0.143,0.143"


def folder(
    root: Path, *lines: str, header: str = HEADER.format("Gender"), name: str = "Data_Entry_2017_v2020.csv"
) -> None:
    write(root / name, "\n".join([header, *lines]) + "\n")
    for each in lines:
        draw(root / "images_001" / "images" / each.split(",")[0])


def test_nihs_own_folder_gives_a_row_a_film_with_labels_and_priors(tmp_path):
    folder(
        tmp_path,
        line("00000001_010.png", "Effusion|Pleural_Thickening", age="059Y"),
        line("00000001_002.png", "No Finding", age="411Y", view="AP"),
        line("00000002_000.png", "Hernia", patient="2"),
    )
    (later, first, other), told = read("nih-cxr14", tmp_path)
    assert not told
    assert (later["id"], later["group"], later["age"], later["sex"]) == ("00000001_010", "00000001", 59.0, "M")
    assert (later["image"], later["view"]) == ("images_001/images/00000001_010.png", "PA")
    assert (later["prior"], later["prior_id"]) == ("images_001/images/00000001_002.png", "00000001_002")
    assert {name for name in LABELS.values() if later[f"label_{name}"]} == {"pleural_effusion", "pleural_thickening"}
    assert {name for name in LABELS.values() if first[f"label_{name}"]} == {"no_finding"}
    assert (first["age"], first["view"], first["prior"], other["prior"]) == (None, "AP", None, None)
    assert "report" not in later
    assert "boxes" not in later


def test_the_newest_table_counts_and_its_two_headings_for_the_sex_are_known(tmp_path):
    folder(tmp_path, line("00000001_000.png", "Mass"), name="Data_Entry_2017.csv", header=HEADER.format("Gender") + ",")
    assert read("nih-cxr14", tmp_path)[0][0]["label_mass"] == 1
    folder(tmp_path, line("00000001_000.png", "Nodule"), header=HEADER.format("Sex"))
    row = read("nih-cxr14", tmp_path)[0][0]
    assert (row["label_mass"], row["label_nodule"], row["sex"]) == (0, 1, "M")


def test_the_official_test_list_splits_and_the_rest_is_left_to_be_split(tmp_path):
    folder(tmp_path, line("00000001_000.png"), line("00000002_000.png", patient="2"))
    write(tmp_path / "test_list.txt", "00000002_000.png\n00000009_000.png")
    assert [row["split"] for row in read("nih-cxr14", tmp_path)[0]] == [None, "test"]
    write(tmp_path / "test_list.txt", POINTER)
    with pytest.raises(InputError, match=r"test_list\.txt is a Git-LFS pointer"):
        read("nih-cxr14", tmp_path)


def test_boxes_stand_beside_their_film(tmp_path):
    folder(tmp_path, line("00000001_000.png"), line("00000002_000.png", patient="2"))
    boxes = [
        "00000001_000.png,Infiltrate,225.5,547,86.7,79",
        "00000001_000.png,Mass,1,2,3,4",
        "00000002_000.png,Mass,1,2,x,4",
        "00000002_000.png,Mass,-1,2,3,4",
        "00000002_000.png,Mass,1,2,inf,4",
        "00000002_000.png,Doe,1,2,3,4",
    ]
    write(tmp_path / "BBox_List_2017.csv", "Image Index,Finding Label,Bbox [x,y,w,h],,,\n" + "\n".join(boxes))
    (one, two), told = read("nih-cxr14", tmp_path)
    assert one["boxes"] == [
        {"finding": "infiltration", "x": 225.5, "y": 547.0, "width": 86.7, "height": 79.0},
        {"finding": "mass", "x": 1.0, "y": 2.0, "width": 3.0, "height": 4.0},
    ]
    assert two["boxes"] == []
    assert [what for what, _ in told] == [f"BBox_List_2017.csv, line {line}" for line in (4, 5, 6, 7)]


def test_a_part_of_the_films_is_a_part_of_the_rows_and_the_rest_is_counted_once(tmp_path):
    lines = [line(f"00000001_{number:03}.png") for number in range(5)]
    folder(tmp_path, *lines)
    for number in (0, 2, 4):
        (tmp_path / "images_001/images" / f"00000001_{number:03}.png").unlink()
    rows, told = read("nih-cxr14", tmp_path)
    assert [row["follow_up"] for row in rows] == [1, 3]
    assert told == {("Data_Entry_2017_v2020.csv", "3 of the films that the table names do not lie under the root"): 1}


@pytest.mark.parametrize(
    ("bad", "cause"),
    [
        (line("00000003_000.png", SECRET), "names a finding that is none of the fifteen"),
        (line("00000003_000.png", ""), "names a finding that is none of the fifteen"),
        (line("00000003_000.png", patient="Doe^Jane"), "has no number for the patient"),
        (line("00000003_000.png").replace(",0,1,", ",first,1,"), "has no number for the follow-up"),
        (line("00000003_000.png") + ",Doe", "has more cells than the header"),
    ],
)
def test_a_bad_line_costs_its_film_only(tmp_path, bad, cause):
    folder(tmp_path, bad, line("00000001_000.png"))
    rows, told = read("nih-cxr14", tmp_path)
    assert [row["id"] for row in rows] == ["00000001_000"]
    ((what, said),) = told
    assert what == "Data_Entry_2017_v2020.csv, line 2"
    assert cause in said
    assert "Doe" not in said


def test_the_form_beside_the_repository_has_its_own_split_and_folder(tmp_path):
    draw(tmp_path / "images/00000150_002.jpg")
    told = {"image": "images/00000150_002.jpg", "patient_id": "00000150", "split": "val", "finding_labels": "Effusion",
            "follow_up": "2", "age": "55", "sex": "F", "view": "AP", "Effusion": "1"}  # fmt: skip
    table(tmp_path / "labels.csv", [told, told | {"image": "images/00000150_002.png", "split": "holdout"}])
    (row,), refused = read("nih-cxr14", tmp_path)
    assert (row["split"], row["image"], row["label_pleural_effusion"]) == ("val", "images/00000150_002.jpg", 1)
    assert [what for what, _ in refused] == ["labels.csv, line 3"]
    (tmp_path / "labels.csv").unlink()
    with pytest.raises(InputError, match=r"neither Data_Entry_2017\*\.csv nor labels\.csv"):
        read("nih-cxr14", tmp_path)
