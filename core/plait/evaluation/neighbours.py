"""Cosines between two sets of rows, a block at a time: of N x M only a few rows are ever held."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.evaluation.scaling import unit_rows

_BLOCK = 2**22
"""Cosines held at once: 32 MiB."""
TIE = 1e-9
"""Cosines closer than this are tied: equal rows may differ in the last bits by where they lie in a matrix product."""
UNKNOWN = -2.0
"""Stands where a row is NaN: further than any row can be."""


def cosine_blocks(queries: NDArray[Any], gallery: NDArray[Any]) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Some rows of the queries at a time, with their cosines to the whole gallery.

    Args:
        queries: (N, E) embeddings of any length. A row of zeros is at 0 from all.
        gallery: (M, E).

    Yields:
        Which queries, and their (n, M) cosines in [-1, 1], `UNKNOWN` where either row is NaN.
    """
    queries, gallery = unit_rows(queries), unit_rows(gallery)
    rows = max(1, _BLOCK // max(len(gallery), 1))
    for start in range(0, len(queries), rows):
        block = slice(start, min(start + rows, len(queries)))
        cosines = queries[block] @ gallery.T
        yield block, np.where(np.isnan(cosines), UNKNOWN, cosines)
