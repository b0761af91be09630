"""Every layout through the driver: one bad file never stops it, and nothing of a report or a header is told."""

from __future__ import annotations

import gzip
import random
from collections import Counter
from pathlib import Path

import pytest

from plait.errors import InputError
from plait.pairs.ingest import ingest
from plait.pairs.layout import Remark, Row
from plait.pairs.table import PairTable
from plait_medical.ingest import LAYOUTS
from plait_medical.ingest.iu_xray import LABELS as IU_LABELS
from plait_medical.ingest.tables import csv_columns, csv_lines, day, label, read_text, years
from plait_medical.load import Loader
from tests.medical.folders import POINTER, SECRET, draw, read, table, write

# --- tables -----------------------------------------------------------------------------------------------------


def lines(path: Path, *needed: str) -> tuple[list[tuple[int, dict[str, str]]], list[tuple[str, str]]]:
    told: list[tuple[str, str]] = []
    return list(csv_lines(path, needed, lambda what, cause: told.append((what, cause)))), told


def test_lines_are_numbered_as_an_editor_does_and_short_ones_are_filled(tmp_path):
    write(tmp_path / "t.csv", '## a licence, in a comment\na,b\n1,"two\nlines"\n\n3\n,\n5,6,\n')
    assert csv_columns(tmp_path / "t.csv") == ["a", "b"]
    read, told = lines(tmp_path / "t.csv", "a", "b")
    assert read == [(3, {"a": "1", "b": "two\nlines"}), (6, {"a": "3", "b": ""}), (8, {"a": "5", "b": "6"})]
    assert not told


def test_a_packed_table_is_read_and_a_damaged_one_is_an_error(tmp_path):
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"".join(b"%d,x\n" % number for number in range(5000))))
    assert len(lines(path, "a")[0]) == 5000
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"t\.csv\.gz cannot be read \(EOFError\): copy it again"):
        lines(path, "a")


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (POINTER.encode(), "is a Git-LFS pointer and not the file itself: run 'git lfs pull'"),
        (b"PK\x03\x04\x00\x00", "is not text: save it as CSV in UTF-8"),
        (b"\xff\xfea\x00,\x00b\x00\n\x00\x00\xd8\n\x00", "is not text"),
        (b"a,b\n1,2\n", r"lacks the column 'c': is its first line a header that names it\?"),
        (b"", "lacks the column 'c'"),
    ],
)
def test_a_table_that_cannot_be_read_is_one_sentence(tmp_path, raw, says):
    (tmp_path / "t.csv").write_bytes(raw)
    with pytest.raises(InputError, match=says) as error:
        lines(tmp_path / "t.csv", "c")
    assert str(tmp_path / "t.csv") in str(error.value)


def test_latin_1_is_told_as_a_remark_wherever_its_first_letter_stands(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"a\n" + b"x" * 100_000 + b"\n" + (b"y" * 99 + b"\n") * 10_000 + b"\xe9\n")
    read, told = lines(tmp_path / "t.csv", "a")
    assert read[-1][1] == {"a": "é"}
    ((what, cause),) = told
    assert what == "t.csv"
    assert "Latin-1" in cause
    assert isinstance(cause, Remark)


def test_a_text_that_ends_within_a_letter_is_latin_1(tmp_path):
    (tmp_path / "t.txt").write_bytes("é".encode()[:1])
    assert read_text(tmp_path / "t.txt") == ("\xc3", True)


@pytest.mark.parametrize(
    ("value", "age"),
    [("58", 58), ("058Y", 58), ("018M", 1.5), ("61.5", 61.5), ("", None), ("411", None), ("-3", None), ("old", None),
     ("120", 120), ("nan", None)],
)  # fmt: skip
def test_an_age_is_in_years_or_unknown(value, age):
    assert years(value) == age


@pytest.mark.parametrize(
    ("value", "is_day"),
    [("2020-01-31", "2020-01-31"), ("20200131", "2020-01-31"), ("2020-01-31T23:59:00", "2020-01-31"), (" ", None)],
)
def test_a_day_is_iso_or_dicom(value, is_day):
    assert day(value, "date") == is_day


def test_a_label_is_0_1_or_unknown():
    assert [label(value, "mine") for value in ("0", "1.0", "", " ", "-1")] == [0, 1, None, None, None]
    for value in ("2", "0.5", "yes", "nan"):
        with pytest.raises(InputError, match="the column 'mine' holds none of 0, 1, -1 or empty"):
            label(value, "mine")


@pytest.mark.parametrize("value", ["31/01/2020", "2020-02-31", "Doe", "2020"])
def test_what_is_no_day_or_label_is_named_by_its_column_and_not_quoted(value):
    for understood in (day, label):
        with pytest.raises(InputError, match="the column 'mine' holds no") as error:
            understood(value, "mine")
        assert value not in str(error.value).replace("such as 2020-01-31", "")


# --- damaged folders --------------------------------------------------------------------------------------------

