"""Batches: any modality of any row may be missing, and a row that cannot be read costs only itself."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from plait.errors import InputError
from plait.pairs.batch import Padded, collate, pad, stack
from plait.pairs.dataset import PairDataset
from plait.pairs.samplers import Draw, OneSourceSampler, StepSampler
from plait.pairs.table import PairTable, TableInfo


def test_absent_rows_are_zero_and_flagged() -> None:
    samples = [
        {"x": torch.ones(2), "p": None},
        {"p": torch.ones(3, 1)},
        {"x": torch.full((2,), 2.0), "p": torch.ones(1, 1)},
    ]
    batch = collate(samples, ["a", "b", "c"], ["g", "g", "h"], {"x": stack, "p": pad, "z": stack})
    assert batch.present["x"].tolist() == [True, False, True]
    assert torch.equal(batch.values["x"], torch.tensor([[1.0, 1.0], [0.0, 0.0], [2.0, 2.0]]))
    points = batch.values["p"]
    assert isinstance(points, Padded)
    assert points.mask.tolist() == [[False] * 3, [True] * 3, [True, False, False]]
    assert points.values.sum() == 4
    assert "z" not in batch.values
    assert not batch.present["z"].any()


def test_a_batch_of_one_is_a_batch() -> None:
    batch = collate([{"x": torch.ones(2)}], ["a"], ["g"], {"x": stack})
    assert len(batch) == 1
    assert batch.present["x"].tolist() == [True]


def table(rows: int) -> PairTable:
    info = TableInfo("toy", "t", "/", {"x": ("x",)}, "us", "CC0")
    return PairTable.from_rows(
        [{"id": str(i), "group": str(i), "split": "train", "x": float(i)} for i in range(rows)], info
    )


def load(row: dict[str, Any], root: Path, names: Iterable[str] | None = None) -> dict[str, Any]:
    if row["x"] == 2.0:
        raise InputError("2.png is truncated: copy it again.")
    return {"x": torch.tensor([row["x"]])}


def jitter(sample: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    return {"x": sample["x"] + rng.normal()}


def test_an_unreadable_row_is_named_and_the_others_go_on() -> None:
    items = [PairDataset(table(4), load, ("x",))[i] for i in range(4)]
    assert [item.refused for item in items] == [None, None, "2.png is truncated: copy it again.", None]
    assert items[2].sample == {}
    assert items[3].sample["x"] == 3.0


def test_augmentation_depends_on_seed_epoch_and_row_alone() -> None:
    def draw(seed: int, epoch: int, row: int) -> float:
        return float(PairDataset(table(4), load, ("x",), jitter, seed)[row, epoch].sample["x"]) - row

    assert draw(0, 3, 1) == draw(0, 3, 1)
    assert len({draw(0, 0, 0), draw(1, 0, 0), draw(0, 1, 0), draw(0, 0, 1)}) == 4


def sampler(rows: int, batch_size: int, seed: int, steps: int, **where: int) -> StepSampler:
    return StepSampler(table(rows), Draw(batch_size=batch_size, seed=seed, steps=steps, **where))


def test_an_epoch_shows_every_row_once() -> None:
    seen = [row for batch in sampler(12, 4, 0, 3) for row, _ in batch]
    assert sorted(seen) == list(range(12))
    assert [epoch for batch in sampler(12, 4, 0, 6) for _, epoch in batch] == [0] * 12 + [1] * 12


def test_a_resumed_order_is_the_unbroken_order() -> None:
    whole = list(sampler(50, 8, 7, 40))
    for start in (0, 1, 5, 6, 7, 39, 40):
        assert list(sampler(50, 8, 7, 40, start=start)) == whole[start:]


def test_processes_share_the_batch_of_one() -> None:
    whole = list(sampler(50, 8, 7, 10))
    for world in (2, 4):
        parts = [list(sampler(50, 8, 7, 10, rank=rank, world=world)) for rank in range(world)]
        assert all(
            sorted(functools.reduce(operator.iadd, step, [])) == sorted(joint)
            for *step, joint in zip(*parts, whole, strict=True)
        )


def test_a_table_smaller_than_a_batch_is_one_batch() -> None:
    assert [len(batch) for batch in sampler(3, 64, 0, 4)] == [3] * 4


def test_a_second_view_is_augmented_anew_and_a_label_is_a_number() -> None:
    whole = table(4)
    labelled = PairTable(whole.data.append_column("label_rain", [[1, 0, None, 1]]), whole.info)
    sample = PairDataset(labelled, load, ("x", "x:2", "label_rain"), jitter)[1].sample
    assert set(sample) == {"x", "x:2", "label_rain"}
    assert sample["x"] != sample["x:2"]
    assert sample["x"] == PairDataset(whole, load, ("x",), jitter)[1].sample["x"]
    assert float(sample["label_rain"]) == 0.0
    assert PairDataset(labelled, load, ("x", "label_rain"))[3].sample["label_rain"] == 1.0


def test_batches_of_one_source() -> None:
    whole = table(20)
    sources = ["small"] * 3 + ["large"] * 17
    mixed = PairTable(whole.data.append_column("source", [sources]), whole.info)
    batches = list(OneSourceSampler(mixed, Draw(batch_size=4, seed=1, steps=40)))
    seen = [{sources[row] for row, _ in batch} for batch in batches]
    assert all(len(found) == 1 for found in seen)
    assert {"small"} in seen
    assert {"large"} in seen
    assert all(len(batch) == 4 for batch in batches)
    assert list(OneSourceSampler(mixed, Draw(batch_size=4, seed=1, steps=40, start=7))) == batches[7:]
    with pytest.raises(InputError, match="has no column 'source'"):
        OneSourceSampler(whole, Draw(batch_size=4, steps=1))
