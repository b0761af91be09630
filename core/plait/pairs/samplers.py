"""Which rows make up each training step, as a function of the step's number alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler


class StepSampler(Sampler[list[tuple[int, int]]]):
    """Batches of ``(row, epoch)`` for the steps ``start`` to ``steps``, without replacement within an epoch.

    The rows of a step depend on the seed and the step's number only, so a resumed run sees the data that the
    unbroken run would have seen, and the joint batch of several processes is that of one.

    Args:
        rows: how many rows there are.
        batch_size: rows a step over all processes; all rows where there are fewer. An epoch's last rows that do
            not fill a batch are left out (they differ from epoch to epoch).
        seed: of the order.
        steps: where to stop.
        start: the first step.
        rank, world: this process and the number of processes; each takes every ``world``-th row of a step.
    """

    def __init__(
        self, rows: int, batch_size: int, seed: int, steps: int, start: int = 0, rank: int = 0, world: int = 1
    ) -> None:
        self.rows, self.batch_size, self.seed = rows, min(batch_size, rows), seed
        self.steps, self.start, self.rank, self.world = steps, start, rank, world

    @property
    def steps_per_epoch(self) -> int:
        return self.rows // self.batch_size

    def __len__(self) -> int:
        return max(self.steps - self.start, 0)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order, of_epoch = np.empty(0, dtype=np.int64), -1
        for step in range(self.start, self.steps):
            epoch, position = divmod(step, self.steps_per_epoch)
            if epoch != of_epoch:
                order, of_epoch = np.random.default_rng([self.seed, epoch]).permutation(self.rows), epoch
            rows = order[position * self.batch_size : (position + 1) * self.batch_size]
            yield [(int(row), epoch) for row in rows[self.rank :: self.world]]
