"""The synthetic utterances, and layouts read as a test wants them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plait.pairs.layout import Row
from plait_sentiment.ingest import LAYOUTS
from plait_sentiment.synthetic import synthetic

type Read = Callable[..., tuple[list[Row], Counter[tuple[str, str]]]]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The synthetic world of seed 0."""
    root = tmp_path_factory.mktemp("world")
    synthetic(root, 0)
    return root


@pytest.fixture(scope="session")
def read() -> Read:
    """``read(layout, root, **options)``: its rows, and what was refused or remarked on, each with its cause."""

    def rows_of(name: str, root: Path, **options: Any) -> tuple[list[Row], Counter[tuple[str, str]]]:
        told: Counter[tuple[str, str]] = Counter()
        return list(LAYOUTS[name].read(root, lambda what, cause: told.update([(what, str(cause))]), **options)), told

    return rows_of
