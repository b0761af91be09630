"""A folder of films and texts that belong together by name: ``films/a.dcm`` with ``reports/a.txt``, or side by side.

Folders may lie in folders. The films of one StudyInstanceUID are one study, with one row; so are the films of a folder
of which a text speaks as a whole: ``s1/pa.png``, ``s1/lateral.png`` with ``s1/report.txt`` or ``reports/s1.txt``. Any
other film is a study of its own. What `plait medical deidentify` put into ``quarantine`` is refused.

Who the patient is decides which rows must never be split. In this order: ``patients.csv`` (columns ``file``, a film or
a folder, and ``patient``), the DICOM PatientID as a hash, the outermost folder, the part of the name before the first
underscore. The column ``group_from`` of each row says which it was. A hash is a pseudonym, not anonymity: whoever has
the list of patient ids can hash them all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Remark, Row
from plait_medical.deidentify.job import QUARANTINE
from plait_medical.dicom import holds_dicom, read_header
from plait_medical.film import SUFFIXES, Header, UnreadableFilm
from plait_medical.ingest.report_columns import report_columns
from plait_medical.ingest.studies import View, projection, study_row, with_priors
from plait_medical.ingest.tables import EMPTY_REPORT, NOT_UTF8, csv_lines, read_text

UNSAID = Remark("nothing says which film of the study is frontal, and the first was taken: name them _pa and _lateral")
HELD = "waits in quarantine for a person: look at it, and move it to the same path outside 'quarantine' if it may stay"
_NO_HEADER = Header(rows=0, columns=0)


@dataclass(frozen=True)
class _Film:
    """A film's ``path`` relative to the root, its ``name`` (see `_name`), what its file says of it, and the patient."""

    path: str
    name: str
    header: Header
    group: str
    group_from: str

    @property
    def folder(self) -> str:
        return self.name.rpartition("/")[0]


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """Yield a row for each study; one without a report has none, a report without a film is refused."""
    paths = _named(root, "films", _is_film, refuse)
    if not paths:
        held = f" but in '{QUARANTINE}'" if (root / QUARANTINE).is_dir() else ""
        raise InputError(
            f"{root} holds no film{held}: put {', '.join(SUFFIXES)} files into it or into {root / 'films'}."
        )
    texts = _named(root, "reports", lambda path: path.suffix.lower() == ".txt", refuse)
    patients = _patients(root / "patients.csv", refuse)
    films = [_film(root, path, name, patients) for name, path in paths.items()]
    return with_priors(_rows(root, films, texts, refuse))


def _rows(root: Path, films: Sequence[_Film], texts: Mapping[str, str], refuse: Refuse) -> Iterator[Row]:
    shared = _shared(films, texts)
    studies: dict[tuple[str, str], list[_Film]] = {}
    for film in films:
        together = film.header.study or (film.folder if film.folder in shared else film.name)
        studies.setdefault((film.group, together), []).append(film)
    claims = [_claim(study, texts, shared) for study in studies.values()]
    claimed = Counter(claims)
    for study, name in zip(studies.values(), claims, strict=True):
        row = _study(study, refuse)
        if row is not None:
            yield row | (_report(root, texts[name], refuse) if name and claimed[name] == 1 else {"report": None})
    named = {film.name for film in films}
    for name, path in texts.items():
        if claimed[name] > 1:
            refuse(path, "lies in a folder of several studies, and was given to none: name it after a film")
        elif claimed[name] == 0 and name in named:
            refuse(path, "is a second text of one study, and the first was taken: put both into one")
        elif claimed[name] == 0:
            refuse(path, "has no film of the same name: add it or rename one of the two.")


def _study(films: Sequence[_Film], refuse: Refuse) -> Row | None:
    """The films of a study as a row without its report; it goes by the name of the film that stands for it."""
    views = [View(film.path, film.header.view, film.header.laterality) for film in films]
    chosen = study_row(views)
    shown = chosen["image"] or chosen["lateral"]
    primary = next((film for film in films if film.path == shown), None)
    if primary is None:
        refuse(films[0].path, "shows neither a frontal nor a lateral chest: it is left out")
        return None
    if len(views) > 1 and not any(projection(view) for view in views):
        refuse(primary.path, UNSAID)
    row: Row = {"id": primary.name, "group": primary.group, "group_from": primary.group_from}
    row |= {"time": primary.header.date, "study": primary.name} | chosen
    return row | {"sex": primary.header.sex, "age": primary.header.age}


