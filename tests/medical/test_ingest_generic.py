"""A folder of one's own: films and texts that pair by name, by study and by folder."""

from __future__ import annotations

import hashlib
import os
from collections import Counter

import numpy as np
import pytest

from plait.errors import InputError
from plait_medical.ingest.generic_folder import HELD
from tests.medical.folders import POINTER, SECRET, draw, read, write

RAMP = np.arange(16, dtype=np.uint16).reshape(4, 4)


@pytest.mark.parametrize(
    ("films", "reports"), [("films/", "reports/"), ("", ""), ("films/", "films/"), ("", "reports/")]
)
def test_films_and_texts_pair_by_name(tmp_path, films, reports):
    draw(tmp_path / f"{films}p1_a.png", 1)
    draw(tmp_path / f"{films}p1_b.jpg", 2)
    draw(tmp_path / f"{films}p2_a.PNG", 3)
    write(tmp_path / f"{reports}p1_a.txt", "Clear lungs.\n")
    write(tmp_path / f"{reports}p1_b.TXT", " \n")
    write(tmp_path / f"{reports}p9_a.txt", SECRET)
    rows, told = read("generic-folder", tmp_path)
    assert [(row["id"], row["group"], row["report"]) for row in rows] == [
        ("p1_a", "p1", "Clear lungs."),
        ("p1_b", "p1", None),
        ("p2_a", "p2", None),
    ]
    assert rows[0]["image"] == f"{films}p1_a.png"
    assert {row["group_from"] for row in rows} == {"the file's name before the first underscore"}
    assert Counter(what for what, _ in told) == {f"{reports}p1_b.TXT": 1, f"{reports}p9_a.txt": 1}
    assert SECRET not in str(told)


def test_a_report_is_its_findings_and_impression_and_its_sections_are_columns(tmp_path):
    draw(tmp_path / "p1_a.png", 1)
    draw(tmp_path / "p1_b.png", 2)
    letter = (
        "SAINT ELSEWHERE HOSPITAL\nEXAM: Chest\nINDICATION: Cough.\n\nFINDINGS: Clear lungs.\nIMPRESSION: Normal.\n"
    )
    write(tmp_path / "p1_a.txt", letter)
    write(tmp_path / "p1_b.txt", "INDICATION: Cough.\n")
    (whole, asked), told = read("generic-folder", tmp_path)
    assert whole["report"] == "Clear lungs. Normal."
    assert (whole["indication"], whole["findings"], whole["impression"]) == ("Cough.", "Clear lungs.", "Normal.")
    assert asked["report"] is None, "a question is no report"
    assert list(told) == [("p1_b.txt", "the report is empty; the film is kept without it")]


def test_patients_csv_comes_before_the_dicom_header_before_the_folder_before_the_name(tmp_path, write_dicom):
    write_dicom(RAMP, "a_1.dcm")
    write_dicom(RAMP, "b_1.dcm")
    write_dicom(RAMP, "c_1.dcm", PatientID="")
    draw(tmp_path / "p3/s1/x.png")
    draw(tmp_path / "p4/s1/x.png")
    write(tmp_path / "patients.csv", "file,patient\na_1.dcm,seven\np4/s1,eight\n,nine\n")
    rows, told = read("generic-folder", tmp_path)
    who = {row["id"]: (row["group"], row["group_from"]) for row in rows}
    assert who == {
        "a_1": ("seven", "patients.csv"),
        "b_1": (hashlib.sha256(b"MRN-4711").hexdigest()[:16], "hash of the DICOM PatientID"),
        "c_1": ("c", "the file's name before the first underscore"),
        "p3/s1/x": ("p3", "the outermost folder's name"),
        "p4/s1/x": ("eight", "patients.csv"),
    }
    assert "MRN-4711" not in str(rows)
    assert [what for what, _ in told] == ["patients.csv, line 4"]


