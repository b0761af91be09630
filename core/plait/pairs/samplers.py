"""Which rows make up each training step, as a function of the step's number alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from plait.errors import InputError
from plait.pairs.table import PairTable


@dataclass(frozen=True, kw_only=True)
class Draw:
    """What every sampler is told.

    Attributes:
        batch_size: rows a step over all processes; all rows where there are fewer.
        seed: of the order.
        steps: where to stop.
        start: the first step.
        rank: this process.
        world: the number of processes; each takes every ``world``-th row of a step.
    """

    batch_size: int
    seed: int = 0
    steps: int
    start: int = 0
    rank: int = 0
    world: int = 1


class StepSampler(Sampler[list[tuple[int, int]]]):
    """Batches of ``(row, epoch)``, without replacement within an epoch.

    The rows of a step depend on the seed and the step's number only, so a resumed run sees the data that the
    unbroken run would have seen, and the joint batch of several processes is that of one. An epoch's last rows that
    do not fill a batch are left out (they differ from epoch to epoch).

    Args:
        table: the rows.
        draw: how many, and where to begin.
    """

    def __init__(self, table: PairTable, draw: Draw) -> None:
        self.rows, self.draw = len(table), draw
        self.batch_size = min(draw.batch_size, self.rows)

    @property
    def steps_per_epoch(self) -> int:
        return self.rows // self.batch_size

    def __len__(self) -> int:
        return max(self.draw.steps - self.draw.start, 0)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        batches, of_epoch = list[NDArray[np.int64]](), -1
        for step in range(self.draw.start, self.draw.steps):
            epoch, position = divmod(step, self.steps_per_epoch)
            if epoch != of_epoch:
                batches, of_epoch = self.epoch(np.random.default_rng([self.draw.seed, epoch])), epoch
            yield [(int(row), epoch) for row in batches[position][self.draw.rank :: self.draw.world]]

    def epoch(self, rng: np.random.Generator) -> list[NDArray[np.int64]]:
        """The batches of one epoch, ``steps_per_epoch`` of them."""
        order = rng.permutation(self.rows)
        return [order[n * self.batch_size : (n + 1) * self.batch_size] for n in range(self.steps_per_epoch)]


class OneSourceSampler(StepSampler):
    """Batches whose rows are all of one source, so that no source can be told by its style (ZeroVL; Cui et al., 2022).

    In a mixed batch, rows of another data set are easy negatives: what is learnt is the data set. A source with fewer
    rows than a batch fills it by repeating them.

    Args:
        table: the rows.
        draw: how many, and where to begin.
        column: the column that names a row's source.

    Raises:
        InputError: where the table lacks the column.
    """

    def __init__(self, table: PairTable, draw: Draw, column: str = "source") -> None:
        super().__init__(table, draw)
        if column not in table.data.column_names:
            known = ", ".join(table.data.column_names)
            raise InputError(f"{table.where} has no column '{column}' to make batches of one source: it has {known}.")
        _, codes = np.unique(np.asarray(table.data[column].to_pylist()).astype(str), return_inverse=True)
        self.sources = [np.flatnonzero(codes == code) for code in range(codes.max() + 1)]

    def epoch(self, rng: np.random.Generator) -> list[NDArray[np.int64]]:
        batches: list[NDArray[np.int64]] = []
        for rows in self.sources:
            order = rng.permutation(rows)
            order = np.resize(order, max(len(order), self.batch_size))
            starts = range(0, len(order) - self.batch_size + 1, self.batch_size)
            batches += [order[start : start + self.batch_size] for start in starts]
        chosen = rng.permutation(len(batches))
        return [batches[chosen[n % len(chosen)]] for n in range(self.steps_per_epoch)]


SAMPLERS: dict[str, type[StepSampler]] = {"one_source": OneSourceSampler, "shuffled": StepSampler}
"""What a recipe may name as the kind of its ``batches``."""
