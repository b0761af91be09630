"""Objectives with a memory, with mixed or shifted inputs, and those that ask whether two belong together."""

from __future__ import annotations

from plait.objectives.agreement_mining import AgreementMining
from plait.objectives.matching import DistanceMatching, Matching
from plait.objectives.memory_bank import MemoryBank
from plait.objectives.misalignment import MisalignmentContrast, MisalignmentMatching
from plait.objectives.mixup import MixupContrast
from plait.objectives.momentum_contrast import MomentumContrast
from plait.objectives.nearest_neighbour import NearestNeighbour
from tests.core.battery.battery import Case
from tests.core.battery.worlds import scenes, vectors

CASES = {
    # A queue of 11 rows wraps around in the middle of a batch.
    "momentum_contrast": Case(make=lambda: MomentumContrast(["a", "b"], queue=11), world=vectors),
    "momentum_contrast/distilled": Case(
        make=lambda: MomentumContrast(["a", "b"], queue=11, alpha=0.4, ramp_steps=3, equal="c"), world=vectors
    ),
    "momentum_contrast/views": Case(make=lambda: MomentumContrast(["a", "a:2"], queue=40), world=vectors),
    "memory_bank": Case(
        make=lambda: MemoryBank(["a", "b"], temperature=0.2, negatives=8, z_steps=2), world=vectors, warm_up=14
    ),
    "memory_bank/softmax": Case(
        make=lambda: MemoryBank(["a", "b"], negatives=8, estimator="softmax"), world=vectors, warm_up=14
    ),
    "agreement_mining": Case(
        make=lambda: AgreementMining(["a", "b"], warm_up_steps=1, positives=2, negatives=8, z_steps=2),
        world=vectors,
        warm_up=14,
    ),
    "nearest_neighbour": Case(make=lambda: NearestNeighbour(["a", "b"], queue=11), world=vectors),
    "mixup_contrast": Case(make=lambda: MixupContrast(["a", "b"], alpha=1.0), world=vectors),
    # The coin falls alike in both: here the other modality is mixed.
    "mixup_contrast/other": Case(make=lambda: MixupContrast(["b", "a"], alpha=1.0), world=vectors),
    "mixup_contrast/tokens": Case(make=lambda: MixupContrast(["image", "text"], alpha=1.0), world=scenes),
    "matching": Case(make=lambda: Matching(["a", "b"], equal="c"), world=vectors),
    "matching/tokens": Case(
        make=lambda: Matching(["image", "depth"]), world=lambda: scenes("modality_experts"), steps=60
    ),
    "distance_matching": Case(make=lambda: DistanceMatching(["a", "b"]), world=vectors),
    "misalignment_matching": Case(make=lambda: MisalignmentMatching(["a", "b"], [1], 1), world=vectors),
    "misalignment_contrast": Case(make=lambda: MisalignmentContrast(["a", "b"], [1], 1), world=vectors),
}
