"""Pickles are read without running them: numpy's arrays come out as they went in, and a hostile file runs nothing."""

from __future__ import annotations

import mmap
import os
import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plait.pairs.inert_arrays import NUMPY, inert_array
from plait.pairs.inert_pickle import read_inert

SYSTEM: Any = vars(os)["system"]
ARRAYS: dict[str, np.ndarray] = {
    "numbers": np.arange(6, dtype=np.float32).reshape(2, 3),
    "all bytes": np.arange(256, dtype=np.uint8),
    "big-endian": np.arange(4, dtype=">i8"),
    "in Fortran's order": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "every second": np.arange(6.0)[::2],
    "empty": np.zeros((0, 5)),
    "truths": np.array([True, False]),
    "texts": np.array(["good", "b\u00e4d"]),
    "bytes": np.array([b"good", b"bad"]),
    "objects": np.array(["good", "b\u00e4d"], dtype=object),
    "one number": np.float32(2.5),  # pyright: ignore[reportAssignmentType] - numpy pickles it as an array of no axis
}


@pytest.mark.parametrize("kind", ARRAYS)
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_an_array_is_what_numpy_had_written(kind: str, protocol: int) -> None:
    array = inert_array(read_inert(pickle.dumps(ARRAYS[kind], protocol), NUMPY))
    np.testing.assert_array_equal(array, ARRAYS[kind])
    assert array.dtype == ARRAYS[kind].dtype


@pytest.mark.parametrize("name", ["numpy.core.multiarray", "numpy._core.multiarray"])
def test_the_names_of_numpy_1_and_2_are_known(name: str) -> None:
    data = pickle.dumps(ARRAYS["numbers"], 2)
    assert b"cnumpy._core.multiarray\n" in data, "what numpy 2 writes"
    data = data.replace(b"cnumpy._core.multiarray\n", f"c{name}\n".encode())
    np.testing.assert_array_equal(inert_array(read_inert(data, NUMPY)), ARRAYS["numbers"])


def test_the_bytes_of_python_2_are_read() -> None:
    new = pickle.dumps(np.arange(3, dtype=np.uint8), 3)
    old = new.replace(b"C\x03\x00\x01\x02", b"U\x03\x00\x01\x02")  # SHORT_BINBYTES as SHORT_BINSTRING
    assert old != new
    assert inert_array(read_inert(old, NUMPY)).tolist() == [0, 1, 2]


def test_an_array_of_a_mapped_file_lies_in_the_file(tmp_path: Path) -> None:
    data = pickle.dumps({"audio": np.arange(100.0), "id": ["a"]}, 4)
    (tmp_path / "features.pkl").write_bytes(data)
    with (tmp_path / "features.pkl").open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    read = read_inert(mapped, NUMPY)
    audio = inert_array(read["audio"])
    assert (audio.tolist(), read["id"]) == (list(range(100)), ["a"])
    assert np.shares_memory(audio, np.frombuffer(mapped, np.uint8))


class _Calls:
    """Pickles as a call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def hostile(path: Path) -> dict[str, bytes]:
    touch = f"touch {path}"
    return {
        "os.system": pickle.dumps(_Calls(SYSTEM, touch)),
        "os.system by protocol 2": pickle.dumps(_Calls(SYSTEM, touch), 2),
        "eval": pickle.dumps(_Calls(eval, f"__import__('os').system({touch!r})")),
        "beside an array": pickle.dumps({"audio": np.zeros(3), "id": _Calls(SYSTEM, touch)}),
        "inside an array": pickle.dumps(np.array([_Calls(SYSTEM, touch)], dtype=object)),
        "protocol 0": pickle.dumps(_Calls(SYSTEM, touch), 0),
        "INST": f"(S'{touch}'\nios\nsystem\n.".encode(),
        "OBJ": b"(cos\nsystem\n" + pickle.dumps(touch, 0)[:-1] + b"o.",
        "extension": b"\x82\x01.",
        "persistent": b"Pos.system\n.",
        "attribute of an allowed name": b"\x80\x04\x8c\x05numpy\x8c\x11ndarray.__class__\x93.",
        "a text that is called": b"\x80\x04\x8c\x09os.system" + pickle.dumps((touch,))[2:-1] + b"R.",
    }


@pytest.mark.parametrize("kind", hostile(Path()))
def test_a_hostile_pickle_is_refused_and_runs_nothing(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="its pickle"):
        read_inert(hostile(tmp_path / "touched")[kind], NUMPY)
    assert not (tmp_path / "touched").exists()


def test_allowed_names_are_not_called_either() -> None:
    # numpy.dtype with the arguments of a slice: pickle would raise, here it is a note.
    made = read_inert(b"\x80\x04\x8c\x05numpy\x8c\x05dtype\x93K\x01K\x02\x86R.", NUMPY)
    assert (made.name, made.arguments) == ("numpy.dtype", (1, 2))


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"\x80\x04\x8eXXXX\xff\x00\x00\x00.", "expected"),
        (b"\x80\x04K\x01R.", "damaged"),
        (b"\x80\x04h\x09.", "damaged"),
        (b"\x80\x04u.", "damaged"),
        (b"\x80\x04\xff.", "damaged"),
        (b"\x80\x04]]\x93.", "damaged"),  # a name of lists
        (b"\x80\x04})" + b"\x85" * 100_000 + b"K\x01s.", "damaged"),  # a key that cannot be hashed
        (b"", "exhausted"),
    ],
)
def test_a_damaged_pickle_is_said_to_be_one(data: bytes, cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        read_inert(data, NUMPY)


def test_wherever_a_pickle_is_cut_it_is_refused() -> None:
    data = pickle.dumps({"audio": np.arange(4.0), "id": ["a", "b"]}, 4)
    for length in range(len(data)):
        with pytest.raises(ValueError, match=r"\w"):
            read_inert(data[:length], NUMPY)


def test_a_program_without_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plait.pairs.inert_pickle.STEPS", 10)
    with pytest.raises(ValueError, match="more than 10 steps"):
        read_inert(pickle.dumps(list(range(100))), NUMPY)


def test_the_shape_of_an_array_must_fit_its_bytes() -> None:
    data = pickle.dumps(np.zeros(3, dtype=np.float32), 4)
    (at,) = [at or 0 for _, value, at in pickletools.genops(data) if value == "f4"]
    with pytest.raises(ValueError, match=r"reshape|multiple of element size"):
        inert_array(read_inert(data[: at + 2] + b"f8" + data[at + 4 :], NUMPY))


@pytest.mark.parametrize(
    ("value", "cause"),
    [(np.zeros(2, dtype=np.complex64), "type 'c8'"), (np.zeros(2, dtype="M8[s]"), "type 'M8'"), ([1.0], "holds list")],
)
def test_what_is_no_array_of_numbers_or_texts_is_said(value: Any, cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        inert_array(read_inert(pickle.dumps(value, 4), NUMPY))
