"""Git-LFS pointers: the small text files that a clone holds where Git LFS did not fetch the real ones."""

from __future__ import annotations

_VERSION = b"version https://git-lfs.github.com/spec/"

LFS_POINTER = "is a Git-LFS pointer and not the file itself: run 'git lfs pull' in the data's folder"
"""What is said of a pointer, after its file's name."""


def lfs_pointer(head: bytes) -> bool:
    """Whether a file that begins with ``head`` (40 bytes or more) is a pointer.

    The key ``version`` with this address comes first in every pointer (github.com/git-lfs/git-lfs, docs/spec.md).
    """
    return head.startswith(_VERSION)
