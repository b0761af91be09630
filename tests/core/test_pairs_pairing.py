"""Pairs made wrong or parted on purpose: which rows change, what they keep, and that it is the same each time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plait.errors import InputError
from plait.pairs.pairing import PAIRINGS, Mixed, Noisy, Paired, Pairing, Unpaired
from plait.pairs.table import PairTable, TableInfo

INFO = TableInfo("toy", "world", "/nowhere", {"image": ("image",), "points": ("points", "pose")}, "us", "CC0")


def table(train: int = 8, val: int = 3, lacking: tuple[int, ...] = ()) -> PairTable:
    """Row i shows i in every column; rows ``lacking`` have no points."""
    rows: list[dict[str, Any]] = []
    for i in range(train + val):
        has = i not in lacking
        modalities = {"image": f"{i}.png", "points": f"{i}.bin" if has else None, "pose": [float(i)] if has else None}
        split = {"split": "train" if i < train else "val"}
        rows.append({"id": f"r{i}", "group": f"g{i // 2}", **split, **modalities, "label_x": i % 2, "note": f"n{i}"})
    return PairTable.from_rows(rows, INFO)


def rows(of: PairTable) -> list[dict[str, Any]]:
    return [of.row(index) for index in range(len(of))]


ALL: dict[str, Pairing] = {
    "paired": Paired(),
    "noisy": Noisy("points", 0.5),
    "unpaired": Unpaired(),
    "mixed": Mixed(0.5),
}


def test_a_recipe_may_name_them_all() -> None:
    assert PAIRINGS.keys() == ALL.keys()


@pytest.mark.parametrize("pairing", ALL.values(), ids=ALL.keys())
def test_other_splits_are_not_touched_and_the_same_seed_gives_the_same_rows(pairing: Pairing) -> None:
    once = pairing(table(), 3)
    assert rows(once) == rows(pairing(table(), 3))
    assert rows(once.where_split("val")) == rows(table().where_split("val"))
    assert once.data.schema.equals(table().data.schema)


@pytest.mark.parametrize("pairing", [ALL["noisy"], ALL["mixed"]])
def test_another_seed_gives_other_rows(pairing: Pairing) -> None:
    assert len({str(rows(pairing(table(20), seed))) for seed in range(4)}) > 1


@settings(max_examples=15, deadline=None)
@given(share=st.floats(0, 1), seed=st.integers(0, 1000), train=st.integers(0, 9))
def test_noisy_rows_are_a_derangement_of_the_share(share: float, seed: int, train: int) -> None:
    before, after = table(train), Noisy("points", share)(table(train), seed)
    moved = [i for i in range(train) if after.row(i)["points"] != before.row(i)["points"]]
    wanted = round(share * train)
    assert len(moved) == (wanted if wanted > 1 else 0)
    assert sorted(after.column("points")) == sorted(before.column("points"))
    for i in range(train):
        old, new = before.row(i), after.row(i)
        assert {name: new[name] for name in old if name not in ("points", "pose")} == {
            name: old[name] for name in old if name not in ("points", "pose")
        }
        # Both columns of the modality moved together.
        assert new["points"] == f"{int(new['pose'][0])}.bin"


def test_noise_passes_rows_that_lack_the_modality_by() -> None:
    after = Noisy("points", 1.0)(table(lacking=(2, 5)), 0)
    assert [i for i in range(8) if after.row(i)["points"] is None] == [2, 5]
    assert not any(after.row(i)["points"] == f"{i}.bin" for i in range(8))


def test_unpaired_rows_have_one_modality_each_and_their_own_group_and_labels() -> None:
    after = rows(Unpaired()(table(4, 0), 0))
    assert [row["id"] for row in after] == [f"r{i}:{name}" for i in range(4) for name in ("image", "points")]
    for index, row in enumerate(after):
        i = index // 2
        assert (row["group"], row["label_x"], row["split"]) == (f"g{i // 2}", i % 2, "train")
        if index % 2:
            assert (row["image"], row["points"], row["pose"]) == (None, f"{i}.bin", [float(i)])
        else:
            assert (row["image"], row["points"], row["pose"]) == (f"{i}.png", None, None)


def test_a_row_with_one_modality_stays_as_it_is() -> None:
    after = Unpaired()(table(3, 0, lacking=(1,)), 0)
    assert after.ids == ["r0:image", "r0:points", "r1", "r2:image", "r2:points"]
    assert after.row(2) == table(3, 0, lacking=(1,)).row(1)


def test_what_is_not_parted_stays_with_the_first() -> None:
    info = TableInfo("toy", "world", "/", {"a": ("a",), "b": ("b",), "c": ("c",)}, "us", "CC0")
    whole = PairTable.from_rows([{"id": "r", "group": "g", "split": "train", "a": "1", "b": "2", "c": "3"}], info)
    first, second = rows(Unpaired(("b", "c"))(whole, 0))
    assert (first["id"], first["a"], first["b"], first["c"]) == ("r:b", "1", "2", None)
    assert (second["id"], second["a"], second["b"], second["c"]) == ("r:c", None, None, "3")


@pytest.mark.parametrize(("share", "paired"), [(0.0, 0), (0.25, 2), (0.5, 4), (1.0, 8)])
def test_a_share_stays_paired(share: float, paired: int) -> None:
    after = Mixed(share)(table(), 1).where_split("train")
    both = after.present("image") & after.present("points")
    assert (int(both.sum()), len(after)) == (paired, paired + 2 * (8 - paired))
    kept = [row for row, has in zip(rows(after), both, strict=True) if has]
    assert all(row in rows(table()) for row in kept)


def test_no_rows_at_all() -> None:
    for pairing in ALL.values():
        assert len(pairing(table().take([]), 0)) == 0


@pytest.mark.parametrize(
    ("pairing", "words"),
    [
        (Noisy("sound"), "no modality 'sound': it has image, points"),
        (Unpaired(("image", "sound")), "no modality 'sound'"),
        (Noisy("points", 1.5), "share 1.5"),
        (Mixed(-0.1), "paired_share -0.1"),
    ],
)
def test_what_makes_no_sense_is_refused(pairing: Pairing, words: str) -> None:
    with pytest.raises(InputError, match=words):
        pairing(table(), 0)
