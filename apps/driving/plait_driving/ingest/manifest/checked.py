"""What a user wrote into a YAML file, checked key by key; every error names the file, the place in it and the mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from plait.errors import InputError
from plait_driving.geometry import Array

_LONGEST = 2**20


def read_yaml(path: Path) -> Any:
    """The content of a YAML file of at most a megabyte; raises `InputError`."""
    try:
        if path.stat().st_size > _LONGEST:
            raise InputError(f"{path} has more than {_LONGEST:,} bytes: it is no manifest.")
        content = path.read_text(encoding="utf-8")
        _check_keys(yaml.compose(content, yaml.SafeLoader), path)
        return yaml.safe_load(content)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{path} is not readable YAML ({' '.join(str(error).split())}): correct it.") from error


def _check_keys(root: yaml.Node | None, path: Path) -> None:
    """Refuse keys that are there twice, and aliases.

    YAML keeps the last of two equal keys, and a sensor that was copied but not renamed would be lost. Aliases of
    aliases grow a file of a kilobyte to gigabytes once it is written out.
    """
    nodes, seen = [root], set[int]()
    while nodes:
        node = nodes.pop()
        if node is not None and id(node) in seen:
            line = node.start_mark.line + 1
            raise InputError(f"{path}, line {line}: it is repeated by an alias (*name): write it out at each place.")
        if isinstance(node, yaml.SequenceNode):
            nodes += node.value
        elif isinstance(node, yaml.MappingNode):
            keys = [str(key.value) for key, _ in node.value]
            for place, (key, value) in enumerate(node.value):
                if str(key.value) in keys[:place]:
                    line = key.start_mark.line + 1
                    raise InputError(f"{path}, line {line}: the key '{key.value}' is there twice: rename one of them.")
                nodes.append(value)
        seen.add(id(node))


def table(value: Any, where: str, needed: Iterable[str], optional: Iterable[str] = ()) -> dict[str, Any]:
    """A mapping that has the ``needed`` keys, and none but those and the ``optional`` ones."""
    found = names(value, where)
    needed = tuple(needed)
    known = (*needed, *optional)
    for key in found:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f" (is it '{near[0]}'?)" if near else ""
            raise InputError(f"{where} has no key '{key}'{hint}: choose from {', '.join(known)}.")
    for key in needed:
        if key not in found:
            raise InputError(f"{where} lacks '{key}': add it.")
    return found


def names(value: Any, where: str) -> dict[str, Any]:
    """A mapping with at least one name, whatever its names are."""
    if not isinstance(value, dict) or not value:
        raise InputError(f"{where} is {_short(value)}: write 'name: value' lines below it.")
    return {str(key): entry for key, entry in value.items()}


def text(value: Any, where: str) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value:
        raise InputError(f"{where} is {_short(value)}: give a text.")
    return value


def choice(value: Any, where: str, choices: Iterable[str]) -> str:
    """One of some words."""
    if value not in (known := tuple(choices)):
        near = difflib.get_close_matches(str(value), known, n=1)
        hint = f" (is it '{near[0]}'?)" if near else ""
        raise InputError(f"{where} is {_short(value)}{hint}: choose from {', '.join(known)}.")
    return str(value)


def positive(value: Any, where: str) -> float:
    """A number above zero."""
    number = float(numbers(value, where))
    if number <= 0:
        raise InputError(f"{where} is {number:g}: give a number above 0.")
    return number


def numbers(value: Any, where: str, *shape: int) -> Array:
    """Finite numbers of a shape; none means a single number."""
    kind = " x ".join(map(str, shape)) + " numbers" if shape else "a number"
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where} is {_short(value)}: give {kind}.") from error
    if array.shape != shape or not np.isfinite(array).all():
        raise InputError(f"{where} is {_short(value)}: give {kind}.")
    return array


def _short(value: Any) -> str:
    written = "empty" if value in (None, "", {}, []) else str(value)
    return written if len(written) <= 60 else f"{written[:57]}..."
