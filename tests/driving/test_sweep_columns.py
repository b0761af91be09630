"""Sweeps of one's own: .bin, .npy, .npz, .pcd and .ply files with columns by name, and headers that lie."""

from __future__ import annotations

import contextlib
import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from plait.errors import InputError
from plait_driving.sensors import read_sweep
from plait_driving.sensors.formats.columns import Column, parse_columns
from plait_driving.sensors.formats.pcd import unpack_lzf

RECORD = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("reflectivity", "<u2"), ("t", "<u4"), ("ring", "u1")])
COLUMNS = "intensity=reflectivity*0.01 time=t*1e-09 ring=ring"


def records(number: int = 5) -> np.ndarray:
    values = np.zeros(number, dtype=RECORD)
    for place, name in enumerate("xyz"):
        values[name] = np.arange(number) + 10 * place
    values["reflectivity"] = 20 * np.arange(number)
    values["t"] = 25_000_000 * np.arange(number)
    values["ring"] = np.arange(number) + 3
    return values


def pcd_header(data: str, number: int = 5, **changes: str) -> bytes:
    lines = {
        "VERSION": "0.7", "FIELDS": "x y z _ reflectivity t _ ring", "SIZE": "4 4 4 1 2 4 1 1",
        "TYPE": "F F F U U U U U", "COUNT": "1 1 1 2 1 1 3 1", "WIDTH": str(number), "HEIGHT": "1",
        "VIEWPOINT": "0 0 0 1 0 0 0", "POINTS": str(number), "DATA": data,
    } | changes  # fmt: skip
    return b"# .PCD v0.7\n" + "".join(f"{name} {text}\n" for name, text in lines.items()).encode()


def padded(values: np.ndarray) -> np.ndarray:
    """The records with the padding that Point Cloud Library puts between them."""
    kinds = [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("a", "u1", 2), ("reflectivity", "<u2"), ("t", "<u4"),
             ("b", "u1", 3), ("ring", "u1")]  # fmt: skip
    rows = np.zeros(len(values), dtype=kinds)
    for name in RECORD.names or ():
        rows[name] = values[name]
    return rows


def packed(data: bytes) -> bytes:
    """LZF of literal runs alone, which every unpacker must take."""
    return b"".join(bytes([len(run) - 1]) + run for run in (data[k : k + 32] for k in range(0, len(data), 32)))


def write_pcd_ascii(path: Path, values: np.ndarray) -> str:
    lines = [f"{v['x']} {v['y']} {v['z']} 0 0 {v['reflectivity']} {v['t']} 0 0 0 {v['ring']}\n" for v in values]
    path.write_bytes(pcd_header("ascii", len(values)) + "".join(lines).encode())
    return "pcd"


def write_pcd_binary(path: Path, values: np.ndarray) -> str:
    path.write_bytes(pcd_header("binary", len(values)) + padded(values).tobytes())
    return "pcd"


def write_pcd_compressed(path: Path, values: np.ndarray) -> str:
    rows = padded(values)
    body = b"".join(rows[name].tobytes() for name in rows.dtype.names or ())
    squeezed = packed(body)
    path.write_bytes(
        pcd_header("binary_compressed", len(values)) + struct.pack("<II", len(squeezed), len(body)) + squeezed
    )
    return "pcd"


PLY = (
    "ply\nformat {} 1.0\ncomment made by a test\nelement vertex {}\nproperty float x\nproperty float y\n"
    "property float z\nproperty ushort reflectivity\nproperty uint t\nproperty uchar ring\nelement face 0\n"
    "property list uchar int vertex_indices\nend_header\n"
)


def write_ply_ascii(path: Path, values: np.ndarray) -> str:
    path.write_text(PLY.format("ascii", len(values)) + "".join(" ".join(map(str, value)) + "\n" for value in values))
    return "ply"


def write_ply_little(path: Path, values: np.ndarray) -> str:
    path.write_bytes(PLY.format("binary_little_endian", len(values)).encode() + values.tobytes())
    return "ply"


def write_ply_big(path: Path, values: np.ndarray) -> str:
    swapped = values.astype(RECORD.newbyteorder(">"))
    path.write_bytes(PLY.format("binary_big_endian", len(values)).encode() + swapped.tobytes())
    return "ply"


def write_npy(path: Path, values: np.ndarray) -> str:
    with path.open("wb") as file:
        np.save(file, values)
    return "xyzi-npy"


def write_npz(path: Path, values: np.ndarray) -> str:
    xyz = np.column_stack([values[name] for name in "xyz"])
    with path.open("wb") as file:
        np.savez_compressed(file, xyz=xyz, reflectivity=values["reflectivity"], t=values["t"], ring=values["ring"])
    return "npz"


WRITERS = (
    write_pcd_ascii, write_pcd_binary, write_pcd_compressed, write_ply_ascii, write_ply_little, write_ply_big,
    write_npy, write_npz,
)  # fmt: skip


