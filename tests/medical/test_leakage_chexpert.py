"""The leakage check on a published split: the recipe by which GLoRIA and MGCA split CheXpert's train.csv.

Their scripts take 5 x 200 films for zero-shot classification out of the table, draw 5,000 of the rest for validation by
position, and then drop those numbers as labels of the table's index, which has holes where the 1,000 were. So most of
the validation films stay among the training films. The seeds are MGCA's; they give the 217,433 training films that a
fork of it prints.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from plait.pairs.leakage import check_tables
from plait.pairs.table import PairTable, TableInfo

pytestmark = pytest.mark.real

CLASSES = ["Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion"]
OTHERS = [
    "Enlarged Cardiomediastinum", "Lung Lesion", "Lung Opacity", "Pneumonia", "Pneumothorax", "Pleural Other",
    "Fracture", "Support Devices",
]  # fmt: skip


class Split(NamedTuple):
    train: PairTable
    validation: PairTable
    five: PairTable


@pytest.fixture(scope="module")
def split() -> Split:
    wheel = importlib.util.find_spec("torchxrayvision")
    if wheel is None or wheel.origin is None:
        pytest.skip("no torchxrayvision, whose wheel has CheXpert's table")
    films = pd.read_csv(Path(wheel.origin).parent / "data/chexpert_train.csv.gz")
    said = films[CLASSES + OTHERS].fillna(0)
    frontal = films["Frontal/Lateral"] == "Frontal"
    five = pd.concat(
        films[frontal & (said[name] == 1) & (said.drop(columns=name) == 0).all(axis=1)].sample(n=200, random_state=0)
        for name in CLASSES
    )
    rest = films[~films["Path"].isin(five["Path"])]
    drawn = np.random.RandomState(0).choice(len(rest), size=5000, replace=False)
    return Split(table(rest.drop(drawn, errors="ignore")), table(rest.iloc[drawn]), table(five))


def table(films: pd.DataFrame) -> PairTable:
    parts = films["Path"].str.split("/", expand=True)
    columns = {
        "id": films["Path"],
        "group": parts[2],
        "split": "train",
        "study": parts[2] + "/" + parts[3],
        "image": films["Path"],
    }
    data = pa.Table.from_pandas(pd.DataFrame(columns), preserve_index=False)
    return PairTable(data, TableInfo("medical", "chexpert", "/", {"image": ("image",)}, "CheXpert", "research"))


def test_the_recipe_is_the_published_one(split):
    assert [len(part) for part in split] == [217_433, 5_000, 1_000]


def test_4907_of_the_5000_validation_films_are_training_films(split):
    leakage = check_tables(split.train, split.validation)
    assert leakage
    assert len(leakage.rows) == 4_907
    assert len(leakage.groups) == 4_566
    assert leakage.sharing == 4_990  # 99.8 % of the validation films share a patient with train
    assert len(leakage.studies) == 4_916


def test_828_of_the_1000_zero_shot_films_share_a_patient_with_train(split):
    leakage = check_tables(split.train, split.five)
    assert not leakage.rows
    assert leakage.sharing == 828


def test_a_split_by_patient_of_the_same_films_shares_nothing(split):
    patients = split.train.groups
    odd = np.char.endswith(patients, ("1",)) | np.char.endswith(patients, ("7",))
    one, other = (split.train.take(np.flatnonzero(rows)) for rows in (odd, ~odd))
    assert not check_tables(one, other)
