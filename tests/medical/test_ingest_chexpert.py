"""CheXpert and CheXpert Plus, against miniatures that have their folders, tables and headers."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import pytest

from plait.errors import InputError
from plait.pairs.ingest import ingest
from plait.pairs.lfs import LFS_POINTER
from plait.pairs.table import PairTable
from plait_medical.ingest import LAYOUTS
from plait_medical.ingest.chexpert import FINDINGS
from plait_medical.load import Loader
from tests.medical import folders

read = partial(folders.read, "chexpert")

HEADER = ["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *FINDINGS]
PLUS = [
    "path_to_image", "path_to_dcm", "frontal_lateral", "ap_pa", "deid_patient_id", "patient_report_date_order",
    "report", "section_narrative", "section_clinical_history", "section_history", "section_comparison",
    "section_technique", "section_procedure_comments", "section_findings", "section_impression",
    "section_end_of_impression", "section_summary", "section_accession_number", "age", "sex", "race", "ethnicity",
    "interpreter_needed", "insurance_type", "recent_bmi", "deceased", "split",
]  # fmt: skip
SECRET = "Mrs Doe"


def table(path: Path, header: list[str], lines: Iterable[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, header, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


def touch(*paths: Path) -> None:
    """Make files for films: a layout finds them by name, and what reads them comes later."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def line(film: str, **cells: object) -> dict[str, object]:
    plane = "Lateral" if film.endswith("lateral.jpg") else "Frontal"
    beam = "AP" if plane == "Frontal" else ""
    given = {"Sex": "Female", "Age": 68, "Frontal/Lateral": plane, "AP/PA": beam} | cells
    return {"Path": f"CheXpert-v1.0-small/{film}"} | given


def small(root: Path, lines: list[dict[str, object]], name: str = "train.csv") -> None:
    """CheXpert-v1.0-small as it is unpacked, with a file for each line."""
    table(root / "CheXpert-v1.0-small" / name, HEADER, lines)
    touch(*(root / str(line["Path"]) for line in lines))


def plus(root: Path, lines: list[dict[str, object]], folder: str = "PNG", suffix: str = ".png") -> None:
    """CheXpert Plus with its films in one of its formats."""
    table(root / "df_chexpert_plus_240401.csv", PLUS, lines)
    touch(*((root / folder / str(line["path_to_image"])).with_suffix(suffix) for line in lines))


def plus_line(film: str, **cells: object) -> dict[str, object]:
    given = {"frontal_lateral": "Frontal", "ap_pa": "AP", "age": 68.0, "sex": "Female", "split": "train"} | cells
    return {"path_to_image": film, "path_to_dcm": film.replace(".jpg", ".dcm")} | given


FRONTAL, LATERAL = "train/patient00005/study1/view1_frontal.jpg", "train/patient00005/study1/view2_lateral.jpg"


def test_a_study_is_a_row_with_its_frontal_and_its_lateral_film(tmp_path):
    small(tmp_path, [line(FRONTAL, **{"AP/PA": "PA"}), line(LATERAL)])
    (row,), told = read(tmp_path)
    assert (row["id"], row["group"], row["split"]) == ("patient00005/study1", "patient00005", "train")
    assert row["image"] == f"CheXpert-v1.0-small/{FRONTAL}"
    assert row["lateral"] == f"CheXpert-v1.0-small/{LATERAL}"
    assert (row["view"], row["sex"], row["age"], row["report"]) == ("PA", "F", 68.0, None)
    assert not told


def test_a_film_that_is_called_frontal_and_lateral_is_neither(tmp_path):
    small(tmp_path, [line(FRONTAL, **{"AP/PA": "LL"})])
    (row,), _ = read(tmp_path)
    assert (row["image"], row["lateral"], len(row["views"])) == (None, None, 1)


