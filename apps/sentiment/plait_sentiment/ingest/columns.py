"""The columns that every layout gives an utterance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from plait.errors import InputError
from plait.pairs.layout import Row
from plait_sentiment.load import MODALITIES

COLUMNS: Mapping[str, tuple[str, ...]] = {name: (name,) for name in MODALITIES}
"""The modalities of a table, each in the column of its name."""


def words(text: str) -> Row:
    """The columns of the modality text where it holds words; an empty text is missing."""
    said = " ".join(text.split()) or None
    return {"text": said, "holds_text": "words" if said else None, "channels_text": None}


def features(name: str, place: str | None, shape: Sequence[int]) -> Row:
    """The columns of a modality that holds a vector (C,) or a sequence (T, C) at ``place``, or is missing."""
    if place is None:
        return {name: None, f"holds_{name}": None, f"channels_{name}": None}
    holds = "sequence" if len(shape) == 2 else "vector"
    return {name: place, f"holds_{name}": holds, f"channels_{name}": int(shape[-1])}


def labels(sentiment: float | None, scale: float, **held: float | None) -> Row:
    """The label's columns: sentiment in [-scale, scale], whether it is positive (unknown at 0), and those held.

    Raises:
        InputError: a label lies outside.
    """
    given = {"label_sentiment": sentiment, **{f"label_{name}": value for name, value in held.items()}}
    known = {name: _within(value, scale) for name, value in given.items()}
    value = known["label_sentiment"]
    return {"scale": float(scale), **known, "label_positive": int(value > 0) if value else None}


def _within(value: float | None, scale: float) -> float | None:
    if value is None or math.isnan(value):
        return None
    if abs(value) > scale + 1e-6:
        raise InputError(f"a label lies outside -{scale:g} to {scale:g}: correct it, or its scale")
    return float(value)