SIX = range(1, 7)
FOLDERS = {
    "iu-xray": {
        "reports.jsonl": "".join(f'{{"uid": "{uid}", "findings": "PLANTED"}}\n' for uid in SIX),
        "studies.csv": f"uid,split,primary_image,{','.join(IU_LABELS)}\n"
        + "".join(f"{uid},train,{uid}.png{',0' * len(IU_LABELS)}\n" for uid in SIX),
        "images.csv": "uid,image,projection\n" + "".join(f"{uid},{uid}.png,Lateral\n" for uid in SIX),
    },
    "iu-xray, XML": {
        f"{uid}.xml": f'<eCitation><uId id="CXR{uid}"/>'
        '<AbstractText Label="FINDINGS">PLANTED</AbstractText></eCitation>'
        for uid in SIX
    },
    "covid-chestxray": {
        "metadata.csv": "image,patientid,offset,finding,view,clinical_notes,age\n"
        + "".join(f"{film}.png,{film % 3},{film},COVID-19,PA,PLANTED,58\n" for film in SIX),
        "severity_scores.csv": "image,geographic_mean,opacity_mean\n"
        + "".join(f"{film}.png,1.0,2.0\n" for film in SIX),
    },
    "nih-cxr14": {
        "labels.csv": "image,finding_labels,follow_up,patient_id,age,sex,view\n"
        + "".join(f"{film}.png,Mass|Nodule,{film},{film % 3},58,M,PA\n" for film in SIX),
    },
    "generic-csv": {
        "mine.csv": "image,report,patient,date,label_x\n"
        + "".join(f"{film}.png,PLANTED,{film},2020-01-0{film},1\n" for film in SIX),
    },
    "generic-folder": {"patients.csv": "file,patient\n" + "".join(f"{film}.png,{film % 3}\n" for film in SIX)}
    | {f"{film}.txt": "PLANTED" for film in SIX},
}


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("name", FOLDERS)
def test_a_damaged_folder_loses_rows_or_is_refused_in_a_sentence_that_quotes_no_report(tmp_path, name, seed):
    rng = random.Random(f"{name} {seed}")
    for film in SIX:
        (tmp_path / f"{film}.png").write_bytes(b"not looked at here")
    for file, text in FOLDERS[name].items():
        (tmp_path / file).write_bytes(damaged(text.encode(), rng))
    rows: list[Row] = []
    told: list[str] = []
    try:
        for row in LAYOUTS[name.split(",")[0]].read(tmp_path, lambda what, cause: told.append(f"{what} {cause}")):
            rows += [row]
    except InputError as error:
        told.append(str(error))
    assert "PLANTED" not in "".join(told)
    assert all(row["group"] and row["id"] for row in rows)
    assert len({row["id"] for row in rows}) == len(rows)


def damaged(raw: bytes, rng: random.Random) -> bytes:
    """Bytes flipped, cut out, doubled or put in; or nothing of it."""
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(raw) + 1)
        stop = min(len(raw), start + rng.choice([1, 1, 3, 20]))
        junk = rng.choice(
            [b"", b"\0", b"\xff\xfe", b'"', b",", b"\n", b"<", b"]]>", bytes([rng.randrange(256)]), raw[start:stop] * 2]
        )
        raw = raw[:start] + junk + raw[stop:]
    return raw


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
    pairs = PairTable.read(tmp_path / "pairs.parquet")
    assert pairs.present("image").tolist() == [True, False]
    assert pairs.present("report").all()


def test_a_lost_lateral_costs_the_lateral_only(tmp_path):
    root = tmp_path / "data"
    for seed, name in enumerate(("a.png", "b.png", "b_lateral.png")):
        draw(root / name, seed)
    write(root / "mine.csv", "image,lateral,report,patient\na.png,gone.png,Fine.,1\nb.png,b_lateral.png,Fine too.,2\n")
    ingest("medical", LAYOUTS["generic-csv"], root, tmp_path / "pairs.parquet", Loader(32))
    pairs = PairTable.read(tmp_path / "pairs.parquet")
    assert pairs.present("lateral").tolist() == [False, True]
    assert pairs.present("image").all()


def test_the_same_film_under_two_patients_in_two_splits_is_leakage(tmp_path):
    root = tmp_path / "data"
    line = {
        "image": "",
        "patientid": "",
        "offset": "",
        "finding": "todo",
        "view": "PA",
        "clinical_notes": "",
        "split": "",
    }
    draw(root / "one.png", 1)
    draw(root / "two.png", 2)
    (root / "again.png").write_bytes((root / "one.png").read_bytes())
    films = [("one.png", "285", "train"), ("two.png", "286", "train"), ("again.png", "339", "val")]
    table(root / "metadata.csv", [
        line | {"image": name, "patientid": patient, "split": split, "clinical_notes": f"Case {patient}"}
        for name, patient, split in films
    ])  # fmt: skip
    with pytest.raises(InputError, match="near-identical inputs"):
        ingest("medical", LAYOUTS["covid-chestxray"], root, tmp_path / "pairs.parquet", Loader(32))


def test_the_synthetic_world_is_ingested_with_its_faults_counted(tmp_path, world):
    report = ingest("medical", LAYOUTS["iu-xray"], world, tmp_path / "pairs.parquet", Loader(64))
    pairs = PairTable.read(tmp_path / "pairs.parquet")
    whats = Counter(refusal["what"] for refusal in report.refusals)
    assert whats["7"] == 1
    assert whats["11"] == 1
    assert len(pairs) == 318
    empty = [remark for remark in report.remarks if "report is empty" in remark["cause"]]
    assert len(empty) == int((~pairs.present("report")).sum()) > 0
    assert pairs.info.synthetic
    assert report.leakage == "nothing leaks"
    assert report.equal_texts["report"] > 0


def test_every_layout_says_what_it_is_and_refuses_an_empty_folder(tmp_path):
    assert set(LAYOUTS) == {
        "iu-xray", "mimic-cxr", "chexpert", "padchest", "nih-cxr14", "covid-chestxray", "vqa-rad", "generic-folder",
        "generic-csv",
    }  # fmt: skip
    for name, layout in LAYOUTS.items():
        assert layout.about
        assert layout.licence
        with pytest.raises(InputError, match=str(tmp_path)):
            read(name, tmp_path)
