"""VQA-RAD, against a miniature of its JSON file and its folder of images."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from plait.errors import InputError
from plait.pairs.ingest import ingest
from plait.pairs.table import PairTable
from plait_medical.ingest import LAYOUTS
from plait_medical.ingest.vqa_rad import FILE
from plait_medical.load import Loader
from tests.medical import folders

read = partial(folders.read, "vqa-rad")


def question(number: int, image: str = "synpic1234.jpg", **fields: object) -> dict[str, object]:
    return {
        "qid": number,
        "phrase_type": "freeform",
        "qid_linked_id": "0f0f0f0f-1111-2222-3333-444444444444",
        "image_case_url": "https://medpix.nlm.nih.gov/case?id=0f0f0f0f-5555-6666-7777-888888888888",
        "image_name": image,
        "image_organ": "CHEST",
        "evaluation": "not evaluated",
        "question": "Is the  heart large?",
        "question_rephrase": "NULL",
        "question_relation": "NULL",
        "question_frame": "NULL",
        "question_type": "PRES",
        "answer": "Yes",
        "answer_type": "CLOSED ",
    } | fields


def write(root: Path, entries: object, *images: str) -> None:
    (root / FILE).write_text(json.dumps(entries))
    folder = root / "VQA_RAD Image Folder"
    folder.mkdir(exist_ok=True)
    for image in images:
        (folder / image).write_bytes(b"")


def test_a_question_is_a_row_whose_text_is_the_question_and_its_answer(tmp_path):
    write(tmp_path, [question(0)], "synpic1234.jpg")
    (row,), told = read(tmp_path)
    assert (row["id"], row["group"]) == ("0", "synpic1234")
    assert row["image"] == "VQA_RAD Image Folder/synpic1234.jpg"
    assert row["report"] == "Is the heart large? Yes"
    assert (row["question"], row["answer"]) == ("Is the heart large?", "Yes")
    assert (row["organ"], row["answer_type"], row["question_type"]) == ("chest", "CLOSED", "PRES")
    assert not told


def test_an_answer_may_be_a_number(tmp_path):
    write(tmp_path, [question(0, answer=3)], "synpic1234.jpg")
    assert read(tmp_path)[0][0]["answer"] == "3"


def test_the_official_test_set_is_told_and_images_are_never_parted(tmp_path):
    write(tmp_path, [question(0), question(1, phrase_type="test_para")], "synpic1234.jpg")
    rows, _ = read(tmp_path)
    assert [row["test"] for row in rows] == [False, True]
    assert {row["group"] for row in rows} == {"synpic1234"}
    assert not any("split" in row for row in rows)


def test_bad_entries_and_absent_images_cost_themselves_only(tmp_path):
    secret = "Mrs Doe"
    absent = [question(100 + number, f"synpic{number}.jpg") for number in range(300)]
    entries = [
        secret,
        question(0, question=None, answer=secret),
        question(1),
        question(1, question=secret),
        question(2, "../../etc/passwd.jpg"),
        *absent,
    ]
    write(tmp_path, entries, "synpic1234.jpg")
    rows, told = read(tmp_path)
    assert [row["id"] for row in rows] == ["1"]
    assert [what.removeprefix(FILE) for what, _ in told] == [", entry 1", ", entry 2", ", entry 4", ""]
    assert (FILE, "301 of 305 questions are on images that are not here: not taken in") in told
    assert secret not in str(told)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", "is not a list of questions"),
        ("[" * 100_000, "is not JSON"),
        ('[{"qid": 1', "is not JSON"),
        (folders.POINTER, "is a Git-LFS pointer"),
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path, text, says):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(InputError, match=says):
        read(tmp_path)


def test_the_driver_parts_the_rows_by_image(tmp_path):
    images = [f"synpic{number}.jpg" for number in range(6)]
    entries = [question(0, image, phrase_type=f"{part}freeform") for image in images for part in ("", "test_")]
    write(tmp_path, [entry | {"qid": number} for number, entry in enumerate(entries)])
    for number, image in enumerate(images):
        pixels = np.random.default_rng(number).integers(0, 255, (20, 24), dtype=np.uint8)
        Image.fromarray(pixels).convert("RGB").save(tmp_path / "VQA_RAD Image Folder" / image)
    told = ingest("medical", LAYOUTS["vqa-rad"], tmp_path, tmp_path / "pairs.parquet", Loader(32), val=0.5)
    assert told.rows == {"train": 6, "val": 6}
    assert told.leakage == "nothing leaks"
    assert sum(PairTable.read(tmp_path / "pairs.parquet").column("test")) == 6


def test_another_folder_is_not_taken_for_vqa_rad(tmp_path):
    with pytest.raises(InputError, match=r"holds no 'VQA_RAD Dataset Public\.json'"):
        read(tmp_path)
