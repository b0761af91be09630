"""A folder of films and reports, cleaned into another one."""

from __future__ import annotations

import hashlib
import os
import stat
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

from plait.errors import InputError
from plait.pairs.lfs import LFS_POINTER, lfs_pointer
from plait.progress import progress
from plait_medical.deidentify.audit import Audit, Entry, Summary
from plait_medical.deidentify.film_file import damaged, encoded, parsed, written
from plait_medical.deidentify.header import by_kind, clean
from plait_medical.deidentify.profile import Options
from plait_medical.deidentify.pseudonyms import Pseudonyms, kept_key, new_key
from plait_medical.deidentify.relatives import Relatives, stem
from plait_medical.deidentify.suspects import suspected_by_header, suspected_by_pixels
from plait_medical.film import UnreadableFilm
from plait_medical.phi import masked, phi_hits

QUARANTINE = "quarantine"
"""The folder in OUT for films that a person has to look at; all else in OUT is cleaned."""

_LONGEST_REPORT = 10_000_000  # bytes
# Folder names that layouts ask for, and that name nobody.
_PLAIN_FOLDERS = ("films", "reports", "images", "files", "dicom")


def deidentify(
    root: Path, out: Path, *, key: Path | None = None, audit: Path | None = None, options: Options | None = None
) -> Summary:
    """Write a cleaned copy of every DICOM film and text report under ``root``; nothing under ``root`` is changed.

    A film and a report of one name get one new name. Films whose pixels may hold text go to ``out/quarantine``.
    What is not a film or a report, or cannot be read, is not copied. A run that was stopped goes on where it was when
    it is called again with the same key, and gives the same files.

    Args:
        root: the input folder; symbolic links in it are not followed.
        out: the output folder, which is not in ``root`` and holds nothing of another job.
        key: the file of the secret that ties pseudonyms to patients, made where it is absent. Without one the secret
            is forgotten at the end: nobody can add to the folder later, or find the way back.
        audit: the JSON lines that say what became of every file; by default ``out`` with ``.audit.jsonl`` beside it.
        options: what is retained beyond the Basic Profile.

    Raises:
        InputError: a path lies where it must not, ``root`` holds no file, or ``out`` is of another job.
    """
    options = options or Options()
    audit = audit or out.with_name(out.name + ".audit.jsonl")
    _check_places(root, out, key, audit)
    _check_fresh(out, key, audit)
    files = sorted(_files(root))
    if not files:
        raise InputError(f"{root} holds no file: give a folder of DICOM films and .txt reports.")
    pseudonyms = Pseudonyms(kept_key(key) if key else new_key())
    job = _Job(root, out, options, pseudonyms, files)
    record = Audit(audit, {"program": f"plait {version('plait')}", "key": pseudonyms.fingerprint, **asdict(options)})
    summary = Summary()
    with progress("de-identify", len(files)) as advance, warnings.catch_warnings():
        # pydicom's warnings quote the values that they warn of.
        warnings.simplefilter("ignore")
        for path in files:
            summary.add(job.do(path, record))
            advance()
    record.close()
    return summary


def _check_places(root: Path, out: Path, key: Path | None, audit: Path) -> None:
    if not root.is_dir():
        raise InputError(f"There is no folder {root}: give the folder of films and reports to clean.")
    source, target = root.resolve(), out.resolve()
    if target.is_relative_to(source) or source.is_relative_to(target):
        raise InputError(f"{out} and {root} lie in one another: give an output folder that is apart from the input.")
    for path, option in ((key, "--key"), (audit, "--audit")):
        if path and any(path.resolve().is_relative_to(folder) for folder in (source, target)):
            raise InputError(f"{path} lies in the input or output folder: keep the {option} apart from both.")


