"""NT-Xent and its relatives, bags and margins."""

from __future__ import annotations

from dataclasses import replace

import torch

from plait.objectives.bags import MILNCE
from plait.objectives.margins import VSE, BatchTriplet, SiameseMargin, VSEHardest
from plait.objectives.negatives import CrossCLR, Decoupled, HardNegative, NTXent, PrototypeNTXent
from plait.pairs.batch import Padded
from tests.core.battery.battery import Case
from tests.core.battery.worlds import World, scenes, vectors


def segmented() -> World:
    """`scenes` with each text in two segments of two words, and its first and last token in none."""
    world = scenes()
    text = world.values["text"]
    assert isinstance(text, Padded)
    segments = torch.tensor([-1, 0, 0, 1, 1, -1]).repeat(len(text), 1)
    assert text.mask.shape == segments.shape
    return replace(world, values=dict(world.values) | {"text_segments": Padded(segments, text.mask)})


CASES = {
    "nt_xent": Case(make=lambda: NTXent(["a", "b"]), world=vectors),
    "nt_xent/views": Case(make=lambda: NTXent(["image", "image:2"]), world=scenes),
    "prototype_nt_xent": Case(make=lambda: PrototypeNTXent("a", "b"), world=vectors),
    "decoupled": Case(make=lambda: Decoupled(["a", "b"]), world=vectors),
    "hard_negative": Case(make=lambda: HardNegative(["a", "b"]), world=vectors),
    "hard_negative/debiased": Case(make=lambda: HardNegative(["a", "b"], beta=0.0), world=vectors),
    # Which rows are left out, and what the others weigh, is held fixed.
    "cross_clr": Case(make=lambda: CrossCLR(["a", "b"], temperature=0.1), world=vectors, differentiable=False),
    "mil_nce": Case(make=lambda: MILNCE("image", "text"), world=scenes),
    "mil_nce/segments": Case(make=lambda: MILNCE("image", "text", segments="text_segments"), world=segmented),
    "vse": Case(make=lambda: VSE(["a", "b"]), world=vectors),
    # For its first hundred steps from random weights it lingers near 2 margin, what rows that are all alike cost.
    "vse_hardest": Case(make=lambda: VSEHardest(["a", "b"]), world=vectors, steps=240),
    "siamese_margin": Case(make=lambda: SiameseMargin(["a", "b"], every=1), world=vectors),
    "batch_triplet": Case(make=lambda: BatchTriplet(["a", "b"]), world=vectors),
}
