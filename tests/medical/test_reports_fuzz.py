"""Whatever a report is made of, it is read: without a crash, within its time, and in time linear in its length."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from plait.errors import InputError
from plait_medical.reports import parse_report
from plait_medical.reports.headers import headers
from plait_medical.reports.sections import sections
from plait_medical.reports.sentences import sentences

REPORTS = (
    """                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 INDICATION:  Cough // r/o pneumonia

 COMPARISON:  ___ at 10:15 a.m.

 FINDINGS:

 No focal consolidation, pleural effusion or
 pneumothorax.  Heart size is top normal.  A 1.5 cm nodule in the right upper lobe, cannot exclude a mass.

 IMPRESSION:

 1. Possible nodule.
 2. No pneumonia.
 ADDENDUM: Old fracture of the left 6th rib.""",
    "HISTORY: Fever. FINDINGS: The lungs are clear.No effusion. IMPRESSION: Normal chest.",
    "heart is enlarged. there is a small left effusion but no edema. picc line in place",
)
ODD = (
    *("FINDINGS:", "IMPRESSION", "findings", "No", "no evidence of", "pneumothorax", "1.", "2)", "...", "?", ":", ";"),
    *("\n", "\n\n", "\r\n", "\t", "\x00", "\x1b[31m", "\u202e", "\u200b", "\ufeff", "\xa0", "\ud800", "e\u0301"),
    *("&amp;", "&#10;", "&#9999999;", "<br>", "\\n", "(((", "]]]", "___", "XXXX", "9" * 400, "-" * 50, " " * 200),
    *("\u0645\u0631\u064a\u0636", "\u80ba", "\U0001fac1"),
)


def mutated(rng: random.Random) -> str:
    """A report with one to eight changes: cut, doubled, overwritten, letters exchanged, odd pieces put in."""
    text = rng.choice(REPORTS)
    for _ in range(rng.randint(1, 8)):
        i, j = sorted(rng.randrange(len(text) + 1) for _ in range(2))
        change = rng.randrange(7)
        text = (
            text[:i],
            text[:i] + text[j:],
            text[:j] + text[i:],
            text[:i] + rng.choice(ODD) + text[i:],
            text[:i] + "".join(rng.choice(ODD) for _ in range(j - i)) + text[j:],
            text[:i]
            + "".join(chr(rng.choice([rng.randrange(128), rng.randrange(0x3000)])) for _ in range(i, j))
            + text[j:],
            rng.choice([text.upper, text.lower, text.title, lambda text=text: text.replace(" ", "")])(),
        )[change][:5000]
    return text


@pytest.mark.parametrize("first", range(0, 400, 20))
def test_mutated_reports_are_read(first: int):
    for seed in range(first, first + 20):
        text = mutated(random.Random(seed))
        report = parse_report(text)
        assert all(0 <= item.start < item.stop <= len(text) for item in (*report.sentences, *report.evidence)), seed
        assert all(len(said.text) == said.stop - said.start for said in report.sentences), seed
        assert set(report.findings.values()) <= {"present", "absent", "uncertain"}, seed
        assert {item.finding for item in report.evidence} <= {*report.findings}, seed
        assert all(said.strip() for said in report.sections.values()), seed


BAIT: dict[str, Callable[[int], str]] = {
    "one letter": lambda n: "a" * n,
    "blanks": lambda n: " " * n,
    "line feeds": lambda n: "\n" * n,
    "carriage returns": lambda n: "\r" * n,
    "full stops": lambda n: "." * n,
    "full stops and blanks": lambda n: ". " * (n // 2),
    "underscores": lambda n: "_" * n,
    "dashes": lambda n: "-" * n,
    "stars": lambda n: "*" * n,
    "colons": lambda n: "a:" * (n // 2),
    "brackets": lambda n: "(" * (n // 2) + ")" * (n // 2),
    "digits": lambda n: "9" * n,
    "numbers of a list": lambda n: "1. " * (n // 3),
    "abbreviations": lambda n: "Dr. " * (n // 4),
    "short lines": lambda n: "a\n" * (n // 2),
    "blanks before every colon": lambda n: ("FINDINGS" + " " * 90 + ":") * (n // 99),
    "one line of words": lambda n: "FINDINGS " * (n // 9),
    "all headers": lambda n: "FINDINGS: IMPRESSION: HISTORY:\nCOMPARISON\n" * (n // 43),
    "one header again": lambda n: "FINDINGS: a\n" * (n // 12),
    "misspelt headers": lambda n: "FIDNIGS: IMPRSSON:\n" * (n // 19),
    "words unknown": lambda n: "".join(f"Part {i:x} of it: x\n" for i in range(n // 18)),
    "commas": lambda n: "No " + "effusion, " * (n // 10),
    "negations": lambda n: "no " * (n // 3),
    "hedges": lambda n: "possible mass or " * (n // 17),
    "entities": lambda n: "&amp" * (n // 4),
    "tags": lambda n: "<br" * (n // 3),
    "escapes": lambda n: "\\r\\n" * (n // 4),
    "an open parenthesis at every word": lambda n: "(a " * (n // 3),
    "sides": lambda n: "left right " * (n // 11),
    "no blanks": lambda n: "noevidenceofpneumothoraxoreffusion" * (n // 34),
    "right to left": lambda n: "\u202e\u0645\u0631\u064a\u0636 " * (n // 6),
}


@pytest.mark.parametrize("bait", BAIT.values(), ids=BAIT)
def test_a_long_report_does_not_hang(bait: Callable[[int], str]):
    # It takes about a second at most; what grows with the square of the length takes minutes.
    start = time.process_time()
    parse_report(bait(100_000))
    assert time.process_time() - start < 30


def test_headers_sections_and_sentences_take_what_is_no_report():
    for text in ("", "\x00", "\ud800", "\n" * 5, "FINDINGS:" * 3, "::::", "1.", "\\n", "&", "<br>"):
        assert headers(text) == sorted(headers(text), key=lambda header: header.start)
        assert all(span.text for span in sections(text).values())
        assert all(sentence.text for sentence in sentences(text))


@pytest.mark.parametrize("given", [None, 3, 2.5, b"FINDINGS: Clear.", ["Clear."]])
def test_what_is_no_text_is_refused_in_a_sentence(given: object):
    with pytest.raises(
        InputError, match=r"^A report must be text \(str\), and this is of type \w+: decode it first\.$"
    ):
        parse_report(given)
