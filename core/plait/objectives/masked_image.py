"""Say the hidden patches from the visible ones and from what the other modalities show."""

from __future__ import annotations

from typing import override

from torch import Tensor, nn

from plait.losses.masked import masked_regression, normalised_patches
from plait.model import Model
from plait.objectives.masking import check_patches, encode_hidden, hide, own_tokens, patches_of, width_of
from plait.objectives.objective import Objective
from plait.objectives.step import Step


class MaskedImage(Objective):
    """The normalised pixels of hidden patches (SimMIM, Xie et al., 2022; normalised as in MAE, He et al., 2022).

    Nothing is hidden of the other modalities (conditional masking; UNITER, Chen et al., 2020).

    Args:
        of: the image, whose encoder is of kind ``patches``, then the modalities that help; their fusion is asked.
            With none, the image encoder itself is.
        share: of the patches that are hidden.
        whole_image: the probability that all patches of a row are hidden, so that the others must say everything.
    """

    def __init__(self, of: list[str], share: float = 0.5, whole_image: float = 0.0) -> None:
        super().__init__()
        self.modalities = tuple(of)
        self.share, self.whole_image = share, whole_image

    @override
    def prepare(self, model: Model, rows: int) -> None:
        encoder = check_patches(model, self.modalities[0], "masked_image")
        self.head = nn.Linear(width_of(model, self.modalities, "masked_image"), encoder.in_channels * encoder.patch**2)

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        name = self.modalities[0]
        patches = patches_of(step, name)
        hidden = hide(step, name, patches.mask, self.share, self.whole_image)
        tokens = own_tokens(step, name, encode_hidden(step, name, hidden), self.modalities)
        asked = hidden & tokens.mask & step.present(self.modalities)[:, None]
        targets = normalised_patches(patches.values[asked])
        losses = masked_regression(self.head(tokens.values[asked]), targets, asked)
        return {f"masked_image/{name}": step.mean(losses, asked.any(dim=1))}
