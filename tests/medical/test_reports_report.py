"""A report is read whole or from its sections, and everything it says can be found in it."""

from __future__ import annotations

from plait_medical.reports import Report, parse_report
from plait_medical.reports.sections import plain

TEXT = (
    "HISTORY: Pneumonia?\r\nFINDINGS: The heart is large. There is a small\r\n  left pleural effusion.\r\n"
    "IMPRESSION:\r\n1. Cardiomegaly.\r\n2. No pneumothorax.\r\nFINDINGS: Nodule &lt; 5 mm.&nbsp;Clear pleura."
)


def test_a_report_has_sections_sentences_findings_and_evidence():
    report = parse_report(TEXT)
    assert {name: " ".join(text.split()) for name, text in report.sections.items()} == {
        "indication": "Pneumonia?",
        "findings": "The heart is large. There is a small left pleural effusion. Nodule &lt; 5 mm. Clear pleura.",
        "impression": "1. Cardiomegaly. 2. No pneumothorax.",
    }
    assert [(said.section, " ".join(said.text.split())) for said in report.sentences] == [
        ("indication", "Pneumonia?"),
        ("findings", "The heart is large."),
        ("findings", "There is a small left pleural effusion."),
        ("impression", "1. Cardiomegaly."),
        ("impression", "2. No pneumothorax."),
        ("findings", "Nodule < 5 mm."),
        ("findings", "Clear pleura."),
    ]
    assert report.findings["cardiomegaly"] == report.findings["pleural_effusion"] == "present"
    assert report.findings["pneumothorax"] == "absent"
    assert "pneumonia" not in report.findings


def test_every_sentence_and_mention_is_found_at_its_place():
    report = parse_report(TEXT)
    assert [plain(TEXT)[said.start : said.stop] for said in report.sentences] == [
        said.text for said in report.sentences
    ]
    assert report.evidence
    assert [TEXT[said.start : said.stop] for said in report.evidence] == [said.phrase for said in report.evidence]


def test_sections_that_stand_apart_are_read_as_they_are():
    given = {"FINDINGS": "  Heart is large. ", "impression": None, "comparison": " ", "indication": "IMPRESSION: ?"}
    report = Report.of_sections(given)
    assert report.sections == {"findings": "  Heart is large. ", "indication": "IMPRESSION: ?"}
    assert report.findings["cardiomegaly"] == "present"
    assert [(said.section, said.start, said.stop) for said in report.sentences] == [
        ("findings", 2, 17),
        ("indication", 0, 13),
    ]


def test_a_report_that_says_nothing_is_empty():
    assert parse_report(" \n") == Report({}, [], {}, []) == Report.of_sections({"findings": None})
