"""The films of one study, and the studies of one patient: which film is the frontal one, and which came before.

A chest study is usually one frontal film, often with a lateral. Their headers say so in ViewPosition, or a data set in
a column of its own; both are often empty, and ViewPosition is sometimes wrong (of 253 laterals of the Indiana
collection 106 say PA), so that a layout passes on the better of the two.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from plait.pairs.layout import Row

_FRONTAL = ("PA", "AP", "FRONTAL")
"""The best first: a heart looks larger in AP than it is."""
_LATERAL = frozenset({"LATERAL", "LAT", "LL", "RL", "L"})
# Oblique, decubitus, lordotic, rib and swimmer's views are neither, whatever else their position says: PA LLD.
_NEITHER = frozenset(
    {"OBLIQUE", "LAO", "RAO", "LPO", "RPO", "LLO", "RLO", "DECUBITUS", "DECUB", "LLD", "RLD", "AXIAL", "LORDOTIC"}
    | {"COSTAL", "SWIMMER", "SWIMMERS"}
)
_KNOWN = _LATERAL.union(_FRONTAL, _NEITHER)
# At the end of a name only: "pa_017" is a patient, "017_pa" a view.
_HINT = re.compile(r"(?:^|[^a-z])(pa|ap|lat|lateral|frontal)$", re.IGNORECASE)


@dataclass(frozen=True)
class View:
    """One film of a study.

    Attributes:
        path: the film's file, relative to the data's root.
        position: DICOM ViewPosition (PA, AP, LL, RL, LATERAL, ...) or the data set's own word (Frontal, AP Supine).
        laterality: DICOM ImageLaterality; L or R means that half a chest is shown, B, U and ``None`` all of it.
    """

    path: str
    position: str | None = None
    laterality: str | None = None


def projection(film: View) -> Literal["frontal", "lateral"] | None:
    """Tell a frontal from a lateral film; ``None`` where it is neither, or where nothing says what it is."""
    words = set(_words(film))
    if words & _NEITHER:
        return None
    frontal, lateral = not words.isdisjoint(_FRONTAL), not words.isdisjoint(_LATERAL)
    if frontal == lateral:  # nothing is said, or the picture shows both
        return None
    return "frontal" if frontal else "lateral"


def study_row(films: Sequence[View]) -> Row:
    """Choose the primary frontal and the lateral film of a study.

    PA goes before AP, a plain position before a qualified one (AP before AP SUPINE), a whole chest before half of one,
    the first before the second. Where no film is called frontal, the first of which nothing is said is taken for it.

    Returns:
        ``image`` and ``lateral`` (paths or ``None``), ``view`` (the position of ``image`` in capitals, or ``None``)
        and ``views`` (the paths of all films).
    """
    frontals = [film for film in films if projection(film) == "frontal"]
    laterals = [film for film in films if projection(film) == "lateral"]
    unsaid = [film for film in films if _KNOWN.isdisjoint(_words(film))]
    image = min(frontals, key=_rank) if frontals else unsaid[0] if unsaid else None
    lateral = min(laterals, key=lambda film: len(_words(film)), default=None)
    return {
        "image": image.path if image else None,
        "lateral": lateral.path if lateral else None,
        "view": " ".join(_words(image)) if image and frontals else None,
        "views": [film.path for film in films],
    }


def with_priors(rows: Iterable[Row], order: str = "time") -> Iterator[Row]:
    """Give every row ``prior`` and ``prior_id``: the frontal film and the id of the patient's last study before it.

    Studies of one time, and those of unknown time, are not before each other; a study without a frontal film is
    nobody's prior.

    Args:
        rows: the rows of a layout, with ``id``, ``group``, ``image`` and ``order``.
        order: the column that tells what came first: an ISO day, or a number where the data set gives one instead
            (a follow-up's, a study's, days since onset).
    """
    rows = list(rows)
    studies: dict[str, list[Row]] = {}
    for row in rows:
        if row[order] is not None and row["image"] is not None:
            studies.setdefault(row["group"], []).append(row)
    for of_patient in studies.values():
        of_patient.sort(key=lambda row: row[order])
    for row in rows:
        of_patient = studies.get(row["group"], []) if row[order] is not None else []
        before = bisect_left(of_patient, row[order], key=lambda study: study[order])
        prior = of_patient[before - 1] if before else None
        yield row | {"prior": prior["image"] if prior else None, "prior_id": prior["id"] if prior else None}


def _words(film: View) -> list[str]:
    """The words of the position, or else of what the file's name ends in."""
    words = re.findall(r"[A-Z]+", (film.position or "").upper())
    if _KNOWN.isdisjoint(words) and (hint := _HINT.search(PurePosixPath(film.path).stem)):
        return [hint[1].upper()]
    return words


def _rank(frontal: View) -> tuple[bool, int, bool]:
    """What makes a frontal film less fit to stand for its study, the worst first."""
    words = _words(frontal)
    return (
        len(words) > 1,
        min(_FRONTAL.index(word) for word in words if word in _FRONTAL),
        frontal.laterality in ("L", "R"),
    )