def test_films_of_one_study_instance_are_one_row_with_the_views_of_their_headers(tmp_path, write_dicom):
    write_dicom(RAMP, "x1.dcm", StudyInstanceUID="1.2.3", ViewPosition="LL", StudyDate="20200301")
    write_dicom(RAMP, "x2.dcm", StudyInstanceUID="1.2.3", ViewPosition="AP", StudyDate="20200301")
    write_dicom(RAMP, "x3.dcm", StudyInstanceUID="1.2.3", ViewPosition="PA", StudyDate="20200301", PatientSex="F")
    write_dicom(RAMP, "y1.dcm", StudyInstanceUID="1.2.4", ViewPosition="PA", StudyDate="20191231")
    write_dicom(RAMP, "z1.dcm", StudyInstanceUID="1.2.3", ViewPosition="PA", PatientID="another")
    write(tmp_path / "x1.txt", "Of the whole study.")
    write(tmp_path / "x2.txt", "Of the whole study.")
    read_rows, told = read("generic-folder", tmp_path)
    rows = {row["id"]: row for row in read_rows}
    assert told == {("x2.txt", "is a second text of one study, and the first was taken: put both into one"): 1}
    assert set(rows) == {"x3", "y1", "z1"}
    study = rows["x3"]
    assert (study["image"], study["lateral"], study["view"], study["sex"]) == ("x3.dcm", "x1.dcm", "PA", "F")
    assert study["views"] == ["x1.dcm", "x2.dcm", "x3.dcm"]
    assert (study["report"], study["time"]) == ("Of the whole study.", "2020-03-01")
    assert (study["prior"], study["prior_id"], rows["y1"]["prior"]) == ("y1.dcm", "y1", None)
    assert "1.2.3" not in str(rows)


@pytest.mark.parametrize("text", ["p1/s1/report.txt", "reports/p1/s1.txt", "reports/s1.txt", "p1/s1.txt"])
def test_a_folder_that_a_text_speaks_of_is_a_study(tmp_path, text):
    draw(tmp_path / "p1/s1/pa.png", 1)
    draw(tmp_path / "p1/s1/lateral.png", 2)
    draw(tmp_path / "p1/s2/a.png", 3)
    draw(tmp_path / "p1/s2/b.png", 4)
    write(tmp_path / text, "Two views.")
    rows, told = read("generic-folder", tmp_path)
    assert not told
    assert [(row["id"], row["image"], row["lateral"], row["report"]) for row in rows] == [
        ("p1/s1/pa", "p1/s1/pa.png", "p1/s1/lateral.png", "Two views."),
        ("p1/s2/a", "p1/s2/a.png", None, None),
        ("p1/s2/b", "p1/s2/b.png", None, None),
    ]
    assert {row["group"] for row in rows} == {"p1"}


def test_where_nothing_says_which_film_is_frontal_the_first_is_taken_and_that_is_told(tmp_path, write_dicom):
    write_dicom(RAMP, "x1.dcm", StudyInstanceUID="1.2.3")
    write_dicom(RAMP, "x2.dcm", StudyInstanceUID="1.2.3")
    (row,), told = read("generic-folder", tmp_path)
    assert (row["image"], row["view"], row["views"]) == ("x1.dcm", None, ["x1.dcm", "x2.dcm"])
    ((what, cause),) = told
    assert what == "x1.dcm"
    assert "nothing says which film of the study is frontal" in cause


def test_a_text_in_a_folder_of_several_studies_is_given_to_none(tmp_path, write_dicom):
    (tmp_path / "p1").mkdir()
    write_dicom(RAMP, "p1/a.dcm", StudyInstanceUID="1.2.3")
    write_dicom(RAMP, "p1/b.dcm", StudyInstanceUID="1.2.4")
    write(tmp_path / "p1/report.txt", SECRET)
    rows, told = read("generic-folder", tmp_path)
    assert [row["report"] for row in rows] == [None, None]
    ((what, cause),) = told
    assert what == "p1/report.txt"
    assert "several studies" in cause


def test_texts_by_film_go_before_the_folder_and_parallel_trees_pair(tmp_path):
    draw(tmp_path / "films/p1/a.png", 1)
    draw(tmp_path / "films/p1/b.png", 2)
    write(tmp_path / "reports/p1/a.txt", "Of a.")
    write(tmp_path / "reports/p1/b.txt", "Of b.")
    assert [(row["id"], row["report"]) for row in read("generic-folder", tmp_path)[0]] == [
        ("p1/a", "Of a."),
        ("p1/b", "Of b."),
    ]


def test_dicom_without_a_suffix_is_found_and_what_is_neither_film_nor_text_is_not(tmp_path, write_dicom):
    write_dicom(RAMP, "IM000001")
    write_dicom(RAMP, "1.2.840.5")
    write_dicom(RAMP, "DICOMDIR")
    write_dicom(RAMP, ".hidden.dcm")
    write(tmp_path / "notes.docx", "nothing")
    write(tmp_path / "short", "x")
    write(tmp_path / "1.2.840.5.txt", "Clear.")
    rows, told = read("generic-folder", tmp_path)
    assert [(row["id"], row["report"]) for row in rows] == [("1.2.840.5", "Clear."), ("IM000001", None)]
    assert not told


