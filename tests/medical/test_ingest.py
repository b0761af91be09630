"""Each layout's folder becomes rows; what is wrong is counted and named, and nothing of the report is told."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from plait.errors import InputError
from plait.pairs.ingest import ingest
from plait.pairs.layout import Row
from plait.pairs.table import PairTable
from plait_medical.ingest import LAYOUTS
from plait_medical.ingest.iu_xray import LABELS
from plait_medical.load import Loader

SECRET = "Cardiomegaly in Mrs Doe."


def read(name: str, root: Path) -> tuple[list[Row], Counter[tuple[str, str]]]:
    refused: Counter[tuple[str, str]] = Counter()
    rows = list(LAYOUTS[name].read(root, lambda what, cause: refused.update([(what, cause)])))
    return rows, refused


def draw(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (20, 24), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


# --- IU X-ray ---------------------------------------------------------------------------------------------------


def iu_folder(root: Path, reports: list[dict[str, object]], **labels: str) -> None:
    write(root / "reports.jsonl", "".join(json.dumps(report) + "\n" for report in reports))
    with (root / "studies.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["uid", "split", "primary_image", *LABELS])
        writer.writeheader()
        for report in reports:
            row = dict.fromkeys(LABELS, "0") | labels
            writer.writerow(
                {"uid": report["uid"], "split": "train", "primary_image": f"images/{report['uid']}.png"} | row
            )


def test_a_report_is_its_findings_and_its_impression(tmp_path):
    sections = {"indication": "Pain", "comparison": "None.", "findings": "Clear \n lungs.", "impression": "Normal."}
    iu_folder(
        tmp_path,
        [
            {"uid": "1", **sections},
            {"uid": "2", **sections, "findings": ""},
            {"uid": "3", **sections, "findings": " ", "impression": ""},
        ],
    )
    rows, refused = read("iu-xray", tmp_path)
    assert [row["report"] for row in rows] == ["Clear lungs. Normal.", "Normal.", None]
    assert rows[0]["indication"] == "Pain"
    assert rows[1]["findings"] is None
    assert rows[2]["image"] == "images/3.png"  # the film is kept
    assert refused == {("study 3", "the report is empty; the film is kept without it"): 1}


def test_labels_are_known_or_unknown(tmp_path):
    iu_folder(
        tmp_path, [{"uid": "1", "findings": "a"}], cardiomegaly="1", opacity="", granuloma="-1", nodule_mass="1.0"
    )
    row = read("iu-xray", tmp_path)[0][0]
    assert [row[f"label_{name}"] for name in ("cardiomegaly", "opacity", "granuloma", "nodule_mass")] == [
        1,
        None,
        None,
        1,
    ]
    iu_folder(tmp_path, [{"uid": "1", "findings": "a"}], cardiomegaly="perhaps")
    with pytest.raises(InputError, match=r"studies\.csv, line 2, column 'cardiomegaly': 'perhaps'"):
        read("iu-xray", tmp_path)


def test_another_folder_is_not_taken_for_iu_xray(tmp_path):
    with pytest.raises(InputError, match=r"reports\.jsonl is missing"):
        read("iu-xray", tmp_path)
    write(tmp_path / "reports.jsonl", '{"uid": "1"}\nnot json\n')
    with pytest.raises(InputError, match=r"reports\.jsonl, line 2"):
        read("iu-xray", tmp_path)
    write(tmp_path / "reports.jsonl", '{"uid": "1"}\n')
    write(tmp_path / "studies.csv", "uid,split\n1,train\n")
    with pytest.raises(InputError, match=r"studies\.csv lacks the column 'primary_image' \(it has uid, split\)"):
        read("iu-xray", tmp_path)


@pytest.mark.real
def test_the_real_iu_xray_has_the_counts_of_its_readme(shared_data: Path):
    rows, refused = read("iu-xray", shared_data / "medical" / "iu_xray")
    assert len(rows) == 1361
    assert not refused
    assert Counter(row["split"] for row in rows) == {"train": 1097, "val": 264}
    positives = {name: sum(row[f"label_{name}"] == 1 for row in rows) for name in LABELS}
    assert positives == {
        "normal": 489, "abnormal": 844, "cardiomegaly": 113, "opacity": 145, "atelectasis": 108, "pleural_effusion": 50,
        "consolidation_like": 81, "edema_congestion": 37, "emphysema_copd": 49, "granuloma": 158, "nodule_mass": 44,
        "pneumothorax": 4, "fracture": 22, "scoliosis_kyphosis": 40, "device": 101,
    }  # fmt: skip
    assert sum(row["label_abnormal"] is None for row in rows) == 28
    assert len({row["report"].lower() for row in rows}) == 1153
    assert all(row["group"] == row["id"] for row in rows)


# --- a folder ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("films", "reports"), [("films/", "reports/"), ("", "")])
def test_films_and_texts_pair_by_name(tmp_path, films, reports):
    draw(tmp_path / f"{films}p1_a.png", 1)
    draw(tmp_path / f"{films}p1_b.jpg", 2)
    draw(tmp_path / f"{films}p2_a.png", 3)
    write(tmp_path / f"{reports}p1_a.txt", "Clear lungs.\n")
    write(tmp_path / f"{reports}p1_b.txt", " \n")
    write(tmp_path / f"{reports}p9_a.txt", SECRET)
    rows, refused = read("generic-folder", tmp_path)
    assert [(row["id"], row["group"], row["report"]) for row in rows] == [
        ("p1_a", "p1", "Clear lungs."),
        ("p1_b", "p1", None),
        ("p2_a", "p2", None),
    ]
    assert rows[0]["image"] == f"{films}p1_a.png"
    assert {row["group_from"] for row in rows} == {"the file's name before the first underscore"}
    assert Counter(what for what, _ in refused) == {f"{reports}p1_b.txt": 1, f"{reports}p9_a.txt": 1}
    assert SECRET not in str(refused)


def test_patients_csv_comes_before_the_dicom_header_before_the_name(tmp_path, write_dicom):
    ramp = np.arange(16, dtype=np.uint16).reshape(4, 4)
    write_dicom(ramp, "a_1.dcm")
    write_dicom(ramp, "b_1.dcm")
    write_dicom(ramp, "c_1.dcm", PatientID="")
    write(tmp_path / "patients.csv", "file,patient\na_1.dcm,seven\n")
    rows = {row["id"]: row for row in read("generic-folder", tmp_path)[0]}
    assert (rows["a_1"]["group"], rows["a_1"]["group_from"]) == ("seven", "patients.csv")
    assert rows["b_1"]["group"] == hashlib.sha256(b"MRN-4711").hexdigest()[:16]
    assert (rows["c_1"]["group"], rows["c_1"]["group_from"][:15]) == ("c", "the file's name")
    assert "MRN-4711" not in str(rows)


def test_two_films_of_one_name_are_told_apart_by_refusing_the_second(tmp_path):
    draw(tmp_path / "a.jpg")
    draw(tmp_path / "a.png")
    rows, refused = read("generic-folder", tmp_path)
    assert [row["image"] for row in rows] == ["a.jpg"]
    assert [what for what, _ in refused] == ["a.png"]


def test_a_folder_without_films_and_a_wrong_patients_csv_are_errors(tmp_path):
    with pytest.raises(InputError, match="holds no film"):
        read("generic-folder", tmp_path)
    draw(tmp_path / "a.png")
    write(tmp_path / "patients.csv", "film,patient\na,1\n")
    with pytest.raises(InputError, match=r"patients\.csv lacks the column 'file'"):
        read("generic-folder", tmp_path)


# --- a CSV ------------------------------------------------------------------------------------------------------


def test_columns_go_by_their_usual_names(tmp_path):
    write(
        tmp_path / "mine.csv",
        "Image Path,Text,Patient_ID,study,split,label_edema\nx/a.png,Clear.,7,s1,Validation,1\nx/b.png,,8,s2,train,\n",
    )
    rows, refused = read("generic-csv", tmp_path)
    assert rows[0] == {
        "id": "s1", "group": "7", "time": None, "split": "val", "image": "x/a.png", "report": "Clear.",
        "label_edema": 1,
    }  # fmt: skip
    assert rows[1]["report"] is None
    assert rows[1]["label_edema"] is None
    assert list(refused) == [("mine.csv, line 3", "the report is empty; the film is kept without it")]


def test_lines_without_patient_or_without_anything_are_refused_and_the_rest_goes_on(tmp_path):
    write(tmp_path / "pairs.csv", f"image,report,patient\na.png,{SECRET},\n,,1\nb.png,Fine.,2\n,Only text.,3\n")
    rows, refused = read("generic-csv", tmp_path)
    assert [row["id"] for row in rows] == ["b.png", "line-5"]
    assert [what for what, _ in refused] == ["pairs.csv, line 2", "pairs.csv, line 3"]
    assert SECRET not in str(refused)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "picture,report,patient\na,b,c\n",
            r"mine\.csv lacks a column for the image \(it has picture, report, patient\)",
        ),
        ("image,report\na,b\n", "lacks a column for the group .*name it group or patient"),
        ("", "no line at all"),
        ("image,report,patient,split\na,b,c,holdout\n", "line 2, column 'split': 'holdout' is none of train, val"),
        ("image,report,patient,label_x\na,b,c,2\n", "line 2, column 'label_x': '2' is none of 0, 1"),
    ],
)
def test_a_wrong_column_or_value_is_one_sentence_that_names_it(tmp_path, text, says):
    write(tmp_path / "mine.csv", text)
    with pytest.raises(InputError, match=says):
        read("generic-csv", tmp_path)


def test_which_csv_must_be_plain(tmp_path):
    with pytest.raises(InputError, match="0 CSV files"):
        read("generic-csv", tmp_path)
    write(tmp_path / "a.csv", "image,report,patient\na,b,c\n")
    write(tmp_path / "b.csv", "")
    with pytest.raises(InputError, match="2 CSV files"):
        read("generic-csv", tmp_path)
    (tmp_path / "b.csv").rename(tmp_path / "pairs.csv")
    with pytest.raises(InputError, match=r"pairs\.csv"):
        read("generic-csv", tmp_path)


# --- through the driver -----------------------------------------------------------------------------------------


def test_damaged_missing_and_outside_films_cost_their_rows_only(tmp_path):
    root = tmp_path / "data"
    draw(root / "good.png", 1)
    draw(root / "bad.png", 2)
    (root / "bad.png").write_bytes((root / "bad.png").read_bytes()[:100])
    lines = ["good.png,Fine.,1", f"bad.png,{SECRET},2", "gone.png,Fine too.,3", "../out.png,Fine.,4", ",Text only.,5"]
    write(root / "mine.csv", "image,report,patient\n" + "\n".join(lines))
    report = ingest("medical", LAYOUTS["generic-csv"], root, tmp_path / "pairs.parquet", Loader(32))
    assert sum(report.rows.values()) == 2
    assert {refusal["what"] for refusal in report.refusals} == {"bad.png", "gone.png", "../out.png"}
    assert SECRET not in (tmp_path / "pairs.ingest.json").read_text()
    table = PairTable.read(tmp_path / "pairs.parquet")
    assert table.present("image").tolist() == [True, False]
    assert table.present("report").all()


def test_the_synthetic_world_is_ingested_with_its_faults_counted(tmp_path, world):
    report = ingest("medical", LAYOUTS["iu-xray"], world, tmp_path / "pairs.parquet", Loader(64))
    table = PairTable.read(tmp_path / "pairs.parquet")
    whats = Counter(refusal["what"] for refusal in report.refusals)
    assert whats["7"] == 1
    assert whats["11"] == 1
    empty = [refusal for refusal in report.refusals if "report is empty" in refusal["cause"]]
    assert len(empty) == int((~table.present("report")).sum()) > 0
    assert len(table) == 318
    assert table.info.synthetic
    assert report.leakage == "nothing leaks"
    assert report.equal_texts["report"] > 0
