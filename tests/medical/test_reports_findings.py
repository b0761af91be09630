"""What the reader of reports makes of sentences, by the examples of ``findings_spec.txt``, and of whole reports."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from plait_medical.reports import context, findings
from plait_medical.reports.findings import SILENT, Evidence, conflicts, decide, evidence, likely, sided
from plait_medical.reports.lexicon import folded, lexicon
from plait_medical.reports.sentences import Sentence, sentences

STATES = {"+": "present", "-": "absent", "?": "uncertain", "0": None}

SPEC = Path(__file__).with_name("findings_spec.txt").read_text(encoding="utf-8")
RULES = [section.strip().split("\n") for section in SPEC.split("\n## ")[1:]]
LINES = [(rule, *re.split(r"\s{2,}", line)) for rule, *lines in RULES for line in lines]


def said(text: str, section: str = "findings") -> list[Evidence]:
    return evidence(sentences(text, section))


@pytest.mark.parametrize(("rule", "text", "expected"), LINES, ids=[f"{rule}: {text}" for rule, text, _ in LINES])
def test_rule(rule: str, text: str, expected: str) -> None:
    decided = decide(said(text))
    for item in expected.split():
        assert decided.get(item[1:]) == STATES[item[0]], item


@pytest.mark.parametrize(("_", "text", "expected"), LINES)
@pytest.mark.parametrize("written", [str.upper, lambda text: text.replace(" ", "\n  ")], ids=["capitals", "wrapped"])
def test_neither_capitals_nor_line_breaks_change_what_is_said(_: str, text: str, expected: str, written: Any) -> None:
    def heard(words: str) -> list[tuple[str, str, str]]:
        spoken = [item for line in re.split(r"(?<=[.])\s", words) for item in context.statements(line)]
        return [(item.finding, item.state, item.rule) for item in spoken]

    assert heard(written(text)) == heard(text)


SIDES = """
    Small left effusion.                             pleural_effusion=left
    Effusion is seen on the right.                   pleural_effusion=right
    Nodule in the left lung.                         nodule=left
    Right pneumothorax and left effusion.            pneumothorax=right pleural_effusion=left
    Left basal consolidation, right apical scarring. consolidation=left fibrosis=right
    Bilateral effusions.                             pleural_effusion=bilateral
    Effusions, right greater than left.              pleural_effusion=bilateral
    Bibasilar atelectasis.                           atelectasis=bilateral
    RLL pneumonia.                                   pneumonia=right
    Blunting of the left costophrenic angle.         blunted_angle=left
    Cardiomegaly and left effusion.                  cardiomegaly=None pleural_effusion=left
    Upright film. Pneumothorax.                      pneumothorax=None
