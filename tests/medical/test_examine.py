"""What ingest finds out about a study beyond whether it can be read; and that it tells nothing of whose study it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pydicom.uid import RLELossless

from plait.pairs.examine import Examined
from plait.pairs.ingest import ingest
from plait.pairs.layout import Row
from plait.pairs.table import PairTable
from plait_medical import examine as examining
from plait_medical.examine import BURNED_IN, PHI_SUSPECTED, TEXT_SUSPECTED, examine
from plait_medical.ingest import LAYOUTS
from plait_medical.load import Loader

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n"
WriteDicom = Callable[..., Path]


def soft(seed: int = 0, side: int = 96) -> NDArray[np.uint8]:
    """A picture without edges: no letter is in it."""
    coarse = np.random.default_rng(seed).integers(30, 220, (4, 4), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


def lettered() -> NDArray[np.uint8]:
    image = Image.fromarray(soft(side=256) // 2)
    ImageDraw.Draw(image).text((20, 20), "JANE DOE 4711", fill=255, font_size=24)
    return np.asarray(image)


def row(**columns: Any) -> Row:
    return {"id": "s1", "group": "p1", "time": None, "image": None, "report": None} | columns


@pytest.fixture
def films(tmp_path: Path, write_dicom: WriteDicom) -> Path:
    """A frontal film of 12 bits that is stored inverted and compressed, and a lateral as PNG."""
    stored = soft(1).astype(np.uint16) * 16
    write_dicom(
        stored, "pa.dcm", syntax=RLELossless, PhotometricInterpretation="MONOCHROME1", BitsStored=12, HighBit=11
    )
    Image.fromarray(soft(2)).save(tmp_path / "lateral.png")
    return tmp_path


def test_a_film_is_known_by_its_content_and_by_how_it_was_stored(films: Path) -> None:
    found = examine(row(image="pa.dcm", lateral="lateral.png"), films)
    columns = found.columns
    assert columns["sha256_image"] == hashlib.sha256((films / "pa.dcm").read_bytes()).hexdigest()
    assert columns["sha256_lateral"] == hashlib.sha256((films / "lateral.png").read_bytes()).hexdigest()
    assert columns["transfer_syntax"] == RLELossless
    assert (columns["photometric"], columns["bits_stored"], columns["inverted"]) == ("MONOCHROME1", 12, True)
    assert columns["burned_in"] is False
    assert found.noted["inverted films"] == 1
    assert found.noted["lateral films"] == 1
    assert found.remarks == []


def test_the_sample_is_the_loaders(films: Path) -> None:
    names = ("image", "lateral", "report")
    study = row(image="pa.dcm", lateral="lateral.png", report="Clear lungs.")
    found, loaded = examine(study, films), Loader()(study, films, names)
    assert found.sample.keys() == loaded.keys()
    assert found.sample["report"] == "Clear lungs."
    for name in ("image", "lateral"):
        assert torch.equal(found.sample[name], loaded[name])


def test_every_film_is_decoded_once(films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    open_film = examining.open_film

    def counted(path: Path):
        opened.append(path.name)
        return open_film(path)

    monkeypatch.setattr(examining, "open_film", counted)
    examine(row(image="pa.dcm", lateral="lateral.png"), films)
    assert opened == ["pa.dcm", "lateral.png"]


def test_of_a_picture_nothing_is_said_that_it_does_not_say(films: Path) -> None:
    found = examine(row(image="lateral.png"), films)
    assert set(found.columns) == {"sha256_image", "burned_in"}
    assert "inverted films" not in found.noted


def test_a_prior_film_is_read_and_left_to_its_own_row(films: Path) -> None:
    Image.fromarray(lettered()).save(films / "prior.png")
    found = examine(row(image="pa.dcm", prior="prior.png"), films)
    assert found.sample["prior"].shape == (1, 96, 96)
    assert found.columns["sha256_prior"]
    assert found.columns["burned_in"] is False
    assert found.remarks == []


def test_text_in_the_pixels_is_suspected_and_told_once(films: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.fromarray(lettered()).save(films / name)
    found = examine(row(image="a.png", lateral="b.png"), films)
    assert found.columns["burned_in"] is True
    assert found.remarks == [TEXT_SUSPECTED]
    assert found.noted["films with suspected text"] == 2


def test_text_is_looked_for_where_it_is_legible_and_no_film_is_enlarged_for_it(
    films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes: list[tuple[int, ...]] = []
    monkeypatch.setattr(examining, "suspected_text", lambda pixels: shapes.append(pixels.shape))
    Image.fromarray(soft(2, side=1024)[:768]).save(films / "large.png")
    examine(row(image="pa.dcm", lateral="large.png"), films)
    assert shapes == [(96, 96), (384, 512)]


def test_text_of_which_the_header_speaks_is_believed(films: Path, write_dicom: WriteDicom) -> None:
    write_dicom(soft(3), "said.dcm", BurnedInAnnotation="YES")
    found = examine(row(image="said.dcm", lateral="lateral.png"), films)
    assert found.columns["burned_in"] is True
    assert found.remarks == [BURNED_IN]
    assert found.noted["films with burned-in annotation"] == 1


def test_what_was_assumed_of_a_film_stands_in_its_row_and_is_counted(films: Path, write_dicom: WriteDicom) -> None:
    write_dicom(soft(3), "odd.dcm", WindowCenter=[100, 50], WindowWidth=[200, 10])
    found = examine(row(image="odd.dcm"), films)
    assert len(found.columns["notes"]) == 1
    assert found.noted[found.columns["notes"][0]] == 1


def test_films_that_cannot_be_read_are_lost_and_nothing_else_is(films: Path) -> None:
    (films / "pointer.dcm").write_text(POINTER)
    study = row(image="pa.dcm", lateral="gone.png", prior="pointer.dcm", report="Clear.")
    found = examine(study, films)
    assert set(found.sample) == {"image", "report"}
    assert "gone.png is missing" in found.lost["lateral"]
    assert "git lfs pull" in found.lost["prior"]
    assert found.noted["Git-LFS pointers"] == 1
    assert "leaves the data's root" in examine(row(image="../pa.dcm"), films).lost["image"]


# --- the report -------------------------------------------------------------------------------------------------


def test_a_report_says_which_findings_are_there_and_by_which_rule(tmp_path: Path) -> None:
    found = examine(row(report="There is a small left pleural effusion. No pneumothorax."), tmp_path)
    assert found.columns["finding_pleural_effusion"] == "present"
    assert found.columns["finding_pneumothorax"] == "absent"
    assert any(rule.startswith("pneumothorax: absent by ") for rule in found.columns["finding_rules"])
    assert not any("small left" in rule for rule in found.columns["finding_rules"])
    assert found.columns["phi_hits"] == 0


def test_sections_that_stand_apart_are_read_as_what_they_are(tmp_path: Path) -> None:
    """Joined, the impression would go on with the list of what is denied; and an indication only asks."""
    sections = {"indication": "Cardiomegaly", "findings": "No pleural effusion", "impression": "Left pneumothorax"}
    study = row(**sections, report="No pleural effusion Left pneumothorax")
    columns = examine(study, tmp_path).columns
    assert columns["finding_pneumothorax"] == "present"
    assert columns["finding_pleural_effusion"] == "absent"
    assert "finding_cardiomegaly" not in columns


def test_words_that_may_tell_who_the_patient_is_are_counted_by_kind_and_never_quoted(tmp_path: Path) -> None:
    study = row(indication="Call Dr. Marlowe at 555-123-4567.", findings="Clear lungs.", report="Clear lungs.")
    found = examine(study, tmp_path)
    assert found.remarks == [PHI_SUSPECTED]
    assert found.columns["phi_hits"] == 2
    assert found.noted["suspected identifiers: name"] == 1
    assert found.noted["suspected identifiers: phone"] == 1
    assert found.noted["reports with suspected identifiers"] == 1
    assert "Marlowe" not in _told(found)


def test_a_study_without_report_is_counted_where_there_could_be_one(tmp_path: Path) -> None:
    assert examine(row(report=None), tmp_path).noted["studies without report"] == 1
    assert "studies without report" not in examine({"id": "a", "group": "b", "image": None}, tmp_path).noted


# --- through ingest ---------------------------------------------------------------------------------------------


def test_everything_comes_out_of_ingest_whatever_the_number_of_processes(
    tmp_path: Path, write_dicom: WriteDicom
) -> None:
    root = tmp_path / "films"
    root.mkdir()
    reports = {"a": "No pneumothorax.", "b": "No pneumothorax.", "c": "Seen by Dr. Marlowe.", "d": "Clear.", "e": ""}
    for seed, (name, text) in enumerate(reports.items()):
        inverted = "MONOCHROME1" if name == "a" else "MONOCHROME2"
        patient = {"PatientID": f"MRN-{name}", "StudyInstanceUID": f"1.2.3.{seed}"}
        path = write_dicom(soft(seed), f"{name}.dcm", PhotometricInterpretation=inverted, **patient)
        path.rename(root / path.name)
        (root / f"{name}.txt").write_text(text)
    (root / "d.dcm").write_text(POINTER)
    written: set[bytes] = set()
    for workers in (0, 2):
        out = tmp_path / f"{workers}" / "pairs.parquet"
        report = ingest(
            "medical", LAYOUTS["generic-folder"], root, out, Loader(), examine=examine, workers=workers,
            allow_leakage=True,
        )  # fmt: skip
        written.add(out.read_bytes() + out.with_suffix(".ingest.json").read_bytes())
    assert len(written) == 1
    table = PairTable.read(out)
    assert table.ids == ["a", "b", "c", "e"]
    assert table.column("inverted") == [True, False, False, False]
    assert table.column("finding_pneumothorax") == ["absent", "absent", None, None]
    assert report.duplicates == {"report": 2}
    assert report.noted["inverted films"] == 1
    assert report.noted["Git-LFS pointers"] == 1
    assert report.noted["reports with suspected identifiers"] == 1
    assert report.noted["studies without report"] == 1
    assert [told["what"] for told in report.refusals] == ["d"]
    told = out.with_suffix(".ingest.json").read_text() + str(report)
    for secret in ("Marlowe", "Doe^Jane", "MRN-", "1.2.3.", "pneumothorax."):
        assert secret not in told


def _told(found: Examined) -> str:
    """Everything that is not the sample."""
    return json.dumps([dict(found.lost), dict(found.columns), list(found.remarks), dict(found.noted)])
