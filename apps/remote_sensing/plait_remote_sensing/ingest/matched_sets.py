"""From the entries of a catalogue to scenes that belong together, with what was decided on the way told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from plait.pairs.layout import Refuse, Remark
from plait_remote_sensing.ingest.scene_pairs import SceneSet
from plait_remote_sensing.pairing.bitemporal import match_bitemporal
from plait_remote_sensing.pairing.catalogue import Entry
from plait_remote_sensing.pairing.matching import Order, Pair, days_apart, in_window, match, overlap_share
from plait_remote_sensing.products.names import place_of


def pair_sets(entries: Sequence[Entry], days: float, order: Order, partners: int, refuse: Refuse) -> list[SceneSet]:
    """SAR and optical scenes of one place and time: by name where one of each has it, else by footprint and time.

    Args:
        entries: of both sensors.
        days: the longest time between the two.
        order: which of them comes first, as in `match`.
        partners: how many optical scenes one SAR scene may serve, as in `match`.
        refuse: told of what is assumed, and of each scene that is left and why.
    """
    named = list(_by_name(entries, days, order))
    taken = {entry.name for pair in named for entry in (pair.sar, pair.optical)}
    left = [entry for entry in entries if entry.name not in taken]
    found = match(_of(left, "sar"), _of(left, "optical"), days, order, partners=partners)
    pairs = sorted((*named, *found.pairs), key=lambda pair: pair.optical.name)
    _tell_unused(found.unpaired, bool(pairs), refuse)
    _tell_notes((entry for pair in pairs for entry in (pair.sar, pair.optical)), refuse)
    for pair in pairs:
        if pair.days_apart is None:
            timeless = " and ".join(entry.scene.sensor for entry in (pair.sar, pair.optical) if entry.time is None)
            refuse(
                pair.optical.name, Remark(f"is paired without regard to time, since nothing tells that of {timeless}.")
            )
    return [_set_of(pair) for pair in pairs]


def change_sets(entries: Sequence[Entry], days: float, apart: float, refuse: Refuse) -> list[SceneSet]:
    """Scenes of one place before and after, by footprint and time; arguments as in `match_bitemporal`."""
    changes, unused = match_bitemporal(_of(entries, "sar"), _of(entries, "optical"), days, apart)
    _tell_unused(unused, bool(changes), refuse)
    sets: list[SceneSet] = []
    for change in changes:
        moments = {"before": change.before, "after": change.after}
        _tell_notes((entry for moment in moments.values() for entry in moment.scenes), refuse)
        scenes = {f"sar_{when}": moment.sar.scene if moment.sar else None for when, moment in moments.items()}
        scenes |= {
            f"optical_{when}": moment.optical.scene if moment.optical else None for when, moment in moments.items()
        }
        columns = {"days_between": change.days, "overlap": change.overlap}
        sets.append(SceneSet(f"{change.before.reference.name}+{change.after.reference.name}", scenes, columns))
    return sets


def _by_name(entries: Sequence[Entry], days: float, order: Order) -> Iterable[Pair]:
    """Pairs that have a name in common which no third scene has, unless their times say that they are none."""
    named: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        named[place_of(entry.name)].append(entry)
    for same in named.values():
        if len(same) != 2 or same[0].scene.sensor == same[1].scene.sensor:
            continue
        (sar,), (optical,) = _of(same, "sar"), _of(same, "optical")
        apart = days_apart(sar, optical)
        placed = sar.footprint is not None and optical.footprint is not None
        share = overlap_share(sar.footprint, optical.footprint) if placed else None
        if in_window(apart, days, order):
            yield Pair(sar, optical, share, apart)


def _of(entries: Sequence[Entry], sensor: str) -> list[Entry]:
    return [entry for entry in entries if entry.scene.sensor == sensor]


def _set_of(pair: Pair) -> SceneSet:
    scenes = {"sar": pair.sar.scene, "optical": pair.optical.scene}
    return SceneSet(pair.optical.name, scenes, {"days_apart": pair.days_apart, "overlap": pair.overlap})


def _tell_unused(unused: Sequence[tuple[Entry, str]], any_used: bool, refuse: Refuse) -> None:
    """A scene that is left beside others is a remark; where all are left, there is nothing else to be told."""
    for entry, reason in unused:
        cause = f"is not used: {reason}."
        refuse(entry.name, Remark(cause) if any_used else cause)


def _tell_notes(entries: Iterable[Entry], refuse: Refuse) -> None:
    for entry in {entry.name: entry for entry in entries}.values():
        for note in entry.scene.notes:
            refuse(entry.name, Remark(f"{note.rstrip('.')}."))
