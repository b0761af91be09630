"""What a compressed picture says of itself, read before it is decoded."""

from __future__ import annotations

from typing import NamedTuple

from plait_medical.dicom.elements import RefusalError


class Codestream(NamedTuple):
    """The size and the depth that a compressed picture was written with."""

    rows: int
    columns: int
    samples: int
    precision: int


def jpeg(frame: bytes) -> Codestream:
    """Read the frame header of JPEG (ITU-T T.81 B.2.2) and of JPEG-LS (T.87 C.2.2), which is built alike."""
    place = frame.find(b"\xff\xd8") + 2
    while place >= 2 and place + 9 < len(frame):
        if frame[place] != 0xFF:
            break
        marker = frame[place + 1]
        if marker in (0xC0, 0xC1, 0xC2, 0xC3, 0xF7):
            precision, rows, columns, samples = (
                frame[place + 4],
                int.from_bytes(frame[place + 5 : place + 7]),
                int.from_bytes(frame[place + 7 : place + 9]),
                frame[place + 9],
            )
            return Codestream(rows, columns, samples, precision)
        # A marker may be preceded by fill bytes; every other segment here has a length.
        place += 1 if marker == 0xFF else 2 + int.from_bytes(frame[place + 2 : place + 4])
    raise RefusalError("has compressed pixels that do not begin like JPEG: export the film again.")


def jpeg_2000(frame: bytes) -> Codestream:
    """Read the size marker of JPEG 2000 (ITU-T T.800 A.5.1), bare or in a JP2 box, and of HTJ2K."""
    place = frame.find(b"\xff\x4f\xff\x51")
    size = frame[place + 4 : place + 44]
    if place < 0 or len(size) < 40:
        raise RefusalError("has compressed pixels that do not begin like JPEG 2000: export the film again.")
    right, bottom, left, top = (int.from_bytes(size[start : start + 4]) for start in (4, 8, 12, 16))
    return Codestream(bottom - top, right - left, int.from_bytes(size[36:38]), (size[38] & 0x7F) + 1)