def test_labels_keep_uncertain_and_unmentioned_apart_from_absent(tmp_path):
    small(tmp_path, [line(FRONTAL, Edema="-1.0", Pneumonia="0.0", Cardiomegaly="1.0")])
    (row,), _ = read(tmp_path)
    assert [row[f"label_{name}"] for name in ("cardiomegaly", "pneumonia", "edema", "pleural_effusion")] == [
        1, 0, None, None,
    ]  # fmt: skip
    assert row["uncertain_label"] == ["edema"]


def test_the_three_splits_are_stanfords(tmp_path):
    small(tmp_path, [line(FRONTAL)])
    small(tmp_path, [line("valid/patient64541/study1/view1_frontal.jpg")], "valid.csv")
    film = "test/patient64741/study1/view1_frontal.jpg"
    table(tmp_path / "chexlocalize/CheXpert/test_labels.csv", ["Path", *FINDINGS], [{"Path": film, "Edema": 1}])
    touch(tmp_path / "chexlocalize/CheXpert" / film)
    rows, told = read(tmp_path)
    assert [row["split"] for row in rows] == ["train", "val", "test"]
    assert rows[2]["image"].endswith(film)  # its name says that it is frontal; the table has no column for that
    assert rows[2]["label_edema"] == 1
    assert not told


def test_the_batches_of_the_whole_download_may_lie_side_by_side(tmp_path):
    lines = [line(FRONTAL) | {"Path": f"CheXpert-v1.0/{FRONTAL}"}]
    table(tmp_path / "CheXpert-v1.0 batch 1 (validate & csv)/train.csv", HEADER, lines)
    touch(tmp_path / "CheXpert-v1.0 batch 2 (train 1)" / FRONTAL.removeprefix("train/"))
    (row,), _ = read(tmp_path)
    assert row["image"] == "CheXpert-v1.0 batch 2 (train 1)/patient00005/study1/view1_frontal.jpg"


def test_priors_follow_the_numbers_of_the_studies(tmp_path):
    small(tmp_path, [line(f"train/patient00005/study{number}/view1_frontal.jpg") for number in (10, 2, 1)])
    rows = {row["id"]: row for row in read(tmp_path)[0]}
    assert {name: row["prior_id"] for name, row in rows.items()} == {
        "patient00005/study10": "patient00005/study2",
        "patient00005/study2": "patient00005/study1",
        "patient00005/study1": None,
    }


def test_films_that_are_not_here_are_one_remark(tmp_path):
    small(tmp_path, [line(FRONTAL)])
    absent = [line(f"train/patient{number:05d}/study1/view1_frontal.jpg") for number in range(100, 2100)]
    table(tmp_path / "CheXpert-v1.0-small/train.csv", HEADER, [line(FRONTAL), line(FRONTAL), *absent])
    rows, told = read(tmp_path)
    assert len(rows) == 1
    assert len(rows[0]["views"]) == 1  # listed twice, taken once
    assert told == {("train.csv", "2,001 of the 2,002 films it lists are not here, or were listed before"): 1}


def test_bad_lines_are_refused_and_the_rest_goes_on(tmp_path):
    other = "train/patient00006/study1/view1_frontal.jpg"
    small(tmp_path, [line(FRONTAL, Edema=SECRET), line(other, Age="unknown")])
    with (tmp_path / "CheXpert-v1.0-small/train.csv").open("a") as file:
        file.write(f"../../etc/passwd\n{SECRET}\n")
    (row,), told = read(tmp_path)
    assert (row["id"], row["age"]) == ("patient00006/study1", None)
    assert [what for what, _ in told] == ["train.csv, line 2", "train.csv"]
    assert SECRET not in str(told)


