"""Splits by group, and the check that nothing leaks between them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plait.errors import InputError
from plait.pairs import leakage as leakage_module
from plait.pairs.leakage import check_leakage, check_tables, fingerprints
from plait.pairs.splits import group_split
from plait.pairs.table import PairTable, TableInfo


@given(st.lists(st.integers(0, 30), min_size=40, max_size=200), st.integers(0, 5))
def test_no_group_is_in_two_splits(numbers: list[int], seed: int) -> None:
    groups = [str(number) for number in numbers]
    if len(set(groups)) < 3:
        return
    splits = group_split(groups, {"train": 0.6, "val": 0.2, "test": 0.2}, seed)
    assert all(len({s for g, s in zip(groups, splits, strict=True) if g == group}) == 1 for group in groups)
    assert set(splits) == {"train", "val", "test"}


def test_shares_and_strata_are_kept() -> None:
    rng = np.random.default_rng(0)
    groups = [f"g{i}" for i in range(300) for _ in range(3)]
    strata = [str(kind) for kind in np.repeat(rng.choice(3, 300, p=[0.8, 0.15, 0.05]), 3)]
    splits = group_split(groups, {"train": 0.8, "val": 0.2}, 0, strata)
    for kind in "012":
        counts = Counter(split for split, stratum in zip(splits, strata, strict=True) if stratum == kind)
        assert counts["val"] / counts.total() == pytest.approx(0.2, abs=0.05)


def test_a_split_is_a_function_of_the_seed() -> None:
    groups = [str(i) for i in range(50)]
    shares = {"train": 0.8, "val": 0.2}
    assert group_split(groups, shares, 1) == group_split(groups, shares, 1) != group_split(groups, shares, 2)


def test_too_few_groups_and_wrong_shares_are_said() -> None:
    with pytest.raises(InputError, match=r"1 groups cannot fill 2 splits"):
        group_split(["a", "a"], {"train": 0.8, "val": 0.2}, 0)
    with pytest.raises(InputError, match=r"sum to 0\.9"):
        group_split(["a", "b"], {"train": 0.8, "val": 0.1}, 0)


def picture(seed: int) -> torch.Tensor:
    return (
        torch.rand(1, 12, 12, generator=torch.Generator().manual_seed(seed))
        .repeat_interleave(4, 1)
        .repeat_interleave(4, 2)
    )


def table(pictures: list[torch.Tensor | None], groups: str, texts: list[str]) -> PairTable:
    info = TableInfo("toy", "t", "/", {"image": ("image",), "text": ("text",)}, "us", "CC0")
    rows = [
        {"id": f"r{i}", "group": groups[i], "split": "train" if i < 2 else "val", "image": f"{i}.png", "text": texts[i]}
        | {f"fingerprint_{name}": value for name, value in fingerprints({"image": image}).items()}
        for i, image in enumerate(pictures)
    ]
    return PairTable.from_rows(rows, info)


TEXTS = ["one", "two", "three", "four"]


def test_clean_splits_pass() -> None:
    leakage = check_leakage(table([picture(i) for i in range(4)], "aabb", TEXTS))
    assert not leakage
    assert str(leakage) == "nothing leaks"


def test_a_shared_group_fails_loudly_and_can_be_allowed() -> None:
    leaky = table([picture(i) for i in range(4)], "aaab", TEXTS)
    with pytest.raises(InputError, match=r"groups on both sides: 1 .*row 'r\d'.*--allow-leakage"):
        check_leakage(leaky)
    assert check_leakage(leaky, allow=True).groups == ["a"]


def test_a_near_identical_input_in_another_group_fails_loudly() -> None:
    copy = picture(0) * 0.9 + 0.05 + 0.002 * torch.randn(1, 48, 48, generator=torch.Generator().manual_seed(9))
    leaky = table([picture(0), picture(1), copy, picture(3)], "abcd", TEXTS)
    with pytest.raises(InputError, match=r"near-identical inputs: 1 .*image, r0 and r2"):
        check_leakage(leaky)


def test_constant_and_tiny_inputs_have_a_fingerprint() -> None:
    prints = [
        fingerprints({"x": value})["x"] for value in (torch.zeros(1, 48, 48), torch.ones(1, 48, 48), torch.ones(3))
    ]
    assert len(set(prints)) == 3
    assert fingerprints({"x": None, "text": "no"}) == {}


def test_equal_texts_are_counted_not_refused() -> None:
    leakage = check_leakage(table([picture(i) for i in range(4)], "abcd", ["Normal.", "x", " normal. ", "y"]))
    assert leakage.texts == {"text": 1}
    assert not leakage


def test_two_tables_share_what_both_have() -> None:
    whole = table([picture(i) for i in range(4)], "abcd", ["one", "a cat sat", "three", "four"])
    other = table([picture(i) for i in (2, 7, 8, 9)], "xbyz", ["A  cat sat", "u v", "w", "four"])
    others = PairTable(other.data.set_column(0, "id", pa.array(["n0", "r1", "n2", "n3"])), other.info)
    leakage = check_tables(whole, others)
    assert leakage.groups == ["b"]
    assert (leakage.sharing, leakage.member) == (1, "r1")
    assert "'b'" not in str(leakage), "a group may be the number of a patient"
    assert leakage.rows == ["n0", "r1", "n2", "n3"], "the same id, or the same file under another id"
    assert leakage.inputs == [("r2", "n0", "image")]
    assert leakage.texts == {"text": 2}
    assert leakage


def test_a_file_with_its_place_inside_is_what_a_row_shares() -> None:
    info = TableInfo("toy", "t", "/", {"image": ("scene", "tile")}, "us", "CC0")
    rows = [{"id": f"r{i}", "group": f"g{i}", "split": "train", "scene": "s.tif", "tile": i} for i in range(4)]
    one, other = PairTable.from_rows(rows[:2], info), PairTable.from_rows(rows[2:], info)
    assert not check_tables(one, other)
    again = PairTable.from_rows([rows[3] | {"tile": 1}], info)
    assert check_tables(one, again).rows == ["r3"]
    patches = PairTable.from_rows([row | {"tile": 1, "id": f"p{i}"} for i, row in enumerate(rows[2:])], info)
    assert check_tables(patches, again).rows == [], "places inside one file are no rows of their own"
    bands = [row | {"scene": ["b2.tif", f"b{row['tile']}.tif"]} for row in (rows[0], rows[3] | {"id": "n"})]
    assert not check_tables(PairTable.from_rows(bands[:1], info), PairTable.from_rows(bands[1:], info))
    assert check_tables(PairTable.from_rows(bands[:1], info), PairTable.from_rows([bands[0] | {"id": "n"}], info)).rows


def test_studies_are_shared_where_both_tables_know_them() -> None:
    info = TableInfo("toy", "t", "/", {"text": ("text",)}, "us", "CC0")
    row = {"id": "a", "group": "g", "split": "train", "text": None, "study": "s1"}
    one = PairTable.from_rows([row, row | {"id": "b", "study": None}], info)
    other = PairTable.from_rows([row | {"id": "c", "group": "h"}, row | {"id": "d", "group": "i", "study": None}], info)
    assert check_tables(one, other).studies == ["s1"]
    assert str(check_tables(one, other)) == "studies on both sides: 1"


def test_near_identical_inputs_are_found_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leakage_module, "_BLOCK", 2)
    left = table([picture(i) for i in range(5)], "abcde", [*TEXTS, "five"])
    right = table([picture(i) for i in (9, 8, 7, 4, 0)], "fghij", [*TEXTS, "five"])
    assert check_tables(left, right).inputs == [("r0", "r4", "image"), ("r4", "r3", "image")]


def test_the_toy_world_is_split_by_station(toy_pairs: Path) -> None:
    pairs = PairTable.read(toy_pairs)
    train, val = (set(pairs.where_split(split).groups.tolist()) for split in ("train", "val"))
    assert not train & val
    assert len(train) == 32
    assert len(val) == 8
