"""Objectives that hide something, or that tell what comes next."""

from __future__ import annotations

from plait.objectives.captioning import BackwardCaptioning, Captioning, PrefixLanguage
from plait.objectives.discrete_tokens import DiscreteTokens
from plait.objectives.latent_dynamics import ContrastiveDynamics, LatentDynamics
from plait.objectives.masked_autoencoding import MaskedAutoencoding
from plait.objectives.masked_feature import MaskedFeature
from plait.objectives.masked_image import MaskedImage
from plait.objectives.masked_language import DistilledMaskedLanguage, MaskedLanguage
from tests.core.battery.battery import Case
from tests.core.battery.worlds import motions, scenes

CASES = {
    "masked_language": Case(make=lambda: MaskedLanguage(["text", "image"], share=0.5), world=scenes),
    "masked_language/alone": Case(make=lambda: MaskedLanguage(["text"], share=0.5), world=scenes),
    "masked_language/whole": Case(
        make=lambda: MaskedLanguage(["text", "image", "depth"], whole_words=True, whole_text=0.5), world=scenes
    ),
    "distilled_masked_language": Case(
        make=lambda: DistilledMaskedLanguage(["text", "image"], share=0.5, momentum=0.9), world=scenes
    ),
    "masked_image": Case(make=lambda: MaskedImage(["image", "text"]), world=scenes),
    "masked_image/alone": Case(make=lambda: MaskedImage(["image"]), world=scenes),
    "discrete_tokens": Case(make=lambda: DiscreteTokens(["image", "depth"], codes=6, decay=0.8), world=scenes),
    "masked_autoencoding": Case(
        make=lambda: MaskedAutoencoding(["image", "depth"], visible=0.5, width=8, heads=2),
        world=scenes,
        needs_all=False,
    ),
    "masked_autoencoding/same_places": Case(
        make=lambda: MaskedAutoencoding(["image", "depth"], visible=0.5, same_places=True, width=8, heads=2),
        world=scenes,
        needs_all=False,
    ),
    "masked_autoencoding/alone": Case(
        make=lambda: MaskedAutoencoding(["image"], visible=0.5, width=8, heads=2), world=scenes
    ),
    "masked_feature": Case(make=lambda: MaskedFeature(["depth", "image"], share=0.5), world=scenes),
    "captioning": Case(make=lambda: Captioning(["text", "image"], width=8, layers=1, heads=2), world=scenes),
    "backward_captioning": Case(
        make=lambda: BackwardCaptioning(["text", "image", "depth"], width=8, layers=1, heads=2), world=scenes
    ),
    "prefix_language": Case(
        make=lambda: PrefixLanguage(["text", "image"], width=16, layers=1, heads=2), world=scenes, steps=60
    ),
    "latent_dynamics": Case(
        make=lambda: LatentDynamics(["state", "action"], width=16), world=motions, collapse="watched"
    ),
    "contrastive_dynamics": Case(make=lambda: ContrastiveDynamics(["state", "action"], width=16), world=motions),
}