def test_plus_brings_the_report_and_its_sections(tmp_path):
    lines = [
        plus_line(
            FRONTAL,
            section_findings="\nThe lungs are\nclear. ",
            section_impression="\n1. NO ACUTE DISEASE.",
            section_clinical_history="Cough.",
            section_accession_number=SECRET,
            deid_patient_id="patient00005",
        ),
        plus_line(LATERAL, frontal_lateral="Lateral", ap_pa=""),
    ]
    plus(tmp_path, lines)
    (row,), told = read(tmp_path)
    assert row["report"] == "The lungs are clear. 1. NO ACUTE DISEASE."
    assert (row["findings"], row["indication"], row["comparison"]) == ("The lungs are clear.", "Cough.", None)
    assert (row["image"], row["lateral"]) == (
        f"PNG/{FRONTAL.replace('.jpg', '.png')}",
        f"PNG/{LATERAL.replace('.jpg', '.png')}",
    )
    assert (row["split"], row["sex"], row["age"]) == ("train", "F", 68.0)
    assert SECRET not in str(row)
    assert told == {("impression_fixed.json", "is not here: the rows have no labels"): 1}


def test_plus_labels_come_from_the_impression_of_the_film(tmp_path):
    plus(tmp_path, [plus_line(FRONTAL, section_impression="Edema.", split="valid")], "DICOM", ".dcm")
    said = dict.fromkeys(map(str, FINDINGS)) | {"Edema": 1.0, "Fracture": -1.0, "Pneumonia": 0.0}
    records = [{"path_to_image": FRONTAL} | said]
    text = "".join(json.dumps(record) + "\n" for record in records) + '{"path_to_image": 3}\n' + SECRET + "\n"
    (tmp_path / "chexbert_labels").mkdir()
    (tmp_path / "chexbert_labels/impression_fixed.json").write_text(text)
    (row,), told = read(tmp_path)
    assert row["split"] == "val"
    assert (row["label_edema"], row["label_pneumonia"], row["label_fracture"]) == (1, 0, None)
    assert row["uncertain_label"] == ["fracture"]
    assert [what.rpartition("/")[2] for what, _ in told] == [
        "impression_fixed.json, line 2",
        "impression_fixed.json, line 3",
    ]
    assert SECRET not in str(told)


def test_plus_reports_without_findings_and_impression_are_told(tmp_path):
    plus(
        tmp_path,
        [plus_line(FRONTAL, report=SECRET), plus_line("train/patient00007/study1/view1_frontal.jpg", split="x")],
    )
    (row,), told = read(tmp_path)
    assert row["report"] is None
    assert ("patient00005/study1", "the report is empty; the film is kept without it") in told
    assert ("df_chexpert_plus_240401.csv, line 3", "the split is none of train, valid and test: correct it") in told
    assert SECRET not in str(told)


def test_git_lfs_pointers_are_named(tmp_path):
    plus(tmp_path, [plus_line(FRONTAL, section_impression="Edema.")])
    (tmp_path / "impression_fixed.json").write_text(folders.POINTER)
    (row,), told = read(tmp_path)
    assert row["label_edema"] is None
    assert told == {("impression_fixed.json", LFS_POINTER): 1}
    (tmp_path / "df_chexpert_plus_240401.csv").write_text(folders.POINTER)
    with pytest.raises(InputError, match=r"df_chexpert_plus_240401\.csv is a Git-LFS pointer"):
        read(tmp_path)


def test_the_driver_makes_a_table_of_it(tmp_path):
    lateral = plus_line(LATERAL, frontal_lateral="Lateral", ap_pa="")
    plus(tmp_path, [plus_line(FRONTAL, section_impression="Edema."), lateral])
    for film in tmp_path.rglob("*.png"):
        folders.draw(film, len(film.name))
    ingest("medical", LAYOUTS["chexpert"], tmp_path, tmp_path / "pairs.parquet", Loader(32))
    (row,) = PairTable.read(tmp_path / "pairs.parquet").data.to_pylist()
    assert row["lateral"] is not None
    assert (row["report"], row["prior"], row["uncertain_label"]) == ("Edema.", None, [])


def test_another_folder_is_not_taken_for_chexpert(tmp_path):
    with pytest.raises(InputError, match=r"neither train\.csv or valid\.csv nor df_chexpert_plus"):
        read(tmp_path)
    table(tmp_path / "train.csv", ["image", "label"], [])
    with pytest.raises(InputError, match="lacks the column 'Path'"):
        read(tmp_path)
