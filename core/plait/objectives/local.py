"""Learning from tokens: what an instance's words and regions say of each other, not only their means.

The tokens are those of the towers, each by itself projected into the shared space. All real tokens take part, for a
text also those that mark its ends.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F

from plait.encoders.features import Features
from plait.losses.local import contrast, gloria_similarity, late_interaction
from plait.losses.mapping import soft_cycle
from plait.losses.transport import wasserstein_alignment
from plait.objectives.objective import Objective
from plait.objectives.step import Step
from plait.objectives.temperature import LogitScale, fixed_scale


class GLoRIA(Objective):
    """The words of a text find what they say in their own image and not in another (GLoRIA, Huang et al., 2021).

    This is the local half of the paper; the global half is `InfoNCE` beside it.

    Args:
        of: the modality of the regions and that of the words.
        temperature: fixed.
        attention_scale: how sharply a word looks at regions.
        word_scale: how far the best words outweigh the others.
    """

    def __init__(
        self, of: tuple[str, str], temperature: float = 0.1, attention_scale: float = 4.0, word_scale: float = 5.0
    ) -> None:
        super().__init__()
        self.modalities = (of[0], of[1])
        self.scale, self.attention_scale, self.word_scale = fixed_scale(temperature), attention_scale, word_scale

    def forward(self, step: Step) -> dict[str, Tensor]:
        regions, region_mask, words, word_mask, _ = _tokens(step, *self.modalities)
        scores = gloria_similarity(
            regions,
            region_mask,
            words,
            word_mask,
            attention_scale=self.attention_scale,
            word_scale=self.word_scale,
        )
        return {_key("gloria", self): contrast(self.scale * scores)}


class LateInteraction(Objective):
    """Instances are as alike as their tokens' best matches (FILIP, Yao et al., 2022; ColBERT), in both directions.

    Args:
        of: the two modalities.
        temperature: where the learnable temperature starts.
    """

    def __init__(self, of: tuple[str, str], temperature: float = 0.07) -> None:
        super().__init__()
        self.modalities = (of[0], of[1])
        self.scale = LogitScale(temperature)

    def forward(self, step: Step) -> dict[str, Tensor]:
        a, a_mask, b, b_mask, _ = _tokens(step, *self.modalities)
        a, b = F.normalize(a, dim=-1), F.normalize(b, dim=-1)
        forth, back = late_interaction(a, a_mask, b, b_mask), late_interaction(b, b_mask, a, a_mask).T
        return {_key("late_interaction", self): contrast(self.scale() * forth, self.scale() * back)}

    def after_step(self) -> None:
        self.scale.clamp_()


class WordPatchTransport(Objective):
    """Words are carried to the patches of their own image at less cost than to another's (UNITER, Chen et al., 2020).

    The mean over instances of the cost of the pair minus that of the words with the patches of another instance, as
    the authors' code has it: the first alone would be least where all tokens are the same. They take the tokens of a
    joint transformer, and weigh this by 0.1.

    Args:
        of: the modality of the words and that of the patches.
        beta: of the proximal steps.
        iterations: the number of proximal steps.
    """

    def __init__(self, of: tuple[str, str], beta: float = 0.5, iterations: int = 50) -> None:
        super().__init__()
        self.modalities = (of[0], of[1])
        self.beta, self.iterations = beta, iterations

    def forward(self, step: Step) -> dict[str, Tensor]:
        words, word_mask, patches, patch_mask, rows = _tokens(step, *self.modalities)
        # In the order of their draws the rows form a ring, and each is set against the next.
        order = step.gather(step.uniform("word_patch_transport"))[rows].argsort()
        other = order.new_empty(len(order)).scatter(0, order, order.roll(-1))
        own = wasserstein_alignment(words, word_mask, patches, patch_mask, self.beta, self.iterations)
        others = wasserstein_alignment(words, word_mask, patches[other], patch_mask[other], self.beta, self.iterations)
        return {_key("word_patch_transport", self): (own - others).sum() / max(len(order), 1)}


class SoftCycle(Objective):
    """Each token's nearest neighbour in the other modality has that token as its own (COOT, Ging et al., 2020).

    For sequences whose order means the same, such as the clips of a video and the sentences of its description. It
    can be satisfied by tokens that say their place and nothing else, so it wants a contrastive loss beside it.

    Args:
        of: the two modalities.
    """

    def __init__(self, of: tuple[str, str]) -> None:
        super().__init__()
        self.modalities = (of[0], of[1])

    def forward(self, step: Step) -> dict[str, Tensor]:
        a, b = (_projected(step, name) for name in self.modalities)
        losses = soft_cycle(a.tokens, a.mask, b.tokens, b.mask) + soft_cycle(b.tokens, b.mask, a.tokens, a.mask)
        return {_key("soft_cycle", self): step.mean(losses, a.mask.any(dim=1) & b.mask.any(dim=1))}


class Tokens(NamedTuple):
    """The P rows of all processes that have a token of both modalities, in the shared space, not normalised.

    Attributes:
        a: (P, R, E) with ``a_mask`` (P, R).
        b: (P, T, E) with ``b_mask`` (P, T).
        rows: (P,) positions among all rows.
    """

    a: Tensor
    a_mask: Tensor
    b: Tensor
    b_mask: Tensor
    rows: Tensor


def _tokens(step: Step, first: str, second: str) -> Tokens:
    a, b = (step.gather_features(_projected(step, name)) for name in (first, second))
    both = a.mask.any(dim=1) & b.mask.any(dim=1)
    return Tokens(a.tokens[both], a.mask[both], b.tokens[both], b.mask[both], both.nonzero().squeeze(1))


def _projected(step: Step, name: str) -> Features:
    """A modality's tokens in the shared space; they require a gradient also where no row here has the modality."""
    features = step.features(name)
    tokens = step.model.projection(name, features.tokens)
    return replace(features, tokens=tokens, pooled=step.projection(name))


def _key(kind: str, objective: Objective) -> str:
    return f"{kind}/{'~'.join(objective.modalities)}"
