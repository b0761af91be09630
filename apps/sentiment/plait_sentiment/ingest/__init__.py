"""The layouts that ``plait sentiment ingest`` understands, one file each."""

from __future__ import annotations

from plait.pairs.layout import Layout
from plait_sentiment.ingest import generic_csv, mmsa, mosi

LAYOUTS: dict[str, Layout] = {module.LAYOUT.name: module.LAYOUT for module in (mosi, mmsa, generic_csv)}
