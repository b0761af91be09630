"""Lookup tables (PS3.3 C.11.1.1 and C.11.2.1.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait_medical.dicom.elements import RefusalError


@dataclass(frozen=True)
class Lut:
    """A table of values.

    Attributes:
        first: the value that the first entry stands for; lower values take it too, and higher ones than the last the
            last entry.
        entries: (N,) uint16.
        white: the highest value that an entry can have.
    """

    first: int
    entries: NDArray[np.uint16]
    white: int

    def __call__(self, values: NDArray[Any]) -> NDArray[np.uint16]:
        """Look values up.

        pydicom's own ``apply_voi`` counts its index in the type of the entries, so that 12-bit values wrap around
        in a LUT with 8-bit entries.
        """
        index = np.clip(np.rint(values), self.first, self.first + len(self.entries) - 1).astype(np.int64) - self.first
        return self.entries[index]


def read_lut(table: tuple[Any, Any], big_endian: bool, signed: bool, notes: list[str]) -> Lut:
    """Read a lookup table.

    Args:
        table: the values of its descriptor and of its data.
        big_endian: the byte order of its words.
        signed: whether the values that are looked up can be negative.
        notes: what is assumed is added to these.

    Raises:
        RefusalError: the table is missing, or shorter than it says.
    """
    descriptor, data = _words(table[0], big_endian), table[1]
    if len(descriptor) != 3 or data is None:
        raise RefusalError("has a LUT without descriptor or data: export the film again.")
    count, first, bits = int(descriptor[0]) or 2**16, int(descriptor[1]), int(descriptor[2])
    if signed and first >= 2**15:
        first -= 2**16
    entries = _words(data, big_endian)
    if bits <= 8 and isinstance(data, bytes) and len(data) in (count, count + 1):
        entries = entries.astype("<u2").view(np.uint8)  # two entries in a word
    if len(entries) < count:
        raise RefusalError("has a LUT that is shorter than it says: export the film again.")
    entries = entries[:count].astype(np.uint16)
    used = int(entries.max()).bit_length()
    if used != bits:
        notes.append("a LUT's entries use other bits than it says: taken by those in use")
    return Lut(first, entries, 2 ** max(used, 1) - 1)


def _words(value: Any, big_endian: bool) -> NDArray[np.uint16]:
    """Unsigned words from the bytes or the list of numbers, signed or not, that pydicom gives."""
    if isinstance(value, bytes):
        return np.frombuffer(value[: len(value) // 2 * 2], dtype=">u2" if big_endian else "<u2")
    numbers = np.atleast_1d(np.asarray([] if value is None or value == "" else value, dtype=np.int64))
    return (numbers & 0xFFFF).astype(np.uint16)
