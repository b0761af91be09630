"""Redundancy reduction, latent prediction, mutual information and distillation."""

from __future__ import annotations

from dataclasses import replace

from plait.model import Model
from plait.objectives.distillation import AttentionAlignment, SoftInfoNCE
from plait.objectives.information import CLUB, CPC, SMILE, BarberAgakov
from plait.objectives.latent import BYOL, LatentRegression
from plait.objectives.redundancy import CCA, BarlowTwins, DeCUR, VICReg
from tests.core.battery.battery import Case
from tests.core.battery.worlds import World, scenes, vectors


def taught() -> World:
    """Scenes in which depth is frozen, for image to learn from."""
    world = scenes()

    def model() -> Model:
        made = world.model()
        return Model(dict(made.encoders), made.embedding, frozen=["depth"])

    return replace(world, model=model)


CASES = {
    "vicreg": Case(make=lambda: VICReg(["a", "b"]), world=vectors),
    "vicreg/fused": Case(make=lambda: VICReg([["a"], ["a", "b"]]), world=vectors),
    "barlow_twins": Case(make=lambda: BarlowTwins(["a", "b"]), world=vectors),
    "barlow_twins/views": Case(make=lambda: BarlowTwins(["a", "a:2"]), world=vectors),
    "cca": Case(make=lambda: CCA(["a", "b"], k=2), world=vectors),
    # A row without b is in a's own term, so it takes part.
    "decur": Case(make=lambda: DeCUR(("a", "b"), common=4), world=vectors, needs_all=False),
    "byol": Case(make=lambda: BYOL(["a", "b"]), world=vectors, collapse="watched"),
    "byol/views": Case(make=lambda: BYOL(["image", "image:2"]), world=scenes, collapse="watched"),
    "latent_regression": Case(
        make=lambda: LatentRegression({"image": ["image"]}, top_k=2), world=scenes, collapse="watched"
    ),
    "latent_regression/asymmetric": Case(
        make=lambda: LatentRegression({"image": ["image", "depth"], "depth": ["image"]}, loss="negative_cosine"),
        world=scenes,
        needs_all=False,
        collapse="watched",
    ),
    "latent_regression/text": Case(
        make=lambda: LatentRegression({"text": ["text"]}, hidden=0.3), world=scenes, collapse="watched"
    ),
    "cpc": Case(make=lambda: CPC(["a", "b"]), world=vectors),
    "cpc/fused": Case(make=lambda: CPC([["a", "b"], "b"]), world=vectors),
    "cpc/released": Case(make=lambda: CPC(["a", "b"], temperature=1.0, learn_temperature=False), world=vectors),
    "barber_agakov": Case(make=lambda: BarberAgakov(["a", "b"]), world=vectors),
    # Its gradient is that of another bound, and is tested to be so.
    "smile": Case(make=lambda: SMILE(["a", "b"]), world=vectors, differentiable=False),
    # Its two losses hold each other's part fixed; a model that says nothing is its least.
    "club": Case(make=lambda: CLUB(["a", "b"]), world=vectors, differentiable=False, collapse="watched"),
    "attention_alignment": Case(
        make=lambda: AttentionAlignment("image", ["depth"], blocks=2), world=taught, collapse="watched", fall=0.01
    ),
    # Its targets are the model's own and held fixed.
    "soft_info_nce": Case(make=lambda: SoftInfoNCE(["a", "b"]), world=vectors, differentiable=False),
}
