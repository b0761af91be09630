"""The Indiana collection as the National Library of Medicine gives it out: an XML file a report, and films.

The reports are ``*.xml`` files (of NLMCXR_reports.tgz, unpacked or not), the films PNG, JPEG or DICOM files anywhere
under the root that bear the names that the reports give them: ``CXR10_IM-0002-1001.png``, ``10_IM-0002-1001.dcm.png``
or ``10/10_IM-0002-1001.dcm``. Which film is a lateral is said by a table ``images.csv`` or ``indiana_projections.csv``
if one is there, else by the films' headers; a PNG says nothing.
"""

from __future__ import annotations

import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from plait.errors import InputError
from plait.pairs.layout import Refuse, Remark, Row
from plait.pairs.lfs import LFS_POINTER, lfs_pointer
from plait_medical.dicom import read_header
from plait_medical.film import UnreadableFilm
from plait_medical.ingest.films import files_under
from plait_medical.ingest.studies import View, projection, study_row
from plait_medical.ingest.tables import EMPTY_REPORT, csv_lines, joined, text_in

SECTIONS = ("indication", "comparison", "findings", "impression")
HEADINGS: Mapping[str, frozenset[str]] = {
    "cardiomegaly": frozenset({"cardiomegaly"}),
    "opacity": frozenset({"opacity"}),
    "atelectasis": frozenset({"pulmonary atelectasis"}),
    "pleural_effusion": frozenset({"pleural effusion"}),
    "consolidation_like": frozenset({"airspace disease", "infiltrate", "consolidation", "pneumonia"}),
    "edema_congestion": frozenset({"pulmonary edema", "pulmonary congestion"}),
    "emphysema_copd": frozenset({"emphysema", "pulmonary emphysema", "pulmonary disease, chronic obstructive"}),
    "granuloma": frozenset({"calcified granuloma", "granuloma", "granulomatous disease"}),
    "nodule_mass": frozenset({"nodule", "mass"}),
    "pneumothorax": frozenset({"pneumothorax"}),
    "fracture": frozenset({"fractures, bone"}),
    "scoliosis_kyphosis": frozenset({"scoliosis", "kyphosis"}),
    "device": frozenset(
        {"catheters, indwelling", "implanted medical device", "medical device", "surgical instruments"}
        | {"tube, inserted", "stents"}
    ),
}
"""Label to the MeSH major headings, before their first "/", of which any makes it 1."""
LABELS = ("normal", "abnormal", *HEADINGS)
NOTHING = "has neither a film nor a report: it is left out"
MISSING = Remark("not every film that the report names lies under the root; it is kept with what there is")
UNSAID = Remark("nothing says which of its films is frontal, and the first was taken: add indiana_projections.csv")
_LONGEST = 2**20
_STEM = re.compile(r"\d+_IM-[\d-]*\d")


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """Yield a row for each report under ``root``, which may also be the archive of reports itself."""
    folder = root if root.is_dir() else root.parent
    films, others = files_under(folder)
    named = {match[0]: path for name, path in films.items() if (match := _STEM.search(name))}
    positions = _positions(folder, others, refuse)
    documents = _packed(root, refuse) if root.is_file() else _documents(root, others, refuse)
    for name, raw in documents:
        try:
            report, said = _report(raw)
        except InputError as error:
            refuse(name, str(error))
            continue
        views = [_view(folder, named[film], positions.get(film)) for film in said if film in named]
        row = report | study_row(views)
        if row["report"] is None:
            refuse(f"study {row['id']}", EMPTY_REPORT if views else NOTHING)
        if len(views) < len(said):
            refuse(f"study {row['id']}", MISSING)
        if len(views) > 1 and not any(projection(view) for view in views):
            refuse(f"study {row['id']}", UNSAID)
        if views or row["report"]:
            yield row


def _documents(root: Path, others: Mapping[str, str], refuse: Refuse) -> Iterator[tuple[str, bytes]]:
    """The XML files by number, or else those of the archives in ``root`` that hold any."""
    names = sorted((name for name in others if name.lower().endswith(".xml")), key=lambda name: (len(name), name))
    for name in names:
        try:
            with (root / others[name]).open("rb") as file:
                yield name, file.read(_LONGEST + 1)
        except OSError as error:
            refuse(name, f"cannot be opened ({type(error).__name__}): check its permissions")
    archives = [] if names else [path for path in others.values() if path.lower().endswith((".tgz", ".tar.gz"))]
    for path in sorted(archives):
        yield from _packed(root / path, refuse)
    if not names and not archives:
        raise InputError(
            f"{root} has neither reports.jsonl and studies.csv, nor XML reports: give the folder that has."
        )


