"""PadChest, against a miniature with the header, quoting and oddities of its table, and against its real table."""

from __future__ import annotations

import csv
import importlib.util
import zlib
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from plait.errors import InputError
from plait.pairs.ingest import ingest
from plait.pairs.table import PairTable
from plait_medical.ingest import LAYOUTS, padchest
from plait_medical.ingest.films import study_rows
from plait_medical.ingest.padchest import LABELS, labels, terms
from plait_medical.load import Loader
from tests.medical import folders

read = partial(folders.read, "padchest")

TABLE = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
HEADER = [
    "", "ImageID", "ImageDir", "StudyDate_DICOM", "StudyID", "PatientID", "PatientBirth", "PatientSex_DICOM",
    "ViewPosition_DICOM", "Projection", "MethodProjection", "Pediatric", "Modality_DICOM", "Manufacturer_DICOM",
    "PhotometricInterpretation_DICOM", "PixelRepresentation_DICOM", "PixelAspectRatio_DICOM",
    "SpatialResolution_DICOM", "BitsStored_DICOM", "WindowCenter_DICOM", "WindowWidth_DICOM", "Rows_DICOM",
    "Columns_DICOM", "XRayTubeCurrent_DICOM", "Exposure_DICOM", "ExposureInuAs_DICOM", "ExposureTime",
    "RelativeXRayExposure_DICOM", "ReportID", "Report", "MethodLabel", "Labels", "Localizations",
    "LabelsLocalizationsBySentence", "labelCUIS", "LocalizationsCUIS",
]  # fmt: skip
SECRET = "1931.0"


def line(image: str, study: str, patient: str = "7007007007", **cells: object) -> dict[str, object]:
    return {
        "ImageID": image, "ImageDir": 0, "StudyDate_DICOM": 20140915, "StudyID": study, "PatientID": patient,
        "PatientBirth": SECRET, "PatientSex_DICOM": "F", "ViewPosition_DICOM": "nan", "Projection": "PA",
        "Report": " torax sin cambi .", "MethodLabel": "Physician", "Labels": "['normal']",
        "Localizations": "[]", "labelCUIS": "['C0034069' 'C0742362'\n 'C2115817']",
    } | cells  # fmt: skip


def write(root: Path, lines: list[dict[str, object]], folder: str = "0") -> None:
    with (root / TABLE).open("w", newline="") as file:
        writer = csv.DictWriter(file, HEADER, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    for each in lines:
        folders.draw(root / folder / str(each["ImageID"]))


@pytest.mark.parametrize("folder", ["0", "54", "."])
def test_a_study_is_a_row_with_its_films_and_its_report(tmp_path, folder):
    write(tmp_path, [line("2_b.png", "s1", Projection="L"), line("1_a.png", "s1")], folder)
    (row,), told = read(tmp_path)
    under = "" if folder == "." else f"{folder}/"
    assert (row["id"], row["group"], row["time"]) == ("s1", "7007007007", "2014-09-15")
    assert (row["image"], row["lateral"], row["view"]) == (f"{under}1_a.png", f"{under}2_b.png", "PA")
    assert row["report"] == "torax sin cambi ."
    assert (row["sex"], row["age"], row["labelled_by"]) == ("F", 83.0, "physician")
    assert row["label_normal"] == 1
    assert row["label_pneumonia"] == 0
    assert "split" not in row
    assert not told


def test_the_year_of_birth_goes_no_further(tmp_path):
    write(tmp_path, [line("1_a.png", "s1")])
    assert "1931" not in str(read(tmp_path)[0])


def test_priors_go_by_the_day(tmp_path):
    write(tmp_path, [line("1_a.png", "late"), line("2_b.png", "early", StudyDate_DICOM=20090101)])
    rows = {row["id"]: row for row in read(tmp_path)[0]}
    assert (rows["late"]["prior_id"], rows["late"]["prior"]) == ("early", "0/2_b.png")
    assert rows["early"]["prior_id"] is None


def test_a_bed_side_film_is_frontal_and_a_rib_film_is_neither(tmp_path):
    write(
        tmp_path,
        [
            line("1_a.png", "s1", Projection="COSTAL"),
            line("2_b.png", "s1", Projection="AP_horizontal"),
            line("3_c.png", "s2", Projection="UNK"),
            line("4_d.png", "s3", Projection="EXCLUDE"),
        ],
    )
    rows, told = read(tmp_path)
    assert [(row["image"], row["view"]) for row in rows] == [("0/2_b.png", "AP HORIZONTAL"), ("0/3_c.png", None)]
    assert told == {
        (f"{TABLE}, line 8", "is marked EXCLUDE: PadChest itself leaves this film out"): 1,
        ("views", "the frontal film is a guess, as nothing says how it was taken: 1 times"): 1,
    }


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("['normal']", ["normal"]),
        ("['pulmonary fibrosis', ' kyphosis', '']", ["pulmonary fibrosis", "kyphosis"]),
        ("[\"Chilaiditi sign\", 'nodule ']", ["Chilaiditi sign", "nodule"]),
        ("[]", []),
        ("nan", None),
        ("", None),
        ("['a'] or exit()", None),
        ("[['normal']]", None),
        ("['a', 'b'", None),
        ("__import__('os').listdir()", None),
    ],
)
def test_lists_are_read_without_being_evaluated(cell, said):
    assert terms(cell) == said


