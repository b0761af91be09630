"""The words of a report that say on which side of the patient something is, and how to mirror them.

A mirrored film shows the heart on the right: dextrocardia, one person in some ten thousand, while its report goes
on to call the heart normal. Swapping "left" and "right" mends the sides that a report names; it cannot mend
anatomy that has one side only (the middle lobe is right, the lingula left, the aortic arch left, and a left
ventricle stays the left ventricle). So a report with such words cannot be mirrored at all.
"""

from __future__ import annotations

import re

_SWAPS = {"left": "right", "right": "left", "dextro": "levo", "levo": "dextro"}
# Whole words, so that "upright" stays; the prefixes of dextroscoliosis, dextroconvex, levocurvature.
_SIDED = re.compile(r"\b(left|right)(?=(?:wards?|most)?\b)|\b(dextro|levo)", re.IGNORECASE)
_ONE_SIDED = re.compile(
    # Side markers and abbreviations: a lone L or R may be a side, a vertebra or an initial.
    r"\b(?:[LR]|[LR]t|[LR][ULM]L|[LR]LZ|[LR]VH|[LR]IJ|[LR]BBB)\b"
    # Situs, and anatomy or devices that lie on one side.
    r"|cardiac apex|situs|heterotax|kartagener|dextrocardia|levocardia|dextroposition|middle lobe|lingul|azyg"
    r"|aort|ventric|atri(?:al|um|a)\b|caval?\b|svc\b|liver|hepat|spleen|splen|stomach|gastric",
    re.IGNORECASE,
)


def mirrored(text: str) -> str | None:
    """Swap the sides of a text; ``None`` where it names something that a swap of words cannot mirror."""
    if _ONE_SIDED.search(text):
        return None
    return _SIDED.sub(lambda match: _in_case_of(match[0], _SWAPS[match[0].lower()]), text)


def _in_case_of(word: str, other: str) -> str:
    if word.isupper():
        return other.upper()
    return other.capitalize() if word[0].isupper() else other
