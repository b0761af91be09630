"""Pairing by place and time: near enough, one to one, the nearest first, whatever the order of the scenes."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import box

from plait.errors import InputError
from plait_remote_sensing.pairing.bitemporal import match_bitemporal
from plait_remote_sensing.pairing.catalogue import Entry
from plait_remote_sensing.pairing.matching import Matching, days_apart, match, overlap_share
from plait_remote_sensing.scene import Scene, Sensor

START = datetime(2021, 4, 1, 5, tzinfo=UTC)


def entry(
    name: str,
    day: float | None,
    x: float | None = 0.0,
    *,
    sensor: Sensor | None = None,
    width: float = 1.0,
    orbit: str | None = None,
    track: int | None = None,
) -> Entry:
    """A scene of ``width`` degrees from longitude ``x``, ``day`` days after the start; radar where its name has s."""
    sensor = sensor or ("sar" if name.startswith("s") else "optical")
    scene = Scene(sensor, (f"{name}.tif",), ("B",), "dn", orbit=orbit, relative_orbit=track)
    footprint = None if x is None else box(x, 45, x + width, 46)
    return Entry(name, scene, footprint, None if day is None else START + timedelta(days=day))


def names(matching: Matching) -> list[tuple[str, str]]:
    return [(pair.sar.name, pair.optical.name) for pair in matching.pairs]


class TestPairs:
    def test_each_scene_gets_the_nearest_in_time_that_overlaps(self) -> None:
        sar = [entry("s0", 0), entry("s5", 5), entry("s-east", 0, 10)]
        optical = [entry("o1", 1), entry("o4.5", 4.5), entry("o-east", 2, 10.5)]
        found = match(sar, optical, days=3)
        assert names(found) == [("s-east", "o-east"), ("s0", "o1"), ("s5", "o4.5")]
        assert [pair.days_apart for pair in found.pairs] == [-2.0, -1.0, 0.5]
        assert [pair.overlap for pair in found.pairs] == pytest.approx([0.5, 1.0, 1.0])
        assert found.unpaired == []

    def test_a_scene_serves_one_other_unless_it_is_asked_for_more(self) -> None:
        sar = [entry("swath", 0, 0, width=3)]
        tiles = [entry("o0", 1, 0), entry("o1", 0.5, 1), entry("o2", 2, 2)]
        one = match(sar, tiles, days=3)
        assert names(one) == [("swath", "o1")]
        assert dict(reasons(one)) == {
            "o0": "every scene that it could be paired with has a nearer partner (partners=N lets a SAR scene have N)",
            "o2": "every scene that it could be paired with has a nearer partner (partners=N lets a SAR scene have N)",
        }
        three = match(sar, tiles, days=3, partners=3).pairs
        assert len(three) == 3
        assert [pair.overlap for pair in three] == pytest.approx([1.0] * 3), "of the smaller of both"

    @pytest.mark.parametrize(
        ("order", "pairs"),
        [("any", [("s2", "o1")]), ("sar_before", []), ("optical_before", [("s2", "o1")])],
    )
    def test_the_order_of_the_sensors_may_be_asked_for(self, order: str, pairs: list[tuple[str, str]]) -> None:
        assert names(match([entry("s2", 2)], [entry("o1", 1)], 3, order)) == pairs

    def test_the_window_includes_its_end(self) -> None:
        assert names(match([entry("s", 0)], [entry("o", 3)], days=3)) == [("s", "o")]
        assert names(match([entry("s", 0)], [entry("o", 3.001)], days=3)) == []
        assert names(match([entry("s", 0)], [entry("o", 0)], days=0)) == [("s", "o")]

    def test_scenes_without_a_time_are_paired_by_place_after_all_others(self) -> None:
        found = match([entry("s", None), entry("s1", 1)], [entry("o1", 1), entry("o", None)], days=3)
        assert names(found) == [("s", "o"), ("s1", "o1")]
        assert [pair.days_apart for pair in found.pairs] == [None, 0.0]
        assert names(match([entry("s", None)], [entry("o", 1)], 3, "sar_before")) == []

    def test_equal_times_go_by_overlap_and_then_by_name(self) -> None:
        found = match([entry("s", 0)], [entry("a", 1, 0.5), entry("b", 1, 0.2), entry("c", 1, 0.2)], days=3)
        assert names(found) == [("s", "b")]

    def test_a_sliver_of_overlap_is_no_pair(self) -> None:
        found = match([entry("s", 0)], [entry("o", 0, 0.95)], days=3)
        assert names(found) == []
        assert "o shares only 5.0% of the smaller of both with it, and 10% are wanted" in dict(reasons(found))["s"]

    @pytest.mark.parametrize(
        "options", [{"days": -1}, {"days": float("nan")}, {"days": 3, "overlap": 0}, {"days": 3, "partners": 0}]
    )
    def test_what_is_no_window_is_refused(self, options: dict[str, float]) -> None:
        with pytest.raises(InputError, match="days="):
            match([], [], **options)

    def test_an_unknown_order_is_refused(self) -> None:
        with pytest.raises(InputError, match="choose one of any, sar_before, optical_before"):
            match([], [], 3, "sar_after")


def reasons(matching: Matching) -> list[tuple[str, str]]:
    return [(left.name, reason) for left, reason in matching.unpaired]


class TestReasons:
    def test_another_time_is_said_in_days(self) -> None:
        found = match([entry("s", 0)], [entry("o8", 8.2), entry("o-9", -9)], days=3)
        assert dict(reasons(found)) == {
            "s": "o8 of the same place is 8.2 days later; the window is 3 days",
            "o8": "s of the same place is 8.2 days earlier; the window is 3 days",
            "o-9": "s of the same place is 9.0 days later; the window is 3 days",
        }

    def test_the_wrong_order_is_said(self) -> None:
        found = match([entry("s", 2)], [entry("o", 1)], 3, "sar_before")
        assert dict(reasons(found))["s"] == "o of the same place is 1.0 days earlier; the window is 3 days, SAR first"

    def test_another_place_is_said_in_kilometres(self) -> None:
        found = match([entry("s", 0)], [entry("o", 0, 3), entry("far", 0, 30)], days=3)
        # Two degrees of longitude at latitude 46 on WGS84.
        assert dict(reasons(found))["s"] == (
            "no scene of the other sensor overlaps it; the nearest, o, is 154.9 km away"
        )

    def test_the_antimeridian_is_no_wall(self) -> None:
        found = match([entry("s", 0, 178.5)], [entry("o", 0, -180.0)], days=3)
        assert "the nearest, o, is 38.7 km away" in dict(reasons(found))["s"]

    def test_no_coordinates_and_nobody_there_are_said(self) -> None:
        found = match([entry("s", 0, None), entry("t", 0, sensor="sar")], [], days=3)
        assert "no coordinate reference system" in dict(reasons(found))["s"]
        assert dict(reasons(found))["t"] == "no scene of the other sensor is left to pair it with"


scenes = st.lists(
    st.tuples(st.one_of(st.none(), st.integers(0, 40)), st.integers(0, 12), st.booleans()), max_size=14
).map(
    lambda drawn: [
        entry(f"{'s' if is_sar else 'o'}{n}", None if day is None else day / 4, x / 4)
        for n, (day, x, is_sar) in enumerate(drawn)
    ]
)


class TestProperties:
    @given(scenes, st.sampled_from([0.0, 0.5, 3.0]), st.integers(1, 2))
    @settings(max_examples=60, deadline=None)
    def test_pairs_are_in_the_window_one_to_one_and_complete(
        self, all_: list[Entry], days: float, partners: int
    ) -> None:
        sar, optical = ([e for e in all_ if e.scene.sensor == sensor] for sensor in ("sar", "optical"))
        found = match(sar, optical, days, partners=partners)
        uses = Counter(entry.name for pair in found.pairs for entry in (pair.sar, pair.optical))
        for pair in found.pairs:
            assert uses[pair.optical.name] == 1
            assert uses[pair.sar.name] <= partners
            assert pair.days_apart is None or abs(pair.days_apart) <= days
            assert pair.days_apart == days_apart(pair.sar, pair.optical)
            assert pair.overlap == overlap_share(pair.sar.footprint, pair.optical.footprint) >= 0.1
        left = {entry.name for entry, _ in found.unpaired}
        assert left == {entry.name for entry in all_} - set(uses), "every scene is paired or has a reason"
        if partners == 1:
            for one in sar:
                for other in optical:
                    self.check_stable(one, other, found, days)

    def check_stable(self, one: Entry, other: Entry, found: Matching, days: float) -> None:
        """No two scenes would both be nearer to each other than to what they got."""
        apart = days_apart(one, other)
        if apart is None or abs(apart) > days or overlap_share(one.footprint, other.footprint) < 0.1:
            return
        got = {
            entry.name: abs(pair.days_apart) if pair.days_apart is not None else float("inf")
            for pair in found.pairs
            for entry in (pair.sar, pair.optical)
        }
        assert min(got.get(one.name, 1e9), got.get(other.name, 1e9)) <= abs(apart)

    @given(scenes, st.randoms())
    @settings(max_examples=40, deadline=None)
    def test_the_order_of_the_scenes_does_not_matter(self, all_: list[Entry], random: object) -> None:
        sar, optical = ([e for e in all_ if e.scene.sensor == sensor] for sensor in ("sar", "optical"))
        first = match(sar, optical, 3)
        for entries in (sar, optical):
            random.shuffle(entries)  # pyright: ignore[reportAttributeAccessIssue]
        assert names(match(sar, optical, 3)) == names(first)

    @given(scenes)
    @settings(max_examples=40, deadline=None)
    def test_the_sensors_are_treated_alike(self, all_: list[Entry]) -> None:
        sar, optical = ([e for e in all_ if e.scene.sensor == sensor] for sensor in ("sar", "optical"))
        swapped = {(b, a) for a, b in names(match(optical, sar, 3, "sar_before"))}
        assert set(names(match(sar, optical, 3, "optical_before"))) == swapped


class TestBitemporal:
    def test_two_dates_of_a_place_are_before_and_after(self) -> None:
        entries = [entry("s0", 0), entry("o1", 1), entry("s30", 30), entry("o31", 31), entry("s-else", 0, 20)]
        (change,), left = match_bitemporal(entries[0:3:2] + entries[4:], entries[1:4:2], days=3, apart=10)
        assert [entry.name for entry in (*change.before.scenes, *change.after.scenes)] == ["s0", "o1", "s30", "o31"]
        assert change.days == 30.0
        assert [(entry.name, reason) for entry, reason in left] == [
            ("s-else", "no other moment of its place is at least 10 days apart")
        ]

    def test_radar_before_and_optical_after_is_a_change(self) -> None:
        (change,), left = match_bitemporal([entry("s0", 0)], [entry("o30", 30)], days=3, apart=10)
        assert (change.before.sar and change.before.sar.name, change.before.optical) == ("s0", None)
        assert (change.after.sar, change.after.optical and change.after.optical.name) == (None, "o30")
        assert left == []

    def test_orbit_directions_are_never_mixed(self) -> None:
        sar = [entry("s0", 0, orbit="ascending"), entry("s20", 20, orbit="descending")]
        changes, left = match_bitemporal(sar, [], days=3, apart=10)
        assert changes == []
        assert {reason for _, reason in left} == {
            "at its place there are only scenes of the other orbit direction, which never share a change"
        }
        later = entry("s40", 40, orbit="ascending")
        (change,), left = match_bitemporal([*sar, later], [], days=3, apart=10)
        assert (change.before.reference.name, change.after.reference.name) == ("s0", "s40")

    def test_the_same_track_is_preferred_to_the_nearer_date(self) -> None:
        sar = [entry("s0", 0, track=15), entry("s12", 12, track=88), entry("s24", 24, track=15)]
        (change,), _ = match_bitemporal(sar, [], days=3, apart=10)
        assert (change.before.reference.name, change.after.reference.name) == ("s0", "s24")

    def test_a_scene_without_time_is_neither_before_nor_after(self) -> None:
        changes, left = match_bitemporal([entry("s", None), entry("t", 20, sensor="sar")], [entry("o", 0)], 3, 10)
        assert [(c.before.reference.name, c.after.reference.name) for c in changes] == [("o", "t")]
        assert [(e.name, r.split(",")[0]) for e, r in left] == [("s", "it has no time")]

    @given(scenes)
    @settings(max_examples=40, deadline=None)
    def test_every_scene_is_in_one_change_or_has_a_reason(self, all_: list[Entry]) -> None:
        sar, optical = ([e for e in all_ if e.scene.sensor == sensor] for sensor in ("sar", "optical"))
        changes, left = match_bitemporal(sar, optical, days=1, apart=2)
        used = [e.name for change in changes for moment in (change.before, change.after) for e in moment.scenes]
        assert sorted([*used, *(e.name for e, _ in left)]) == sorted(e.name for e in all_)
        assert all(change.days >= 2 and change.overlap >= 0.5 for change in changes)

    def test_moments_longer_than_the_time_between_them_are_refused(self) -> None:
        with pytest.raises(InputError, match="give more days to apart"):
            match_bitemporal([], [], days=10, apart=5)
