"""The synthetic world is the IU X-ray layout to the letter, with findings that films and reports share."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest

from plait.errors import InputError
from plait.evaluation.metrics import auroc
from plait.evaluation.probes import linear_probe
from plait_medical.drawn_film import drawn_film
from plait_medical.fit import squared
from plait_medical.ingest.iu_xray import read
from plait_medical.load import normalised, open_film
from plait_medical.raw import Pixels
from plait_medical.synthetic import synthetic


def pixels(findings: dict[str, str], seed: int = 0) -> np.ndarray:
    return np.asarray(drawn_film(findings, np.random.default_rng(seed)), dtype=float)


def test_a_finding_is_drawn_on_its_side():
    # The patient's left is at the right of the picture.
    for name in ("pleural_effusion", "nodule_mass", "opacity", "device"):
        left, right = (
            np.mean([pixels({name: side}, seed) for seed in range(12)], axis=0) for side in ("left", "right")
        )
        difference = left - right
        assert difference[:, 150:].sum() > 0 > difference[:, :106].sum(), name


def test_an_enlarged_heart_is_wider():
    row = slice(160, 175)
    normal = np.mean([pixels({}, seed)[row] for seed in range(12)], axis=(0, 1))
    large = np.mean([pixels({"cardiomegaly": ""}, seed)[row] for seed in range(12)], axis=(0, 1))
    wider = np.flatnonzero(large - normal > 15)
    assert len(wider) > 20
    assert wider.mean() > 128


def test_the_same_seed_gives_the_same_world_and_another_seed_another(world, tmp_path):
    synthetic(tmp_path / "again", 0)
    synthetic(tmp_path / "other", 1)
    for name in ("reports.jsonl", "studies.csv", "images.csv", "images/20.jpg"):
        assert (tmp_path / "again" / name).read_bytes() == (world / name).read_bytes()
    assert (tmp_path / "other" / "reports.jsonl").read_text() != (world / "reports.jsonl").read_text()


@pytest.mark.real
def test_its_tables_have_the_columns_of_the_real_ones(world, shared_data: Path):
    real = shared_data / "medical" / "iu_xray"
    for name in ("studies.csv", "images.csv"):
        headers = [next(csv.reader((root / name).read_text().splitlines())) for root in (world, real)]
        assert headers[0] == headers[1], name


def test_it_says_that_it_is_synthetic_and_has_a_damaged_and_a_missing_film(world):
    assert (world / "SYNTHETIC").is_file()
    for name, says in (("7", "damaged"), ("11", "missing")):
        with pytest.raises(InputError, match=says):
            open_film(world / f"images/{name}.jpg")


def test_its_reports_are_varied_sided_partly_equal_and_partly_empty(world):
    rows = list(read(world, lambda what, cause: None))
    reports = [row["report"] for row in rows if row["report"]]
    assert len(reports) < len(rows)
    assert len(reports) * 0.5 < len(set(reports)) < len(reports) * 0.9
    assert any(row["findings"] is None and row["impression"] for row in rows)
    assert any(row["findings"] and row["impression"] is None for row in rows)
    sided = [re.findall(r"\b(left|right)\b", report) for report in reports]
    assert sum(map(bool, sided)) > 80
    assert {"left", "right"} == {side for sides in sided for side in sides}


def test_what_the_reports_say_can_be_seen_in_the_films(world):
    rows = [row for row in read(world, lambda what, cause: None) if row["id"] not in ("7", "11")]
    films = [normalised(squared(open_film(world / row["image"]).pixels[None], 64)) for row in rows]
    features, val = Pixels().transform(films), np.asarray([row["split"] == "val" for row in rows], dtype=bool)
    for name in ("cardiomegaly", "pleural_effusion", "emphysema_copd"):
        labels = np.asarray([-1 if row[f"label_{name}"] is None else row[f"label_{name}"] for row in rows], dtype=int)
        train, test = (np.flatnonzero((labels >= 0) & (val == held_out)) for held_out in (False, True))
        scores = linear_probe(features[train], labels[train], features[test])
        assert auroc(labels[test], scores) > 0.85, name
