"""The sections of a report, found by headers as radiologists write them."""

from __future__ import annotations

import pytest

from plait_medical.reports.headers import misspelt, named, slips
from plait_medical.reports.sections import sections, stretches


def texts(report: str) -> dict[str, str]:
    """The sections with single blanks between words."""
    return {name: " ".join(span.text.split()) for name, span in sections(report).items()}


FOUR = {"indication": "Cough.", "comparison": "None.", "findings": "Clear lungs.", "impression": "Normal."}

SAME = {
    "a line each": "INDICATION: Cough.\nCOMPARISON: None.\nFINDINGS: Clear lungs.\nIMPRESSION: Normal.",
    "capitalised": "Indication: Cough.\nComparison: None.\nFindings: Clear lungs.\nImpression: Normal.",
    "small letters": "indication: Cough.\ncomparison: None.\nfindings: Clear lungs.\nimpression: Normal.",
    "lines of their own": "INDICATION\nCough.\n\nCOMPARISON\nNone.\n\nFINDINGS\nClear lungs.\n\nIMPRESSION\nNormal.",
    "all in one line": "INDICATION: Cough. COMPARISON: None. FINDINGS: Clear lungs. IMPRESSION: Normal.",
    "capitalised in one line": "Indication: Cough. Comparison: None. Findings: Clear lungs. Impression: Normal.",
    "in mid-line": "INDICATION: Cough. COMPARISON: None.\n\nFINDINGS: Clear lungs. Impression: Normal.",
    "synonyms": "REASON FOR EXAM: Cough.\nPRIOR STUDY: None.\nOBSERVATIONS: Clear lungs.\nCONCLUSION: Normal.",
    "misspelt": "INDICATON: Cough.\nCOMPARISION: None.\nFIDNINGS: Clear lungs.\nIMRESSION: Normal.",
    "the shift key held too long": "INdication: Cough.\nCOmparison: None.\nFIndings: Clear lungs.\nIMpression: Normal.",
    "abbreviated": "PMH: Cough.\nCOMPARISON: None.\nFINDINGS: Clear lungs.\nIMPRESSION: Normal.",
    "a letter lost in front": "ndication: Cough.\nomparison: None.\nindings: Clear lungs.\nmpression: Normal.",
    "numbered": "1. INDICATION: Cough.\n2. COMPARISON: None.\n3) FINDINGS: Clear lungs.\n4) IMPRESSION: Normal.",
    "dashes": "INDICATION - Cough.\nCOMPARISON - None.\nFINDINGS - Clear lungs.\nIMPRESSION \u2013 Normal.",
    "no colons": "INDICATION Cough.\nCOMPARISON None.\nFINDINGS Clear lungs. IMPRESSION Normal.",
    "underscores": "__INDICATION__\nCough.\n__COMPARISON__\nNone.\n__FINDINGS__\nClear lungs.\n__IMPRESSION__\nNormal.",
    "markdown": "**INDICATION:** Cough.\n**COMPARISON**: None.\n## Findings\nClear lungs.\n## Impression\nNormal.",
    "brackets": "[INDICATION]\nCough.\n<COMPARISON>\nNone.\n[FINDINGS]\nClear lungs.\n(IMPRESSION): Normal.",
    "rules": "INDICATION\n-----\nCough.\n_____\nCOMPARISON\n=====\nNone.\n\n"
    "FINDINGS:\nClear lungs.\n-----\nIMPRESSION: Normal.",
    "Windows, with a mark in front": "\ufeffINDICATION:\tCough.\r\nCOMPARISON: None.\r\n\r\n"
    "FINDINGS:\r\nClear lungs.\r\nIMPRESSION: Normal.",
    "old Macintosh": "INDICATION: Cough.\rCOMPARISON: None.\rFINDINGS: Clear lungs.\rIMPRESSION: Normal.",
    "blanks of all kinds": "\xa0INDICATION\xa0:\u2003Cough.\fCOMPARISON\t: None.\n"
    "\u200bFINDINGS:&nbsp;Clear lungs.\n\x00IMPRESSION: Normal.",
    "XML": "INDICATION: Cough.&#10;COMPARISON: None.&#xA;FINDINGS: Clear lungs.<br/>IMPRESSION: Normal.",
    "HTML": "<p><b>INDICATION:</b> Cough.</p><p><b>COMPARISON</b><br>None.</p><b>FINDINGS:</b> Clear lungs."
    "<BR /><b>IMPRESSION:</b> Normal.",
    "a cell of a CSV": "INDICATION: Cough.\\nCOMPARISON: None.\\r\\n\\r\\n"
    "FINDINGS:\\nClear lungs.\\nIMPRESSION: Normal.",
    "wrapped, indented": "   INDICATION:\n      Cough.\n   COMPARISON:\n      None.\n"
    "   FINDINGS:  Clear\n      lungs.\n   IMPRESSION:  Normal.",
    "repeated": "HISTORY: Cough.\nCOMPARISON: None.\nFINDINGS: Clear\nIMPRESSION: Normal.\nFINDINGS: lungs.",
    "empty ones": "INDICATION: Cough.\nTECHNIQUE:\nCOMPARISON: None.\n"
    "FINDINGS\nClear lungs.\nADDENDUM\nIMPRESSION\nNormal.",
}


