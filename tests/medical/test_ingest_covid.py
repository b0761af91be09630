"""The COVID-19 image data collection, in the form that lies beside the repository and in upstream's."""

from __future__ import annotations

from pathlib import Path

import pytest

from plait.errors import InputError
from plait_medical.ingest.covid_chestxray import labels
from tests.medical.folders import read, table, write

LINE = {
    "image": "images/a.jpg", "split": "train", "patientid": "7", "offset": "", "sex": "M", "age": "61",
    "finding": "COVID-19", "survival": "Y", "intubated": "N", "went_icu": "?", "view": "PA",
    "clinical_notes": "Fever  and cough.",
}  # fmt: skip


def folder(root: Path, *lines: dict[str, str]) -> None:
    table(root / "metadata.csv", [LINE | line for line in lines])


def film(name: str, offset: str = "", view: str = "PA", **more: str) -> dict[str, str]:
    return {"image": f"images/{name}.jpg", "offset": offset, "view": view, **more}


def test_a_line_is_a_film_its_note_its_patient_and_what_is_known_of_the_case(tmp_path):
    folder(tmp_path, {})
    (row,), told = read("covid-chestxray", tmp_path)
    assert not told
    assert row | {
        "id": "7/a", "group": "7", "split": "train", "image": "images/a.jpg", "lateral": None, "prior": None,
        "report": "Fever and cough.", "view": "PA", "sex": "M", "age": 61.0, "survival": 1, "intubated": 0,
        "went_icu": None, "offset": None, "time": None, "finding": "COVID-19", "severity_extent": None,
    } == row  # fmt: skip


def test_the_films_of_one_day_and_note_pair_up_and_none_is_lost(tmp_path):
    folder(
        tmp_path,
        film("pa", "3"), film("l", "3", "L"), film("ap", "3", "AP Supine"), film("other", "3", clinical_notes="Else."),
        film("later", "5"), film("alone", "9", "L"), film("unknown", "0", "?"),
    )  # fmt: skip
    rows = {row["id"]: row for row in read("covid-chestxray", tmp_path)[0]}
    assert {name: (row["image"], row["lateral"]) for name, row in rows.items()} == {
        "7/pa": ("images/pa.jpg", "images/l.jpg"), "7/ap": ("images/ap.jpg", None),
        "7/other": ("images/other.jpg", None), "7/later": ("images/later.jpg", None),
        "7/alone": (None, "images/alone.jpg"), "7/unknown": ("images/unknown.jpg", None),
    }  # fmt: skip
    assert rows["7/pa"]["views"] == ["images/pa.jpg", "images/l.jpg"]
    assert (rows["7/ap"]["view"], rows["7/unknown"]["view"]) == ("AP SUPINE", None)


def test_the_prior_is_of_the_last_day_before_and_unknown_days_have_none(tmp_path):
    folder(
        tmp_path,
        film("day10", "10"),
        film("day9", "9"),
        film("before", "-30"),
        film("when"),
        film("q", "1", patientid="8"),
    )
    told = {row["id"]: row["prior_id"] for row in read("covid-chestxray", tmp_path)[0]}
    assert told == {"7/day10": "7/day9", "7/day9": "7/before", "7/before": None, "7/when": None, "8/q": None}


