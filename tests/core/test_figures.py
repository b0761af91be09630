"""The pictures of a report show what its subjects represent, whatever else the table holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from plait.figures import embedding_maps, similarity_matrices
from plait.pairs.table import PairTable, TableInfo

COLUMNS = {name: (name,) for name in ("image", "lateral", "report")}
INFO = TableInfo("medical", "t", "", COLUMNS, "none", "none", synthetic=True)
ROWS = [
    {"id": str(n), "group": str(n), "split": "val", "image": f"{n}.png", "lateral": f"{n}l.png", "report": "clear"}
    for n in range(5)
]


class Fake:
    """A subject of a recipe that uses some of the table's modalities."""

    model: Any = None
    loader: Any = None

    def __init__(self, name: str, *modalities: str) -> None:
        self.name, self.modalities, self.refused = name, modalities, dict[str, str]()
        self.table = PairTable.from_rows(ROWS, INFO)

    def embeddings(self, modality: str) -> NDArray[np.float32]:
        assert modality in self.modalities
        return np.eye(5, dtype=np.float32)

    features = fused = embed = embeddings


@pytest.mark.parametrize("draw", [similarity_matrices, embedding_maps])
def test_a_modality_that_no_subject_uses_is_passed_over(draw: Any, tmp_path: Path) -> None:
    assert draw([Fake("trained", "image", "report"), Fake("raw", "image", "lateral", "report")], tmp_path) is not None
    assert draw([Fake("trained", "image"), Fake("raw", "image", "report")], tmp_path) is None
