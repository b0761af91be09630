"""The verbs that only the medical app has."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from plait.cli import Subparsers, add_verb


def add_verbs(verbs: Subparsers) -> None:
    """Add their parsers; nothing heavy is imported before one runs."""
    clean = add_verb(verbs, "deidentify", "copy films and reports without what says who the patient is (DICOM PS3.15)")
    clean.add_argument("root", metavar="IN", type=Path, help="folder of DICOM files and .txt reports")
    clean.add_argument("out", metavar="OUT", type=Path, help="folder to write, apart from IN")
    clean.add_argument("--key", type=Path, help="secret behind the pseudonyms, made if absent; needed to go on later")
    clean.add_argument("--audit", type=Path, help="what became of every file (OUT.audit.jsonl); not to be shared")
    clean.add_argument("--retain-dates", choices=("removed", "shifted"), default="removed",
                       help="shifted: by one number of days for each patient (removed)")  # fmt: skip
    clean.add_argument("--retain-uids", action="store_true", help="keep UIDs instead of mapping them")
    clean.set_defaults(run_verb=deidentify)


def deidentify(
    root: Path,
    out: Path,
    key: Path | None,
    audit: Path | None,
    retain_dates: Literal["removed", "shifted"],
    retain_uids: bool,
) -> int:
    """Run ``plait medical deidentify``; gives back 1 where nothing could be cleaned."""
    from plait_medical import deidentify as room

    options = room.Options(dates=retain_dates == "shifted", uids=retain_uids)
    summary = room.deidentify(root, out, key=key, audit=audit, options=options)
    print(summary)
    if summary.outcomes["cleaned"] or summary.outcomes["quarantined"]:
        return 0
    print(f"nothing under {root} could be cleaned: it takes DICOM films and .txt reports, and no PNG, JPEG or PDF")
    return 1
