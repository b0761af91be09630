"""One place at two moments: pairs, or single scenes, before and after.

A moment is a pair of `match`, or a scene that found no partner. Two moments of one place make a change; either may lack
a sensor, so that a SAR scene before and an optical one after are a change as well. Backscatter depends on where the
radar looks from, so an ascending and a descending scene are never the two of a change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from shapely import STRtree

from plait.errors import InputError
from plait_remote_sensing.pairing.catalogue import Entry
from plait_remote_sensing.pairing.matching import days_apart, footprints_of, match, overlap_share


@dataclass(frozen=True)
class Moment:
    """What was acquired of a place at about one time; at least one of the two."""

    sar: Entry | None
    optical: Entry | None

    @property
    def reference(self) -> Entry:
        """The scene that tells when and where."""
        return self.optical or cast("Entry", self.sar)

    @property
    def scenes(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in (self.sar, self.optical) if entry is not None)


@dataclass(frozen=True)
class Change:
    """One place before and after.

    Attributes:
        before, after: the two moments.
        overlap: the share of the smaller of their footprints that both see.
        days: from before to after.
    """

    before: Moment
    after: Moment
    overlap: float
    days: float


def match_bitemporal(
    sar: Sequence[Entry], optical: Sequence[Entry], days: float, apart: float, overlap: float = 0.5
) -> tuple[list[Change], list[tuple[Entry, str]]]:
    """Pair scenes to moments, and moments to changes; every scene is in one change at most.

    Moments with more scenes go first, then those of the same radar track, then those nearest in time.

    Args:
        sar: radar scenes.
        optical: optical scenes.
        days: the longest time between the two sensors of a moment.
        apart: the least days between before and after.
        overlap: the least share of the smaller footprint that both must see.

    Returns:
        The changes, and every scene that is in none with the reason.

    Raises:
        InputError: where a moment could be as long as the time between two moments.
    """
    if apart <= days:
        raise InputError(
            f"Before and after are {apart:g} days apart, and the sensors {days:g}: give more days to apart."
        )
    found = match(sar, optical, days, overlap=overlap)
    moments = [Moment(pair.sar, pair.optical) for pair in found.pairs if pair.days_apart is not None]
    singles = [entry for pair in found.pairs if pair.days_apart is None for entry in (pair.sar, pair.optical)]
    singles += [entry for entry, _ in found.unpaired]
    moments += [Moment(*((entry, None) if entry.scene.sensor == "sar" else (None, entry))) for entry in singles]
    moments.sort(key=lambda moment: moment.reference.name)
    candidates = list(_candidates(moments, apart, overlap))
    changes: list[Change] = []
    used: set[str] = set()
    for change in sorted(candidates, key=_best_first):
        names = {change.before.reference.name, change.after.reference.name}
        if not _mixes_orbits(change) and not names & used:
            used |= names
            changes.append(change)
    reachable = {moment.reference.name for change in candidates for moment in (change.before, change.after)}
    mixed = reachable - {
        moment.reference.name
        for change in candidates
        if not _mixes_orbits(change)
        for moment in (change.before, change.after)
    }
    left = [
        (entry, _reason(moment.reference, reachable, mixed, apart))
        for moment in moments
        if moment.reference.name not in used
        for entry in moment.scenes
    ]
    return sorted(changes, key=lambda change: change.before.reference.name), sorted(left, key=lambda item: item[0].name)


def _candidates(moments: Sequence[Moment], apart: float, overlap: float) -> Iterator[Change]:
    placed = [m for m in moments if m.reference.footprint is not None and m.reference.time is not None]
    if not placed:
        return
    footprints = footprints_of([moment.reference for moment in placed])
    for one, other in STRtree(footprints).query(footprints, predicate="intersects").T.tolist():
        before, after = placed[one], placed[other]
        days = days_apart(after.reference, before.reference)
        share = overlap_share(before.reference.footprint, after.reference.footprint)
        if days is not None and days >= apart and share >= overlap:
            yield Change(before, after, share, days)


def _best_first(change: Change) -> tuple[int, bool, float, str, str]:
    scenes = len(change.before.scenes) + len(change.after.scenes)
    return (
        -scenes, not _same_track(change), change.days, change.before.reference.name, change.after.reference.name
    )  # fmt: skip


def _same_track(change: Change) -> bool:
    before, after = change.before.sar, change.after.sar
    if before is None or after is None or before.scene.relative_orbit is None:
        return False
    return before.scene.relative_orbit == after.scene.relative_orbit


def _mixes_orbits(change: Change) -> bool:
    before, after = change.before.sar, change.after.sar
    if before is None or after is None or before.scene.orbit is None or after.scene.orbit is None:
        return False
    return before.scene.orbit != after.scene.orbit


def _reason(reference: Entry, reachable: set[str], mixed: set[str], apart: float) -> str:
    if reference.time is None:
        return "it has no time, so it is neither before nor after: name its file by its date, or tag it"
    if reference.footprint is None:
        return "it has no coordinate reference system, so no place to be paired by: give it one"
    if reference.name in mixed:
        return "at its place there are only scenes of the other orbit direction, which never share a change"
    if reference.name in reachable:
        return "every moment that it could be paired with is in another change"
    return f"no other moment of its place is at least {apart:g} days apart"
