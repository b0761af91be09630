"""A section is cut into its sentences, and every sentence tells where it stands."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_medical.reports.sentences import Sentence, sentences


def said(text: str) -> list[str]:
    return [" ".join(sentence.text.split()) for sentence in sentences(text)]


@pytest.mark.parametrize(
    "expected",
    [
        ["The heart is enlarged.", "No effusion."],
        ["Is there a nodule?", "No!", "Normal."],
        ["A nodule of 1.5 cm.", "No. 3 tube in place.", "See fig. 2 again."],
        ["Told to Dr. Who vs. Mrs. Noble, e.g. by phone, approx. at 9.30 a.m. by the resident.", "Normal."],
        ["Read at 10 a.m.", "Measures 4 cm.", "Stable since 2012.", "Hepatitis C.", "Normal at T12.", "Clear."],
        ["Compared to ___.", "___ year old.", "XXXX and XXXX.", "Dr. XXXX was told.", "Dated XXXX.", "Clear."],
        ["Clear..", "No effusion ..", "Normal . ."],
        ["HEART IS LARGE.", "NO EFFUSION."],
        ["The lungs are clear.", "the heart is large.", "no effusion."],
        ["1. Cardiomegaly.", "2. No acute disease.", "10. 9 mm nodule."],
        ["1. Cardiomegaly", "2. Nodule of 2.5 cm at T 12", "3. Clear"],
        ["1) clear lungs", "2) no effusion", "3) normal heart"],
        ["(1) Clear lungs", "(2) No effusion"],
        ["1.Clear lungs.", "2.No effusion."],
        ["Chest", "1. Clear.", "2. Normal.", "Knee", "1. Normal."],
        ["No effusion; the heart is large; clear."],
        ["? pneumonia.", "Nodule ? mass, ?new.", "Clear."],
        ['"Clear."', "(Stable.)", "Normal."],
        ["Hypoinflated. with opacities.", "Normal."],
        ["no capital. and no end"],
        ["Lungs: Clear.", "Pneumothorax: No.", "Heart: Normal."],
        ["1. Fracture of rib 6.", "Normal."],
    ],
)
def test_sentences_in_a_line(expected: list[str]):
    assert said(" ".join(expected)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Lungs clear.No effusion.", ["Lungs clear.", "No effusion."]),
        ("LUNGS CLEAR.NO EFFUSION.", ["LUNGS CLEAR.", "NO EFFUSION."]),
        ("Dated XXXX.The lungs.", ["Dated XXXX.", "The lungs."]),
        ("Ratio 1.5 in the U.S.A. by Ph.D students", ["Ratio 1.5 in the U.S.A. by Ph.D students"]),
    ],
)
def test_a_blank_may_lack_after_the_full_stop(text: str, expected: list[str]):
    assert said(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("There is a small\n   left effusion.\nClear.", ["There is a small left effusion.", "Clear."]),
        ("Heart normal\nLungs clear\nNo effusion", ["Heart normal", "Lungs clear", "No effusion"]),
        ("Heart normal\r\nLungs clear\r\n", ["Heart normal", "Lungs clear"]),
        ("No mass,\nPneumothorax or\nEffusion", ["No mass, Pneumothorax or Effusion"]),
        ("Lungs:\nClear", ["Lungs: Clear"]),
        (
            "- Heart normal\n* no effusion\n\u2022 clear \u2022 stable",
            ["Heart normal", "no effusion", "clear", "stable"],
        ),
        ("Normal heart\n\nClear lungs", ["Normal heart", "Clear lungs"]),
        ("Normal heart\n\nand lungs", ["Normal heart and lungs"]),
        ("Measures 5 cm.\n- no effusion", ["Measures 5 cm.", "no effusion"]),
        ("There are:\n- a mass,\n- no effusion", ["There are:", "a mass,", "no effusion"]),
        ("Told to Dr.\nWho.", ["Told to Dr. Who."]),
        ("1. large heart\n2. clear", ["1. large heart", "2. clear"]),
    ],
)
def test_line_breaks_end_a_sentence_or_not(text: str, expected: list[str]):
    assert said(text) == expected


def test_a_wrapped_line_goes_on_before_a_capital_and_a_short_one_or_a_paragraph_does_not():
    full = "An opacity is seen in the base of the lung as in the last three"
    assert said(f"{full}\nPA films of the year") == [f"{full} PA films of the year"]
    assert said(f"{full}\nfilms\nPleura normal") == [f"{full} films", "Pleura normal"]
    assert said(f"{full}\n\nPleura normal") == [full, "Pleura normal"]


def test_a_sentence_knows_its_place():
    report = "FINDINGS: Clear.\n  No\n effusion. "
    assert sentences(report[9:], "findings", 9) == [
        Sentence("Clear.", "findings", 10, 16),
        Sentence("No\n effusion.", "findings", 19, 32),
    ]
    assert report[19:32] == "No\n effusion."


def test_what_says_nothing_is_left_out():
    assert sentences("") == []
    assert said("- \n. \n ___ .\n...") == []


@given(
    st.lists(
        st.sampled_from(
            ["Clear", "no", "Dr", "3", "1.5", "2", ".", "..", "?", ")", ";", "\n", "\n\n", "-", "\u2022", "é"]
        )
    ),
    st.sampled_from(["", " "]),
)
def test_sentences_stand_in_order_and_leave_no_letter_out(pieces: list[str], between: str):
    text = between.join(pieces)
    found = sentences(text, offset=7)
    assert all(text[s.start - 7 : s.stop - 7] == s.text == s.text.strip() for s in found)
    assert all(one.stop <= other.start for one, other in pairwise(found))
    assert [c for s in found for c in s.text if c.isalnum()] == [c for c in text if c.isalnum()]
