"""A Git-LFS pointer is known by its first line."""

from __future__ import annotations

import pytest

from plait.pairs.lfs import LFS_POINTER, lfs_pointer

POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
    b"size 12345\n"
)


def test_a_pointer_of_the_specification_is_known_whole_and_by_its_first_40_bytes():
    assert lfs_pointer(POINTER)
    assert lfs_pointer(POINTER[:40])


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\xff\xd8\xff\xe0 a JPEG",
        bytes(128) + b"DICM",
        b"version 2 of the report",
        b"oid sha256:00\nversion https://git-lfs.github.com/spec/v1\n",
        b" " + POINTER,
    ],
    ids=["empty", "jpeg", "dicom", "another text", "keys out of order", "a blank first"],
)
def test_other_files_are_not(head: bytes):
    assert not lfs_pointer(head)


def test_what_is_said_of_it_names_the_command_that_fetches_the_file():
    assert "git lfs pull" in LFS_POINTER
