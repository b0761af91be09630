"""What becomes of the pairing of a table's rows before they are trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from plait.pairs.table import PairTable


class Pairing(Protocol):
    """A frozen dataclass whose fields are a recipe's ``pairing`` section."""

    def __call__(self, table: PairTable, seed: int) -> PairTable:
        """Give back the rows to train on, the same from the same table and seed."""
        ...


@dataclass(frozen=True)
class Paired:
    """Rows stay as they are."""

    def __call__(self, table: PairTable, seed: int) -> PairTable:
        del seed
        return table


PAIRINGS: dict[str, Callable[..., Pairing]] = {"paired": Paired}
"""What a recipe may name as the kind of its ``pairing``."""
