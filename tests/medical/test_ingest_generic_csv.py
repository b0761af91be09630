"""A CSV of one's own: what its columns may be called, and what a bad line costs."""

from __future__ import annotations

import pytest

from plait.errors import InputError
from tests.medical.folders import POINTER, SECRET, read, write


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_columns_go_by_their_usual_names_whatever_the_delimiter_and_encoding(tmp_path, delimiter, encoding):
    lines = [
        ["Image Path", "Text", "Patient_ID", "study", "split", "label_edema"],
        ["x/a.png", "Größe normal.", "7", "s1", "Validation", "1"],
        ["x/b.png", "", "8", "s2", "train", ""],
    ]
    (tmp_path / "mine.csv").write_bytes("\n".join(delimiter.join(line) for line in lines).encode(encoding))
    rows, told = read("generic-csv", tmp_path)
    assert rows[0] == {
        "id": "s1", "group": "7", "time": None, "split": "val", "study": "s1", "image": "x/a.png", "lateral": None,
        "prior": None, "prior_id": None, "view": None, "views": ["x/a.png"], "report": "Größe normal.",
        "findings": "Größe normal.", "impression": None, "indication": None, "comparison": None, "technique": None,
        "label_edema": 1,
    }  # fmt: skip
    assert rows[1]["report"] is None
    assert rows[1]["label_edema"] is None
    assert ("mine.csv, line 3", "the report is empty; the film is kept without it") in told
    assert len(told) == 1 + (encoding == "latin-1")


def test_dates_give_priors_and_columns_give_laterals_and_views(tmp_path):
    write(
        tmp_path / "mine.csv",
        "image,lateral,report,patient,date,view\n"
        "b.png,bl.png,Fine.,1,2020-02-01,PA\n"
        "a.png,,Fine.,1,20191231,AP supine\n"
        "l.png,,Fine.,1,,LATERAL\n",
    )
    later, first, lateral = read("generic-csv", tmp_path)[0]
    assert (later["image"], later["lateral"], later["view"], later["time"]) == ("b.png", "bl.png", "PA", "2020-02-01")
    assert (later["prior"], later["prior_id"]) == ("a.png", "a.png")
    assert (first["time"], first["view"], first["prior"]) == ("2019-12-31", "AP SUPINE", None)
    assert (lateral["image"], lateral["lateral"], lateral["time"]) == (None, "l.png", None)


def test_a_column_for_the_prior_is_believed(tmp_path):
    write(
        tmp_path / "mine.csv",
        "image,prior,report,patient,date\nb.png,old/a.png,x,1,2020-02-01\na.png,,x,1,2020-01-01\n",
    )
    assert [row["prior"] for row in read("generic-csv", tmp_path)[0]] == ["old/a.png", None]


def test_a_bad_line_is_refused_and_the_rest_goes_on(tmp_path):
    write(
        tmp_path / "pairs.csv",
        f"image,report,patient,split,label_x,date\na.png,{SECRET},,,,\n,,1,train,,\nb.png,Fine.,2,train,,\n"
        f",Only text.,3,train,,\nd.png,x,4,{SECRET},,\ne.png,x,4,train,{SECRET},\nf.png,x,4,train,,31/12/2019\n"
        f"b.png,x,4,train,,\ng.png,x,4,train,,,{SECRET}\n\nh.png,short,5\n\n",
    )
    rows, told = read("generic-csv", tmp_path)
    assert [row["id"] for row in rows] == ["b.png", "line-5"]
    causes = {what.removeprefix("pairs.csv, "): cause for what, cause in told}
    assert causes == {
        "line 2": "the column 'patient' is empty: name the patient",
        "line 3": "has neither a film nor a report: fill in one of them",
        "line 6": "the column 'split' holds none of train, val, test, gap: correct it",
        "line 7": "the column 'label_x' holds none of 0, 1, -1 or empty: correct it",
        "line 8": "the column 'date' holds no day such as 2020-01-31: correct it",
        "b.png": "is the id of two rows: the second is left out",
        "line 10": "has more cells than the header: quote what holds a comma",
        "line 12": "the column 'split' holds none of train, val, test, gap: correct it",
    }


def test_a_quotation_mark_that_is_never_closed_costs_its_cell_and_not_the_table(tmp_path):
    lines = [f"{number}.png,Fine.,1" for number in range(20_000)]
    lines[100] = '100.png,"Fine.,1'
    write(tmp_path / "pairs.csv", "image,report,patient\n" + "\n".join(lines))
    rows, told = read("generic-csv", tmp_path)
    assert len(rows) > 10_000
    assert told == {("pairs.csv, line 102", "has a cell without end: close its quotation mark"): 1}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "picture,report,patient\na,b,c\n",
            r"mine\.csv has no column for the image in its first line: name it image or",
        ),
        ("image,report\na,b\n", "no column for the group in its first line: name it group or patient"),
        ("", "no column for the image"),
        (POINTER, r"mine\.csv is a Git-LFS pointer"),
        ('"image,report,patient\n' + "a,b,c\n" * 50_000, "has a first line without end: close its quotation mark"),
        ("\0\0\0\0", r"mine\.csv is not text"),
        ("image,report,patient\n" + "x" * 2**21, "has a line of more than 1 MiB"),
        (f"a.png,{SECRET},Doe^Jane\n", "no column for the image"),
    ],
)
def test_a_wrong_table_is_one_sentence_that_quotes_nothing(tmp_path, text, says):
    write(tmp_path / "mine.csv", text)
    with pytest.raises(InputError, match=says) as error:
        read("generic-csv", tmp_path)
    assert "Doe" not in str(error.value)


def test_which_csv_must_be_plain(tmp_path):
    with pytest.raises(InputError, match="0 CSV files"):
        read("generic-csv", tmp_path)
    write(tmp_path / "a.CSV", "image,report,patient\na,b,c\n")
    write(tmp_path / "b.csv", "")
    with pytest.raises(InputError, match="2 CSV files"):
        read("generic-csv", tmp_path)
    (tmp_path / "b.csv").rename(tmp_path / "pairs.csv")
    with pytest.raises(InputError, match=r"pairs\.csv"):
        read("generic-csv", tmp_path)
