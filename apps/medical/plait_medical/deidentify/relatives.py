"""Which films a report belongs to, so that the names in their headers can be looked for in its words."""

from __future__ import annotations

from pathlib import Path

from plait_medical.deidentify.film_file import parsed
from plait_medical.deidentify.header import identifiers, identity

_SUFFIXES = (".dcm", ".dicom", ".ima", ".txt")


class Relatives:
    """The films of a folder tree by what ties them to reports.

    Args:
        files: all files of the tree.
    """

    def __init__(self, files: list[Path]) -> None:
        self._named: dict[str, list[Path]] = {}
        self._inside: dict[Path, list[Path]] = {}
        self._of_folder: dict[Path, set[str]] = {}
        for path in files:
            if path.suffix.lower() != ".txt" and not path.is_symlink():
                self._named.setdefault(stem(path.name), []).append(path)
                self._inside.setdefault(path.parent, []).append(path)

    def identifiers(self, report: Path) -> set[str]:
        """What the headers of a report's films say of its patient.

        Its films are those of its own name; else those in the folder of its name (as in MIMIC-CXR); else those beside
        it, where all are of one patient.
        """
        if report.stem in self._named:
            return set[str]().union(*(found for _, found in _read(self._named[report.stem])))
        folder = report.with_suffix("") if report.with_suffix("") in self._inside else report.parent
        if folder not in self._of_folder:
            read = _read(self._inside.get(folder, []))
            one_patient = len({patient for patient, _ in read}) == 1
            self._of_folder[folder] = set[str]().union(*(found for _, found in read)) if one_patient else set()
        return self._of_folder[folder]


def stem(name: str) -> str:
    """A file's name without the suffixes of films and reports; a UID keeps its last number."""
    suffix = Path(name).suffix
    return name.removesuffix(suffix) if suffix.lower() in _SUFFIXES else name


def _read(films: list[Path]) -> list[tuple[str, set[str]]]:
    """The patient of each film that can be read, and the identifiers in its header."""
    read: list[tuple[str, set[str]]] = []
    for film in films:
        try:
            dataset = parsed(film, pixels=False)
            read.append((identity(dataset), identifiers(dataset)))
        except Exception:  # noqa: BLE001, S112 - damaged in whatever way, it tells no names; it is refused in its turn
            continue
    return read
