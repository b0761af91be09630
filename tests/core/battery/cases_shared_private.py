"""Shared and private parts, and information with the entropy of classes."""

from __future__ import annotations

from dataclasses import replace

from plait.fusion import FUSIONS
from plait.model import Model
from plait.objectives.information import ClassBarberAgakov
from plait.objectives.shared_private import SharedPrivate
from tests.core.battery.battery import Case
from tests.core.battery.labelled_world import labelled
from tests.core.battery.worlds import World, vectors


def split() -> World:
    """Vectors whose fusion has a shared and a private part of each."""
    world = vectors()

    def model() -> Model:
        made = world.model()
        fusion = FUSIONS["shared_private"](dict.fromkeys(made.encoders, 6), width=6)
        return Model(dict(made.encoders), made.embedding, fusion)

    return replace(world, model=model)


CASES = {
    # A row counts in the terms of the modalities that it has; to say nothing is to be alike and easy to tell.
    "shared_private": Case(
        make=lambda: SharedPrivate(["a", "b"]), world=split, needs_all=False, steps=20, collapse="watched"
    ),
    "class_barber_agakov": Case(make=lambda: ClassBarberAgakov("label_value", ["a", "b"], history=24), world=labelled),
    "class_barber_agakov/classes": Case(
        make=lambda: ClassBarberAgakov("label_kind", [["a", "b"], "b"], history=5), world=labelled
    ),
}