def _shared(films: Sequence[_Film], texts: Mapping[str, str]) -> dict[str, str]:
    """The text that speaks of a folder as a whole, for folders where no film has a text of its own."""
    within = {name.rpartition("/")[0]: name for name in reversed([*texts])}
    own = {film.folder for film in films if film.name in texts}
    shared: dict[str, str] = {}
    for folder in {film.folder for film in films} - own - {""}:
        named = next((name for name in (folder, PurePosixPath(folder).name) if name in texts), within.get(folder))
        if named is not None:
            shared[folder] = named
    return shared


def _claim(study: Sequence[_Film], texts: Collection[str], shared: Mapping[str, str]) -> str | None:
    """The name of the text that belongs to a study: that of one of its films, or else that of their folder."""
    return next((film.name for film in study if film.name in texts), shared.get(study[0].folder))


def _named(root: Path, folder: str, wanted: Callable[[Path], bool], refuse: Refuse) -> dict[str, str]:
    """The files of ``folder``, or of the root where there is none, by name; links to folders are not followed."""
    place = root / folder if (root / folder).is_dir() else root
    found: dict[str, str] = {}
    for parent, folders, files in place.walk():
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (parent / file for file in sorted(files) if not file.startswith(".")):
            if (path.exists() and not path.is_file()) or not wanted(path):  # to open a pipe would wait for ever
                continue
            relative = path.relative_to(root)
            if relative.parts[0] == QUARANTINE:
                refuse(relative.as_posix(), HELD)
            elif _name(relative) in found:
                refuse(relative.as_posix(), "shares its name with another file: rename one of the two.")
            else:
                found[_name(relative)] = relative.as_posix()
    return found


def _name(path: Path) -> str:
    """What a film and its text have in common: the path without ``films/`` or ``reports/`` and without suffix."""
    named = path.with_suffix("") if path.suffix.lower() in (*SUFFIXES, ".txt") else path
    within = len(named.parts) > 1 and named.parts[0] in ("films", "reports")
    return PurePosixPath(*named.parts[within:]).as_posix()


def _is_film(path: Path) -> bool:
    """Whether a file is a film by its suffix, or DICOM by its content: scanners and archives often add no suffix."""
    if path.suffix.lower() in SUFFIXES:
        return True
    return path.suffix.lower() not in (".txt", ".csv") and path.name != "DICOMDIR" and holds_dicom(path)


def _film(root: Path, path: str, name: str, patients: Mapping[str, str]) -> _Film:
    header = _NO_HEADER
    if path.lower().endswith(".dcm") or holds_dicom(root / path):
        with suppress(UnreadableFilm):  # whoever reads its pixels will say what is wrong with it
            header = read_header(root / path)
    outermost, _, inner = name.partition("/")
    known = [name, *(str(folder) for folder in PurePosixPath(name).parents), PurePosixPath(name).name]
    group = next((patients[part] for part in known if part in patients), None)
    if group is not None:
        return _Film(path, name, header, group, "patients.csv")
    if header.patient is not None:
        return _Film(path, name, header, header.patient, "hash of the DICOM PatientID")
    if inner:
        return _Film(path, name, header, outermost, "the outermost folder's name")
    return _Film(path, name, header, name.split("_")[0], "the file's name before the first underscore")


def _report(root: Path, path: str, refuse: Refuse) -> Row:
    try:
        text, latin = read_text(root / path)
    except InputError as error:
        refuse(path, Remark(f"{error}; the film is kept without it"))
        return {"report": None}
    if latin:
        refuse(path, NOT_UTF8)
    row = report_columns(text)
    if row["report"] is None:
        refuse(path, EMPTY_REPORT)
    return row


def _patients(path: Path, refuse: Refuse) -> dict[str, str]:
    """Read ``patients.csv`` as name of a film or a folder to patient; empty where there is no such file."""
    patients: dict[str, str] = {}
    for line, row in csv_lines(path, ["file", "patient"], refuse) if path.is_file() else ():
        if row["file"].strip() and row["patient"].strip():
            patients[_name(Path(row["file"].strip()))] = row["patient"].strip()
        else:
            refuse(f"{path.name}, line {line}", "'file' or 'patient' is empty: fill it in")
    return patients


LAYOUT = Layout(
    name="generic-folder",
    about="films/ and reports/*.txt of the same names, or side by side, or a folder a study; patients.csv if there",
    modalities={"image": ("image",), "lateral": ("lateral",), "prior": ("prior",), "report": ("report",)},
    extra=("lateral", "prior"),
    source="your own folder",
    licence="as its owner states",
    read=read,
)
