"""A JSON array of records, read one record at a time: a file of gigabytes takes the memory of a chunk."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from plait.errors import InputError

CHUNK = 2**20
"""Characters that are read at a time."""
LONGEST = 2**24
"""Characters of the longest record that is taken for one."""
_OPENS = re.compile(r"\s*\[\s*")
_GOES_ON = re.compile(r"\s*([,\]])\s*")
_BLANK = re.compile(r"\s*")


def records(path: Path, chunk: int = CHUNK) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON array of objects.

    Raises:
        InputError: where the file is no such array, is damaged, or ends early. Records before that place have been
            yielded by then.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from _records(file, path, chunk)
    except FileNotFoundError as error:
        raise InputError(f"There is no {path}: fetch it again.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}): fetch it again.") from error


def _records(file: TextIO, path: Path, chunk: int) -> Iterator[dict[str, Any]]:
    decode = json.JSONDecoder().raw_decode
    text = file.read(chunk)
    while not text.strip() and (more := file.read(chunk)):
        text = more
    opened = _OPENS.match(text)
    if opened is None:
        raise InputError(f"{path} is not a JSON array of records: it is another file, or damaged.")
    at, number, closes = opened.end(), 0, "]"  # an array may be empty; after a comma it may not close
    while True:
        blank = _BLANK.match(text, at)
        at = blank.end() if blank else at
        if closes and text.startswith(closes, at):
            return
        try:
            record, at = decode(text, at)
        except RecursionError:
            raise InputError(f"{path}, record {number}, is nested too deeply: the file is damaged.") from None
        except json.JSONDecodeError as error:  # it may go on in the next chunk
            more = file.read(chunk)
            if not more or len(text) - at > LONGEST:
                raise InputError(f"{path} breaks off or is damaged in record {number} ({error.msg}).") from error
            text, at = text[at:] + more, 0
            continue
        if not isinstance(record, dict):
            raise InputError(f"{path}, record {number}, is {json.dumps(record)[:40]}, not an object in braces.")
        yield record
        number, closes = number + 1, ""
        while (goes_on := _GOES_ON.match(text, at)) is None:
            more = "" if text[at:].strip() else file.read(chunk)
            if not more:
                raise InputError(f"{path} breaks off or is damaged after record {number - 1}: fetch it again.")
            text, at = more, 0
        if goes_on[1] == "]":
            return
        at = goes_on.end()
