"""Whatever befell a DICOM file: it is read, or refused in one sentence, in bounded time and memory."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from plait_medical.film import UnreadableFilm
from plait_medical.load import open_film
from tests.medical.film_reader import MEMORY, FilmReader, fault_of, verdict
from tests.medical.fuzz import FAMILIES, cases
from tests.medical.sound_films import PLANTED, SYNTAXES, pixels_at, sound

SEED = int(os.environ.get("PLAIT_FUZZ_SEED", "0"))


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FilmReader]:
    reader = FilmReader(tmp_path_factory.mktemp("fuzz"), verdict)
    yield reader
    reader.close()


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.keyword)
def test_the_films_were_sound_before(reader, syntax):
    assert reader.outcome(sound(syntax)) == "read"


@pytest.mark.parametrize("family", FAMILIES)
def test_damaged_films_are_read_or_refused_in_one_sentence(reader, family):
    outcomes = {what: reader.outcome(film) for what, film in cases(family, SEED)}
    assert {what: outcome for what, outcome in outcomes.items() if outcome not in ("read", "refused")} == {}
    assert not any(word.encode() in reader.log.read_bytes() for word in PLANTED)


def test_there_are_hundreds_of_them():
    films = {film for family in FAMILIES for _, film in cases(family, SEED)}
    assert len(films) >= 800


def test_the_same_seed_damages_the_same_way():
    for family in ("flipped", "absurd", "bombs"):
        assert list(cases(family, SEED)) == list(cases(family, SEED))
    assert list(cases("flipped", SEED)) != list(cases("flipped", SEED + 1))


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.keyword)
def test_half_a_film_is_never_shown(tmp_path, syntax):
    """A film that lost its end is refused, unless all pixels were there."""
    path, content = tmp_path / "film.dcm", sound(syntax)
    path.write_bytes(content)
    whole = open_film(path).pixels
    refused = 0
    for stop in (*range(pixels_at(content), len(content), 61), *range(len(content) - 12, len(content))):
        path.write_bytes(content[:stop])
        try:
            np.testing.assert_array_equal(open_film(path).pixels, whole)
        except UnreadableFilm:
            refused += 1
    assert refused > 8


def test_this_test_would_see_a_fault(tmp_path):
    reader = FilmReader(tmp_path, faulty, seconds=2)
    assert reader.outcome(b"stumbles") == "raises KeyError: 'Rows'"
    assert reader.outcome(b"devours") == "runs out of memory"
    assert reader.outcome(b"reads") == "read"
    assert reader.outcome(b"sleeps") == "hangs for 2 s"
    assert reader.outcome(b"dies") == "crashes"
    reader.close()


def faulty(path: Path) -> str:
    match path.read_bytes():
        case b"stumbles":
            raise KeyError("Rows")
        case b"devours":
            return str(len(bytearray(2 * MEMORY)))
        case b"sleeps":
            time.sleep(60)
        case b"dies":
            os.kill(os.getpid(), signal.SIGSEGV)
        case _:
            pass
    return "read"


def test_a_refusal_that_tells_or_rambles_would_be_seen():
    path = Path("/data/film.dcm")
    assert fault_of(f"{path} is damaged: export the film again.", path) == ""
    for sentence in (
        "is damaged.",
        f"{path} is damaged",
        f"{path} is bad. Mend it.",
        f"{path} is of Doe^Jane.",
        f"{path}\n.",
    ):
        assert fault_of(sentence, path) != ""
