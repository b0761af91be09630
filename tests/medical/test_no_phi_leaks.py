"""No identifier of a header reaches an error, a warning, a log, a report of ours, or the name of a file.

What a report says is data, and stands in the pair table as its text: who may read the table may read the reports. What
a header says of the patient is not: the table holds a hash of the PatientID and no name, number or UID.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as parquet
import pytest
from pydicom.dataelem import DataElement

from plait import cli
from plait.errors import InputError
from plait_medical.deidentify import deidentify
from plait_medical.dicom import read_film, read_header, small_film
from plait_medical.load import Loader
from tests.medical import planted
from tests.medical.planted import SYNTAXES, WORDS, film, picture, saved

IN_THE_REPORT = "renfield"
REPORT = "FINDINGS: Mr. Renfield has clear lungs, no effusion.\nIMPRESSION: Normal chest, told Mr. Renfield.\n"


def leaks(content: str, words: tuple[str, ...] = (*WORDS, IN_THE_REPORT)) -> list[str]:
    return planted.leaks(content, words)


def broken_films(folder: Path) -> Iterator[Path]:
    """Films with every planted value that are broken in many ways."""
    for syntax in SYNTAXES:
        whole = saved(film(syntax=syntax), folder / f"{syntax.replace(' ', '')}.dcm").read_bytes()
        for share in (0.2, 0.5, 0.9):
            path = folder / f"{syntax.replace(' ', '')}_{share}.dcm"
            path.write_bytes(whole[: int(len(whole) * share)])
            yield path
    for tag, vr in ((0x00280010, "LO"), (0x00280101, "LO"), (0x00280004, "CS"), (0x00280008, "IS"), (0x00281050, "DS")):
        dataset = film()
        dataset[tag] = DataElement(tag, "LO", "Zamenhof")
        path = saved(dataset, folder / f"{tag:x}.dcm")
        path.write_bytes(path.read_bytes().replace(b"LO\x08\0Zamenhof", vr.encode() + b"\x08\0Zamenhof"))
        yield path
    for keyword, value in (("StudyDate", "Zamenhof"), ("PatientAge", "Zamenhof"), ("SOPInstanceUID", "Zamenhof")):
        yield saved(film(**{keyword: value}), folder / f"{keyword}.dcm")
    path = saved(film(SpecificCharacterSet="ISO_IR 192"), folder / "charset.dcm")
    path.write_bytes(path.read_bytes().replace(b"ISO_IR 192", b"ZAMENHOF99"))
    yield path


def test_reading_broken_films_says_nothing_of_the_patient(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for path in broken_films(tmp_path):
            for read in (read_film, read_header, lambda path: small_film(path, 32)):
                try:
                    read(path)
                except InputError as error:
                    said.append(str(error).replace(str(path), ""))
    assert len(said) > 30
    assert leaks("\n".join(said)) == []
    assert leaks("\n".join(str(one.message) for one in warned)) == []
    assert leaks(caplog.text) == []
    shown = capfd.readouterr()
    assert leaks(shown.out + shown.err) == []


def test_notes_say_nothing_of_the_patient(tmp_path: Path) -> None:
    read = read_film(saved(film(WindowCenter="", PatientName="Zamenhof\\Ludovika"), tmp_path / "a.dcm"))
    assert leaks(" ".join(read.notes)) == []


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of films and reports, half of them broken; their own names tell nothing."""
    folder = tmp_path / "data"
    for number in range(4):
        dataset = film(picture(seed=number), PatientID=f"MRN-77120043-{number}", SOPInstanceUID=f"1.2.{number}")
        saved(dataset, folder / "films" / f"case{number}.dcm")
        (folder / "reports").mkdir(exist_ok=True)
        (folder / "reports" / f"case{number}.txt").write_text(REPORT)
    for path in broken_films(folder / "films"):
        (folder / "reports" / path.with_suffix(".txt").name).write_text(REPORT)
    (folder / "reports" / "latin.txt").write_bytes(b"Mr. Renfi\xe9ld Zamenhof")
    return folder


def test_ingest_says_nothing_of_the_patient(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    out = tmp_path / "out" / "pairs.parquet"
    out.parent.mkdir()
    asked = ["medical", "ingest", "generic-folder", str(root), "--out", str(out), "--allow-leakage", "--workers", "1"]
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        assert cli.main(asked) == 0
    shown = capfd.readouterr()
    assert leaks(shown.out + shown.err + caplog.text + "\n".join(str(one.message) for one in warned)) == []
    others = [path for path in out.parent.iterdir() if path != out]
    assert others
    for path in others:
        assert leaks(path.name + path.read_text()) == [], path.name
    table = parquet.read_table(out)
    # The day of a film is what the column `time` is for.
    words = tuple(word for word in WORDS if word not in ("20130918", "2013-09-18"))
    for name in table.column_names:
        assert leaks(str(table.column(name).to_pylist()), words) == [], name
    assert leaks(str(table.schema.metadata)) == []
    assert IN_THE_REPORT in str(table.column("report").to_pylist()).lower()


def test_the_names_of_the_cache_say_nothing(tmp_path: Path) -> None:
    saved(film(), tmp_path / "data" / "a.dcm")
    Loader(image_size=16, cache=str(tmp_path / "cache"))({"image": "a.dcm"}, tmp_path / "data")
    files = [one for one in (tmp_path / "cache").rglob("*") if one.is_file()]
    assert files
    assert leaks(" ".join(map(str, files)).replace(str(tmp_path), "")) == []
    assert leaks("".join(one.read_bytes().decode("latin-1") for one in files)) == []


def test_deidentify_says_nothing_of_the_patient(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        summary = deidentify(root, tmp_path / "clean", key=tmp_path / "key")
    shown = capfd.readouterr()
    audit = (tmp_path / "clean.audit.jsonl").read_text()
    assert summary.outcomes["cleaned"] > 8
    assert summary.outcomes["refused"] > 8
    said = [shown.out, shown.err, caplog.text, str(summary), audit, *(str(one.message) for one in warned)]
    assert leaks("\n".join(said)) == []
    for path in (tmp_path / "clean").rglob("*"):
        content = path.read_bytes().decode("latin-1") if path.is_file() else ""
        assert leaks(path.name + content) == [], path.name


def test_a_cleaned_folder_is_a_data_set(root: Path, tmp_path: Path) -> None:
    deidentify(root, tmp_path / "clean")
    out = tmp_path / "pairs.parquet"
    asked = ["medical", "ingest", "generic-folder", str(tmp_path / "clean"), "--out", str(out), "--allow-leakage"]
    assert cli.main([*asked, "--workers", "1"]) == 0
    rows = parquet.read_table(out).to_pylist()
    assert len(rows) >= 4
    assert all(row["report"] for row in rows)
    assert leaks(str(rows)) == []