def test_links_that_lead_in_a_circle_are_not_followed(tmp_path):
    draw(tmp_path / "p1/a.png")
    (tmp_path / "p1/back").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "p1/back.png").symlink_to(tmp_path / "p1", target_is_directory=True)
    assert [row["id"] for row in read("generic-folder", tmp_path)[0]] == ["p1/a"]


def test_a_pipe_that_is_called_like_a_film_is_not_waited_for(tmp_path):
    draw(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe.dcm")
    assert [row["id"] for row in read("generic-folder", tmp_path)[0]] == ["a"]


def test_oblique_films_are_left_out_and_damaged_ones_left_to_the_reader(tmp_path, write_dicom):
    write_dicom(RAMP, "o.dcm", ViewPosition="RAO")
    write_dicom(RAMP, "l.dcm", ViewPosition="LL")
    write(tmp_path / "bad.dcm", "no film")
    rows, told = read("generic-folder", tmp_path)
    assert [(row["id"], row["image"], row["lateral"]) for row in rows] == [
        ("bad", "bad.dcm", None), ("l", None, "l.dcm")
    ]  # fmt: skip
    assert told == {("o.dcm", "shows neither a frontal nor a lateral chest: it is left out"): 1}


def test_texts_come_in_several_encodings_and_what_is_no_text_costs_the_report_only(tmp_path):
    for name in ("plain", "bom", "wide", "latin", "pointer", "binary", "long"):
        draw(tmp_path / f"{name}.png")
    write(tmp_path / "plain.txt", "Größe 2 cm")
    (tmp_path / "bom.txt").write_bytes("Größe 2 cm".encode("utf-8-sig"))
    (tmp_path / "wide.txt").write_bytes("Größe 2 cm".encode("utf-16"))
    (tmp_path / "latin.txt").write_bytes("Größe 2 cm".encode("latin-1"))
    write(tmp_path / "pointer.txt", POINTER)
    (tmp_path / "binary.txt").write_bytes(b"\x00\x01\x02" * 9)
    write(tmp_path / "long.txt", "x" * 2**21)
    rows, told = read("generic-folder", tmp_path)
    assert {row["id"] for row in rows if row["report"] == "Größe 2 cm"} == {"plain", "bom", "wide", "latin"}
    assert {row["id"] for row in rows if row["report"] is None} == {"pointer", "binary", "long"}
    assert {what: cause.split(":")[0] for what, cause in told} == {
        "latin.txt": "is not text in UTF-8 and was read as Latin-1",
        "pointer.txt": "is a Git-LFS pointer and not the file itself",
        "binary.txt": "is not text",
        "long.txt": "is longer than 1 MiB",
    }


def test_two_films_of_one_name_are_told_apart_by_refusing_the_second(tmp_path):
    draw(tmp_path / "a.jpg")
    draw(tmp_path / "a.png")
    rows, told = read("generic-folder", tmp_path)
    assert [row["image"] for row in rows] == ["a.jpg"]
    assert [what for what, _ in told] == ["a.png"]


def test_a_folder_without_films_and_a_wrong_patients_csv_are_errors(tmp_path):
    with pytest.raises(InputError, match="holds no film"):
        read("generic-folder", tmp_path)
    draw(tmp_path / "a.png")
    write(tmp_path / "patients.csv", "film,patient\na,1\n")
    with pytest.raises(InputError, match=r"patients\.csv lacks the column 'file'"):
        read("generic-folder", tmp_path)


def test_films_in_the_quarantine_of_a_deidentification_are_refused_until_a_person_moves_them(tmp_path):
    draw(tmp_path / "quarantine/p1/a.png")
    with pytest.raises(InputError, match="holds no film but in 'quarantine'"):
        read("generic-folder", tmp_path)
    draw(tmp_path / "p2/b.png", 1)
    rows, told = read("generic-folder", tmp_path)
    assert [row["id"] for row in rows] == ["p2/b"]
    assert [*told] == [("quarantine/p1/a.png", HELD)]
    (tmp_path / "quarantine/p1").rename(tmp_path / "p1")
    assert [row["group"] for row in read("generic-folder", tmp_path)[0]] == ["p1", "p2"]
