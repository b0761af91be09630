"""Stamps as dates."""

from __future__ import annotations

from datetime import UTC, datetime

from plait.errors import InputError

_CAUSE = "its stamp is no number of seconds since 1970, or damaged: is stamp_unit right?"


def iso(stamp: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC.

    Raises:
        InputError: where it is no number, or no calendar goes that far, as of nanoseconds that are taken for seconds.
    """
    try:
        return datetime.fromtimestamp(stamp, UTC).isoformat()
    except (TypeError, ValueError, OverflowError, OSError) as error:
        raise InputError(_CAUSE) from error
