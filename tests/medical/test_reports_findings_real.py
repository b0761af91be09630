"""The findings that are read from the real IU reports, against the MeSH headings that people gave them.

The rules were written on one half of the reports (``Compared.half`` 0) and checked on the other. What people coded is
what a report leans to, so that ``likely`` is the reading that is compared; ``python -m tests.medical.confusion`` prints
it beside the two others.
"""

from __future__ import annotations

import pytest

from tests.medical.confusion import HEADINGS, Compared, Confusion, archive, compared, confusions

pytestmark = pytest.mark.real

FOUR = ("pneumothorax", "pleural_effusion", "cardiomegaly", "nodule")


@pytest.fixture(scope="module")
def pairs() -> list[Compared]:
    if archive() is None:
        pytest.skip("the wheel of torchxrayvision, which carries the IU reports, is not installed")
    return compared()


def test_all_coded_reports_are_compared(pairs: list[Compared]) -> None:
    assert len(pairs) == 3860
    assert sum("pneumothorax" in pair.coded for pair in pairs) == 27
    assert sum("no_finding" in pair.coded for pair in pairs) == 1391


@pytest.mark.parametrize("finding", FOUR)
def test_precision_and_recall_are_at_least_nine_tenths(pairs: list[Compared], finding: str) -> None:
    for reading in ("present", "likely"):
        confusion = confusions(pairs, reading)[finding]
        assert min(confusion.precision, confusion.recall) >= 0.9, f"{reading}: {confusion}"


@pytest.mark.parametrize("finding", FOUR)
def test_the_half_that_was_kept_agrees(pairs: list[Compared], finding: str) -> None:
    kept = confusions([pair for pair in pairs if pair.half == 1], "likely")[finding]
    assert min(kept.precision, kept.recall) >= 0.85, str(kept)


@pytest.mark.parametrize("finding", FOUR)
def test_the_present_are_there_and_the_uncertain_leave_little_out(pairs: list[Compared], finding: str) -> None:
    assert confusions(pairs, "present")[finding].precision >= 0.9
    assert confusions(pairs, "uncertain")[finding].recall >= 0.9


def test_no_other_coded_finding_is_passed_over(pairs: list[Compared]) -> None:
    table = confusions(pairs, "uncertain")
    assert {finding: str(table[finding]) for finding in HEADINGS if table[finding].recall < 0.9} == {}


def test_a_side_that_is_read_is_the_side_that_is_coded(pairs: list[Compared]) -> None:
    sides = Confusion()
    for pair in pairs:
        coded = {
            part for heading in pair.headings if heading.startswith("Pleural Effusion/") for part in heading.split("/")
        }
        if "pleural_effusion" in pair.sides and len(coded & {"left", "right"}) == 1 and "bilateral" not in coded:
            given, read = coded & {"left", "right"}, pair.sides["pleural_effusion"]
            sides.hit += given <= read
            sides.missed += not given <= read
            sides.wrong += bool(read & ({"left", "right"} - given))
    assert sides.hit + sides.missed > 60
    assert sides.precision >= 0.95, str(sides)
    assert sides.recall >= 0.75, str(sides)  # "left basal consolidation and effusion" names no side of the effusion
