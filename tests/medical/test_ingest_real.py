"""The real collections, against the counts of their READMEs and of the tables that they came with."""

from __future__ import annotations

import csv
import importlib.util
from collections import Counter
from pathlib import Path

import pytest

from plait_medical.ingest.iu_xml import LABELS, SECTIONS
from plait_medical.ingest.nih_cxr14 import LABELS as NIH_LABELS
from tests.medical.folders import read

pytestmark = pytest.mark.real


def test_iu_xray_has_the_counts_of_its_readme(shared_data: Path):
    rows, told = read("iu-xray", shared_data / "medical" / "iu_xray")
    assert len(rows) == 1361
    assert not told
    assert Counter(row["split"] for row in rows) == {"train": 1097, "val": 264}
    positives = {name: sum(row[f"label_{name}"] == 1 for row in rows) for name in LABELS}
    assert positives == {
        "normal": 489, "abnormal": 844, "cardiomegaly": 113, "opacity": 145, "atelectasis": 108, "pleural_effusion": 50,
        "consolidation_like": 81, "edema_congestion": 37, "emphysema_copd": 49, "granuloma": 158, "nodule_mass": 44,
        "pneumothorax": 4, "fracture": 22, "scoliosis_kyphosis": 40, "device": 101,
    }  # fmt: skip
    assert sum(row["label_abnormal"] is None for row in rows) == 28
    assert len({row["report"].lower() for row in rows}) == 1153
    assert all(row["group"] == row["id"] for row in rows)


def test_iu_xrays_films_are_all_seen_and_its_laterals_are_those_of_the_trusted_column(shared_data: Path):
    rows, _ = read("iu-xray", shared_data / "medical" / "iu_xray")
    with (shared_data / "medical/iu_xray/images.csv").open() as file:
        projection = {line["image"]: line["projection"] for line in csv.DictReader(file)}
    assert sum(len(row["views"]) for row in rows) == len(projection) == 1621
    laterals = [row["lateral"] for row in rows if row["lateral"]]
    assert len(laterals) == 251  # of 253: two studies have two
    assert {projection[film] for film in laterals} == {"Lateral"}
    assert {projection[row["image"]] for row in rows} == {"Frontal"}


def test_the_xml_reports_give_the_same_rows_as_the_tables(shared_data: Path):
    root = shared_data / "medical" / "iu_xray"
    tables = {row["id"]: row for row in read("iu-xray", root)[0]}
    rows, told = read("iu-xray", root / "ecgen_xml.tar.gz")
    assert {row["id"] for row in rows} == set(tables)
    for row in rows:
        added = {"mesh_major", "mesh_automatic", "views"}
        assert {name: tables[row["id"]][name] for name in row if name not in added} == {
            name: value for name, value in row.items() if name not in added
        }, row["id"]
        assert set(row["views"]) == set(tables[row["id"]]["views"])
    # The copy holds every view of a fifth of the studies, and one film of the others.
    assert {cause.split(" lies")[0] for _, cause in told} == {"not every film that the report names"}


def test_covid_chestxray_has_the_counts_of_its_readme(shared_data: Path):
    rows, told = read("covid-chestxray", shared_data / "medical" / "covid_chestxray")
    assert not told
    assert sum(len(row["views"]) for row in rows) == 233
    assert len({row["group"] for row in rows}) == 113
    films = Counter[str]()
    for row in rows:
        films[row["split"]] += len(row["views"])
    assert films == {"train": 183, "val": 50}
    assert sum(row["lateral"] is not None for row in rows) == 34
    assert sum(row["severity_extent"] is not None for row in rows) == 14
    assert len({row["report"] for row in rows}) == 183
    unlabelled = [row for row in rows if row["finding"] == "todo"]
    assert {row[f"label_{name}"] for row in unlabelled for name in ("pneumonia", "covid19", "no_finding")} == {None}
    # Patients 97 and 178 are one case from two sites; both are in train, as the README says.
    assert {row["split"] for row in rows if row["group"] in ("97", "178")} == {"train"}


def test_nih_has_the_counts_of_its_readme_and_the_labels_of_its_columns(shared_data: Path):
    root = shared_data / "medical" / "nih_cxr"
    rows, told = read("nih-cxr14", root)
    assert not told
    assert len(rows) == 517
    assert len({row["group"] for row in rows}) == 369
    assert Counter(row["split"] for row in rows) == {"train": 421, "val": 96}
    assert Counter(row["view"] for row in rows) == {"AP": 279, "PA": 238}
    assert sum(row["prior"] is not None for row in rows) == 517 - 369
    with (root / "labels.csv").open() as file:
        given = {line["image"]: line for line in csv.DictReader(file)}
    for row in rows:
        assert {ours: row[f"label_{ours}"] for ours in NIH_LABELS.values()} == {
            ours: int(given[row["image"]][theirs]) for theirs, ours in NIH_LABELS.items()
        }


def test_all_reports_of_the_collection_are_read_from_the_archive_of_the_torchxrayvision_wheel():
    spec = importlib.util.find_spec("torchxrayvision")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("no torchxrayvision wheel, which holds the 3,955 reports")
    rows, told = read("iu-xray", Path(spec.submodule_search_locations[0]) / "data" / "NLMCXR_reports.tgz")
    causes = Counter(cause for _, cause in told)
    assert causes["has neither a film nor a report: it is left out"] == 28
    assert len(rows) == 3955 - 28
    assert {name: sum(row[name] is not None for row in rows) for name in SECTIONS} == {
        "findings": 3425, "impression": 3921, "indication": 3865, "comparison": 3333
    }  # fmt: skip
    assert sum(row["label_normal"] == 1 for row in rows) == 1391 - 28