def _packed(path: Path, refuse: Refuse) -> Iterator[tuple[str, bytes]]:
    """The XML files of an archive, which is never unpacked to disk."""
    with path.open("rb") as file:
        if lfs_pointer(file.read(64)):
            raise InputError(f"{path} {LFS_POINTER}.")
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = member.name.rsplit("/", 1)[-1]
                if not member.isfile() or not name.lower().endswith(".xml"):
                    continue
                file = archive.extractfile(member)
                yield name, file.read(_LONGEST + 1) if file else b""
    except (tarfile.TarError, OSError, EOFError, zlib.error):
        refuse(path.name, "is a damaged archive, and what follows the damage is missing: copy it again")


def _report(raw: bytes) -> tuple[Row, list[str]]:
    """Read a report: its row without films, and the names of its films.

    Raises:
        InputError: it is not such a report; the message is the cause alone.
    """
    text, _ = text_in(raw)
    # A document type is where entities are declared that multiply without end; the reports have none.
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise InputError("declares a document type or entities, which no report of the collection does")
    try:
        document = ElementTree.fromstring(text)  # noqa: S314 - of at most 1 MiB and without entities
    except (ElementTree.ParseError, ValueError) as error:
        raise InputError("is not well-formed XML: copy it again") from error
    named = document.find("uId")
    uid = re.fullmatch(r"CXR(\d+)", named.get("id", "") if named is not None else "")
    if uid is None:
        raise InputError("is not a report of the collection: it has no uId such as CXR1")
    sections = {name: _section(document, name) for name in SECTIONS}
    major, automatic = ([element.text or "" for element in document.iter(name)] for name in ("major", "automatic"))
    films = [match[0] for element in document.iter("parentImage") if (match := _STEM.search(element.get("id", "")))]
    row: Row = {"id": uid[1], "group": uid[1], "time": None, "study": uid[1]}
    row |= {"report": joined(sections["findings"], sections["impression"]), **sections}
    row |= {"mesh_major": "; ".join(major) or None, "mesh_automatic": "; ".join(automatic) or None}
    return row | {f"label_{name}": value for name, value in labels(major).items()}, films


def labels(major: Sequence[str]) -> Mapping[str, int | None]:
    """The labels of `LABELS` by the MeSH major headings; all unknown where the report was not indexed."""
    headings = {heading.split("/")[0].strip().lower() for heading in major}
    if not headings or "no indexing" in headings:
        return dict.fromkeys(LABELS)
    normal = headings == {"normal"}
    return {"normal": int(normal), "abnormal": int(not normal)} | {
        name: int(not headings.isdisjoint(meant)) for name, meant in HEADINGS.items()
    }


def _section(document: ElementTree.Element, name: str) -> str | None:
    texts = [
        "".join(element.itertext()) for element in document.iter("AbstractText") if element.get("Label") == name.upper()
    ]
    return joined(*texts)


def positioned(path: str, line: Mapping[str, str]) -> View:
    """A film as a line of ``images.csv`` or ``indiana_projections.csv`` has it.

    The projection is trusted, and ViewPosition where it agrees: of 253 laterals 106 say PA.
    """
    said, trusted = View(path, line.get("dicom_view_position")), View(path, line["projection"])
    return said if projection(said) == projection(trusted) else trusted


def _positions(folder: Path, others: Mapping[str, str], refuse: Refuse) -> dict[str, str | None]:
    """The position of each film, as a table says it; empty where there is none."""
    for table, column in (("images.csv", "image"), ("indiana_projections.csv", "filename")):
        if table in others:
            lines = csv_lines(folder / others[table], [column, "projection"], refuse)
            named = ((_STEM.search(line[column]), line) for _, line in lines)
            return {match[0]: positioned(match[0], line).position for match, line in named if match}
    return {}


def _view(folder: Path, path: str, position: str | None) -> View:
    """A film with its position, read from its header where no table says it."""
    if position is None and path.lower().endswith((".dcm", ".dicom")):
        try:
            header = read_header(folder / path)
        except UnreadableFilm:  # whoever reads the film will say so
            return View(path)
        return View(path, header.view, header.laterality)
    return View(path, position)
