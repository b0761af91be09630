"""Which attribute is removed, emptied, replaced, mapped, shifted or kept: DICOM PS3.15 Table E.1-1.

``profile.csv`` is that table as of 2026c: tag, keyword, action of the Basic Profile, and what the options Retain UIDs
(K) and Retain Longitudinal Temporal Information with Modified Dates (C) put in its place. Facts of the standard;
checked against two independent programs that read the table from NEMA's pages (dicom-anonymizer 2.1.0, idiscore 1.2.0).

Where the table leaves a choice to the attribute's type (X/Z, Z/D, X/D, X/Z/D, X/Z/U*), a film's is taken: in the CR,
DX, mammography and secondary capture objects these attributes are of type 2 or 3, so that Z is enough where it is
offered and X is where it is not. Note 4 of E.1.1 asks de-identifiers to look beyond the table, since the standard
grows: what it does not list is decided by value representation, and unknown attributes are removed.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag
from pydicom.tag import BaseTag

type Action = Literal["X", "Z", "D", "U", "C", "S", "K"]
"""Remove, empty, replace by a dummy, map UIDs, clean text, shift dates, keep."""

TEMPORAL = ("DA", "DT", "TM")
_BEYOND_THE_TABLE: dict[str, Action] = {
    "PN": "D", "DA": "D", "DT": "D", "TM": "D", "UR": "D", "UI": "U", "UN": "X",
    "AE": "C", "CS": "C", "SH": "C", "LO": "C", "ST": "C", "LT": "C", "UC": "C", "UT": "C",
}  # fmt: skip
# What kind of object or encoding something is, also where a vendor gave the UID out.
_CLASS = re.compile("SOPClass|TransferSyntax")
# Not in the table, since a de-identifier may add them to hold what it took away (E.1.1, step 1).
_ENCRYPTED_ATTRIBUTES = 0x04000500


@dataclass(frozen=True)
class Options:
    """What is retained beyond the Basic Profile.

    Attributes:
        dates: dates stay, shifted by one number of days for each patient; else they are removed.
        uids: UIDs stay; else they are mapped.
    """

    dates: bool = False
    uids: bool = False


@dataclass(frozen=True)
class _Row:
    action: Action
    dates: bool
    uids: bool


def action(tag: BaseTag, vr: str, options: Options) -> Action:
    """What is to be done with a standard attribute; a private one (PS3.5 section 7.8) is always removed.

    Args:
        tag: its tag.
        vr: the value representation that its file gives it, which need not be the standard's.
        options: what is retained.
    """
    row = _table().get(tag)
    if tag.is_private or tag == _ENCRYPTED_ATTRIBUTES:
        return "X"
    if row is None:
        return _by_vr(tag, vr, options)
    if row.uids and options.uids:
        return "K"
    if row.dates and options.dates and vr in TEMPORAL:
        return "S"
    return row.action


def _by_vr(tag: BaseTag, vr: str, options: Options) -> Action:
    # The dictionary has no repeating groups: curves (50xx) and overlays (60xx) go whole, not only their data.
    if not dictionary_has_tag(tag) or tag.group < 8:
        return "X"
    standard = dictionary_VR(tag)
    # A text that is written as bytes would pass unread.
    if vr != standard and vr.startswith("O") and not standard.startswith(("O", "US", "UN")):
        return "X"
    if options.dates and vr in TEMPORAL:
        return "S"
    if vr == "UI" and (options.uids or _CLASS.search(keyword_for_tag(tag))):
        return "K"
    return _BEYOND_THE_TABLE.get(vr, "K")


@cache
def _table() -> dict[int, _Row]:
    with Path(__file__).with_name("profile.csv").open(encoding="utf-8", newline="") as file:
        return {
            int(row["tag"], 16): _Row(_decided(row["action"]), row["dates"] == "C", row["uids"] == "K")
            for row in csv.DictReader(file)
            if "XX" not in row["tag"]
        }


def _decided(letters: str) -> Action:
    if "U" in letters:
        return "U"
    return "Z" if "Z" in letters else "D" if letters == "D" else "X"
