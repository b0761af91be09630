"""`plait medical deidentify IN OUT`: what is copied, what a person has to look at, what stays behind."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image, ImageDraw
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import SecondaryCaptureImageStorage

from plait.pairs.lfs import LFS_POINTER
from plait_medical.deidentify import Options, deidentify, job
from plait_medical.deidentify.audit import Summary
from tests.medical.planted import SECRETS, SYNTAXES, film, leaks, picture, saved, study, tree


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return study(tmp_path / "in")


@pytest.fixture
def run(root: Path, tmp_path: Path) -> Callable[..., Summary]:
    """Clean ``root`` into ``tmp_path / out`` with a kept key."""

    def go(out: str = "out", **options: Any) -> Summary:
        return deidentify(root, tmp_path / out, key=tmp_path / "key", **options)

    return go


def entries(audit: Path) -> dict[str, dict[str, Any]]:
    """The audit's entries by the input's name."""
    rows = [json.loads(line) for line in audit.read_text().splitlines()]
    return {row["input"]: row for row in rows[1:]}


class TestCopies:
    def test_nothing_planted_is_in_any_file_or_name(self, run: Callable[..., Summary], tmp_path: Path) -> None:
        summary = run()
        assert dict(summary.outcomes) == {"cleaned": 3}
        files = tree(tmp_path / "out")
        assert len(files) == 3
        assert leaks("".join(files).encode() + b"".join(files.values())) == []

    def test_a_film_and_its_report_keep_one_name(self, run: Callable[..., Summary], tmp_path: Path) -> None:
        run()
        names = {Path(name).stem for name in tree(tmp_path / "out")}
        assert len(names) == 2
        assert {path.parent.name for path in (tmp_path / "out").rglob("*.txt")} == {"reports"}
        films, (report,) = ((tmp_path / "out" / name).iterdir() for name in ("films", "reports"))
        assert report.stem in {film.stem for film in films}

    def test_a_report_loses_the_names_that_its_film_knows(self, run: Callable[..., Summary], tmp_path: Path) -> None:
        run()
        text = next((tmp_path / "out" / "reports").iterdir()).read_text()
        assert text == "PATIENT: [NAME]\nFINDINGS: [NAME] has clear lungs.\nIMPRESSION: [KNOWN] is well.\n"

    def test_a_report_in_the_way_of_mimic_cxr_knows_its_films_too(self, tmp_path: Path) -> None:
        study = tmp_path / "in" / "Zamenhof" / "s50"
        saved(film(), study / "02aa-804b.dcm")
        study.with_suffix(".txt").write_text("Ludovika is well.")
        deidentify(tmp_path / "in", tmp_path / "out")
        assert next((tmp_path / "out").rglob("*.txt")).read_text() == "[KNOWN] is well."
        assert leaks("".join(tree(tmp_path / "out")).encode()) == []

    def test_films_of_several_patients_beside_a_report_tell_nothing(self, tmp_path: Path) -> None:
        saved(film(), tmp_path / "in" / "a.dcm")
        saved(film(PatientID="2", PatientName="Heart^Normal"), tmp_path / "in" / "b.dcm")
        (tmp_path / "in" / "c.txt").write_text("Heart size is normal.")
        deidentify(tmp_path / "in", tmp_path / "out")
        assert next((tmp_path / "out").rglob("*.txt")).read_text() == "Heart size is normal."

    @pytest.mark.parametrize("syntax", SYNTAXES)
    def test_pixels_are_bit_equal_in_their_own_syntax(self, syntax: str, tmp_path: Path) -> None:
        before = pydicom.dcmread(saved(film(syntax=syntax), tmp_path / "in" / "a.dcm"))
        deidentify(tmp_path / "in", tmp_path / "out")
        after = pydicom.dcmread(next((tmp_path / "out").rglob("*.dcm")))
        assert after.file_meta.TransferSyntaxUID == before.file_meta.TransferSyntaxUID == SYNTAXES[syntax]
        assert after.PixelData == before.PixelData
        np.testing.assert_array_equal(after.pixel_array, before.pixel_array)

    def test_the_input_is_not_changed(self, run: Callable[..., Summary], root: Path) -> None:
        before = tree(root)
        run()
        assert tree(root) == before

    def test_options_reach_the_films(self, run: Callable[..., Summary], tmp_path: Path) -> None:
        run(options=Options(dates=True, uids=True))
        after = pydicom.dcmread(next((tmp_path / "out" / "films").iterdir()))
        assert after.StudyInstanceUID == SECRETS["StudyInstanceUID"]
        assert len(after.StudyDate) == 8
        assert after.StudyDate < SECRETS["StudyDate"]


class TestQuarantine:
    @pytest.mark.parametrize(
        ("elements", "cause"),
        [
            ({"BurnedInAnnotation": "YES"}, "its header says that text is burned in"),
            ({"RecognizableVisualFeatures": "YES"}, "its header says that a person can be recognised"),
            ({"Modality": "US"}, "it is of a kind whose makers write into the picture"),
            ({"SOPClassUID": SecondaryCaptureImageStorage}, "it is of a kind whose makers write into the picture"),
            ({"ConversionType": "DF"}, "it was digitised or drawn, with whatever label the film had"),
        ],
    )
    def test_a_suspect_header(self, elements: dict[str, str], cause: str, tmp_path: Path) -> None:
        saved(film(**elements), tmp_path / "in" / "films" / "a.dcm")
        summary = deidentify(tmp_path / "in", tmp_path / "out")
        assert summary.causes == {("quarantined", cause): 1}
        assert "look at each film in 'quarantine'" in str(summary)
        assert [name.split("/")[:2] for name in tree(tmp_path / "out")] == [["quarantine", "films"]]
        assert leaks(b"".join(tree(tmp_path / "out").values())) == []

    def test_an_overlay_in_unused_bits(self, tmp_path: Path) -> None:
        dataset = film()
        dataset.add_new((0x6002, 0x0102), "US", 12)
        saved(dataset, tmp_path / "in" / "a.dcm")
        summary = deidentify(tmp_path / "in", tmp_path / "out")
        assert summary.causes == {("quarantined", "its pixels hold an overlay in their unused bits"): 1}

    def test_a_comment_of_the_jpeg_encoder(self, tmp_path: Path) -> None:
        dataset = film(syntax="JPEG")
        (frame,) = generate_frames(dataset.PixelData, number_of_frames=1)
        comment = b"\xff\xfe\x00\x10Mrs. ZAMENHOF"
        dataset.PixelData = encapsulate([frame[:2] + comment + frame[2:]])
        saved(dataset, tmp_path / "in" / "a.dcm")
        summary = deidentify(tmp_path / "in", tmp_path / "out")
        assert summary.causes == {("quarantined", "its pixel data hold an identifier of its header as text"): 1}

    def test_text_in_the_pixels(self, tmp_path: Path) -> None:
        drawn = Image.fromarray(picture(512))
        ImageDraw.Draw(drawn).text((20, 20), "ZAMENHOF 17.04.1931", fill=255, font_size=18)
        saved(film(np.asarray(drawn)), tmp_path / "in" / "named.dcm")
        saved(film(picture(512), SOPInstanceUID="1.2.3"), tmp_path / "in" / "plain.dcm")
        deidentify(tmp_path / "in", tmp_path / "out")
        done = entries(tmp_path / "out.audit.jsonl")
        assert done["named.dcm"]["outcome"] == "quarantined"
        assert done["plain.dcm"]["outcome"] == "cleaned"


class TestRefusals:
    def test_what_cannot_be_cleaned_is_not_copied(self, tmp_path: Path) -> None:
        folder = tmp_path / "in"
        whole = saved(film(), folder / "good.dcm").read_bytes()
        (folder / "short.dcm").write_bytes(whole[: len(whole) // 2])
        Image.fromarray(picture()).save(folder / "shot.png")
        (folder / "latin.txt").write_bytes(b"Zam\xe9nhof")
        (folder / "pointer.txt").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
        (folder / "link.dcm").symlink_to(folder / "good.dcm")
        (folder / "long.txt").write_bytes(b"x" * 10_000_001)
        summary = deidentify(folder, tmp_path / "out")
        assert dict(summary.outcomes) == {"cleaned": 1, "refused": 6}
        assert len(tree(tmp_path / "out")) == 1
        done = entries(tmp_path / "out.audit.jsonl")
        assert {name: row["cause"] for name, row in done.items() if name not in ("good.dcm", "short.dcm")} == {
            "shot.png": "is neither a DICOM file nor a .txt report.",
            "latin.txt": "is not text in UTF-8: convert it.",
            "pointer.txt": f"{LFS_POINTER}.",
            "long.txt": "has more than 10,000,000 bytes: it is no report.",
            "link.dcm": "is a link or no ordinary file: put the file itself there.",
        }
        assert done["short.dcm"]["outcome"] == "refused"
        assert done["short.dcm"]["output"] == ""

    def test_a_film_that_breaks_the_cleaner_does_not_stop_the_rest(
        self, run: Callable[..., Summary], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(job, "clean", {}.__getitem__)
        assert dict(run().outcomes) == {"cleaned": 1, "refused": 2}

    def test_a_document_is_no_film(self, tmp_path: Path) -> None:
        dataset = film(Modality="SR")
        del dataset.PixelData
        saved(dataset, tmp_path / "in" / "a.dcm")
        assert dict(deidentify(tmp_path / "in", tmp_path / "out").outcomes) == {"refused": 1}

    def test_two_files_never_share_a_new_name(self, tmp_path: Path) -> None:
        saved(film(), tmp_path / "in" / "IM01")
        saved(film(), tmp_path / "in" / "IM01.dcm")
        summary = deidentify(tmp_path / "in", tmp_path / "out")
        assert dict(summary.outcomes) == {"cleaned": 1, "refused": 1}

    def test_folders_links_are_not_followed(self, tmp_path: Path) -> None:
        saved(film(), tmp_path / "elsewhere" / "b.dcm")
        saved(film(), tmp_path / "in" / "a.dcm")
        (tmp_path / "in" / "more").symlink_to(tmp_path / "elsewhere")
        deidentify(tmp_path / "in", tmp_path / "out")
        assert len(tree(tmp_path / "out")) == 1


class TestAudit:
    def test_it_tells_what_was_done_and_no_value(self, run: Callable[..., Summary], tmp_path: Path) -> None:
        run()
        audit = tmp_path / "out.audit.jsonl"
        entry = entries(audit)["films/Zamenhof_pa.dcm"]
        assert entry["changes"]["removed"] == {"PatientAddress": 1, "PatientTelephoneNumbers": 1}
        assert (tmp_path / "out" / entry["output"]).is_file()
        assert entries(audit)["reports/Zamenhof_pa.txt"]["changes"] == {"masked": {"known": 1, "name": 2}}
        told = audit.read_text().replace("Zamenhof_", "")
        assert leaks(told.encode()) == []

    def test_only_the_owner_may_read_key_and_audit(self, run: Callable[..., Summary], tmp_path: Path) -> None:
        run()
        for name in ("key", "out.audit.jsonl"):
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600

    def test_the_summary_counts_and_names_no_file(self, run: Callable[..., Summary], root: Path) -> None:
        (root / "Zamenhof.png").write_bytes(b"no picture")
        shown = str(run())
        assert shown.splitlines()[:2] == [
            "cleaned 3, quarantined 0, refused 1",
            "  refused 1: is neither a DICOM file nor a .txt report.",
        ]
        assert "values: " in shown
        assert "masked 3" in shown
        assert "in 'quarantine'" not in shown
        assert leaks(shown.encode()) == []
