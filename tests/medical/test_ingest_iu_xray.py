"""The Indiana collection in both its forms; what is wrong with one study costs that study, and no report is told."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from plait.errors import InputError
from plait_medical.ingest.iu_xml import labels
from plait_medical.ingest.iu_xray import LABELS
from tests.medical.folders import POINTER, SECRET, draw, read, table, write

SECTIONS = {"indication": "Pain", "comparison": "None.", "findings": "Clear \n lungs.", "impression": "Normal."}

# --- tables -----------------------------------------------------------------------------------------------------


def folder(root: Path, *reports: dict[str, object], **more: str) -> None:
    write(root / "reports.jsonl", "".join(json.dumps(report) + "\n" for report in reports))
    studies = [
        {"uid": report["uid"], "split": "train", "primary_image": f"images/{report['uid']}.png"}
        | dict.fromkeys(LABELS, "0")
        | more
        for report in reports
    ]
    table(root / "studies.csv", studies)


def test_a_report_is_its_findings_and_its_impression(tmp_path):
    folder(
        tmp_path,
        {"uid": "1", **SECTIONS},
        {"uid": "2", **SECTIONS, "findings": ""},
        {"uid": "3", **SECTIONS, "findings": " ", "impression": ""},
    )
    rows, told = read("iu-xray", tmp_path)
    assert [row["report"] for row in rows] == ["Clear lungs. Normal.", "Normal.", None]
    assert rows[0]["indication"] == "Pain"
    assert rows[1]["findings"] is None
    assert rows[2]["image"] == "images/3.png"  # the film is kept
    assert told == {("study 3", "the report is empty; the film is kept without it"): 1}


def test_labels_are_known_or_unknown_and_a_wrong_one_costs_its_line(tmp_path):
    folder(tmp_path, {"uid": "1", "findings": "a"}, cardiomegaly="1", opacity="", granuloma="-1", nodule_mass="1.0")
    row = read("iu-xray", tmp_path)[0][0]
    known = [row[f"label_{name}"] for name in ("cardiomegaly", "opacity", "granuloma", "nodule_mass", "fracture")]
    assert known == [1, None, None, 1, 0]
    folder(tmp_path, {"uid": "1", "findings": "a"}, cardiomegaly=SECRET)
    rows, told = read("iu-xray", tmp_path)
    assert rows == []
    (what, cause), *_ = told
    assert what == "studies.csv, line 2"
    assert "the column 'cardiomegaly' holds none of 0, 1, -1 or empty" in cause
    assert SECRET not in cause
    for column in ("uid", "split"):
        folder(tmp_path, {"uid": "1", "findings": "a"}, **{column: ""})
        rows, told = read("iu-xray", tmp_path)
        assert rows == []
        assert [what for what, _ in told] == ["studies.csv, line 2"]


def test_the_lateral_is_what_the_projection_says_and_not_what_the_header_says(tmp_path):
    folder(tmp_path, {"uid": "1", **SECTIONS}, {"uid": "2", **SECTIONS})
    line = {"uid": "1", "image": "images/1.png", "projection": "Frontal", "dicom_view_position": ""}
    films = [
        line | {"image": "images/1b.png", "projection": "Lateral", "dicom_view_position": "PA"},
        line | {"image": "images/1a.png", "projection": "Frontal", "dicom_view_position": "PA"},
        line,
        line | {"uid": "2", "image": "images/2.png", "projection": "Frontal", "dicom_view_position": "AP"},
    ]
    table(tmp_path / "images.csv", films)
    one, two = read("iu-xray", tmp_path)[0]
    assert (one["image"], one["lateral"], one["view"]) == ("images/1.png", "images/1b.png", "FRONTAL")
    assert one["views"] == ["images/1b.png", "images/1a.png", "images/1.png"]
    assert (two["image"], two["lateral"], two["view"]) == ("images/2.png", None, "AP")
    assert one["study"] == "1"


def test_bad_lines_cost_their_study_and_a_second_study_of_one_uid_is_refused(tmp_path):
    folder(tmp_path, {"uid": "1", **SECTIONS}, {"uid": "1", **SECTIONS}, {"uid": "2", **SECTIONS})
    with (tmp_path / "reports.jsonl").open("ab") as file:
        file.write(b'{"uid": "3"\n' + b"[" * 100_000 + b'\n["uid"]\n{"uid": "4", "findings": "\xff"}\n')
    rows, told = read("iu-xray", tmp_path)
    assert [row["id"] for row in rows] == ["1", "2"]
    whats = [what for what, _ in told]
    assert whats == [
        "reports.jsonl, line 4",
        "reports.jsonl, line 5",
        "reports.jsonl, line 6",
        "reports.jsonl, line 7",
        "1",
    ]


def test_another_folder_is_not_taken_for_iu_xray(tmp_path):
    with pytest.raises(InputError, match=r"neither reports\.jsonl and studies\.csv, nor XML reports"):
        read("iu-xray", tmp_path)
    write(tmp_path / "reports.jsonl", '{"uid": "1"}\n')
    with pytest.raises(InputError, match=r"studies\.csv is missing"):
        read("iu-xray", tmp_path)
    write(tmp_path / "studies.csv", "uid,split\n1,train\n")
    with pytest.raises(InputError, match=r"studies\.csv lacks the column 'primary_image'"):
        read("iu-xray", tmp_path)
    write(tmp_path / "reports.jsonl", POINTER)
    with pytest.raises(InputError, match=r"reports\.jsonl is a Git-LFS pointer"):
        read("iu-xray", tmp_path)


# --- XML --------------------------------------------------------------------------------------------------------


def ecgen(number: int, *films: str, major: tuple[str, ...] = ("normal",), prolog: str = "", **sections: str) -> str:
    """A report as Open-i writes it."""
    texts = "".join(f'<AbstractText Label="{name.upper()}">{text}</AbstractText>' for name, text in sections.items())
    headings = "".join(f"<major>{heading}</major>" for heading in major)
    images = "".join(f'<parentImage id="{film}"><figureId>F1</figureId></parentImage>' for film in films)
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n{prolog}<eCitation><uId id="CXR{number}"/><MedlineCitation><Article>'
        f"<Abstract>{texts}</Abstract></Article></MedlineCitation><MeSH>{headings}<automatic>nodule</automatic></MeSH>"
        f"{images}</eCitation>"
    )


def test_a_report_of_the_library_is_read_with_its_films_wherever_they_lie(tmp_path):
    write(tmp_path / "xml/10.xml", ecgen(10, "CXR10_IM-0002-1001", "CXR10_IM-0002-2001", **SECTIONS))
    write(tmp_path / "xml/9.xml", ecgen(9, "CXR9_9_IM-2407-1001-0001", findings="A &lt; B", impression=""))
    draw(tmp_path / "png/CXR10_IM-0002-1001.PNG")
    draw(tmp_path / "kaggle/10_IM-0002-2001.dcm.png")
    draw(tmp_path / "9_IM-2407-1001-0001.jpg")
    write(tmp_path / "indiana_projections.csv", "uid,filename,projection\n"
          "10,10_IM-0002-1001.dcm.png,Lateral\n10,10_IM-0002-2001.dcm.png,Frontal\n")  # fmt: skip
    rows, told = read("iu-xray", tmp_path)
    assert not told
    nine, ten = rows
    assert (ten["image"], ten["lateral"]) == ("kaggle/10_IM-0002-2001.dcm.png", "png/CXR10_IM-0002-1001.PNG")
    assert (ten["id"], ten["group"], ten["report"]) == ("10", "10", "Clear lungs. Normal.")
    assert [ten[name] for name in SECTIONS] == ["Pain", "None.", "Clear lungs.", "Normal."]
    assert (ten["mesh_major"], ten["mesh_automatic"], ten["label_normal"]) == ("normal", "nodule", 1)
    assert (nine["id"], nine["image"], nine["report"], nine["impression"]) == (
        "9", "9_IM-2407-1001-0001.jpg", "A < B", None
    )  # fmt: skip


def test_dicom_films_say_themselves_what_they_show_and_png_films_do_not(tmp_path, write_dicom):
    (tmp_path / "1").mkdir()
    write_dicom(np.arange(16, dtype=np.uint16).reshape(4, 4), "1/1_IM-0001-3001.dcm", ViewPosition="LL")
    write_dicom(np.arange(16, dtype=np.uint16).reshape(4, 4), "1/1_IM-0001-4001.dcm", ViewPosition="PA")
    write(tmp_path / "1.xml", ecgen(1, "CXR1_1_IM-0001-3001", "CXR1_1_IM-0001-4001", findings="Clear."))
    draw(tmp_path / "2_IM-0002-1.png")
    draw(tmp_path / "2_IM-0002-2.png")
    write(tmp_path / "2.xml", ecgen(2, "CXR2_IM-0002-1", "CXR2_IM-0002-2", findings="Clear."))
    (one, two), told = read("iu-xray", tmp_path)
    assert (one["image"], one["lateral"], one["view"]) == ("1/1_IM-0001-4001.dcm", "1/1_IM-0001-3001.dcm", "PA")
    assert (two["image"], two["lateral"], two["view"]) == ("2_IM-0002-1.png", None, None)
    ((what, cause),) = told
    assert what == "study 2"
    assert "nothing says which of its films is frontal" in cause


def test_missing_films_and_texts_are_told_and_a_study_of_nothing_is_left_out(tmp_path):
    draw(tmp_path / "1_IM-1-1.png")
    write(tmp_path / "1.xml", ecgen(1, "CXR1_IM-1-1", "CXR1_IM-1-2", findings=" "))
    write(tmp_path / "2.xml", ecgen(2, findings="Clear."))
    write(tmp_path / "3.xml", ecgen(3, "CXR3_IM-1-1"))
    rows, told = read("iu-xray", tmp_path)
    assert [(row["id"], row["image"], row["report"]) for row in rows] == [
        ("1", "1_IM-1-1.png", None),
        ("2", None, "Clear."),
    ]
    assert [(what, cause[:22]) for what, cause in told] == [
        ("study 1", "the report is empty; t"), ("study 1", "not every film that th"),
        ("study 3", "has neither a film nor"), ("study 3", "not every film that th"),
    ]  # fmt: skip


def test_labels_come_from_the_major_headings_before_the_stroke():
    assert {name for name, value in labels(["Cardiomegaly/mild", "Calcified Granuloma/lung"]).items() if value} == {
        "abnormal", "cardiomegaly", "granuloma"
    }  # fmt: skip
    assert labels(["normal"])["normal"] == 1
    assert set(labels(["normal"]).values()) == {0, 1}
    assert labels(["normal", "Scoliosis"])["abnormal"] == 1
    assert labels(["normal", "Scoliosis"])["normal"] == 0
    assert labels(["Subcutaneous Emphysema"])["emphysema_copd"] == 0
    assert labels(["Fractures, Bone/ribs"])["fracture"] == 1
    assert set(labels(["No Indexing"]).values()) == set(labels([]).values()) == {None}


BOMB = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>\n'


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (ecgen(5, prolog=BOMB, findings="&b;"), "declares a document type or entities"),
        (ecgen(5, findings=SECRET)[:-40], "is not well-formed XML"),
        (ecgen(5, findings="&undeclared;"), "is not well-formed XML"),
        ("<note><to>Mrs Doe</to></note>", "is not a report of the collection"),
        (ecgen(5).replace("CXR5", "../5"), "is not a report of the collection"),
        (ecgen(5, findings="long " * 300_000), "is longer than 1 MiB"),
        (POINTER, "is a Git-LFS pointer"),
        ("", "is not well-formed XML"),
        ("<a>" * 50_000, "is not well-formed XML"),
    ],
)
def test_a_bad_xml_costs_its_study_only(tmp_path, text, cause):
    write(tmp_path / "5.xml", text)
    write(tmp_path / "6.xml", ecgen(6, findings="Clear."))
    rows, told = read("iu-xray", tmp_path)
    assert [row["id"] for row in rows] == ["6"]
    ((what, said),) = told
    assert what == "5.xml"
    assert cause in said
    assert "Doe" not in said


def test_reports_are_read_from_their_archive_beside_the_films_or_given_as_the_root(tmp_path):
    packed = tmp_path / "NLMCXR_reports.tgz"
    with tarfile.open(packed, "w:gz") as archive:
        for number in (1, 2):
            raw = ecgen(number, f"CXR{number}_IM-1-1", findings="Clear.").encode()
            member = tarfile.TarInfo(f"ecgen-radiology/../../{number}.xml")
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))
        archive.addfile(tarfile.TarInfo("ecgen-radiology/readme.txt"))
    draw(tmp_path / "films/1_IM-1-1.png")
    draw(tmp_path / "films/2_IM-1-1.png")
    expected = [("1", "films/1_IM-1-1.png", "Clear."), ("2", "films/2_IM-1-1.png", "Clear.")]
    for root in (tmp_path, packed):
        rows, told = read("iu-xray", root)
        assert [(row["id"], row["image"], row["report"]) for row in rows] == expected
        assert not told
    assert not (tmp_path.parent / "1.xml").exists()
    packed.write_bytes(packed.read_bytes()[:-60])
    rows, told = read("iu-xray", tmp_path)
    assert len(rows) <= 2
    assert [what for what, _ in told] == ["NLMCXR_reports.tgz"]
    packed.write_text(POINTER)
    with pytest.raises(InputError, match=r"NLMCXR_reports\.tgz is a Git-LFS pointer"):
        read("iu-xray", tmp_path)
