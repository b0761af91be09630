"""MIMIC-CXR and MIMIC-CXR-JPG, against miniatures that have their folders, tables and headers."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from plait.errors import InputError
from plait.pairs.ingest import ingest
from plait.pairs.layout import Remark
from plait.pairs.lfs import LFS_POINTER
from plait.pairs.table import PairTable
from plait_medical.ingest import LAYOUTS
from plait_medical.load import Loader
from tests.medical import folders
from tests.medical.mimic_miniature import FILM, LABELS, LATER, LATERAL, METADATA, described, files, jpg, report, table

read = partial(folders.read, "mimic-cxr")


def test_a_study_is_a_row_with_its_frontal_and_lateral_film_and_its_report(tmp_path):
    jpg(
        tmp_path,
        [
            described(LATERAL, 50009990, ViewPosition="LATERAL"),
            described(FILM, 50009990),
        ],
    )
    report(tmp_path, 50009990)
    (row,), told = read(tmp_path)
    folder = "files/p10/p10009990/s50009990"
    assert (row["id"], row["group"], row["study"]) == ("s50009990", "p10009990", "s50009990")
    assert (row["image"], row["lateral"]) == (f"{folder}/{FILM}.jpg", f"{folder}/{LATERAL}.jpg")
    assert (row["view"], row["time"], row["prior"]) == ("PA", "2153-03-04", None)
    assert row["views"] == [f"{folder}/{LATERAL}.jpg", f"{folder}/{FILM}.jpg"]
    assert row["findings"] == "The lungs are clear. The heart is a little large."
    assert row["impression"] == "Mild cardiomegaly."
    assert row["report"] == f"{row['findings']} {row['impression']}"
    assert row["comparison"] == "None."
    assert row["technique"] == "Chest PA and lateral"
    assert "cough" in row["indication"]
    assert not told


def test_an_empty_view_position_is_read_from_the_view_code(tmp_path):
    lines = [
        described(FILM, 1, ViewPosition="", ViewCodeSequence_CodeMeaning="antero-posterior"),
        described(LATERAL, 1, ViewPosition="", ViewCodeSequence_CodeMeaning="left lateral"),
    ]
    jpg(tmp_path, lines)
    (row,), _ = read(tmp_path)
    assert row["view"] == "AP"
    assert FILM in row["image"]
    assert LATERAL in row["lateral"]


def test_a_frontal_film_that_is_a_guess_is_told(tmp_path):
    jpg(tmp_path, [described(FILM, 1, ViewPosition=""), described(LATER, 2)])
    rows, told = read(tmp_path)
    assert [(FILM in row["image"], row["view"]) for row in rows] == [(True, None), (False, "PA")]
    assert told["views", "the frontal film is a guess, as nothing says how it was taken: 1 times"] == 1


def test_the_prior_is_the_last_study_before_by_date_and_time(tmp_path):
    lines = [
        described("a" * 44, 3, StudyDate=21530305, StudyTime=84557.25),  # 08:45:57: the table lost the zero
        described("b" * 44, 1, StudyDate=21530304, StudyTime=213015.125),
        described("c" * 44, 2, StudyDate=21530305, StudyTime=120000.0),
        described("d" * 44, 4, StudyDate=21530305, StudyTime=""),
        described("e" * 44, 5, patient=10009993),
    ]
    jpg(tmp_path, lines)
    rows = {row["id"]: row for row in read(tmp_path)[0]}
    assert {name: row["prior_id"] for name, row in rows.items()} == {
        "s1": None, "s3": "s1", "s2": "s3", "s4": None, "s5": None,
    }  # fmt: skip
    assert rows["s2"]["prior"] == rows["s3"]["image"]
    assert rows["s4"]["time"] == "2153-03-05"


def test_labels_keep_uncertain_and_unmentioned_apart_from_absent(tmp_path):
    jpg(tmp_path, [described(FILM, 1), described(LATER, 2)])
    said = {"subject_id": 10009990, "study_id": 1, "Edema": -1.0, "Pneumonia": 0.0, "Cardiomegaly": 1.0}
    table(tmp_path / "mimic-cxr-2.0.0-chexpert.csv.gz", LABELS, [said])
    table(tmp_path / "mimic-cxr-2.0.0-negbio.csv.gz", LABELS, [said | {"Edema": 1.0}])
    one, other = read(tmp_path)[0]
    assert [one[f"label_{name}"] for name in ("cardiomegaly", "pneumonia", "edema", "fracture")] == [1, 0, None, None]
    assert one["uncertain_label"] == ["edema"]
    assert one["negbio_edema"] == 1
    assert one["uncertain_negbio"] == []
    assert other["label_cardiomegaly"] is None
    assert other["uncertain_label"] == []


def test_the_radiologists_labels_call_a_lung_opacity_airspace_opacity(tmp_path):
    jpg(tmp_path, [described(FILM, 1)])
    table(tmp_path / "mimic-cxr-2.1.0-test-set-labeled.csv", ["study_id", "Airspace Opacity"], [
        {"study_id": 1, "Airspace Opacity": 1.0},
    ])  # fmt: skip
    (row,), _ = read(tmp_path)
    assert row["expert_lung_opacity"] == 1
    assert row["expert_edema"] is None


def test_the_official_split_is_the_patients(tmp_path):
    jpg(tmp_path, [described(FILM, 1), described(LATER, 2), described(LATERAL, 3, patient=10009993)])
    lines = [
        {"dicom_id": FILM, "study_id": 1, "subject_id": 10009990, "split": "validate"},
        {"dicom_id": LATERAL, "study_id": 3, "subject_id": 10009993, "split": "test"},
        {"dicom_id": "x", "study_id": 9, "subject_id": 10009999, "split": "holdout"},
    ]
    table(tmp_path / "mimic-cxr-2.0.0-split.csv.gz", ["dicom_id", "study_id", "subject_id", "split"], lines)
    rows, told = read(tmp_path)
    assert [row["split"] for row in rows] == ["val", "val", "test"]
    assert [what for what, _ in told] == ["mimic-cxr-2.0.0-split.csv.gz, line 4", "mimic-cxr-reports"]


def test_without_an_official_split_none_is_claimed(tmp_path):
    jpg(tmp_path, [described(FILM, 1)])
    (row,), _ = read(tmp_path)
    assert "split" not in row


def test_of_a_part_of_the_download_there_are_rows_for_what_is_there_and_one_remark_for_the_rest(tmp_path):
    there = described(FILM, 1)
    absent = [described(f"{number:044d}", number, patient=11000000 + number) for number in range(2, 3002)]
    table(tmp_path / "mimic-cxr-2.0.0-metadata.csv.gz", METADATA, [*absent, there])
    files(tmp_path, [there])
    rows, told = read(tmp_path)
    assert [row["id"] for row in rows] == ["s1"]
    assert told == {
        ("mimic-cxr-2.0.0-metadata.csv.gz", "3,000 of the 3,001 films it lists are not here, or were listed before"): 1,
        ("mimic-cxr-reports", "1 of 1 studies have no report here"): 1,
    }
    assert all(isinstance(cause, Remark) for _, cause in told)


def test_films_reports_and_tables_may_lie_where_they_were_unpacked(tmp_path):
    line = described(FILM, 50009990)
    jpg(tmp_path / "physionet.org/files/mimic-cxr-jpg/2.1.0", [line])
    report(tmp_path / "elsewhere", 50009990)
    (row,), told = read(tmp_path)
    assert row["image"].startswith("physionet.org/files/mimic-cxr-jpg/2.1.0/files/p10/")
    assert row["impression"]
    assert not told


def test_mimic_cxr_without_the_jpg_tables_takes_view_and_day_from_the_headers(tmp_path, write_dicom):
    ramp = np.arange(16, dtype=np.uint16).reshape(4, 4)
    write_dicom(ramp, f"{FILM}.dcm", ViewPosition="LL", StudyDate="21530304")
    write_dicom(ramp, f"{LATER}.dcm", ViewPosition="AP", StudyDate="21530305")
    (tmp_path / f"{LATERAL}.dcm").write_bytes(b"no film")
    lines = [
        {"subject_id": 10009990, "study_id": study, "dicom_id": name, "path": f"files/p10/{name}.dcm"}
        for study, name in ((1, FILM), (1, LATERAL), (2, LATER))
    ]
    table(tmp_path / "cxr-record-list.csv.gz", ["subject_id", "study_id", "dicom_id", "path"], lines)
    one, other = read(tmp_path)[0]
    assert (one["image"], one["lateral"]) == (f"{LATERAL}.dcm", f"{FILM}.dcm")  # nothing is known of the first
    assert (other["view"], other["time"], other["prior_id"]) == ("AP", "2153-03-05", "s1")
    assert "split" not in other
    assert not any(name.startswith("label_") for name in other)


def test_a_report_that_is_a_git_lfs_pointer_is_named(tmp_path):
    jpg(tmp_path, [described(FILM, 1)])
    report(tmp_path, 1, folders.POINTER)
    (row,), told = read(tmp_path)
    assert row["report"] is None
    assert told == {("mimic-cxr-reports/files/p10/p10009990/s1.txt", LFS_POINTER): 1}


def test_a_table_that_is_a_git_lfs_pointer_or_cut_off_is_an_error(tmp_path):
    (tmp_path / "mimic-cxr-2.0.0-metadata.csv.gz").write_text(folders.POINTER)
    with pytest.raises(InputError, match=r"metadata\.csv\.gz is a Git-LFS pointer"):
        read(tmp_path)
    jpg(tmp_path, [described(f"{number:044d}", number) for number in range(500)])
    whole = (tmp_path / "mimic-cxr-2.0.0-metadata.csv.gz").read_bytes()
    (tmp_path / "mimic-cxr-2.0.0-metadata.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"metadata\.csv\.gz .*EOFError"):
        read(tmp_path)


def test_a_table_of_labels_that_cannot_be_read_costs_the_labels_only(tmp_path):
    jpg(tmp_path, [described(FILM, 1)])
    (tmp_path / "mimic-cxr-2.0.0-chexpert.csv").write_text(folders.POINTER)
    (row,), told = read(tmp_path)
    assert row["label_edema"] is None
    assert any(what == "mimic-cxr-2.0.0-chexpert.csv" and LFS_POINTER in cause for what, cause in told)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (" \n", "the report is empty; the film is kept without it"),
        ("INDICATION:  Mrs Doe, cough.\n", "neither findings nor an impression"),
    ],
)
def test_a_report_that_says_nothing_of_the_film_costs_the_report_only(tmp_path, text, says):
    jpg(tmp_path, [described(FILM, 1)])
    report(tmp_path, 1, text)
    (row,), told = read(tmp_path)
    assert row["image"]
    assert row["report"] is None
    ((_, cause),) = told
    assert says in cause
    assert "Doe" not in str(told)


def test_bad_lines_are_refused_and_the_rest_goes_on(tmp_path):
    jpg(tmp_path, [described(LATERAL, "Mrs Doe"), described(FILM, 1), described(LATER, 2)])
    lines = [
        {"subject_id": 10009990, "study_id": 1, "Edema": "Mrs Doe"},
        {"subject_id": 10009990, "study_id": 2, "Edema": 1.0},
        {"subject_id": 10009990, "study_id": 3, "Edema": "of a study that is not here"},
    ]
    table(tmp_path / "mimic-cxr-2.0.0-chexpert.csv", LABELS, lines)
    rows, told = read(tmp_path)
    assert [(row["id"], row["label_edema"]) for row in rows] == [("s1", None), ("s2", 1)]
    assert [what for what, _ in told] == [
        "mimic-cxr-2.0.0-metadata.csv.gz, line 2",
        "mimic-cxr-2.0.0-chexpert.csv, line 2",
        "mimic-cxr-reports",
    ]
    assert "Doe" not in str(told)


def test_a_study_of_two_patients_stays_with_the_first(tmp_path):
    jpg(tmp_path, [described(FILM, 1), described(LATER, 1, patient=10009993)])
    (row,), told = read(tmp_path)
    assert row["group"] == "p10009990"
    assert row["views"] == [row["image"]]
    assert any("two patients" in cause for _, cause in told)


def test_no_path_of_a_table_is_followed(tmp_path):
    folders.draw(tmp_path / "outside.jpg")
    root = tmp_path / "data"
    table(root / "mimic-cxr-2.0.0-metadata.csv", METADATA, [described("../outside", 1), described("/etc/passwd", 2)])
    rows, told = read(root)
    assert not rows
    assert len(told) == 1


def test_reports_that_are_still_packed_are_told(tmp_path):
    jpg(tmp_path, [described(FILM, 1)])
    (tmp_path / "mimic-cxr-reports.zip").write_bytes(b"PK")
    assert ("mimic-cxr-reports.zip", "is not unpacked: unzip it, and the films get their reports") in read(tmp_path)[1]


def test_the_driver_loads_what_can_be_loaded_and_names_the_rest(tmp_path):
    root, lost = tmp_path / "data", "4" * 44
    lines = [
        described(FILM, 1),
        described(LATERAL, 1, ViewPosition="LATERAL"),
        described(LATER, 2, StudyDate=21540304),
        described(lost, 3, patient=10009993),
    ]
    jpg(root, lines)
    report(root, 1)
    split = {"dicom_id": FILM, "study_id": 1, "subject_id": 10009990, "split": "train"}
    table(root / "mimic-cxr-2.0.0-split.csv.gz", list(split), [split, split | {"subject_id": 10009993}])
    (root / f"files/p10/p10009990/s1/{LATERAL}.jpg").write_text(folders.POINTER)
    (root / f"files/p10/p10009993/s3/{lost}.jpg").write_bytes(b"damaged")
    told = ingest("medical", LAYOUTS["mimic-cxr"], root, tmp_path / "pairs.parquet", Loader(32))
    rows = PairTable.read(tmp_path / "pairs.parquet").data.to_pylist()
    assert [(row["id"], row["lateral"], row["prior_id"], bool(row["report"])) for row in rows] == [
        ("s1", None, None, True),
        ("s2", None, "s1", False),
    ]
    assert [refusal["what"] for refusal in told.refusals] == ["s3"]
    assert any(remark["what"] == "s1" and LFS_POINTER in remark["cause"] for remark in told.remarks)


def test_another_folder_is_not_taken_for_mimic(tmp_path):
    with pytest.raises(InputError, match=r"neither mimic-cxr-2\.0\.0-metadata\.csv\.gz nor cxr-record-list\.csv\.gz"):
        read(tmp_path)
    table(tmp_path / "mimic-cxr-2.0.0-metadata.csv", ["dicom_id", "subject_id"], [])
    with pytest.raises(InputError, match="lacks the column 'study_id'"):
        read(tmp_path)
