"""Mask files become superpixels, and files that hold none are refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from plait.errors import InputError
from plait_driving.superpixels import read_ids

IDS = np.array([[7, 7, 300, 300], [7, 7, 300, 70_000]])
NUMBERED = [[0, 0, 1, 1], [0, 0, 1, 2]]


def test_ids_of_any_size_and_sign_are_numbered_without_holes(tmp_path: Path) -> None:
    for kind in (np.int64, np.uint32, np.int32):
        np.save(tmp_path / "ids.npy", IDS.astype(kind))
        assert read_ids(tmp_path / "ids.npy", (2, 4)).tolist() == NUMBERED
    np.save(tmp_path / "ids.npy", np.where(IDS == 7, -1, IDS))
    ids = read_ids(tmp_path / "ids.npy", (2, 4))
    assert ids.tolist() == NUMBERED
    assert ids.dtype == np.int64


def test_every_kind_of_png_is_read(tmp_path: Path) -> None:
    path = tmp_path / "ids.png"
    small = np.minimum(IDS, 301) - 100 * (IDS > 7)  # 7, 200, 201
    Image.fromarray(small.astype(np.uint8)).save(path)
    assert read_ids(path, (2, 4)).tolist() == NUMBERED
    palette = Image.fromarray(small.astype(np.uint8)).convert("P")
    palette.putdata(small.ravel().tolist())
    palette.save(path)
    assert read_ids(path, (2, 4)).tolist() == NUMBERED
    Image.fromarray(np.minimum(IDS, 65_000).astype(np.uint16)).save(path)
    assert read_ids(path, (2, 4)).tolist() == NUMBERED
    # 263 and 7 have the same red: their green tells them apart.
    colours = np.stack([IDS % 256, IDS // 256 % 256, IDS // 65_536], axis=2).astype(np.uint8)
    Image.fromarray(colours).save(path)
    assert read_ids(path, (2, 4)).tolist() == NUMBERED


def test_a_file_of_another_size_is_read_by_the_nearest_pixel(tmp_path: Path) -> None:
    np.save(tmp_path / "ids.npy", np.arange(12).reshape(2, 6))
    assert read_ids(tmp_path / "ids.npy", (4, 6))[:, 0].tolist() == [0, 0, 6, 6]
    np.save(tmp_path / "ids.npy", [[0, 1, 1, 1, 2, 1]])
    # The middles of two halves of six columns lie in columns 1 and 4.
    assert read_ids(tmp_path / "ids.npy", (1, 2)).tolist() == [[0, 1]]
    np.save(tmp_path / "ids.npy", [[0, 1, 1, 1, 1, 2]])
    assert read_ids(tmp_path / "ids.npy", (1, 2)).tolist() == [[0, 0]]


def test_bad_files_are_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "ids.npy"
    with pytest.raises(InputError, match="no superpixel file"):
        read_ids(path, (2, 4))
    for wrong in (IDS.astype(float), IDS[0], IDS[:0], np.array([[{}]], dtype=object)):
        np.save(path, wrong, allow_pickle=True)
        with pytest.raises(InputError, match=r"ids\.npy is not a readable \.npy or \.png"):
            read_ids(path, (2, 4))
    np.save(path, np.zeros((500, 500), dtype=np.int64))
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(InputError, match="restore the file"):
        read_ids(path, (2, 4))
    (tmp_path / "ids.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(InputError, match="restore the file"):
        read_ids(tmp_path / "ids.png", (2, 4))
    Image.new("L", (4, 2)).save(tmp_path / "photo.jpg")
    (tmp_path / "photo.jpg").rename(tmp_path / "photo.png")
    with pytest.raises(InputError, match="restore the file"):
        read_ids(tmp_path / "photo.png", (2, 4))


def test_a_file_that_declares_more_than_it_holds_takes_no_memory(tmp_path: Path) -> None:
    header = b"{'descr': '<i8', 'fortran_order': False, 'shape': (1000000, 1000000), }"
    header += b" " * (118 - 1 - len(header)) + b"\n"
    (tmp_path / "ids.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(InputError, match="restore the file"):
        read_ids(tmp_path / "ids.npy", (2, 4))