@pytest.mark.parametrize("report", SAME.values(), ids=SAME)
def test_the_same_report_in_many_hands(report: str):
    assert texts(report) == FOUR


def test_a_report_of_a_large_hospital():
    report = (
        "                                 WET READ: ___ ___ 9:17 PM\n   No pneumothorax.\n"
        " ______________________________________________________________________________\n"
        "                                 FINAL REPORT\n"
        " EXAMINATION:  CHEST (PORTABLE AP)\n \n INDICATION:  ___ year old woman with fever  // pneumonia?\n \n"
        " TECHNIQUE:  Single frontal view.\n \n COMPARISON:  ___\n \n FINDINGS: \n \n"
        " Heart size is normal.  There is a new\n opacity at the right base.\n \n IMPRESSION: \n \n"
        " 1. Pneumonia.\n 2. No effusion.\n\n RECOMMENDATION(S):  Repeat in 6 weeks.\n\n"
        " NOTIFICATION:  Told to Dr. ___ by ___ at 10:15.\n"
    )
    assert texts(report) == {
        "wet_read": "___ ___ 9:17 PM No pneumothorax.",
        "examination": "CHEST (PORTABLE AP)",
        "technique": "Single frontal view.",
        "indication": "___ year old woman with fever // pneumonia?",
        "comparison": "___",
        "findings": "Heart size is normal. There is a new opacity at the right base.",
        "impression": "1. Pneumonia. 2. No effusion.",
        "recommendation": "Repeat in 6 weeks.",
        "administrative": "Told to Dr. ___ by ___ at 10:15.",
    }


@pytest.mark.parametrize(
    "report",
    [
        "No acute findings. The heart is normal.",
        "No acute findings: the heart is normal.",
        "NO ACUTE FINDINGS: NORMAL HEART.",
        "There are several findings: a nodule, and a mass.",
        "These findings could represent tuberculosis.",
        "FINDINGS COULD REPRESENT TUBERCULOSIS.",
        "The heart is normal. Lungs: Clear. Bones: Old fractures.",
        "Compression: none of the vertebrae. Companion shadows: normal.",
        "My impression is that of a normal chest, in comparison: unchanged.",
        "HISTORY of smoking is known.",
        "Seen at 10:15, ratio 1:2.",
        "CHEST RADIOGRAPH, 2 VIEWS: The lungs are clear.",
    ],
)
def test_a_name_in_a_sentence_is_no_header_and_a_report_without_headers_is_findings(report: str):
    assert texts(report) == {"findings": report}


def test_what_stands_before_the_first_header_is_body():
    assert texts("CHEST, TWO VIEWS\nFINDINGS: Clear.") == {"body": "CHEST, TWO VIEWS", "findings": "Clear."}
    assert texts("FINAL REPORT\nThe lungs are clear.\nIMPRESSION: Normal.") == {
        "body": "The lungs are clear.",
        "impression": "Normal.",
    }
    assert texts("The lungs are clear.\nADDENDUM: Read again.") == {
        "findings": "The lungs are clear.",
        "addendum": "Read again.",
    }


def test_paragraphs_that_follow_a_comparison_are_findings_where_no_header_says_so():
    report = (
        "HISTORY: Cough.\n\nCOMPARISON: ___.\n\nThe heart is normal.\n\nThe lungs are clear.\n\nIMPRESSION: Normal."
    )
    assert texts(report) == {
        "indication": "Cough.",
        "comparison": "___.",
        "findings": "The heart is normal. The lungs are clear.",
        "impression": "Normal.",
    }
    told = "COMPARISON: ___.\n\nTwo older films.\n\nFINDINGS: Clear."
    assert texts(told) == {"comparison": "___. Two older films.", "findings": "Clear."}


def test_addenda_are_kept_apart():
    report = "IMPRESSION: Normal.\nADDENDUM: A rib is broken. FINDINGS: Rib 6.\nIMPRESSION: Fracture."
    assert texts(report) == {
        "impression": "Normal. Fracture.",
        "addendum": "A rib is broken.",
        "findings": "Rib 6.",
    }


def test_findings_and_impression_under_one_header_are_findings():
    for header in ("FINDINGS AND IMPRESSION", "Findings/Impression", "FINDINGS & IMPRESSION"):
        assert texts(f"{header}:\nNormal.") == {"findings": "Normal."}


