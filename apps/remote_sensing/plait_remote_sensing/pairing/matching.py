"""Which SAR and optical scenes belong together: the same place, and near enough in time.

Candidates overlap on the ground and lie within a time window. They are taken greedily, the nearest in time first, so
that the result is stable (no two scenes that were not paired with each other are nearer to each other than to the
partners they got), the same for any order of the scenes, and the same with the sensors swapped. Every scene that is
left has a reason.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from pyproj import Geod
from shapely import STRtree
from shapely.affinity import translate
from shapely.geometry.base import BaseGeometry
from shapely.ops import nearest_points

from plait.errors import InputError
from plait_remote_sensing.pairing.catalogue import Entry

type Order = Literal["any", "sar_before", "optical_before"]

ORDERS: tuple[Order, ...] = ("any", "sar_before", "optical_before")
_DAY = 86_400.0


@dataclass(frozen=True)
class Pair:
    """A SAR and an optical scene of one place.

    Attributes:
        sar, optical: the scenes.
        overlap: the share of the smaller footprint that both see, in (0, 1]; ``None`` where one has no place, so that
            only their names tell.
        days_apart: SAR minus optical, in days; ``None`` where one of them has no time, so that only the place tells.
    """

    sar: Entry
    optical: Entry
    overlap: float | None
    days_apart: float | None


@dataclass(frozen=True)
class Matching:
    """What was paired, and why the rest was not: one sentence for each scene that is left."""

    pairs: list[Pair] = field(default_factory=list[Pair])
    unpaired: list[tuple[Entry, str]] = field(default_factory=list[tuple[Entry, str]])


def match(
    sar: Sequence[Entry],
    optical: Sequence[Entry],
    days: float,
    order: Order = "any",
    overlap: float = 0.1,
    partners: int = 1,
) -> Matching:
    """Pair scenes by place and time.

    Args:
        sar: scenes of one sensor.
        optical: scenes of the other.
        days: the longest time between the two of a pair.
        order: which of them must not be the later one; ``any`` for no matter.
        overlap: the least share of the smaller footprint that both must see.
        partners: how many optical scenes one SAR scene may serve: a swath covers several tiles.

    Returns:
        The pairs, by the names of their scenes, and every scene without one with the reason.

    Raises:
        InputError: for an order that is none of `ORDERS`, or a window or share that is none.
    """
    if order not in ORDERS:
        raise InputError(f"There is no order '{order}': choose one of {', '.join(ORDERS)}.")
    if not days >= 0 or not 0 < overlap <= 1 or partners < 1:
        raise InputError(f"days={days:g}, overlap={overlap:g}, partners={partners}: they are at least 0, (0, 1] and 1.")
    candidates = list(_candidates(sar, optical, days, order, overlap))
    uses: dict[str, int] = defaultdict(int)
    pairs: list[Pair] = []
    for pair in sorted(candidates, key=_nearest_first):
        if uses[pair.sar.name] < partners and not uses[pair.optical.name]:
            uses[pair.sar.name] += 1
            uses[pair.optical.name] += 1
            pairs.append(pair)
    reachable = {entry.name for pair in candidates for entry in (pair.sar, pair.optical)}
    window = f"the window is {days:g} days" + ("" if order == "any" else f", {_ORDER_WORDS[order]}")
    unpaired: list[tuple[Entry, str]] = []
    for entries, others in ((sar, optical), (optical, sar)):
        left = [entry for entry in entries if not uses[entry.name]]
        unpaired += _reasons(left, others, reachable, window, overlap)
    return Matching(sorted(pairs, key=lambda pair: (pair.sar.name, pair.optical.name)), sorted(unpaired, key=_by_name))


_ORDER_WORDS: Mapping[Order, str] = {"sar_before": "SAR first", "optical_before": "optical first"}


def _nearest_first(pair: Pair) -> tuple[float, float, list[str]]:
    """Scenes without a time come after all others; ties go by overlap, and then by name."""
    apart = np.inf if pair.days_apart is None else abs(pair.days_apart)
    return apart, -(pair.overlap or 0.0), sorted((pair.sar.name, pair.optical.name))


def _by_name(left: tuple[Entry, str]) -> str:
    return left[0].name


def _candidates(
    sar: Sequence[Entry], optical: Sequence[Entry], days: float, order: Order, overlap: float
) -> Iterator[Pair]:
    """Every two that overlap within the window; optical scenes lie in slices of time, so that years cost nothing."""
    slices: dict[int | None, list[Entry]] = defaultdict(list)
    width = max(days, 1.0) * _DAY
    for entry in optical:
        if entry.footprint is not None:
            slices[None if entry.time is None else int(entry.time.timestamp() // width)].append(entry)
    wanted: dict[int | None, list[Entry]] = defaultdict(list)
    for entry in sar:
        if entry.footprint is None:
            continue
        if entry.time is None:
            near: set[int | None] = set(slices)
        else:
            middle = int(entry.time.timestamp() // width)
            near = {middle - 1, middle, middle + 1, None}
        for key in near & set(slices):
            wanted[key].append(entry)
    for key, entries in wanted.items():
        for one, other in _overlapping(entries, slices[key]):
            apart = days_apart(one, other)
            share = overlap_share(one.footprint, other.footprint) if in_window(apart, days, order) else 0.0
            if share >= overlap:
                yield Pair(one, other, share, apart)


def _overlapping(entries: Sequence[Entry], others: Sequence[Entry]) -> Iterator[tuple[Entry, Entry]]:
    found = STRtree(footprints_of(others)).query(footprints_of(entries), predicate="intersects")
    for one, other in found.T.tolist():
        yield entries[one], others[other]


def footprints_of(entries: Sequence[Entry]) -> list[BaseGeometry]:
    """The footprints of entries that all have one."""
    return [entry.footprint for entry in entries if entry.footprint is not None]


def days_apart(one: Entry, other: Entry) -> float | None:
    """Days from ``other`` to ``one``, negative where ``one`` is the earlier; ``None`` where either has no time."""
    if one.time is None or other.time is None:
        return None
    return (one.time - other.time).total_seconds() / _DAY


def in_window(apart: float | None, days: float, order: Order) -> bool:
    """Whether two scenes that are ``apart`` days from each other may be a pair: without times, in any order."""
    if apart is None:
        return order == "any"
    late = apart if order == "sar_before" else -apart if order == "optical_before" else 0.0
    return abs(apart) <= days and late <= 0


def overlap_share(one: BaseGeometry | None, other: BaseGeometry | None) -> float:
    """The share of the smaller footprint that both see; areas in degrees, whose stretch the two have in common."""
    if one is None or other is None:
        return 0.0
    smaller = min(one.area, other.area)
    return min(1.0, float(one.intersection(other).area / smaller)) if smaller else 0.0


def _reasons(
    left: Sequence[Entry], others: Sequence[Entry], reachable: set[str], window: str, overlap: float
) -> Iterator[tuple[Entry, str]]:
    """Why each scene that is left has no partner among ``others``."""
    placed = [entry for entry in others if entry.footprint is not None]
    tree = STRtree(footprints_of(placed))
    for entry in left:
        if entry.footprint is None:
            yield entry, "it has no coordinate reference system, so no place to be paired by: give it one"
        elif not placed:
            yield entry, "no scene of the other sensor is left to pair it with"
        elif entry.name in reachable:
            yield (
                entry,
                "every scene that it could be paired with has a nearer partner (partners=N lets a SAR scene have N)",
            )
        else:
            yield entry, _why(entry, entry.footprint, placed, tree, window, overlap)


def _why(entry: Entry, here: BaseGeometry, placed: Sequence[Entry], tree: STRtree, window: str, overlap: float) -> str:
    near = tree.query(here)
    between = [abs(days_apart(placed[index], entry) or 0.0) for index in near]
    for index in near[np.argsort(between, kind="stable")]:
        other = placed[index]
        if overlap_share(here, other.footprint) < overlap:
            continue
        apart = days_apart(other, entry)
        if apart is None:
            return f"without the times of both, it cannot be put in order with {other.name}"
        when = "later" if apart > 0 else "earlier"
        return f"{other.name} of the same place is {abs(apart):.1f} days {when}; {window}"
    index = int(tree.nearest(here))
    nearest, there = placed[index], footprints_of(placed)[index]
    share = overlap_share(here, there)
    if share > 0:
        return f"{nearest.name} shares only {share:.1%} of the smaller of both with it, and {overlap:.0%} are wanted"
    apart_km = _distance_km(here, there)
    return f"no scene of the other sensor overlaps it; the nearest, {nearest.name}, is {apart_km:,.1f} km away"


def _distance_km(one: BaseGeometry, other: BaseGeometry) -> float:
    """How far two footprints are apart on the ellipsoid, between the points that are nearest in degrees."""
    turned = min((translate(other, turn) for turn in (-360, 0, 360)), key=one.distance)
    here, there = nearest_points(one, turned)
    return Geod(ellps="WGS84").inv(here.x, here.y, there.x, there.y)[2] / 1000
