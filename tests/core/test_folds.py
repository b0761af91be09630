"""Folds: each is held out in turn, what was held out makes one figure, and no statistic crosses a fold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from plait.errors import InputError
from plait.evaluation.folds import pool_folds
from plait.evaluation.measurement import Measurement
from plait.pairs.splits import fold_tables, group_split
from plait.pairs.table import PairTable
from plait.subjects import RawSubject
from plait.training.pretrain import pretrain
from tests.core.folds_world import app, error, folded, recipes


def measurement(rows: slice, split: str = "test", task: str = "t") -> Measurement:
    truth, told = np.arange(12.0), np.asarray([3.0, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8])
    groups = np.repeat([f"g{n}" for n in range(6)], 2)
    return Measurement(task, "mae", error, (truth[rows], told[rows]), groups[rows], split, higher_is_better=False)


def test_each_fold_holds_its_rows_out_and_splits_the_other_groups(toy: ModuleType) -> None:
    table = folded(toy)
    folds = np.asarray(table.column("fold"))
    parts = fold_tables(table)
    assert len(parts) == 3
    for fold, part in enumerate(parts):
        assert ((part.splits == "test") == (folds == fold)).all()
        assert set(part.splits[folds != fold]) == {"train", "val"}
        groups = [set(part.where_split(split).groups.tolist()) for split in ("train", "val", "test")]
        assert sum(map(len, groups)) == len(set.union(*groups)), "no group in two splits"
        assert (part.splits == "val").sum() == pytest.approx(0.15 * 32, abs=4)
        assert part.data.drop_columns("split").equals(table.data.drop_columns("split")), "but for the split, the table"


def test_the_validation_rows_of_a_fold_depend_on_the_fold_alone(toy: ModuleType) -> None:
    table = folded(toy)
    splits = [part.splits.tolist() for part in fold_tables(table)]
    assert splits == [part.splits.tolist() for part in fold_tables(folded(toy, label_rain=[0.0] * 48))]
    assert splits == [part.splits.tolist() for part in fold_tables(folded(toy, split=["val"] * 48))]
    far = fold_tables(folded(toy, fold=[{2: 9}.get(fold, fold) for fold in table.column("fold")]))
    assert [part.splits.tolist() for part in far][:2] == splits[:2]
    others = far[2].splits != "test"
    assert far[2].splits[others].tolist() == group_split(
        far[2].groups[others].tolist(), {"train": 0.85, "val": 0.15}, 9
    )


def test_a_row_of_no_fold_is_never_used(toy: ModuleType) -> None:
    folds = folded(toy).column("fold")
    table = folded(toy, fold=[None, *folds[1:]], split=["train", "gap", *["train"] * 46])
    for part in fold_tables(table):
        assert part.splits[:2].tolist() == ["gap", "gap"]
        assert "gap" not in part.splits[2:]


def test_a_table_without_folds_is_itself(toy: ModuleType) -> None:
    table = folded(toy)
    plain = PairTable(table.data.drop_columns("fold"), table.info)
    assert fold_tables(plain) == [plain]


@pytest.mark.parametrize(
    ("folds", "said"),
    [
        ([0, 1, 2, 0] * 12, r"the group of row 'r1' is in folds 0 and 1: keep each group in one fold"),
        ([0] * 48, r"1 folds cannot be held out in turn"),
        ([None] * 48, r"folds are whole numbers"),
        (["a"] * 48, r"folds are whole numbers"),
        ([0.5] * 48, r"folds are whole numbers"),
    ],
)
def test_folds_that_cannot_be_held_out_are_said(folds: list[object], said: str, toy: ModuleType) -> None:
    with pytest.raises(InputError, match=said):
        fold_tables(folded(toy, fold=folds))


def test_what_folds_held_out_is_one_figure_of_all_rows() -> None:
    pooled, dropped = pool_folds([[measurement(slice(0, 4))], [measurement(slice(4, 6))], [measurement(slice(6, 12))]])
    whole, found = measurement(slice(0, 12)), pooled["t", "mae"]
    assert found.value == whole.value, "of the rows together, not the mean over folds"
    assert found.groups.tolist() == whole.groups.tolist()
    assert (found.split, found.higher_is_better) == ("test", False)
    assert dropped == {}


def test_a_figure_that_folds_cannot_share_is_dropped_and_said() -> None:
    lacking = pool_folds([[measurement(slice(0, 4))], []])
    assert lacking == ({}, {("t", "mae"): "1 of 2 folds can give it"})
    kept = pool_folds([[measurement(slice(0, 4), "val")], [measurement(slice(4, 8), "val")]])
    assert kept == ({}, {("t", "mae"): "it is of the split 'val', not of what the folds hold out"})
    shared = pool_folds([[measurement(slice(0, 4))], [measurement(slice(3, 8))]])
    assert shared == ({}, {("t", "mae"): "some of its groups are in two folds"})
    alone = measurement(slice(0, 4), "val")
    assert pool_folds([[alone]]) == ({("t", "mae"): alone}, {}), "without folds nothing is pooled, and nothing dropped"
    one, other = measurement(slice(0, 4)), measurement(slice(4, 8))
    wide = replace(other, arrays=(np.zeros((4, 2)), np.zeros(4)))
    assert pool_folds([[one], [wide]])[1] == {("t", "mae"): "its scores differ in shape from fold to fold"}
    assert list(pool_folds([[one, measurement(slice(0, 2), task="u")], [other]])[0]) == [("t", "mae")]


def test_nothing_that_is_held_out_enters_what_is_learnt(toy: ModuleType, tmp_path: Path) -> None:
    """Weights, encoder statistics and the baselines' transformers are, bit for bit, blind to the held-out rows."""
    domain, table = app(toy), folded(toy)
    held = np.asarray(table.column("fold")) == 0
    wild = {c: [1e3 if out else v for v, out in zip(table.column(c), held, strict=True)] for c in
            (*toy.COLUMNS["barometer"], "label_rain")}  # fmt: skip
    wild["thermometer_0"] = [None if out else v for v, out in zip(table.column("thermometer_0"), held, strict=True)]
    (recipe,) = recipes(domain, tmp_path, "one")
    weights: list[bytes] = []
    raw: list[np.ndarray] = []
    for number, world in enumerate((table, folded(toy, **wild))):
        part = fold_tables(world)[0]
        run = pretrain(recipe, domain, part, tmp_path / f"run{number}")
        weights.append((run / "model.safetensors").read_bytes())
        scaled = {name: lambda: make_pipeline(toy.raw(), StandardScaler()) for name in toy.COLUMNS}
        subject = RawSubject(scaled, toy.Loader(), part)
        both = np.concatenate([subject.features("barometer"), subject.embeddings("barometer")], axis=1)
        raw.append(both[part.splits == "train"])
    assert weights[0] == weights[1]
    np.testing.assert_array_equal(raw[0], raw[1])
    assert not np.isnan(raw[0]).any()