def test_a_long_broken_list_is_refused_at_once():
    assert terms("['a'," * 100_000) is None
    assert terms("[" + "'a', " * 100_000 + "'a'") is None


def test_labels_follow_the_stated_map():
    row = labels(["laminar atelectasis", "hydropneumothorax", "pseudonodule"])
    ones = {name for name in LABELS if row[f"label_{name}"] == 1}
    assert ones == {"atelectasis", "pneumothorax", "pleural_effusion"}
    assert row["label_nodule"] == 0


def test_what_a_report_leaves_open_is_unknown_and_not_absent():
    unchanged = labels(["unchanged", "cardiomegaly"])
    assert (unchanged["label_cardiomegaly"], unchanged["label_pneumonia"]) == (1, None)
    for said in (None, [], ["exclude"], ["suboptimal study", "cardiomegaly"]):
        assert set(labels(said).values()) == {None}


def test_bad_and_absent_lines_cost_themselves_only(tmp_path):
    lines = [
        line("1_a.png", "s1", Labels=f"normal, {SECRET}"),
        line("2_b.png", "", Labels="nan"),
        line("3_c.png", "s3", Labels="nan", Report=" ", StudyDate_DICOM="unknown", PatientSex_DICOM="nan"),
        line("4_d.png", "s3", patient="9"),
    ]
    write(tmp_path, lines)
    with (tmp_path / TABLE).open("a", newline="") as file:
        csv.DictWriter(file, HEADER).writerows(line(f"absent{number}.png", "s9") for number in range(2000))
    (row,), told = read(tmp_path)
    assert (row["id"], row["time"], row["age"], row["sex"], row["report"]) == ("s3", None, None, None, None)
    assert row["label_normal"] is None
    assert [what.removeprefix(TABLE) for what, _ in told] == [", line 2", ", line 4", "0/4_d.png", "", "s3"]
    assert (TABLE, "2,000 of the 2,004 films it lists are not here, or were listed before") in told
    assert SECRET not in str(told)


def test_the_driver_reads_the_16_bit_films(tmp_path):
    lines = [line("1_a.png", "s1"), line("2_b.png", "s2", patient="9"), line("3_c.png", "s3", Projection="L")]
    write(tmp_path, lines)
    for number, film in enumerate(sorted(tmp_path.rglob("*.png"))):
        pixels = np.random.default_rng(number).integers(0, 4096, (20, 24), dtype=np.uint16)
        Image.fromarray(pixels).save(film)
    told = ingest("medical", LAYOUTS["padchest"], tmp_path, tmp_path / "pairs.parquet", Loader(32))
    rows = PairTable.read(tmp_path / "pairs.parquet").data.to_pylist()
    assert [(row["image"] is None, row["lateral"] is None) for row in rows] == [
        (False, True),
        (True, False),
        (False, True),
    ]
    assert rows[0]["terms"] == ["normal"]
    assert not told.refusals


def test_another_folder_is_not_taken_for_padchest(tmp_path):
    with pytest.raises(InputError, match="holds no PADCHEST_chest_x_ray_images_labels_160K"):
        read(tmp_path)


class EveryEighth(dict[str, str]):
    """A folder in which an eighth of the films lies."""

    def pop(self, name: str, default: Any = None) -> Any:
        return default if zlib.crc32(name.encode()) % 8 else f"{name}.png"


@pytest.mark.real
def test_the_real_table_is_read_to_its_end():
    wheel = importlib.util.find_spec("torchxrayvision")
    if wheel is None or wheel.origin is None:
        pytest.skip("no torchxrayvision, whose wheel has PadChest's table")
    table = Path(wheel.origin).parent / "data" / f"{TABLE}.gz"
    told: Counter[str] = Counter()

    def refuse(what: str, cause: str) -> None:
        told[cause] += 1

    rows = list(study_rows(padchest._films(table.parent, table.name, EveryEighth(), refuse), "time", refuse))
    assert told == {
        "is marked EXCLUDE: PadChest itself leaves this film out": 1,
        "140,753 of the 160,861 films it lists are not here, or were listed before": 1,
        "the frontal film is a guess, as nothing says how it was taken: 1 times": 1,
    }
    assert len(rows) == 19_342
    assert sum(len(row["views"]) for row in rows) == 160_861 - 140_753 - 1
    assert len({row["group"] for row in rows}) == 16_796
    assert sum(row["label_pneumothorax"] == 1 for row in rows) == 55
    assert sum(row["label_normal"] is None for row in rows) == 2_208  # "unchanged" more often than not
    assert all(row["report"] for row in rows)
