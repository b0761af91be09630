"""VQA-RAD: questions and answers on 315 teaching images of head, chest and abdomen; one row a question.

The official test set is drawn by question, and most of its images are trained on too. A row says in ``test`` whether it
is of that set, and has no split of its own: it gets one by image, so that no image lies on both sides.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Remark, Row
from plait.pairs.lfs import LFS_POINTER, lfs_pointer
from plait_medical.ingest.films import files_under
from plait_medical.ingest.tables import joined

FILE = "VQA_RAD Dataset Public.json"
_LONGEST = 2**24
_FACTS = ("question_type", "answer_type", "phrase_type")


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """Yield a row for each question whose image is there; ``report`` is the question and its answer."""
    films, files = files_under(root)
    if FILE not in files:
        raise InputError(f"{root} holds no '{FILE}': give the folder that holds it and the folder of images.")
    entries = _entries(root / files[FILE])
    seen: set[str] = set()
    missing = 0
    for number, entry in enumerate(entries, start=1):
        where = f"{FILE}, entry {number}"
        if not isinstance(entry, dict):
            refuse(where, "is no question: correct it")
            continue
        said = {name: joined(str(value)) or "" for name, value in entry.items() if value is not None}
        identity, image = said.get("qid", ""), said.get("image_name", "").rpartition(".")[0]
        if not all(said.get(name) for name in ("qid", "image_name", "question", "answer")):
            refuse(where, "lacks its number, its image, the question or the answer: fill it in")
        elif identity in seen:
            refuse(where, "has the number of an earlier question: give it one of its own")
        elif image not in films:
            missing += 1
        else:
            seen.add(identity)
            yield _row(identity, image, films[image], said)
    if missing:
        refuse(FILE, Remark(f"{missing:,} of {len(entries):,} questions are on images that are not here: not taken in"))


def _row(identity: str, image: str, path: str, said: dict[str, str]) -> Row:
    return {
        "id": identity,
        "group": image,
        "time": None,
        "image": path,
        "report": joined(said["question"], said["answer"]),
        "question": said["question"],
        "answer": said["answer"],
        "organ": said.get("image_organ", "").lower() or None,
        "test": said.get("phrase_type", "").startswith("test_"),
        **{name: said.get(name) or None for name in _FACTS},
    }


def _entries(path: Path) -> list[Any]:
    with path.open("rb") as file:
        raw = file.read(_LONGEST + 1)
    if lfs_pointer(raw):
        raise InputError(f"{path} {LFS_POINTER}.")
    if len(raw) > _LONGEST:
        raise InputError(f"{path} is longer than 16 MiB, ten times as long as it should be: download it again.")
    try:
        entries = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON ({type(error).__name__}): download it again.") from error
    if not isinstance(entries, list):
        raise InputError(f"{path} is not a list of questions: download it again.")
    return entries


LAYOUT = Layout(
    name="vqa-rad",
    about="VQA-RAD: 'VQA_RAD Dataset Public.json' and its images; questions on head, chest and abdomen (organ)",
    modalities={"image": ("image",), "report": ("report",)},
    source="Lau et al., Scientific Data 5:180251, 2018 (osf.io/89kps)",
    licence="CC0 1.0",
    read=read,
)
