"""Objectives that learn from labels alone."""

from __future__ import annotations

from plait.objectives.supervised import Supervised
from tests.core.battery.battery import Case
from tests.core.battery.labelled_world import labelled

# The fused head tells from whatever a row has, so a row that lacks a modality takes part.
CASES = {
    "supervised": Case(make=lambda: Supervised("label_value"), world=labelled, needs_all=False),
    "supervised/classes": Case(
        make=lambda: Supervised("label_kind", ["fused", "a", "b"]), world=labelled, needs_all=False
    ),
    "supervised/own": Case(make=lambda: Supervised("label_value", ["b"]), world=labelled),
}
