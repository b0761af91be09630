"""Find the hidden token among all tokens of the batch."""

from __future__ import annotations

import hashlib
from typing import cast, override

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plait.encoders.features import Features
from plait.encoders.patches import Patches
from plait.encoders.token_encoder import TokenEncoder
from plait.errors import InputError
from plait.losses.masked import masked_nce
from plait.model import Model
from plait.objectives.masking import encode_hidden, hide, own_tokens, width_of
from plait.objectives.objective import Objective
from plait.objectives.step import Step
from plait.objectives.temperature import fixed_scale
from plait.pairs.batch import Padded, Value


class MaskedFeature(Objective):
    """Noise-contrastive masked tokens (CBT, Sun et al., 2019; the masked frames of UniVL, Luo et al., 2020).

    For what has no vocabulary: the hidden token's vector is to be told from those of all others in the batch. The true
    vector is what the encoder makes of the token before tokens are mixed, without its place, which the question tells.
    It learns too, as in MERLOT Reserve (Zellers et al., 2022): a constant one is the worst answer there is.

    Args:
        of: the modality whose tokens are hidden, then those that help; their fusion is asked. With none, the
            modality's own encoder is.
        share: of the tokens that are hidden.
        temperature: of the softmax over the batch's tokens.
        whole: the probability that all tokens of a row are hidden, so that the others must say everything (VLM; Xu et
            al., 2021).
    """

    def __init__(self, of: list[str], share: float = 0.15, temperature: float = 0.1, whole: float = 0.0) -> None:
        super().__init__()
        self.modalities = tuple(of)
        self.share, self.scale, self.whole = share, fixed_scale(temperature), whole

    @override
    def prepare(self, model: Model, rows: int) -> None:
        encoder = model.encoder(self.modalities[0])
        if not isinstance(encoder, TokenEncoder):
            raise InputError(
                f"masked_feature hides tokens of '{self.modalities[0]}', whose encoder makes none before it mixes "
                "them: set its kind to one that does, such as patches."
            )
        self.head = nn.Linear(width_of(model, self.modalities, "masked_feature"), encoder.width)

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        name = self.modalities[0]
        true, keys = _contents(step, name, step.present(self.modalities))
        hidden = hide(step, name, true.mask, self.share, self.whole)
        tokens = own_tokens(step, name, encode_hidden(step, name, hidden), self.modalities)
        asked = hidden & tokens.mask
        everyones = step.gather_features(Features(true.values, true.mask, true.values[:, 0]))
        everyones_keys = step.gather(F.pad(keys, (0, everyones.mask.shape[1] - keys.shape[1])))
        # Where each asked token lies among all real tokens of all processes.
        order = everyones.mask.flatten().cumsum(dim=0).reshape(everyones.mask.shape) - 1
        own = order[step.places][:, : asked.shape[1]][asked]
        predicted = F.normalize(self.head(tokens.values[asked]), dim=-1)
        candidates = F.normalize(everyones.tokens[everyones.mask], dim=-1)
        losses = masked_nce(predicted, candidates, own, everyones_keys[everyones.mask], asked, self.scale)
        return {f"masked_feature/{name}": step.mean(losses, asked.any(dim=1))}


def _contents(step: Step, name: str, there: Tensor) -> tuple[Padded, Tensor]:
    """(B, T, D) vectors of the tokens of some rows (B,) without their places, and (B, T) int64 keys of the contents."""
    encoder, value = cast(TokenEncoder, step.model.encoder(name)), step.batch.values.get(name)
    if value is None:
        nothing = step.nothing().new_zeros(len(there), 1, encoder.width)
        none = (there & False)[:, None]
        return Padded(nothing, none), none.long()
    tokens = encoder.embed(value)
    # A hidden token knows only its place: what is left without it is the content.
    contents = tokens.values - encoder.embed(value, torch.ones_like(tokens.mask)).values
    return Padded(contents, tokens.mask & there[:, None]), content_keys(encoder, value)


def content_keys(encoder: TokenEncoder, value: Value) -> Tensor:
    """(B, T) int64: equal for tokens made of equal inputs, pixel by pixel or number by number."""
    if isinstance(value, Padded):
        segments = value.values
    elif isinstance(encoder, Patches):
        segments = encoder.patchify(value)
    else:
        raise InputError(
            f"What a {type(encoder).__name__} makes its tokens of is not known: give patches or a sequence."
        )
    segments = segments.detach().reshape(*segments.shape[:2], -1).cpu().numpy()
    keys = [
        [int.from_bytes(hashlib.blake2b(token.tobytes(), digest_size=8).digest(), signed=True) for token in row]
        for row in segments
    ]
    return torch.tensor(
        keys, dtype=torch.int64, device=value.values.device if isinstance(value, Padded) else value.device
    )
