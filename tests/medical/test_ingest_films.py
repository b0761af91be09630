"""The one walk through a collection's folders, and the studies that are made of what it finds."""

from __future__ import annotations

from pathlib import Path

from plait_medical.ingest.films import TWO_PATIENTS, Film, _walk, files_under, study_rows
from plait_medical.ingest.studies import View


def touch(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def test_films_go_by_their_name_and_other_files_by_theirs(tmp_path):
    touch(tmp_path, "a/b/One.JPG", "two.dcm", "a/table.csv.gz", "a/b/s1.txt", "a/._One.jpg", ".hidden/three.png")
    films, others = files_under(tmp_path)
    assert films == {"One": "a/b/One.JPG", "two": "two.dcm"}
    assert others == {"table.csv.gz": "a/table.csv.gz", "s1.txt": "a/b/s1.txt"}


def test_where_a_name_comes_again_the_folders_above_belong_to_it(tmp_path):
    touch(tmp_path, "x/p1/s1/view1.png", "x/p1/s2/view1.png", "view1.png")
    films, _ = files_under(tmp_path, parts=3)
    assert films == {
        "p1/s1/view1": "x/p1/s1/view1.png", "p1/s2/view1": "x/p1/s2/view1.png", "/view1": "view1.png",
    }  # fmt: skip


def test_of_a_film_in_several_formats_dicom_goes_before_png_before_jpeg(tmp_path):
    touch(tmp_path, "one.jpg", "a/one.png", "a/b/one.dcm", "a/two.png", "two.jpeg")
    assert files_under(tmp_path)[0] == {"one": "a/b/one.dcm", "two": "a/two.png"}


def test_of_two_files_of_one_name_the_nearer_is_taken_then_the_first(tmp_path):
    touch(tmp_path, "a/b/train.csv", "c/train.csv", "b/train.csv")
    assert files_under(tmp_path)[1] == {"train.csv": "b/train.csv"}


def test_no_folder_is_walked_twice_however_it_is_linked(tmp_path):
    touch(tmp_path, "a/one.png")
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "z").symlink_to(tmp_path / "a")
    assert list(_walk(tmp_path)) == [("a", "one.png")]


def test_a_folder_elsewhere_is_walked_through_its_link(tmp_path):
    touch(tmp_path, "big_disk/p10/one.png")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/films").symlink_to(tmp_path / "big_disk")
    assert files_under(tmp_path / "data")[0] == {"one": "films/p10/one.png"}


def test_links_that_lead_nowhere_are_passed_by(tmp_path):
    touch(tmp_path, "one.png")
    (tmp_path / "itself").symlink_to(tmp_path / "itself")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    assert files_under(tmp_path) == ({"one": "one.png"}, {})


def test_films_become_studies_and_what_the_first_film_says_counts():
    told: list[tuple[str, str]] = []
    films = [
        Film("p1", "s2", View("b.png", "PA"), {"time": "2020-01-02", "report": "Later."}),
        Film("p1", "s1", View("a.png", "PA"), {"time": "2020-01-01", "report": "First."}),
        Film("p1", "s2", View("c.png", "LL"), {"time": "2020-01-09", "report": "Not this."}),
        Film("p2", "s2", View("d.png", "PA"), {"time": "2020-01-03", "report": "Nor this."}),
        Film("p2", "s3", View("e.png"), {"time": None, "report": None}),
    ]
    later, first, other = study_rows(films, "time", lambda what, cause: told.append((what, cause)))
    assert (later["id"], later["group"], later["study"], later["report"]) == ("s2", "p1", "s2", "Later.")
    assert (later["image"], later["lateral"], later["prior"], later["prior_id"]) == ("b.png", "c.png", "a.png", "s1")
    assert first["prior"] is None
    assert (other["group"], other["image"]) == ("p2", "e.png")
    assert told == [
        ("d.png", TWO_PATIENTS),
        ("views", "the frontal film is a guess, as nothing says how it was taken: 1 times"),
    ]
