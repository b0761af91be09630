"""JSON files of a data set, read with an error that names them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from plait.errors import InputError


def read_json(path: Path, layout: str) -> Any:
    """Read a JSON file that a layout cannot do without; raises `InputError` where it is missing or damaged."""
    if not path.is_file():
        raise InputError(f"{path.parent} has no {path.name}: it is not a '{layout}' folder, or not all of it.")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, ValueError) as error:
        raise InputError(f"{path} is not valid JSON ({error}): restore the file.") from error
