"""Instances mixed of two modalities: some words give way to patches of an image that shows what they say."""

from __future__ import annotations

from dataclasses import replace
from typing import cast, override

import torch
from torch import Tensor, nn

from plait.encoders.token_encoder import TokenEncoder
from plait.errors import InputError
from plait.losses.contrastive import info_nce
from plait.losses.precision import upcast
from plait.model import Model
from plait.objectives.objective import Objective
from plait.objectives.semantic import label_columns, label_rows, shared
from plait.objectives.step import Step
from plait.objectives.temperature import LogitScale
from plait.pairs.batch import Padded, stack


class CrossModalCutMix(Objective):
    """With some tokens replaced by the other modality's an instance is still itself (VLMixer, Wang et al., 2022).

    The donor of the other tokens is the row itself where it has the other modality, else a row of the gathered batch
    that shares a tag, drawn at random; a row with no donor takes no part. A replaced token is the donor's at a place
    drawn at random, as the donor's encoder gives it, through a linear layer. The encoder of the first modality mixes
    what it is given, and the mixed view and the plain one are contrasted over all rows. The paper replaces the very
    words that name a tagged region; here tags are of whole rows.

    Args:
        of: the modality some tokens of which are replaced, of an encoder that makes tokens before it mixes them, and
            the modality that they are replaced by.
        labels: the columns of the tags, of which a label of +1 is one; without any only paired rows take part.
        share: in (0, 1), with which each token is replaced.
        temperature: where the learnable temperature starts.
    """

    def __init__(
        self, of: tuple[str, str], labels: list[str] | None = None, share: float = 0.3, temperature: float = 0.07
    ) -> None:
        super().__init__()
        if not 0 < share < 1:
            raise InputError(f"cross_modal_cutmix: share {share} is not between 0 and 1.")
        self.modalities = (of[0], of[1])
        self.labels = label_columns(labels) if labels else ()
        self.collators = dict.fromkeys(self.labels, stack)
        self.share = share
        self.scale = LogitScale(temperature)
        self.adapt: nn.Module = nn.Identity()

    @override
    def prepare(self, model: Model, rows: int) -> None:
        first, second = (model.encoder(name) for name in self.modalities)
        if not isinstance(first, TokenEncoder):
            raise InputError(
                f"cross_modal_cutmix: the encoder of '{self.modalities[0]}' does not make tokens before it mixes them: "
                "choose a kind such as text or patches, or change the two modalities."
            )
        self.adapt = nn.Linear(second.width, first.width)

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        first, _ = self.modalities
        mixed, took_part = self._mixed(step)
        kept = step.gather(took_part)
        a, b = (step.gather(rows)[kept] for rows in (mixed, step.embedding(first)))
        return {f"cross_modal_cutmix/{'~'.join(self.modalities)}": info_nce(a, b, self.scale())}

    @override
    def after_step(self) -> None:
        self.scale.clamp_()

    def _mixed(self, step: Step) -> tuple[Tensor, Tensor]:
        """(B, E) unit vectors of the mixed view, and (B,) whether there is one."""
        first, second = self.modalities
        features = step.features(second)
        adapted = replace(features, tokens=upcast(self.adapt(features.tokens)), pooled=step.projection(second))
        others = step.gather_features(adapted)
        donor, found = self._donors(step, others.mask.any(dim=1))
        value = step.batch.values.get(first)
        if value is None:
            # Nothing to mix here, but the gather's backward pass is waited for by those that have something.
            return step.embedding(first) + 0.0 * others.tokens.sum(), found
        encoder = cast(TokenEncoder, step.model.encoder(first))
        own = encoder.embed(value)
        given = self._places(step, others.tokens[donor], others.mask[donor], own.mask.shape[1]).to(own.values.dtype)
        replaced = step.uniform("cutmix: replaced", own.mask.shape[1]) < self.share
        mixed = Padded(torch.where(replaced.unsqueeze(-1), given, own.values), own.mask)
        return step.model.project(first, encoder.mix(mixed, encoder.grid_of(value)).pooled), found

    def _donors(self, step: Step, has_tokens: Tensor) -> tuple[Tensor, Tensor]:
        """(B,) the position of each row's donor among all rows, and (B,) whether it has one and something to mix."""
        tags = label_rows(step, self.labels) > 0
        itself = step.rows[:, None] == step.gather(step.rows)
        kin = (itself | shared(tags, step.gather(tags))) & has_tokens
        # Seen from a place of its own on a ring, the next eligible row is a row drawn at random, in any order of rows.
        ring = step.uniform("cutmix: donor")
        distance = (step.gather(ring) - step.uniform("cutmix: asks")[:, None]) % 1.0
        distance = distance.masked_fill(~kin, 2.0).masked_fill(itself & kin, -1.0)
        return distance.argmin(dim=1), kin.any(dim=1) & step.present(self.modalities[0])

    def _places(self, step: Step, tokens: Tensor, mask: Tensor, length: int) -> Tensor:
        """(B, length, D) of each row's (B, S, D) real tokens, drawn at random."""
        real_first = torch.argsort(~mask, dim=1, stable=True)
        count = mask.sum(dim=1, keepdim=True)
        drawn = (step.uniform("cutmix: place", length) * count).long().minimum(count - 1).clamp(min=0)
        return tokens.gather(1, real_first.gather(1, drawn).unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))
