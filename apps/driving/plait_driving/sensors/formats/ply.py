"""Stanford's ``.ply`` files: ascii, and binary of both byte orders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from plait_driving.sensors.formats.columns import MOST_BYTES, parse_columns, sweep_of
from plait_driving.sensors.sweep import Sweep

_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip
_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_LONGEST_HEADER = 2**16


@dataclass(frozen=True)
class Header:
    """The vertices that a file says it has: their properties, their number, and where they begin."""

    properties: list[tuple[str, str]]
    number: int
    order: str
    start: int


def read_ply(path: Path, columns: str = "") -> Sweep:
    """The vertices of a ``.ply`` file; raises ValueError for a header that declares more than the file holds."""
    content = path.read_bytes()
    header = _header(content)
    row = np.dtype([(name, f"{header.order or '<'}{kind}") for name, kind in header.properties])
    body = content[header.start :]
    if not header.order:
        needed = header.number * len(header.properties)
        words = body.split(maxsplit=needed)
        if len(words) < needed:
            raise ValueError(f"it ends after {len(words):,} of the {needed:,} numbers of its vertices")
        values = np.array(words[:needed], dtype=np.float64).reshape(header.number, len(header.properties))
        table = {name: values[:, place] for place, (name, _) in enumerate(header.properties)}
        return sweep_of(table, parse_columns(columns))
    needed = header.number * row.itemsize
    if len(body) < needed:
        raise ValueError(f"it ends after {len(body):,} of the {needed:,} bytes of its vertices")
    rows = np.frombuffer(body[:needed], dtype=row)
    return sweep_of({name: rows[name] for name, _ in header.properties}, parse_columns(columns))


def _header(content: bytes) -> Header:
    end = content.find(b"end_header", 0, _LONGEST_HEADER)
    start = content.find(b"\n", end) + 1
    if not content.startswith(b"ply") or end < 0 or not start:
        raise ValueError("it does not begin with a ply header")
    order, number, elements = "", -1, 0
    properties: list[tuple[str, str]] = []
    for line in content[:end].decode("ascii").splitlines()[1:]:
        match line.split():
            case ["format", name, *_] if name in _ORDERS:
                order = _ORDERS[name]
            case ["element", name, count]:
                elements += 1
                if name == "vertex" and elements == 1:
                    number = int(count)
            case ["property", kind, name] if kind in _TYPES:
                properties += [(name, _TYPES[kind])] if elements == 1 else []
            case ["property", "list", *_] if elements > 1:
                pass
            case ["comment" | "obj_info", *_] | []:
                pass
            case _:
                raise ValueError(f"its header says '{line[:60]}', which is not known")
    if number < 0:
        raise ValueError("its first element is not vertex")
    if not properties or number * 8 * len(properties) > MOST_BYTES:
        raise ValueError(f"its header declares {number:,} vertices with {len(properties)} properties")
    return Header(properties, number, order, start)
