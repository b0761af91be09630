"""What may identify a person is found in many shapes; what only looks like it is left alone."""

from __future__ import annotations

import importlib.util
import random
import re
import tarfile
import time
from pathlib import Path

import pytest

from plait_medical.phi import Hit, Shape, masked, phi_hits, shapes
from tests.medical.phi_sentences import HARMLESS, HELD_OUT, PLANTED


def cases(planted: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(kind, sentence) for kind, sentences in planted.items() for sentence in sentences]


def missed(sentence: str) -> str:
    """The letters and digits between the braces that no hit covers."""
    start, stop = sentence.index("{"), sentence.index("}") - 1
    text = sentence.replace("{", "").replace("}", "")
    covered = {place for hit in phi_hits(text) for place in range(hit.start, hit.stop)}
    return "".join(text[place] for place in range(start, stop) if text[place].isalnum() and place not in covered)


class TestRecall:
    @pytest.mark.parametrize(("kind", "sentence"), cases(PLANTED))
    def test_a_planted_identifier_is_found_whole(self, kind: str, sentence: str) -> None:
        assert missed(sentence) == ""
        assert kind in {hit.kind for hit in phi_hits(sentence.replace("{", "").replace("}", ""))}

    def test_held_out_wordings(self) -> None:
        found = [not missed(sentence) for _, sentence in cases(HELD_OUT)]
        assert len(found) == 57
        assert sum(found) / len(found) >= 0.95

    def test_in_capitals(self) -> None:
        """As some sites write: months, titles and labels keep their shape, what stands in mixed case only does not."""
        rows = [sentence.upper() for kind, sentence in cases(PLANTED | HELD_OUT) if kind not in ("email", "url")]
        assert sum(not missed(row) for row in rows) / len(rows) >= 0.8

    @pytest.mark.parametrize("shape", shapes(), ids=lambda shape: shape.like)
    def test_every_shape_finds_its_example(self, shape: Shape) -> None:
        text = shape.like.replace("{", "").replace("}", "")
        match = shape.pattern.search(text)
        assert match is not None
        assert match["phi"] == shape.like[shape.like.index("{") + 1 : shape.like.index("}")]
        assert shape.clue.search(text)

    def test_a_whole_report_with_many(self) -> None:
        """Planted sentences in any order, parted by sound ones: each is found wherever it stands."""
        draw = random.Random(0)
        for _ in range(20):
            rows = draw.sample(cases(PLANTED | HELD_OUT), 12)
            text = "\n".join(f"{sentence}\n{draw.choice(HARMLESS)}" for _, sentence in rows)
            shown = masked(text.replace("{", "").replace("}", ""))
            for _, sentence in rows:
                inner = sentence[sentence.index("{") + 1 : sentence.index("}")]
                assert inner not in shown


class TestPrecision:
    @pytest.mark.parametrize("text", HARMLESS)
    def test_what_only_looks_like_it(self, text: str) -> None:
        assert phi_hits(text) == []

    def test_real_reports_that_were_de_identified(self) -> None:
        """Hits in the Indiana collection are false: 0 of its 3,955 reports have one."""
        found = importlib.util.find_spec("torchxrayvision")
        if found is None or not found.submodule_search_locations:
            pytest.skip("torchxrayvision is not installed: its wheel holds the Indiana reports")
        archive = Path(found.submodule_search_locations[0]) / "data" / "NLMCXR_reports.tgz"
        flagged, reports = 0, 0
        with tarfile.open(archive) as file:
            for member in file:
                content = file.extractfile(member)
                if content is not None and member.name.endswith(".xml"):
                    texts = re.findall(r'<AbstractText Label="\w+">([^<]*)</AbstractText>', content.read().decode())
                    reports += 1
                    flagged += bool(phi_hits("\n".join(texts)))
        assert reports == 3955
        assert flagged / reports < 0.01


class TestMasked:
    def test_the_kind_takes_the_place(self) -> None:
        text = "Dr. Seward called (317) 555-0143 on 18.9.2013 at 10:15 AM."
        assert masked(text) == "[NAME] called [PHONE] on [DATE]."

    @pytest.mark.parametrize(("kind", "sentence"), cases(PLANTED | HELD_OUT))
    def test_a_second_pass_changes_nothing(self, kind: str, sentence: str) -> None:
        once = masked(sentence.replace("{", "").replace("}", ""))
        assert masked(once) == once

    def test_known_names_are_found_in_any_case_and_only_whole(self) -> None:
        assert masked("HOFER and hofer, not Hoferman.", ["Hofer"]) == "[KNOWN] and [KNOWN], not Hoferman."
        assert masked("Carfax\nAsylum.", ["Carfax Asylum"]) == "[KNOWN]."
        assert masked("A (b) c+", ["(b)", "+", ""]) == "A [KNOWN] c+"

    def test_hits_that_overlap_leave_nothing_between(self) -> None:
        text = "Dr. Mary Whitfield Hospital"
        assert phi_hits(text) == [Hit("name", 0, len(text))]

    def test_offsets_are_those_of_the_text(self) -> None:
        text = "XXXX saw ____ and Dr. Seward; MRN 4711-0815."
        assert [text[hit.start : hit.stop] for hit in phi_hits(text)] == ["Dr. Seward", "4711-0815"]


@pytest.mark.parametrize(
    "bait",
    [
        "A" * 9, "a-", "1.", "Aa ", "van ", "[**", "+1 ", "0", "Dr. ", "Jan 1 ", "12:", "a@", "a^", "read by ", "A'",
        "555-", "St. ", "id: ", "9 ", "(", "mrn   ", "\0", "É", "1 Aa ", " ",
    ],
)  # fmt: skip
def test_a_long_text_does_not_hang(bait: str) -> None:
    # It takes a tenth of a second; a pattern that tries each pair of places again takes a minute.
    start = time.process_time()
    phi_hits("mrn" + bait * (64_000 // len(bait)))
    assert time.process_time() - start < 20
