"""Every shared DICOM file against what independent programs made of it.

``python -m tests.medical.exactness`` prints the table.

``expected.json`` holds pydicom's values (cross-checked with DCMTK where it can convert), ``display_dcmtk`` DCMTK's
renderings.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.uid import UID

from plait_medical.dicom import Film, UnreadableFilm, read_film
from plait_medical.dicom.decoders import decoded
from plait_medical.dicom.elements import read_elements
from plait_medical.dicom.image_pixel import image_pixel


class Exactness(NamedTuple):
    """What became of one file; ``None`` where there is nothing to compare with.

    Attributes:
        file: its name without suffix.
        syntax: the transfer syntax's name.
        outcome: "read", or why it was refused.
        raw: whether the decoded values have the expected hash, refused files that can be decoded included.
        modality: whether minimum, maximum and mean after the modality LUT are the expected ones.
        voi: the same after VOI LUT or window.
        display: correlation of the grey levels with DCMTK's rendering.
        levels: the largest difference from it, in levels of 255.
        notes: what was assumed.
    """

    file: str
    syntax: str
    outcome: str
    raw: bool | None
    modality: bool | None
    voi: bool | None
    display: float | None
    levels: float | None
    notes: tuple[str, ...]


def exactness(folder: Path) -> Iterator[Exactness]:
    """Compare each file of a folder that has ``expected.json``, ``files`` and ``display_dcmtk``."""
    for entry in json.loads((folder / "expected.json").read_text()):
        path, expected = folder / entry["file"], entry["expected"]
        syntax = UID(expected["TransferSyntaxUID"] or "").name or "none given"
        try:
            film = read_film(path)
        except UnreadableFilm as refusal:
            outcome, known = str(refusal).removeprefix(f"{path} "), expected.get("raw")
            raw = None if known is None else _hash(_decoded(path)) == known["sha256_16"]
            yield Exactness(path.stem, syntax, outcome, raw, None, None, None, None, ())
            continue
        raw = _hash(film.stored) == expected["raw"]["sha256_16"]
        modality = _like(film.modality, expected.get("after_modality"), 1e-4)
        voi = _after_voi(film, expected)
        picture = folder / "display_dcmtk" / f"{path.stem}.png"
        display = levels = None
        if picture.is_file():
            rendered = np.asarray(Image.open(picture).convert("L")) / 255
            display = float(np.corrcoef(film.pixels.ravel(), rendered.ravel())[0, 1])
            levels = float(np.abs(film.pixels - rendered).max() * 255)
        yield Exactness(path.stem, syntax, "read", raw, modality, voi, display, levels, film.notes)


def _decoded(path: Path) -> NDArray[Any]:
    dataset, syntax = read_elements(path, [])
    return decoded(dataset, syntax, image_pixel(dataset, []), [])


def _hash(values: NDArray[Any]) -> str:
    little_endian = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<")))
    return hashlib.sha256(little_endian.tobytes()).hexdigest()[:16]


def _like(values: NDArray[Any], expected: Mapping[str, Any] | None, tolerance: float) -> bool | None:
    if expected is None:
        return None
    found = {"min": values.min(), "max": values.max(), "mean": values.mean(dtype=np.float64)}
    return all(abs(float(value) - expected[name]) < tolerance for name, value in found.items())


def _after_voi(film: Film, expected: Mapping[str, Any]) -> bool | None:
    """Our grey levels, not yet inverted, in the range in which pydicom gives its values after the VOI LUT."""
    values = 1 - film.pixels.astype(np.float64) if film.header.inverted else film.pixels.astype(np.float64)
    bits, low = expected.get("BitsStored", 0), 0
    if expected.get("VOILUTSequence"):
        bits = 16
    elif "WindowWidth" not in expected:
        return _like(film.modality, expected.get("after_voi"), 1e-4)
    elif expected["PixelRepresentation"]:
        low = -(2 ** (bits - 1))
    slope, intercept = float(expected.get("RescaleSlope", 1)), float(expected.get("RescaleIntercept", 0))
    values = (low + values * (2**bits - 1)) * slope + intercept
    return _like(values, expected.get("after_voi"), 2e-7 * 2**bits * slope + 1e-4)


def _main() -> None:
    print("| file | transfer syntax | outcome | raw | modality | VOI | correlation with DCMTK | levels of 255 apart |")
    print("|---|---|---|---|---|---|---|---|")
    words = {True: "equal", False: "**differs**", None: ""}
    for row in exactness(Path(__file__).parents[3] / "shared" / "data" / "medical" / "dicom"):
        notes = "; ".join(row.notes)
        checks = (words[row.raw], words[row.modality], words[row.voi])
        display = ("", "") if row.display is None else (f"{row.display:.6f}", f"{row.levels:.2f}")
        outcome = f"{row.outcome} ({notes})" if notes else row.outcome
        print("|", " | ".join((row.file, row.syntax, outcome, *checks, *display)), "|")


if __name__ == "__main__":
    _main()