@pytest.mark.parametrize(
    ("finding", "known"),
    [
        ("COVID-19, ARDS", {"pneumonia": 1, "covid19": 1, "viral_pneumonia": 1, "bacterial_pneumonia": 0,
                            "fungal_pneumonia": 0, "no_finding": 0}),
        ("Pneumonia/Viral/COVID-19", {"pneumonia": 1, "covid19": 1, "viral_pneumonia": 1, "bacterial_pneumonia": 0,
                                      "fungal_pneumonia": 0, "no_finding": 0}),
        ("Pneumonia/Bacterial/Staphylococcus/MRSA", {"pneumonia": 1, "covid19": 0, "viral_pneumonia": 0,
                                                     "bacterial_pneumonia": 1, "fungal_pneumonia": 0, "no_finding": 0}),
        ("Pneumocystis", {"pneumonia": 1, "covid19": 0, "viral_pneumonia": 0, "bacterial_pneumonia": 0,
                          "fungal_pneumonia": 1, "no_finding": 0}),
        ("Lipoid", {"pneumonia": 1, "covid19": 0, "viral_pneumonia": 0, "bacterial_pneumonia": 0,
                    "fungal_pneumonia": 0, "no_finding": 0}),
        ("Pneumonia", {"pneumonia": 1, "no_finding": 0}),
        ("ARDS", {"no_finding": 0}),
        ("No Finding", {"pneumonia": 0, "covid19": 0, "viral_pneumonia": 0, "bacterial_pneumonia": 0,
                        "fungal_pneumonia": 0, "no_finding": 1}),
        ("todo", {}), ("Unknown", {}), ("", {}), ("Tuberculosis", {}),
    ],
)  # fmt: skip
def test_a_finding_says_what_it_says_and_todo_says_nothing(finding, known):
    told = labels(finding)
    assert {name: value for name, value in told.items() if value is not None} == known
    assert set(told) == {
        "pneumonia", "covid19", "viral_pneumonia", "bacterial_pneumonia", "fungal_pneumonia", "no_finding"
    }  # fmt: skip


def test_upstreams_own_folder_is_read_without_its_tomographies(tmp_path):
    line = {name: value for name, value in LINE.items() if name not in ("image", "split")}
    lines = [
        line | {"modality": "X-ray", "folder": "images", "filename": "a b.jpeg"},
        line | {"modality": "X-ray", "folder": "", "filename": "c.png", "offset": "2", "clinical_notes": " "},
        line | {"modality": "CT", "folder": "volumes", "filename": "v.nii.gz", "view": "Axial"},
        line | {"modality": "CT", "folder": "images", "filename": "d.png", "view": "Coronal"},
    ]
    table(tmp_path / "metadata.csv", lines)
    rows, told = read("covid-chestxray", tmp_path)
    assert [(row["image"], row["report"]) for row in rows] == [
        ("images/a b.jpeg", "Fever and cough."),
        ("images/c.png", None),
    ]
    assert "split" not in rows[0]
    assert [what for what, cause in told if "tomography" in cause] == ["metadata.csv, line 4", "metadata.csv, line 5"]
    assert [what for what, cause in told if "report is empty" in cause] == ["7/c"]


@pytest.mark.parametrize(
    ("name", "column", "comment"),
    [
        ("severity_scores.csv", "image", ""),
        ("annotations/covid-severity-scores.csv", "filename", "## raters: 3, mean\n" * 3),
    ],
)
def test_severity_scores_stand_beside_their_films(tmp_path, name, column, comment):
    folder(tmp_path, film("a"), film("b"), film("c"))
    lines = "images/a.jpg,6.7,4.0\nimages/b.jpg,9,1\nimages/c.jpg,nan,1\n"
    write(tmp_path / name, f"{comment}{column},geographic_mean,opacity_mean\n{lines}")
    rows, told = read("covid-chestxray", tmp_path)
    assert [(row["severity_extent"], row["severity_opacity"]) for row in rows] == [
        (6.7, 4.0),
        (None, None),
        (None, None),
    ]
    assert len(told) == 2


def test_lines_without_patient_or_film_and_repeated_films_cost_themselves_only(tmp_path):
    lost = [film("a", patientid="Doe"), {"image": "Mrs Doe"}]
    folder(tmp_path, *lost, film("b"), film("b"), film("b", patientid="331a"), film("c", split=""))
    rows, told = read("covid-chestxray", tmp_path)
    # One film under two patients is for the leakage check to find.
    assert [row["id"] for row in rows] == ["7/b", "331a/b"]
    assert [what for what, _ in told] == ["metadata.csv, line 2", "metadata.csv, line 3", "7/b", "7/c"]
    assert "Doe" not in str(told)
    (tmp_path / "metadata.csv").unlink()
    with pytest.raises(InputError, match=r"metadata\.csv is missing"):
        read("covid-chestxray", tmp_path)
