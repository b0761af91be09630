"""Dates of DICOM, moved: Retain Longitudinal Temporal Information with Modified Dates (PS3.15 E.3.6)."""

from __future__ import annotations

import re
from datetime import date, timedelta

_DATE = r"([0-9]{4})\.?([0-9]{2})\.?([0-9]{2})"
_TIME_AND_ZONE = r"((?:[0-9]{2}){0,3}(?:\.[0-9]{1,6})?(?:[+-][0-9]{4})?)"


def shifted(value: str, days: int) -> str | None:
    """Move a DICOM date or date and time (PS3.5 section 6.2: DA, DT) back; the time of day stays.

    Old dates with dots (2004.01.19) come out without. ``None`` where there is no whole day to move, or where something
    follows it that is no time.
    """
    parts = re.fullmatch(_DATE + _TIME_AND_ZONE, value.strip())
    if parts is None:
        return None
    try:
        day = date(int(parts[1]), int(parts[2]), int(parts[3])) - timedelta(days=days)
    except (ValueError, OverflowError):
        return None
    return f"{day.year:04d}{day.month:02d}{day.day:02d}{parts[4]}"
