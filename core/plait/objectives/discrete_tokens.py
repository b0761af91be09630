"""Say the code of each hidden patch, as if an image were written in words."""

from __future__ import annotations

from typing import override

import torch
from torch import Tensor, nn

from plait.losses.masked import masked_cross_entropy, normalised_patches
from plait.model import Model
from plait.objectives.codebook import Codebook, Seen
from plait.objectives.masking import check_patches, encode_hidden, hide, own_tokens, patches_of, width_of
from plait.objectives.objective import Objective
from plait.objectives.step import Step
from plait.pairs.batch import Padded


class DiscreteTokens(Objective):
    """The code of hidden patches (BEiT, Bao et al., 2022; with text, VL-BEiT and BEiT-3).

    BEiT takes its codes from the discrete VAE of DALL-E. Here they are the clusters of the normalised patches
    themselves, learnt as training goes on (see `Codebook`), which is a weaker target: a code says what a patch looks
    like, and not what it means. Nothing is learnt in the first step, in which there is no code yet.

    Args:
        of: the image, whose encoder is of kind ``patches``, then the modalities that help; their fusion is asked.
            With none, the image encoder itself is.
        codes: how many there are; 8,192 in BEiT.
        share: of the patches that are hidden.
        decay: of the codes' running means.
    """

    def __init__(self, of: list[str], codes: int = 512, share: float = 0.4, decay: float = 0.99) -> None:
        super().__init__()
        self.modalities = tuple(of)
        self.codes, self.share, self.decay = codes, share, decay
        self._seen: Seen | None = None

    @override
    def prepare(self, model: Model, rows: int) -> None:
        encoder = check_patches(model, self.modalities[0], "discrete_tokens")
        self.codebook = Codebook(self.codes, encoder.in_channels * encoder.patch**2, self.decay)
        self.head = nn.Linear(width_of(model, self.modalities, "discrete_tokens"), self.codes)

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        name = self.modalities[0]
        raw = patches_of(step, name)
        there = raw.mask & step.present(self.modalities)[:, None]
        patches = Padded(normalised_patches(raw.values), there)
        self._seen = self._everyones(step, patches)
        hidden = hide(step, name, there, self.share)
        tokens = own_tokens(step, name, encode_hidden(step, name, hidden), self.modalities)
        asked = hidden & tokens.mask & self.codebook.alive.any()
        losses = masked_cross_entropy(self.head(tokens.values[asked]), self.codebook(patches.values[asked]), asked)
        return {f"discrete_tokens/{name}": step.mean(losses, asked.any(dim=1))}

    @override
    def after_step(self) -> None:
        if self._seen is not None:
            self.codebook.learn(self._seen)

    @torch.no_grad()
    def _everyones(self, step: Step, patches: Padded) -> Seen:
        """What all processes' patches are to the codebook; each row offers one to begin a dead code at."""
        places = step.uniform(f"spare/{self.modalities[0]}", 2)
        place = (places[:, 0] * patches.mask.shape[1]).long()
        offered = patches.values[torch.arange(len(place), device=place.device), place]
        mine = self.codebook.see(patches.values[patches.mask], offered)
        there, order = step.gather(patches.mask.any(dim=1)), step.gather(places[:, 1])
        order = order.masked_fill(~there, torch.inf).argsort()[: int(there.sum())]
        return Seen(
            step.gather(mine.counts[None]).sum(dim=0),
            step.gather(mine.sums[None]).sum(dim=0),
            step.gather(mine.spare)[order],
        )