@pytest.mark.parametrize("write", WRITERS)
def test_every_format_gives_the_same_sweep(write: Callable[[Path, np.ndarray], str], tmp_path: Path) -> None:
    values = records()
    sweep = read_sweep(tmp_path / "sweep", f"{write(tmp_path / 'sweep', values)} {COLUMNS}")
    xyz = [[k, 10 + k, 20 + k] for k in range(5)]
    np.testing.assert_allclose(sweep.points[:, :3], xyz)
    np.testing.assert_allclose(sweep.points[:, 3], [0, 0.2, 0.4, 0.6, 0.8], rtol=1e-6)
    assert sweep.time is not None
    assert sweep.ring is not None
    np.testing.assert_allclose(sweep.time, [0, 0.025, 0.05, 0.075, 0.1], rtol=1e-6)
    assert (sweep.ring.dtype, sweep.ring.tolist()) == (np.uint8, [3, 4, 5, 6, 7])


@pytest.mark.parametrize("write", WRITERS)
def test_a_file_that_is_cut_short_or_empty_is_said(write: Callable[[Path, np.ndarray], str], tmp_path: Path) -> None:
    path = tmp_path / "sweep"
    for number, end in ((5, -7), (0, None)):
        form = write(path, records(number))
        path.write_bytes(path.read_bytes()[:end])
        with pytest.raises(InputError) as caught:
            read_sweep(path, f"{form} {COLUMNS}")
        assert str(path) in str(caught.value)


def test_bin_has_columns_by_their_place(tmp_path: Path) -> None:
    rows = np.array([[1, 2, 3, 255, 9, 0.5], [4, 5, 6, 51, 8, np.nan]], dtype="<f4")
    rows.tofile(tmp_path / "sweep.bin")
    words = "bin x=0 y=1 z=2 intensity=3*0.00392156862745098 ring=4 time=5@0.25 width=6"
    sweep = read_sweep(tmp_path / "sweep.bin", words)
    # A point whose time is not a number cannot be deskewed.
    np.testing.assert_allclose(sweep.points, [[1, 2, 3, 1]])
    assert (sweep.time, sweep.ring) == (pytest.approx([0.25]), [9])
    with pytest.raises(InputError, match="do not make rows of 5"):
        read_sweep(tmp_path / "sweep.bin", words.replace("width=6", "width=5"))


def test_without_words_columns_have_the_names_of_fields_and_intensity_may_lack(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[1, 2, 3, 0.5, 7], [1, np.inf, 3, 2.0, 7]]))
    np.testing.assert_allclose(read_sweep(tmp_path / "a.npy", "xyzi-npy").points, [[1, 2, 3, 0.5]])
    np.save(tmp_path / "b.npy", np.array([[1.0, 2.0, 3.0]]))
    np.testing.assert_allclose(read_sweep(tmp_path / "b.npy", "xyzi-npy").points, [[1, 2, 3, 0]])


def test_times_of_a_mistaken_unit_are_said(tmp_path: Path) -> None:
    values = np.array([[1, 2, 3, 0], [4, 5, 6, 100_000]], dtype="<f4")  # microseconds
    values.tofile(tmp_path / "a.bin")
    assert read_sweep(tmp_path / "a.bin", "bin x=0 y=1 z=2 time=3*1e-06 width=4").time == pytest.approx([0, 0.1])
    with pytest.raises(InputError, match=r"1e\+05 s from the sweep's stamp: check time_unit and time_from"):
        read_sweep(tmp_path / "a.bin", "bin x=0 y=1 z=2 time=3 width=4")


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("bin", "say its columns"),
        ("bin x=0 y=1 z=2", "say its columns"),
        ("bin x=0 y=1 z=2 width=0", "rows of 0 numbers"),
        ("kitti x=0", "its columns are fixed, so 'x=0' cannot be said"),
    ],
)
def test_columns_that_a_format_lacks_or_does_not_take_are_said(words: str, cause: str, tmp_path: Path) -> None:
    np.zeros((2, 4), "<f4").tofile(tmp_path / "a.bin")
    with pytest.raises(InputError, match=cause):
        read_sweep(tmp_path / "a.bin", words)


@pytest.mark.parametrize(
    "changes",
    [{"semseg": np.zeros(4, np.uint8)}, {"xyz_cm": np.ones((5, 2), "i2")}, {"intensity": np.zeros((5, 2), "u1")}],
)
def test_arrays_of_pandaset_that_do_not_belong_together_are_said(
    changes: dict[str, np.ndarray], tmp_path: Path
) -> None:
    whole = {"xyz_cm": np.ones((5, 3), np.int16), "intensity": np.zeros(5, np.uint8), "semseg": np.zeros(5, np.uint8)}
    np.savez(tmp_path / "a.npz", **whole)
    assert len(read_sweep(tmp_path / "a.npz", "pandaset")) == 5
    np.savez(tmp_path / "a.npz", **(whole | changes))
    with pytest.raises(InputError, match="its arrays have the shapes"):
        read_sweep(tmp_path / "a.npz", "pandaset")


