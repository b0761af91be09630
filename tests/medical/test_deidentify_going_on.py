"""`plait medical deidentify` again: after a kill, with more films, with other options; and where files may lie."""

from __future__ import annotations

import argparse
import errno
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest

from plait.errors import InputError
from plait_medical import verbs
from plait_medical.deidentify import Options, deidentify
from plait_medical.deidentify.audit import Summary
from tests.medical.planted import film, saved, study, tree


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return study(tmp_path / "in")


@pytest.fixture
def run(root: Path, tmp_path: Path) -> Callable[..., Summary]:
    """Clean ``root`` into ``tmp_path / out`` with a kept key."""

    def go(out: str = "out", **options: Any) -> Summary:
        return deidentify(root, tmp_path / out, key=tmp_path / "key", **options)

    return go


class TestGoingOn:
    def test_a_killed_run_ends_in_the_same_tree(self, run: Callable[..., Summary], tmp_path: Path) -> None:
        run("whole")
        run("out")
        audit, out = tmp_path / "out.audit.jsonl", tmp_path / "out"
        lines = audit.read_bytes().splitlines(keepends=True)
        audit.write_bytes(b"".join(lines[:2]) + lines[2][:30])
        done = out / json.loads(lines[1])["output"]
        lost = out / json.loads(lines[2])["output"]
        lost.rename(lost.with_name(f".{lost.name}.part"))
        before = done.stat().st_mtime_ns
        summary = run("out")
        assert tree(out) == tree(tmp_path / "whole")
        assert done.stat().st_mtime_ns == before
        assert dict(summary.outcomes) == {"cleaned": 3}
        assert audit.read_bytes() == b"".join(lines)

    def test_a_changed_or_lost_file_is_done_again(
        self, run: Callable[..., Summary], root: Path, tmp_path: Path
    ) -> None:
        run()
        (root / "reports" / "Zamenhof_pa.txt").write_text("New.")
        report, first = next((tmp_path / "out" / "reports").iterdir()), next((tmp_path / "out" / "films").iterdir())
        first.unlink()
        run()
        assert report.read_text() == "New."
        assert first.is_file()

    def test_a_film_that_comes_later_tells_its_report_more(
        self, run: Callable[..., Summary], root: Path, tmp_path: Path
    ) -> None:
        late = (root / "films" / "Zamenhof_pa.dcm").rename(tmp_path / "late.dcm")
        run()
        report = next((tmp_path / "out" / "reports").iterdir())
        assert "Ludovika is well" in report.read_text()
        late.rename(root / "films" / "Zamenhof_pa.dcm")
        run()
        assert "[KNOWN] is well" in report.read_text()

    def test_a_full_disk_is_said_in_one_sentence(
        self, run: Callable[..., Summary], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Full(io.FileIO):
            def write(self, *_: object) -> int:
                raise OSError(errno.ENOSPC, "No space left on device")

        run("first")  # which makes the key
        monkeypatch.setattr(os, "fdopen", lambda descriptor, *_, **given: Full(descriptor, "w"))
        with pytest.raises(InputError, match=r"audit\.jsonl cannot be written \(No space left on device\): make room"):
            run()

    def test_a_film_that_a_person_let_out_of_the_quarantine_stays_out(self, tmp_path: Path) -> None:
        saved(film(Modality="US"), tmp_path / "in" / "a.dcm")
        deidentify(tmp_path / "in", tmp_path / "out", key=tmp_path / "key")
        (held,) = (tmp_path / "out" / "quarantine").iterdir()
        held.rename(tmp_path / "out" / held.name)
        deidentify(tmp_path / "in", tmp_path / "out", key=tmp_path / "key")
        assert list(tree(tmp_path / "out")) == [held.name]

    def test_a_film_that_became_suspect_is_no_longer_among_the_cleaned(
        self, run: Callable[..., Summary], root: Path, tmp_path: Path
    ) -> None:
        run()
        saved(film(BurnedInAnnotation="YES"), root / "films" / "Zamenhof_pa.dcm")
        run()
        places = sorted(name.rsplit("/", 1)[0] for name in tree(tmp_path / "out"))
        assert places == ["films", "quarantine/films", "reports"]

    def test_new_files_fit_to_the_old(self, run: Callable[..., Summary], root: Path, tmp_path: Path) -> None:
        run()
        saved(film(SOPInstanceUID="1.2.3"), root / "films" / "third.dcm")
        run()
        ids = {pydicom.dcmread(path).PatientID for path in (tmp_path / "out" / "films").iterdir()}
        studies = {pydicom.dcmread(path).StudyInstanceUID for path in (tmp_path / "out" / "films").iterdir()}
        assert len(ids) == len(studies) == 1

    def test_another_key_gives_other_pseudonyms(self, root: Path, tmp_path: Path) -> None:
        for name in ("a", "b"):
            deidentify(root, tmp_path / name)
        assert not set(tree(tmp_path / "a")) & set(tree(tmp_path / "b"))

    def test_other_options_or_no_key_need_an_empty_folder(
        self, run: Callable[..., Summary], root: Path, tmp_path: Path
    ) -> None:
        run()
        with pytest.raises(InputError, match="another key or of other options"):
            run(options=Options(dates=True))
        with pytest.raises(InputError, match="is not empty"):
            deidentify(root, tmp_path / "out")


class TestPlaces:
    @pytest.mark.parametrize("out", ["in", "in/out", "."])
    def test_in_and_out_lie_apart(self, root: Path, tmp_path: Path, out: str) -> None:
        with pytest.raises(InputError, match="lie in one another"):
            deidentify(root, tmp_path / out, audit=tmp_path.parent / "audit")

    @pytest.mark.parametrize("place", ["in/key", "out/key"])
    def test_key_and_audit_lie_apart_from_both(self, root: Path, tmp_path: Path, place: str) -> None:
        with pytest.raises(InputError, match="keep the --key apart from both"):
            deidentify(root, tmp_path / "out", key=tmp_path / place)
        with pytest.raises(InputError, match="keep the --audit apart from both"):
            deidentify(root, tmp_path / "out", audit=tmp_path / place)

    def test_a_file_that_is_no_key_or_no_audit(self, root: Path, tmp_path: Path) -> None:
        (tmp_path / "note").write_text("hello")
        with pytest.raises(InputError, match="is no key"):
            deidentify(root, tmp_path / "out", key=tmp_path / "note")
        (tmp_path / "short").write_text("00ff")
        with pytest.raises(InputError, match="is no key of 32 bytes"):
            deidentify(root, tmp_path / "out", key=tmp_path / "short")
        (tmp_path / "note").write_text("hello\n")
        (tmp_path / "key").write_text("00" * 32)
        with pytest.raises(InputError, match="is no audit"):
            deidentify(root, tmp_path / "out", key=tmp_path / "key", audit=tmp_path / "note")

    def test_an_audit_is_never_written_over(self, root: Path, tmp_path: Path) -> None:
        (tmp_path / "note").write_text("mine")
        for key in (None, tmp_path / "key"):
            with pytest.raises(InputError, match="is there already"):
                deidentify(root, tmp_path / "out", audit=tmp_path / "note", key=key)
        assert (tmp_path / "note").read_text() == "mine"

    def test_the_output_is_a_folder(self, root: Path, tmp_path: Path) -> None:
        (tmp_path / "out").write_text("mine")
        with pytest.raises(InputError, match="is no folder"):
            deidentify(root, tmp_path / "out")

    def test_no_folder_or_an_empty_one(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="There is no folder"):
            deidentify(tmp_path / "in", tmp_path / "out")
        (tmp_path / "in").mkdir()
        with pytest.raises(InputError, match="holds no file"):
            deidentify(tmp_path / "in", tmp_path / "out")


def test_the_verb(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    verbs.add_verbs(parser.add_subparsers())
    given = vars(parser.parse_args(["deidentify", str(root), str(tmp_path / "out"), "--retain-dates", "shifted"]))
    run = given.pop("run_verb")
    del given["debug"]
    assert run(**given) == 0
    assert capsys.readouterr().out.startswith("cleaned 3, quarantined 0, refused 0\n")
    after = pydicom.dcmread(next((tmp_path / "out" / "films").iterdir()))
    assert after.LongitudinalTemporalInformationModified == "MODIFIED"
