"""Objectives that make labels for single modalities."""

from __future__ import annotations

from plait.objectives.unimodal_labels import ULG, LiteralULG
from tests.core.battery.battery import Case
from tests.core.battery.labelled_world import labelled

# The first steps make labels: before there are any the losses are zero.
CASES = {
    "ulg": Case(make=lambda: ULG("label_value", ["a", "b"]), world=labelled, needs_all=False, warm_up=12),
    "ulg/classes": Case(make=lambda: ULG("label_kind", ["a", "c"]), world=labelled, needs_all=False, warm_up=12),
    "ulg_literal": Case(make=lambda: LiteralULG("label_value", ["b"]), world=labelled, warm_up=12),
}