def test_a_header_in_mid_line_yields_to_lines_that_begin_with_one():
    report = "INDICATION: INDICATION: COUGH; History: smoker\nFINDINGS: Clear, in COMPARISON: same\nCOMPARISON: ___"
    assert texts(report) == {
        "indication": "INDICATION: COUGH; History: smoker",
        "findings": "Clear, in COMPARISON: same",
        "comparison": "___",
    }


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        # In one line, a name in the section of that name is text; so is one whose colon stands apart.
        ("INDICATION: History: smoker FINDINGS: Clear", {"indication": "History: smoker", "findings": "Clear"}),
        ("PRIOR: No INDICATION: HISTORY: smoker", {"comparison": "No", "indication": "HISTORY: smoker"}),
        ("HISTORY: Of XXXX . PRIOR : X\nFINDINGS: Clear", {"indication": "Of XXXX . PRIOR : X", "findings": "Clear"}),
        # Capitalised names in mid-line: only in a report that is all in one line, or after the end of a sentence.
        ("Findings: Clear Comparison: None", {"findings": "Clear", "comparison": "None"}),
        ("Findings: Big Prior: No\nImpression: Big", {"findings": "Big Prior: No", "impression": "Big"}),
        ("Findings: Big. Prior: No\nImpression: Big", {"findings": "Big.", "comparison": "No", "impression": "Big"}),
        # Small letters in mid-line: only in a report in small letters.
        ("findings: clear impression: normal", {"findings": "clear", "impression": "normal"}),
        ("findings: Clear impression: normal", {"findings": "Clear impression: normal"}),
        # A header's words are written alike, and slips in mid-line are forgiven in capitals only.
        ("COMPARISON: portable chest FINDINGS: Clear", {"comparison": "portable chest", "findings": "Clear"}),
        ("INDICATION: Pain FIDNINGS: Clear", {"indication": "Pain", "findings": "Clear"}),
        ("Indication: Pain Fidnings: Clear", {"indication": "Pain Fidnings: Clear"}),
        # In a report in capitals a header needs its colon or its line.
        ("FINDINGS: NO CHANGE. PRIOR STUDY XXXX", {"findings": "NO CHANGE. PRIOR STUDY XXXX"}),
        # The same header twice with nothing between: the second is text.
        ("INDICATION:\nINDICATION: PAIN\nFINDINGS: Clear", {"indication": "INDICATION: PAIN", "findings": "Clear"}),
    ],
)
def test_what_makes_a_header_of_a_name_in_mid_line(report: str, expected: dict[str, str]):
    assert texts(report) == expected


def test_a_backslash_is_a_line_end_only_where_there_is_no_other():
    assert texts("FINDINGS: Left\\node\nIMPRESSION: Normal.") == {"findings": "Left\\node", "impression": "Normal."}


def test_masks_and_what_else_stands_there_are_left_as_they_are():
    report = "COMPARISON: ___.\nINDICATION: ,786.50 pain\nFINDINGS: Nodule &lt; 3 mm, [<stable>]\nIMPRESSION: XXXX."
    assert [span.text for _, span in stretches(report)] == [
        "___.",
        ",786.50 pain",
        "Nodule &lt; 3 mm, [<stable>]",
        "XXXX.",
    ]


@pytest.mark.parametrize("report", SAME.values(), ids=SAME)
def test_a_span_tells_where_its_text_stands(report: str):
    for name, span in stretches(report):
        assert span.text.split() == report[span.start : span.stop].replace("\\r", "").replace("\\n", " ").split(), name


def test_the_span_of_repeated_headers_reaches_from_the_first_to_the_last():
    report = "FINDINGS: a\nIMPRESSION: b\nFINDINGS: c"
    span = sections(report)["findings"]
    assert span.text == "a\nc"
    assert report[span.start : span.stop] == "a\nIMPRESSION: b\nFINDINGS: c"


@pytest.mark.parametrize("report", ["", "  \r\n\t ", "FINDINGS:", "HISTORY:\nFINDINGS:\nIMPRESSION:\n", "\ufeff"])
def test_nothing_comes_of_nothing(report: str):
    assert sections(report) == {}


def test_slips_count_letters_and_exchanges():
    assert slips("findings", "findings") == 0
    assert slips("fidnings", "findings") == 1
    assert slips("imression", "impression") == 1
    assert slips("comparision", "comparison") == 1
    assert slips("", "view") == 4
    assert slips("kitten", "sitting") == 3


def test_a_misspelt_header_is_known_and_another_word_is_not():
    assert {misspelt(name) for name in ("IMRESSION", "IMPRESION", "IMPRRESION", "MPRESSION")} == {"impression"}
    assert misspelt("ndication") == "indication"
    assert misspelt("Techinque") == "technique"
    assert misspelt("REASON FOR EXAMNIATION") == "indication"
    for word in ("compression", "contusion", "confusion", "induration", "medication", "Lungs", "Heart", "vie"):
        assert misspelt(word) is None, word


def test_a_header_may_join_two_names():
    assert named("Clinical History / Indication") == "indication"
    assert named("COMPARISON(S)") == "comparison"
    assert named("IMPRESSION (PRELIMINARY)") == "impression"
    assert named("IMPRESSION AND RECOMMENDATIONS") == "impression"
    assert named("contusion") is None
