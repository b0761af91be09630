"""The XML files of Sentinel products (the SAFE format), read with care: they come from outside."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from plait.errors import InputError

_MOST_BYTES = 64 * 2**20


def read_xml(path: Path) -> Element:
    """Parse a metadata file.

    Raises:
        InputError: for a file that is missing, too large, no XML, or that declares entities or a document type, which
            may grow without bound or read other files, and which no product does.
    """
    if not path.is_file():
        raise InputError(f"There is no {path}: fetch the whole product again.")
    stamp = path.stat()
    if stamp.st_size > _MOST_BYTES:
        raise InputError(f"{path} has {stamp.st_size / 2**20:.0f} MiB, too much for metadata: fetch the product again.")
    return _parsed(path, stamp.st_mtime_ns, stamp.st_size)


@lru_cache(maxsize=4)
def _parsed(path: Path, modified: int, size: int) -> Element:  # noqa: ARG001 - the stamp is part of the key
    text = path.read_bytes()
    # UTF-16 could hide a declaration from the look; its letters have null bytes between them.
    if b"\0" in text or b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise InputError(
            f"{path} declares a document type or entities, or holds null bytes, as no product does: leave it out."
        )
    try:
        return ElementTree.fromstring(text)  # noqa: S314 - bounded, and without entities
    except ElementTree.ParseError as error:
        raise InputError(f"{path} is damaged ({error}): fetch the product again.") from error
