"""What every subject of an evaluation can be asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from plait.model import Model
from plait.objectives.step import View
from plait.pairs.dataset import Loader
from plait.pairs.table import PairTable

type Array = NDArray[np.float32]

RAW = "raw features"
"""How tables call the baseline that every app has."""


class Subject(Protocol):
    """Something whose representation of the rows of one pair table is measured.

    Arrays have one row a table row, in the table's order. A row that lacks the modality, that could not be read, or
    that lies in the gap between splits is NaN.
    """

    name: str
    table: PairTable
    loader: Loader
    refused: dict[str, str]
    """Rows that could not be read, each with its cause."""

    @property
    def model(self) -> Model | None:
        """``None`` for raw features."""
        ...

    @property
    def modalities(self) -> tuple[str, ...]:
        """Those of the table that it represents, in the table's order: a table may hold more than a recipe uses."""
        ...

    def features(self, modality: str) -> Array:
        """(N, D) what a probe is trained on: the encoder's pooled features, frozen."""
        ...

    def embeddings(self, modality: str) -> Array:
        """(N, E) unit vectors in the space that the modalities share, for retrieval."""
        ...

    def fused(self, modalities: Sequence[str]) -> Array:
        """(N, D) the fused features from these modalities alone, the others withheld.

        A model without fusion, and raw features, join the modalities' features side by side, zero where withheld.
        """
        ...

    def predictions(self, column: str, view: View) -> Array | None:
        """(N, outputs) what a trained head says of a target; ``None`` where there is no such head.

        Args:
            column: the label column.
            view: a modality, for its own head; or several, for the fusion's, the others withheld.
        """
        ...

    def embed(self, modality: str, samples: Sequence[Any]) -> Array:
        """(len(samples), E) unit vectors of samples that are not in the table, such as prompts."""
        ...


def side_by_side(features: Mapping[str, Array], names: Sequence[str]) -> Array:
    """(N, sum of D) features joined, zero for a modality that is withheld or that a row lacks.

    A row that has none of the named modalities is NaN.
    """
    parts = [np.nan_to_num(array) if name in names else np.zeros_like(array) for name, array in features.items()]
    joined = np.concatenate(parts, axis=1)
    none = np.logical_and.reduce([np.isnan(features[name]).any(axis=1) for name in names])
    joined[none] = np.nan
    return joined
