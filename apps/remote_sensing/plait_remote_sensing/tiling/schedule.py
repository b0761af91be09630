"""Which job can be done now, and which files nobody needs any more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import Literal

from plait_remote_sensing.tiling.plan import Plan
from plait_remote_sensing.tiling.tiling import Place


@dataclass(frozen=True, order=True)
class Job:
    """A block, or a part; sorted, blocks come first, so that parts are put away as soon as they can be.

    Attributes:
        kind: what is made.
        place: which one.
        absent: of a block, the parts beneath it in which nothing was observed.
        encoding: of a block, how it is stored (`Encoding.text`); empty where nothing beneath it was observed.
    """

    kind: Literal["block", "part"]
    place: Place
    absent: frozenset[Place] = field(default=frozenset(), compare=False)
    encoding: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.kind} {self.place}"


class Schedule:
    """An iterator over the jobs that can be done now; it goes on when more of them can.

    Attributes:
        absent: the parts in which nothing was observed.
        encoding: how blocks are stored, as soon as that is known; a part that was observed is done before any block
            above it.

    Args:
        plan: the map's.
        parts: parts that are there.
        absent: those of them in which nothing was observed.
        blocks: blocks that are there.
        encoding: how blocks are stored, if it is known.
    """

    def __init__(
        self, plan: Plan, parts: Container[Place], absent: set[Place], blocks: Container[Place], encoding: str
    ) -> None:
        self._plan, self.absent, self.encoding = plan, absent, encoding
        self._missing: Counter[Place] = Counter()
        self._above: dict[Place, list[Place]] = {}
        self._needed: Counter[Place] = Counter()
        self._ready: list[Job] = []
        for block in plan.blocks.places():
            if block in blocks:
                continue
            beneath = plan.beneath(block)
            self._needed.update(beneath)
            self._missing[block] = sum(part not in parts for part in beneath)
            for part in beneath:
                self._above.setdefault(part, []).append(block)
            if not self._missing[block]:
                self._ready.append(Job("block", block))
        self._ready += [Job("part", part) for part in self._above if part not in parts]
        heapify(self._ready)

    def __len__(self) -> int:
        """How many jobs can be done now."""
        return len(self._ready)

    def only_blocks(self) -> bool:
        """Whether no part is among the jobs that can be done now."""
        return all(job.kind == "block" for job in self._ready)

    def __iter__(self) -> Iterator[Job]:
        while self._ready:
            job = heappop(self._ready)
            yield self._told(job) if job.kind == "block" else job

    def again(self, job: Job) -> None:
        """Let a job be done once more."""
        heappush(self._ready, job)

    def finished(self, job: Job, absent: bool = False) -> list[Place]:
        """Take note that a job is done; gives back the parts that nobody needs any more.

        Args:
            job: what was done.
            absent: of a part, whether nothing in it was observed.
        """
        if job.kind == "block":
            beneath = self._plan.beneath(job.place)
            self._needed.subtract(beneath)
            return [part for part in beneath if not self._needed[part]]
        if absent:
            self.absent.add(job.place)
        for block in self._above[job.place]:
            self._missing[block] -= 1
            if not self._missing[block]:
                heappush(self._ready, Job("block", block))
        return []

    def _told(self, job: Job) -> Job:
        """A block, and what its worker must know."""
        return Job(
            "block", job.place, frozenset(self.absent.intersection(self._plan.beneath(job.place))), self.encoding
        )
