"""Options of a layout: set by name, typed by their defaults, and kept in the table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from plait.errors import InputError
from plait.pairs.ingest import ingest
from plait.pairs.layout import Refuse, Row
from plait.pairs.table import PairTable
from tests.core.ingest_world import LAYOUT, Loader, write


def read(root: Path, refuse: Refuse, *, first: int, share: float, order: str) -> Iterator[Row]:
    for number, row in enumerate(LAYOUT.read(root, refuse)):
        if number < first:
            yield row | {"asked": f"{first!r} {share!r} {order!r}"}


LAYOUT_WITH = replace(LAYOUT, read=read, options={"first": 4, "share": 0.5, "order": "any"})


def test_options_have_the_type_of_their_default_and_are_kept_in_the_table(tmp_path: Path) -> None:
    out = tmp_path / "pairs.parquet"
    layout = LAYOUT_WITH.with_options(["first=3", "order=before"])
    ingest("toy", layout, write(tmp_path / "data"), out, Loader())
    table = PairTable.read(out)
    assert set(table.column("asked")) == {"3 0.5 'before'"}
    assert table.info.options == "first=3 share=0.5 order=before"


def test_defaults_hold_where_nothing_is_set(tmp_path: Path) -> None:
    rows = list(LAYOUT_WITH.with_options([]).read(write(tmp_path / "data"), lambda what, cause: None))
    assert {row["asked"] for row in rows} == {"4 0.5 'any'"}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("shares=1", "The layout 'films' has no option 'shares' (is it 'share'?): choose from first, share, order."),
        ("first=2.5", "'first=2.5': first is a whole number, such as 4."),
        ("first", "'first': first is a whole number, such as 4."),
        ("share=half", "'share=half': share is a number, such as 0.5."),
    ],
)
def test_what_is_no_option_is_said(given: str, sentence: str) -> None:
    with pytest.raises(InputError, match=re.escape(sentence)):
        replace(LAYOUT_WITH, name="films").with_options([given])


def test_a_layout_without_options_says_so() -> None:
    with pytest.raises(InputError, match="has no option 'days': it has none"):
        LAYOUT.with_options(["days=3"])