"""


@pytest.mark.parametrize("line", SIDES.strip().split("\n"))
def test_the_side_is_the_one_named_with_the_finding(line: str) -> None:
    text, expected = re.split(r"\s{2,}|(?<=\.) (?=\w+=)", line.strip())
    sides = {item.finding: str(item.side) for item in said(text)}
    for pair in expected.split():
        finding, side = pair.split("=")
        assert sides[finding] == side, pair


def test_a_report_is_sided_where_it_sees_something_on_one_side_only() -> None:
    assert sided(said("Small left effusion."))
    assert not sided(said("Bilateral effusions. Cardiomegaly."))
    assert not sided([])


def test_evidence_names_the_place_the_words_and_the_rule() -> None:
    report = "INDICATION: fever\nFINDINGS: The heart is\n  mildly enlarged. No left pneumothorax."
    begin = report.index("The")
    heart, silhouette, pneumothorax = evidence(sentences(report[begin:], "findings", begin))
    assert (heart.finding, heart.state, heart.rule) == ("cardiomegaly", "present", "heart enlarged: stated")
    assert (silhouette.finding, silhouette.rule) == (
        "enlarged_cardiomediastinum",
        "cardiomegaly: heart enlarged: stated",
    )
    assert (pneumothorax.state, pneumothorax.side, pneumothorax.rule) == ("absent", "left", "denied (no)")
    assert report[pneumothorax.start : pneumothorax.stop] == pneumothorax.phrase == "pneumothorax"
    assert report[heart.start : heart.stop] == heart.phrase == "heart is\n  mildly enlarged"
    assert pneumothorax.sentence == "No left pneumothorax."
    assert {item.section for item in (heart, pneumothorax)} == {"findings"}


def test_a_rule_holds_no_word_of_the_report() -> None:
    cues: dict[str, Any] = yaml.safe_load((Path(findings.__file__).parent / "cues.yaml").read_text())
    names = {name for kind, rules in cues.items() if kind != "words" for name in rules} | {"?"}
    structures = {" ".join(pair) for pair in lexicon().qualities}
    for _, text, _ in LINES:
        for item in said(text):
            *what, verdict = item.rule.split(": ")
            assert set(what) <= structures | set(lexicon().findings)
            match = re.fullmatch(r"(?:stated|denied|hedged)(?: \((.+)\))?", verdict)
            assert match, item.rule
            assert match[1] is None or match[1] in names


@pytest.mark.parametrize("section", sorted(SILENT))
def test_a_silent_section_says_nothing(section: str) -> None:
    assert said("Large pneumothorax.", section) == []


def test_a_first_reading_counts_until_a_final_one_replaces_it() -> None:
    first, final = sentences("Large pneumothorax.", "wet_read"), sentences("No pneumothorax.", "impression")
    assert decide(evidence(first))["pneumothorax"] == "present"
    assert decide(evidence([*first, *final]))["pneumothorax"] == "absent"


def of(finding: str, state: Any, section: str = "findings") -> Evidence:
    return Evidence(finding, state, None, "stated", "", "", section, 0, 0)


def test_present_beats_uncertain_beats_absent_in_any_order() -> None:
    heard = [
        of("edema", "absent"),
        of("edema", "uncertain"),
        of("mass", "absent"),
        of("edema", "present", "impression"),
    ]
    for seed in range(6):
        random.Random(seed).shuffle(heard)
        assert decide(heard) == {"mass": "absent", "edema": "present", "no_finding": "absent"}
    assert decide([of("edema", "absent"), of("edema", "uncertain")])["edema"] == "uncertain"


def test_likely_is_what_a_report_leans_to() -> None:
    heard = said("Probable effusion. Atelectasis and/or edema. Possible nodule. Cardiomegaly. No mass.")
    assert likely(heard) == {
        *("pleural_effusion", "atelectasis", "edema", "lung_opacity", "cardiomegaly", "enlarged_cardiomediastinum")
    }
    assert "edema" not in likely([*said("Probable edema."), of("edema", "absent", "addendum")])


def test_an_addendum_corrects() -> None:
    heard = [of("pneumothorax", "present"), of("edema", "present"), of("pneumothorax", "absent", "addendum")]
    assert decide(heard) == {"edema": "present", "pneumothorax": "absent", "no_finding": "absent"}


def test_where_a_report_contradicts_itself_it_is_told() -> None:
    heard = said("No effusion. Possible edema. Cardiomegaly. The lungs are clear.") + said(
        "Small effusion.", "impression"
    )
    assert conflicts(heard) == ["pleural_effusion"]


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("The lungs are clear. A pacemaker is in place.", "present"),
        ("No acute cardiopulmonary abnormality.", "present"),
        ("No acute cardiopulmonary abnormality. Mild cardiomegaly.", "absent"),
        ("Possible pneumonia.", "uncertain"),
        ("The patient was examined.", None),
    ],
)
def test_no_finding_follows_from_all_others(text: str, state: str | None) -> None:
    assert decide(said(text)).get("no_finding") == state


def test_the_lexicon_is_whole() -> None:
    words = lexicon()
    known = set(words.findings)
    tables: dict[str, Any] = yaml.safe_load((Path(findings.__file__).parent / "findings.yaml").read_text())
    assert {parent for parents in words.parents.values() for parent in parents} <= known
    assert {finding for means in words.qualities.values() for finding, _ in means} <= known
    assert {quality for _, quality in words.qualities} <= set(tables["qualities"])
    asserted = {finding for phrase in words.phrases for finding, _ in phrase.means}
    asserted |= {finding for means in words.qualities.values() for finding, _ in means}
    assert asserted == known
    assert not words.pattern.fullmatch("")


def test_folding_keeps_every_place() -> None:
    for text in ("No EFFUSION\u00a0seen", "\u0130stanbul\u2010\u00df \U0001f600 ___", "a\tb\r\nc"):
        assert len(folded(text)) == len(text)
    assert folded("XXXX ___ No\u2011Go") == "xxxx xxx no-go"


BAIT = [
    "no ",
    "  ",
    "heart normal ",
    "effusion, ",
    "no effusion or ",
    "left ",
    "pulmonary ",
    "may ",
    "(((",
    "? ",
    "-",
    "x",
]


@pytest.mark.parametrize("bait", BAIT)
def test_a_sentence_without_end_does_not_hang(bait: str) -> None:
    start = time.process_time()
    context.statements(bait * (16_000 // len(bait)))
    assert time.process_time() - start < 20


def test_a_sentence_may_be_of_any_section_that_speaks() -> None:
    spoken = Sentence("No effusion.", "body", 7, 19)
    (item,) = evidence([spoken])
    assert (item.section, item.start, item.stop) == ("body", 10, 18)
