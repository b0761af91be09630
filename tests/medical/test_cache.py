"""A film comes out of the cache as it came out of its file, or not at all."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from plait.errors import InputError
from plait_medical import cache
from plait_medical.cache import FilmCache, Square, bytes_needed, content_hash
from plait_medical.load import Loader

SIDE = 8
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload([__name__])


def decoded(path: Path) -> Square:
    """A square that follows from the file's content alone, as a film's does."""
    words = np.frombuffer(path.read_bytes().ljust(8), dtype=np.uint8).astype(np.uint64)
    return np.random.default_rng(words).integers(0, 65536, (SIDE, SIDE), dtype=np.uint16)


def not_called(path: Path) -> Square:
    raise AssertionError(f"{path} was decoded again")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def films(tmp_path: Path) -> list[Path]:
    return written(tmp_path, 6)


def written(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"film{number}" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_text(f"film {number}")
    return paths


def test_a_film_is_decoded_once(folder, films):
    for path in films:
        np.testing.assert_array_equal(FilmCache(folder, SIDE).film(path, decoded), decoded(path))
    again = FilmCache(folder, SIDE)
    for path in reversed(films):
        square = again.film(path, not_called)
        assert square.dtype == np.uint16
        np.testing.assert_array_equal(square, decoded(path))


def test_a_hash_from_the_pair_table_spares_opening_the_file(folder, films):
    digest = content_hash(films[0])
    expected = FilmCache(folder, SIDE).film(films[0], decoded)
    films[0].unlink()
    np.testing.assert_array_equal(FilmCache(folder, SIDE).film(films[0], not_called, digest), expected)


def test_a_copy_of_a_film_is_the_same_film(folder, films):
    cached = FilmCache(folder, SIDE)
    cached.film(films[0], decoded)
    films[1].write_bytes(films[0].read_bytes())
    np.testing.assert_array_equal(cached.film(films[1], not_called), decoded(films[0]))


def test_a_file_that_changed_is_never_kept_under_its_old_hash(folder, films):
    old = content_hash(films[0])
    films[0].write_text("another film")
    cached = FilmCache(folder, SIDE)
    np.testing.assert_array_equal(cached.film(films[0], decoded, old), decoded(films[0]))
    np.testing.assert_array_equal(cached.film(films[0], not_called, old), decoded(films[0]))
    films[1].write_text("film 0")
    assert content_hash(films[1]) == old
    with pytest.raises(AssertionError, match="decoded again"):
        cached.film(films[1], not_called, old)


def test_what_one_process_wrote_another_finds_without_opening_the_cache_anew(folder, films):
    one, other = FilmCache(folder, SIDE), FilmCache(folder, SIDE)
    for path in films[:3]:
        one.film(path, decoded)
        other.film(path, not_called)


@pytest.mark.parametrize("change", ["side", "reader", "decoder"])
def test_what_changes_the_pixels_changes_the_key(folder, films, change, monkeypatch):
    FilmCache(folder, SIDE).film(films[0], decoded)
    if change == "reader":
        monkeypatch.setattr(cache, "READER", cache.READER + 1)
    if change == "decoder":
        monkeypatch.setattr(cache, "version", lambda package: "0")
    with pytest.raises(AssertionError, match="decoded again"):
        FilmCache(folder, SIDE + (change == "side")).film(films[0], not_called)


def test_a_refused_film_is_not_kept(folder, films):
    def refuse(path: Path) -> Square:
        raise InputError(f"{path} is damaged.")

    with pytest.raises(InputError, match="is damaged"):
        FilmCache(folder, SIDE).film(films[0], refuse)
    np.testing.assert_array_equal(FilmCache(folder, SIDE).film(films[0], decoded), decoded(films[0]))


def test_the_reader_says_what_is_wrong_with_a_missing_file(folder, tmp_path):
    with pytest.raises(AssertionError, match="absent was decoded"):
        FilmCache(folder, SIDE).film(tmp_path / "absent", not_called)


def test_the_size_is_known_beforehand(folder, films):
    cached = FilmCache(folder, SIDE)
    for path in films:
        cached.film(path, decoded)
    assert sum(file.stat().st_size for file in folder.iterdir()) == bytes_needed(len(films), SIDE)
    assert bytes_needed(377_110, 320) == pytest.approx(77.2e9, rel=1e-2)


def test_no_name_in_the_folder_comes_from_a_film(folder, tmp_path):
    path = tmp_path / "doe_jane_1961.dcm"
    path.write_text("Doe^Jane")
    FilmCache(folder, SIDE).film(path, decoded)
    for file in folder.iterdir():
        assert file.stem.startswith(f"{SIDE}-")
        assert "doe" not in file.name
        assert b"Doe" not in file.read_bytes()


def test_a_tensor_from_the_cache_is_the_one_that_was_decoded(write_dicom, folder):
    pixels = np.random.default_rng(0).integers(0, 4096, (90, 70)).astype(np.uint16)
    films = [
        write_dicom(pixels, "a.dcm", WindowCenter=2000, WindowWidth=3000, PhotometricInterpretation="MONOCHROME1"),
        write_dicom(pixels // 16, "b.dcm"),
    ]
    Image.fromarray((pixels[:60] >> 4).astype(np.uint8)).save(folder.with_name("c.png"))
    films.append(folder.with_name("c.png"))
    plain, cached = Loader(32), Loader(32, cache=str(folder))
    for film in films:
        row = {"id": "1", "group": "1", "image": film.name, "sha256_image": content_hash(film)}
        uncached = plain(row, film.parent, ["image"])["image"]
        first, second = (cached(row, film.parent, ["image"])["image"] for _ in range(2))
        assert first.equal(uncached)
        assert second.equal(uncached)
    assert sum(file.stat().st_size for file in folder.iterdir()) == bytes_needed(len(films), 32)


# What a kill or a power cut may leave behind.


def test_a_square_without_its_record_is_written_over(folder, films):
    cached = FilmCache(folder, SIDE)
    cached.film(films[0], decoded)
    squares = only(folder, "films")
    squares.write_bytes(squares.read_bytes() + b"half a square")
    cached.film(films[1], decoded)
    assert_sound(folder, films[:2])


@pytest.mark.parametrize("left", [1, 35])
def test_a_record_that_was_cut_off_is_no_record(folder, films, left):
    cached = FilmCache(folder, SIDE)
    cached.film(films[0], decoded)
    cached.film(films[1], decoded)
    index = only(folder, "index")
    index.write_bytes(index.read_bytes()[: 36 + left])
    reopened = FilmCache(folder, SIDE)
    reopened.film(films[0], not_called)
    for path in films[1:3]:
        np.testing.assert_array_equal(reopened.film(path, decoded), decoded(path))
    assert_sound(folder, films[:3])


@pytest.mark.parametrize("damage", ["lost", "empty", "short", "zeroed", "flipped"])
def test_a_square_that_does_not_fit_its_checksum_is_decoded_again(folder, films, damage):
    cached = FilmCache(folder, SIDE)
    for path in films[:2]:
        cached.film(path, decoded)
    squares = only(folder, "films")
    content = bytearray(squares.read_bytes())
    size = len(content) // 2
    if damage == "zeroed":
        content[size:] = bytes(size)
    if damage == "flipped":
        content[size + 5] ^= 1
    squares.write_bytes({"empty": b"", "short": content[: size + 3]}.get(damage, content))
    if damage == "lost":
        squares.unlink()
    reopened = FilmCache(folder, SIDE)
    for path in films[:2]:
        np.testing.assert_array_equal(reopened.film(path, decoded), decoded(path))
    assert_sound(folder, films[:2])
    mended = only(folder, "index").stat().st_size
    cached.film(films[1], decoded)  # a process that was there before the damage finds the mended record
    assert only(folder, "index").stat().st_size == mended


def test_a_kill_in_the_middle_of_writing_costs_nothing_but_the_last_film(folder, tmp_path):
    films = written(tmp_path, 400)
    writer = SERVER.Process(target=write_all, args=(folder, films))
    writer.start()
    deadline = time.monotonic() + 30
    while not any(file.suffix == ".films" and file.stat().st_size > 20 * 128 for file in listed(folder)):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert writer.pid
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    assert writer.exitcode == -signal.SIGKILL
    cached = FilmCache(folder, SIDE)
    for path in films:
        np.testing.assert_array_equal(cached.film(path, decoded), decoded(path))
    assert_sound(folder, films)


def test_several_processes_write_at_once(folder, tmp_path):
    films = written(tmp_path, 200)
    start = SERVER.Barrier(3)
    writers = [SERVER.Process(target=write_all, args=(folder, films, start)) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert_sound(folder, films)
    assert only(folder, "index").stat().st_size == 36 * len(films)  # each film once


def test_a_cache_that_cannot_be_written_is_no_reason_to_stop(folder, films, monkeypatch, capsys):
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    cached = FilmCache(folder, SIDE)
    cached.film(films[0], decoded)
    monkeypatch.setattr(Path, "touch", full)
    np.testing.assert_array_equal(cached.film(films[1], decoded), decoded(films[1]))
    cached.film(films[2], decoded)
    said = capsys.readouterr().err
    assert said.startswith("plait: "), "as a sentence, and not as a warning with a line of our source"
    assert said.count("cannot be written (No space left on device): its films are decoded each time.") == 1
    cached.film(films[0], not_called)
    monkeypatch.undo()
    assert_sound(folder, films[:1])


def test_a_folder_that_cannot_be_made_is_refused_at_once(films):
    with pytest.raises(InputError, match="cannot hold a cache"):
        FilmCache(films[0] / "cache", SIDE)


def write_all(folder: Path, films: list[Path], start: Barrier | None = None) -> None:
    cached = FilmCache(folder, SIDE)
    if start:
        start.wait()
    for path in films:
        cached.film(path, decoded)


def assert_sound(folder: Path, films: list[Path]) -> None:
    cached = FilmCache(folder, SIDE)
    for path in films:
        np.testing.assert_array_equal(cached.film(path, not_called), decoded(path))


def only(folder: Path, suffix: str) -> Path:
    (found,) = folder.glob(f"*.{suffix}")
    return found


def listed(folder: Path) -> Iterator[Path]:
    return folder.iterdir() if folder.exists() else iter(())