def _check_fresh(out: Path, key: Path | None, audit: Path) -> None:
    """Refuse to mix two jobs: without the key of an earlier one, nothing of it may be there."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is no folder: give a folder to write.")
    if key is not None and key.exists() and audit.exists():
        return
    if out.is_dir() and any(out.iterdir()):
        raise InputError(
            f"{out} is not empty: give an empty folder, or the --key and --audit of the run to go on with."
        )
    if audit.exists():
        raise InputError(f"{audit} is there already: move it away, or give the --key of the run to go on with.")


def _files(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root):
        yield from (Path(folder, name) for name in names)


class _Job:
    """One de-identification: where from, where to, and how."""

    def __init__(self, root: Path, out: Path, options: Options, pseudonyms: Pseudonyms, files: list[Path]) -> None:
        self.root, self.out, self.options, self.pseudonyms = root, out, options, pseudonyms
        self._relatives = Relatives(files)
        self._taken: dict[str, Path] = {}

    def do(self, path: Path, record: Audit) -> Entry:
        """Clean one file, unless an earlier run did; gives back and writes down what became of it."""
        entry = Entry(path.relative_to(self.root).as_posix())
        earlier: Entry | None = None
        try:
            head, digest = _opened(path)
            entry = replace(entry, sha256=digest)
            earlier = record.known(entry.input, digest)
            if earlier is not None and self._stands(earlier):
                return earlier
            entry = self._cleaned(path, head, entry)
        except _RefusedError as refusal:
            entry = replace(entry, cause=str(refusal))
        except UnreadableFilm as error:
            entry = replace(entry, cause=str(error).removeprefix(f"{path} "))
        except OSError as error:
            entry = replace(entry, cause=f"cannot be read or written ({error.strerror}).")
        if entry != earlier:
            record.add(entry)
        return entry

    def _stands(self, earlier: Entry) -> bool:
        """Whether what an earlier run did of a film is there, also where a person took it out of the quarantine.

        Reports are always masked again: a film that came since may know more names.
        """
        places = (earlier.output, earlier.output.removeprefix(f"{QUARANTINE}/"))
        return earlier.output.endswith(".dcm") and any((self.out / place).is_file() for place in places)

    def _cleaned(self, path: Path, head: bytes, entry: Entry) -> Entry:
        is_film = head[128:132] == b"DICM"
        if not is_film and lfs_pointer(head):
            raise _RefusedError(f"{LFS_POINTER}.")
        if not is_film and path.suffix.lower() != ".txt":
            raise _RefusedError("is neither a DICOM file nor a .txt report.")
        target = self._target(path, ".dcm" if is_film else ".txt")
        if self._taken.setdefault(target, path) != path:
            raise _RefusedError("shares its name with another file: rename one of the two.")
        return self._film(path, target, entry) if is_film else self._report(path, target, entry)

    def _film(self, path: Path, target: str, entry: Entry) -> Entry:
        dataset = parsed(path)
        try:
            suspicion = suspected_by_header(dataset) or suspected_by_pixels(path)
            changes = clean(dataset, self.options, self.pseudonyms)
        except UnreadableFilm:
            raise
        except Exception as error:  # a damaged value can raise almost anything, and one film must not stop the rest
            raise damaged(path, error) from error
        output, other = f"{QUARANTINE}/{target}", target
        if not suspicion:
            output, other = other, output
        written(self.out / output, encoded(dataset, path))
        (self.out / other).unlink(missing_ok=True)
        outcome = "quarantined" if suspicion else "cleaned"
        return replace(entry, outcome=outcome, output=output, cause=suspicion or "", changes=by_kind(changes))

    def _report(self, path: Path, target: str, entry: Entry) -> Entry:
        if path.stat().st_size > _LONGEST_REPORT:
            raise _RefusedError(f"has more than {_LONGEST_REPORT:,} bytes: it is no report.")
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise _RefusedError("is not text in UTF-8: convert it.") from error
        known = self._relatives.identifiers(path)
        changes = {"masked": dict(Counter(hit.kind for hit in phi_hits(text, known)))}
        written(self.out / target, masked(text, known).encode())
        return replace(entry, outcome="cleaned", output=target, changes=changes)

    def _target(self, path: Path, suffix: str) -> str:
        """The new path: names are pseudonyms, since they often hold the patient's; equal names stay equal."""
        folders = path.parent.relative_to(self.root).parts
        new = [name if name.lower() in _PLAIN_FOLDERS else self.pseudonyms.name(name) for name in folders]
        return "/".join([*new, self.pseudonyms.name(stem(path.name)) + suffix])


def _opened(path: Path) -> tuple[bytes, str]:
    """The first bytes of an ordinary file, and the SHA-256 of all."""
    if not stat.S_ISREG(path.lstat().st_mode):
        raise _RefusedError("is a link or no ordinary file: put the file itself there.")
    with path.open("rb") as file:
        head = file.read(132)
        file.seek(0)
        return head, hashlib.file_digest(file, "sha256").hexdigest()


class _RefusedError(Exception):
    """Why a file is not copied, without its name."""
