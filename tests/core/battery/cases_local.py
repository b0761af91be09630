"""Objectives that look at tokens and places, or that learn without pairs."""

from __future__ import annotations

from dataclasses import replace

from plait.objectives.cutmix import CrossModalCutMix
from plait.objectives.cycle_mapping import CycleMapping
from plait.objectives.dense import DenseInfoNCE, RegionInfoNCE
from plait.objectives.local import GLoRIA, LateInteraction, SoftCycle, WordPatchTransport
from plait.objectives.semantic import SemanticMatching, TagAnchored
from plait.objectives.unpaired import RetrievedPairs, TransportAlignment
from tests.core.battery.battery import Case
from tests.core.battery.worlds import World, motions, scenes, vectors

TAGS = ["label_x", "label_y"]


def gaps() -> World:
    """Scenes the last two of which lack the image, so that one process of four has no place to look at."""
    return replace(scenes(), missing={"image": [1, 6, 7]})


CASES = {
    "gloria": Case(make=lambda: GLoRIA(("image", "text")), world=scenes),
    "late_interaction": Case(make=lambda: LateInteraction(("image", "text")), world=scenes),
    "word_patch_transport": Case(
        make=lambda: WordPatchTransport(("text", "image"), iterations=20), world=scenes, differentiable=False
    ),
    "soft_cycle": Case(make=lambda: SoftCycle(("state", "action")), world=motions),
    "dense_info_nce": Case(make=lambda: DenseInfoNCE(("image", "depth"), side=1, patches=4), world=scenes),
    "dense_info_nce/cosine": Case(
        make=lambda: DenseInfoNCE(("image", "depth"), critic="cosine", temperature=0.1), world=gaps
    ),
    "region_info_nce": Case(make=lambda: RegionInfoNCE(("image", "depth")), world=gaps),
    "semantic_matching": Case(make=lambda: SemanticMatching(("a", "b"), TAGS), world=vectors, needs_all=False),
    "tag_anchored": Case(make=lambda: TagAnchored(("a", "b"), TAGS), world=vectors, needs_all=False),
    "retrieved_pairs": Case(make=lambda: RetrievedPairs(("a", "b")), world=vectors, needs_all=False),
    "retrieved_pairs/labels": Case(make=lambda: RetrievedPairs(("a", "b"), TAGS), world=vectors, needs_all=False),
    "cross_modal_cutmix": Case(make=lambda: CrossModalCutMix(("text", "image")), world=scenes),
    "cross_modal_cutmix/labels": Case(
        make=lambda: CrossModalCutMix(("text", "image"), ["label_red"]), world=gaps, needs_all=False
    ),
    "cycle_mapping": Case(
        make=lambda: CycleMapping(("a", "b"), width=8),
        world=vectors,
        needs_all=False,
        differentiable=False,
        collapse="watched",
    ),
    "transport_alignment": Case(
        make=lambda: TransportAlignment(("a", "b")),
        world=vectors,
        needs_all=False,
        differentiable=False,
        collapse="watched",
    ),
}
