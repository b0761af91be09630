"""Encoders: from one modality's values to `Features`."""

from __future__ import annotations

from plait.encoders.conv import Conv
from plait.encoders.dense import ConvDense, TimmDense
from plait.encoders.features import Encoder, Features
from plait.encoders.image import TimmImage
from plait.encoders.patches import Patches
from plait.encoders.points import Points
from plait.encoders.recurrent import LSTM
from plait.encoders.tables import Series, Table
from plait.encoders.text import Text

ENCODERS: dict[str, type[Encoder]] = {
    "conv": Conv,
    "conv_dense": ConvDense,
    "lstm": LSTM,
    "patches": Patches,
    "points": Points,
    "series": Series,
    "table": Table,
    "text": Text,
    "timm": TimmImage,
    "timm_dense": TimmDense,
}
"""What a recipe may name as an encoder's ``kind``."""

__all__ = ["ENCODERS", "Encoder", "Features"]