@pytest.mark.parametrize("form", ["pandaset", "npz"])
def test_an_array_that_is_no_archive_or_declares_too_much_is_said(form: str, tmp_path: Path) -> None:
    with (tmp_path / "a.npz").open("wb") as file:
        np.save(file, np.ones((5, 3)))
    with pytest.raises(InputError, match="not a zip file"):
        read_sweep(tmp_path / "a.npz", form)
    header = io.BytesIO()
    shape = {"descr": "<i2", "fortran_order": False, "shape": (10**13, 3)}
    np.lib.format.write_array_header_1_0(header, shape)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("xyz_cm.npy", header.getvalue())
    with pytest.raises(InputError, match=r"cannot be unpacked: .*Memory"):
        read_sweep(tmp_path / "a.npz", form)


def test_words_are_read_as_they_are_written() -> None:
    columns = {"time": Column("t", 1e-9, 1581624663.25), "ring": Column("ring"), "x": Column("0", 1 / 3)}
    text = " ".join(column.word(field) for field, column in columns.items())
    assert parse_columns(text) == columns
    with pytest.raises(ValueError, match="'time' is not"):
        parse_columns("time")


def test_lzf_repeats_what_it_is_writing() -> None:
    # LibLZF's form: "abc", then 7 bytes from 3 back, then 14 from 1 back with a length byte of its own.
    data = bytes([2]) + b"abc" + bytes([5 << 5, 2]) + bytes([7 << 5, 5, 0])
    assert unpack_lzf(data, 24) == b"abc" + b"abcabca" + b"a" * 14
    for bad in (data[:-1], bytes([1 << 5, 9]), data + data):
        with pytest.raises(ValueError, match="packed body"):
            unpack_lzf(bad, 24)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"POINTS": "99999999999"}, "declares 99,999,999,999 points"),
        ({"POINTS": "6"}, "it ends after 120 of the 144 bytes"),
        ({"POINTS": "-1"}, "declares -1 points"),
        ({"SIZE": "4 4 4"}, "differ in length"),
        ({"SIZE": "4 4 3 1 2 4 1 1"}, "its field 'z' is of the type F3 x 1"),
        ({"COUNT": "1 1 1 2 1 1 3 0"}, "its field 'ring' is of the type U1 x 0"),
        ({"FIELDS": "x y z _ intensity t _ ring"}, "no column 'reflectivity' but x, y, z, intensity, t, ring"),
        ({"POINTS": "", "WIDTH": ""}, "its header lacks something"),
        ({"DATA": "zipped"}, "its DATA is 'zipped'"),
    ],
)
def test_a_pcd_header_that_lies_is_said(changes: dict[str, str], cause: str, tmp_path: Path) -> None:
    path = tmp_path / "sweep.pcd"
    path.write_bytes(pcd_header("binary", 5, **changes) + padded(records()).tobytes())
    with pytest.raises(InputError, match=cause):
        read_sweep(path, f"pcd {COLUMNS}")


@pytest.mark.parametrize(
    ("old", "new", "cause"),
    [
        ("vertex 5", "vertex 99999999999", "declares 99,999,999,999 vertices"),
        ("vertex 5", "edge 5", "its first element is not vertex"),
        ("float z", "list uchar float z", "which is not known"),
        ("ascii", "zipped", "which is not known"),
        ("end_header", "end", "does not begin with a ply header"),
    ],
)
def test_a_ply_header_that_lies_is_said(old: str, new: str, cause: str, tmp_path: Path) -> None:
    write_ply_ascii(tmp_path / "sweep.ply", records())
    text = (tmp_path / "sweep.ply").read_text().replace(old, new)
    (tmp_path / "sweep.ply").write_text(text)
    with pytest.raises(InputError, match=cause):
        read_sweep(tmp_path / "sweep.ply", f"ply {COLUMNS}")


@pytest.mark.parametrize("write", WRITERS)
def test_flipped_bytes_are_an_input_error_or_a_sweep(write: Callable[[Path, np.ndarray], str], tmp_path: Path) -> None:
    path = tmp_path / "sweep"
    form = write(path, records())
    whole = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    rng = np.random.default_rng(1)
    for _ in range(25):
        damaged = whole.copy()
        damaged[rng.integers(0, len(whole), 2)] = rng.choice([0, 32, 57, 127, 255], 2)
        path.write_bytes(damaged.tobytes())
        with contextlib.suppress(InputError):
            assert np.isfinite(read_sweep(path, f"{form} {COLUMNS}").points).all()


def test_an_array_of_objects_and_rings_beyond_a_byte_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "sweep.npy", np.array([{"x": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="not a readable 'xyzi-npy' sweep"):
        read_sweep(tmp_path / "sweep.npy", "xyzi-npy")
    np.save(tmp_path / "sweep.npy", np.array([[1.0, 2, 3, 0.5, 300]]))
    with pytest.raises(InputError, match="its rings '4' are not numbers from 0 to 255"):
        read_sweep(tmp_path / "sweep.npy", "xyzi-npy ring=4")
