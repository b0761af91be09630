"""Which film stands for a study, and which study came before it."""

from __future__ import annotations

import pytest

from plait_medical.ingest.studies import View, projection, study_row, with_priors


@pytest.mark.parametrize(
    ("position", "shows"),
    [
        ("PA", "frontal"), ("AP", "frontal"), ("AP Supine", "frontal"), ("AP_horizontal", "frontal"),
        ("Frontal", "frontal"), ("LL", "lateral"), ("RL", "lateral"), ("L", "lateral"), ("LATERAL", "lateral"),
        ("LEFT LATERAL", "lateral"), ("XTABLE LATERAL", "lateral"), ("PA LLD", None), ("AP AXIAL", None),
        ("LAO", None), ("LATERAL DECUBITUS", None), ("SWIMMERS", None), ("COSTAL", None), ("PA and lateral", None),
        ("UNK", None), ("?", None), ("", None), (None, None),
    ],
)  # fmt: skip
def test_a_position_says_what_a_film_shows(position, shows):
    assert projection(View("1.dcm", position)) == shows


@pytest.mark.parametrize(
    ("name", "shows"),
    [
        ("s1_pa.png", "frontal"), ("s1/AP.dcm", "frontal"), ("view1_frontal.jpg", "frontal"), ("a-LAT.dcm", "lateral"),
        ("lateral.dcm", "lateral"), ("pa_017.png", None), ("pa17.png", None), ("map.png", None), ("flat.png", None),
    ],
)  # fmt: skip
def test_the_end_of_a_name_speaks_where_the_position_does_not(name, shows):
    assert projection(View(name)) == projection(View(name, "UNKNOWN")) == shows
    assert projection(View(name, "LL")) == "lateral"


def test_pa_goes_before_ap_plain_before_qualified_whole_before_half_first_before_second():
    films = [
        View("supine", "PA SUPINE"), View("ap", "AP"), View("half", "PA", "R"), View("pa", "PA", "U"),
        View("pa2", "PA"),
    ]  # fmt: skip
    order: list[str] = []
    while films:
        row = study_row(films)
        order.append(row["image"])
        assert row["views"] == [film.path for film in films]
        films = [film for film in films if film.path != row["image"]]
    assert order == ["pa", "pa2", "half", "ap", "supine"]


def test_a_study_has_a_frontal_a_lateral_and_all_its_views():
    films = [View("x", "XTABLE LATERAL"), View("l", "LL"), View("o", "LAO"), View("a", "ap supine"), View("u", None)]
    assert study_row(films) == {
        "image": "a", "lateral": "l", "view": "AP SUPINE", "views": ["x", "l", "o", "a", "u"]
    }  # fmt: skip


def test_a_film_of_which_nothing_is_said_is_taken_for_the_frontal_and_an_oblique_is_not():
    assert study_row([View("l", "LL"), View("u", "UNK"), View("v")]) == {
        "image": "u", "lateral": "l", "view": None, "views": ["l", "u", "v"]
    }  # fmt: skip
    assert study_row([View("o", "RPO")]) == {"image": None, "lateral": None, "view": None, "views": ["o"]}
    assert study_row([]) == {"image": None, "lateral": None, "view": None, "views": []}


def study(name: str, group: str, time: str | None, image: str | None = "", **more: object) -> dict[str, object]:
    return {"id": name, "group": group, "time": time, "image": f"{name}.png" if image == "" else image} | more


def test_the_prior_is_the_last_earlier_film_of_the_same_patient():
    rows = [
        study("c", "p", "2020-03-01"), study("a", "p", "2019-12-31"), study("b", "p", "2020-01-05"),
        study("x", "q", "2020-02-01"),
    ]  # fmt: skip
    told = {row["id"]: (row["prior"], row["prior_id"]) for row in with_priors(rows)}
    assert told == {"c": ("b.png", "b"), "a": (None, None), "b": ("a.png", "a"), "x": (None, None)}
    assert [row["id"] for row in with_priors(rows)] == ["c", "a", "b", "x"]


def test_equal_and_unknown_times_are_not_before_and_a_study_without_a_frontal_is_nobodys_prior():
    rows = [
        study("a", "p", "2020-01-01"), study("b", "p", "2020-02-01", image=None), study("c", "p", "2020-03-01"),
        study("d", "p", "2020-03-01"), study("e", "p", None),
    ]  # fmt: skip
    told = {row["id"]: row["prior_id"] for row in with_priors(rows)}
    assert told == {"a": None, "b": "a", "c": "a", "d": "a", "e": None}


def test_a_number_may_tell_the_order():
    rows = [study(name, "p", None, follow_up=number) for name, number in (("ten", 10), ("nine", 9), ("minus", -3))]
    told = {row["id"]: row["prior_id"] for row in with_priors(rows, "follow_up")}
    assert told == {"ten": "nine", "nine": "minus", "minus": None}
