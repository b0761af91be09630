"""A report's text as columns of its row."""

from __future__ import annotations

from plait.pairs.layout import Row
from plait_medical.ingest.tables import joined
from plait_medical.reports.sections import sections

SECTIONS = ("indication", "technique", "comparison", "findings", "impression")


def report_columns(text: str) -> Row:
    """Each section of a report, or ``None``; and as ``report`` its findings and impression, without the letterhead."""
    found = sections(text)
    row: Row = {name: joined(found[name].text) if name in found else None for name in SECTIONS}
    return row | {"report": joined(row["findings"], row["impression"])}
