"""What ingest finds out about a study: how its films were stored, what its report says, and what a person should see.

Each film is decoded once, and everything is taken from that. What is found is columns of the row, counts, and remarks
that quote neither header nor report. A prior film is another row's film: it is read, and looked at in its own row.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait.pairs.batch import Sample
from plait.pairs.examine import Examined
from plait.pairs.layout import Row
from plait.pairs.lfs import LFS_POINTER
from plait.pairs.table import file_in
from plait_medical.burned_in import suspected_text
from plait_medical.cache import content_hash
from plait_medical.film import Film
from plait_medical.fit import fitted
from plait_medical.ingest.report_columns import SECTIONS
from plait_medical.load import FILMS, Loader, levels_of, open_film, tensor
from plait_medical.phi import phi_hits
from plait_medical.reports import Report, parse_report

STORED = ("transfer_syntax", "photometric", "bits_stored", "inverted")
"""What becomes a column of a DICOM film's header."""
BURNED_IN = "a film's header says that its pixels show who the patient is: mask them before anybody else sees them"
TEXT_SUSPECTED = "a film seems to show text: see whether it tells who the patient is"
PHI_SUSPECTED = "the report seems to tell who the patient is: read it, or run 'plait medical deidentify'"
_LEGIBLE = 512
"""Pixels of the longer side at which text in films is looked for."""


@dataclass
class _Found:
    """What has been found so far in a row; the attributes are those of `Examined`."""

    sample: Sample = field(default_factory=dict[str, Any])
    lost: dict[str, str] = field(default_factory=dict[str, str])
    columns: dict[str, Any] = field(default_factory=dict[str, Any])
    remarks: list[str] = field(default_factory=list[str])
    noted: Counter[str] = field(default_factory=Counter[str])

    def suspect(self, remark: str, name: str) -> None:
        self.noted[name] += 1
        if remark not in self.remarks:
            self.remarks.append(remark)


def examine(row: Row, root: Path) -> Examined:
    """Read the films and the report of a study.

    Returns:
        For every film that can be read its tensor as `Loader` gives it, and the column ``sha256_<name>``. Of the
        frontal film, where it is DICOM, the columns `STORED` and ``notes``; ``burned_in`` of frontal and lateral,
        whether either says or seems to show text. Of the report ``finding_<name>`` (present, absent or uncertain),
        ``finding_rules`` and ``phi_hits``, the number of suspected identifiers.
    """
    found = _Found()
    for name in FILMS:
        if row.get(name) is not None:
            try:
                path = file_in(root, row[name])
                film = open_film(path)
            except InputError as error:
                found.lost[name] = str(error)
                found.noted["Git-LFS pointers"] += LFS_POINTER in str(error)
            else:
                found.sample[name] = tensor(levels_of(film.pixels, Loader().image_size))
                found.columns[f"sha256_{name}"] = content_hash(path)
                _see(film, name, found)
    if row.get("report") is not None:
        found.sample["report"] = row["report"]
        _read(row, found)
    elif "report" in row:
        found.noted["studies without report"] += 1
    return Examined(found.sample, found.lost, found.columns, found.remarks, +found.noted)


def _see(film: Film, name: str, found: _Found) -> None:
    header = film.header
    if name == "prior":
        return
    if name == "image" and header.transfer_syntax is not None:
        found.columns |= {column: getattr(header, column) for column in STORED} | {"notes": list(film.notes)}
    found.noted["lateral films"] += name == "lateral"
    found.noted["inverted films"] += header.inverted
    found.noted.update(film.notes)
    burned_in, text = bool(header.burned_in_annotation), bool(suspected_text(_legible(film.pixels)))
    if burned_in:
        found.suspect(BURNED_IN, "films with burned-in annotation")
    elif text:
        found.suspect(TEXT_SUSPECTED, "films with suspected text")
    found.columns["burned_in"] = found.columns.get("burned_in", False) or burned_in or text


def _legible(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    return fitted(pixels, _LEGIBLE) if max(pixels.shape) > _LEGIBLE else pixels


def _read(row: Row, found: _Found) -> None:
    sections = {name: row[name] for name in SECTIONS if row.get(name)}
    report = Report.of_sections(sections) if sections else parse_report(row["report"])
    found.columns |= {f"finding_{name}": state for name, state in report.findings.items()}
    rules = dict.fromkeys(f"{said.finding}: {said.state} by {said.rule}" for said in report.evidence)
    found.columns["finding_rules"] = list(rules)
    hits = [hit for text in (sections.values() or [row["report"]]) for hit in phi_hits(text)]
    found.columns["phi_hits"] = len(hits)
    if hits:
        found.suspect(PHI_SUSPECTED, "reports with suspected identifiers")
        found.noted.update(f"suspected identifiers: {hit.kind}" for hit in hits)
