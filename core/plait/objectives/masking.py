"""What is hidden, and what an encoder and a fusion make of what is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor

from plait.encoders.features import Features, no_features
from plait.encoders.patches import Patches
from plait.encoders.token_encoder import TokenEncoder, keep
from plait.errors import InputError
from plait.model import Model
from plait.objectives.matching import fusion_of
from plait.objectives.step import Step
from plait.pairs.batch import Padded


def hide(step: Step, salt: str, maskable: Tensor, share: float, whole: float = 0.0) -> Tensor:
    """(B, T) bool: a random share of each row's maskable tokens, the same on any number of processes.

    Args:
        step: draws for its rows.
        salt: of the draws.
        maskable: (B, T) bool.
        share: of a row's maskable tokens; at least one is hidden where there is any.
        whole: the probability that all of a row are hidden, so that the other modalities must say everything (masked
            modality model; Xu et al., 2021, VLM).
    """
    # A longer padding only draws more at the end: the tokens' places come first.
    draws = step.uniform(f"hide/{salt}", 1 + maskable.shape[1])
    shares = torch.where(draws[:, 0] < whole, 1.0, share)
    count = (shares * maskable.sum(dim=1)).round().clamp(min=1.0)
    return (ranks(maskable, draws[:, 1:]) < count[:, None]) & maskable


def ranks(real: Tensor, draws: Tensor) -> Tensor:
    """(B, T) int64: each real token's place in the order of its row's draws; the others come last."""
    return draws.masked_fill(~real, torch.inf).argsort(dim=1).argsort(dim=1)


def whole_words(hidden: Tensor, continues: Tensor) -> Tensor:
    """Hide with the first piece of each word the pieces that continue it, and no other (ViLT; Kim et al., 2021).

    Args:
        hidden: (B, T) bool.
        continues: (B, T) bool, whether a token continues the word of the token before it.
    """
    places = torch.arange(hidden.shape[1], device=hidden.device).expand_as(hidden)
    return hidden.gather(1, places.masked_fill(continues, 0).cummax(dim=1).values)


def share_out(masks: Sequence[Tensor], weights: Tensor, draws: Sequence[Tensor], visible: float) -> list[Tensor]:
    """Which tokens of several modalities are seen, a budget of them in all (MultiMAE; Bachmann et al., 2022).

    A row's budget is a share of its tokens, at least one, and one less than all at most. It is shared among
    the modalities in proportion to their weights by Sainte-Lague's method, so that what a modality has no tokens for
    goes to the others and no token is lost to rounding; within a modality by chance.

    Args:
        masks: (B, T_m) bool each, the real tokens.
        weights: (B, M), not negative.
        draws: (B, T_m) each, uniform.
        visible: the share of all tokens.

    Returns:
        (B, T_m) bool each.
    """
    claims = [
        (weights[:, index, None] / (ranks(mask, draw) + 0.5)).masked_fill(~mask, -1.0)
        for index, (mask, draw) in enumerate(zip(masks, draws, strict=True))
    ]
    real = torch.cat(list(masks), dim=1)
    total = real.sum(dim=1)
    budget = (visible * total).round().clamp(min=1.0).minimum((total - 1).clamp(min=1))
    order = torch.cat(claims, dim=1).argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    return list(((order < budget[:, None]) & real).split([mask.shape[1] for mask in masks], dim=1))


def patches_of(step: Step, name: str) -> Padded:
    """(B, T, P) pixels of each patch of a modality, masked where a row lacks it; one masked patch where all do."""
    encoder = cast(Patches, step.model.encoder(name))
    value, there = step.batch.values.get(name), step.present(name)
    if value is None:
        size = encoder.in_channels * encoder.patch**2
        return Padded(torch.zeros(len(there), 1, size, device=there.device), there[:, None])
    patches = encoder.patchify(value)
    return Padded(patches, there[:, None].expand(patches.shape[:2]))


def encode_hidden(step: Step, name: str, hidden: Tensor) -> Features:
    """The features of a modality some of whose tokens (B, T) are the mask token."""
    encoder, value, there = _tokens(step, name), step.batch.values.get(name), step.present(name)
    if value is None or not bool(there.any()):
        return _nothing(step, name)
    tokens = encoder.embed(value[there], hidden[there])
    return encoder.mix(tokens, encoder.grid_of(value)).spread(there)


def encode_visible(step: Step, name: str, visible: Tensor) -> Features:
    """The features of the visible tokens (B, T) of a modality, which know of no other."""
    encoder, value, there = _tokens(step, name), step.batch.values.get(name), visible.any(dim=1)
    if value is None or not bool(there.any()):
        return _nothing(step, name)
    return encoder.mix(keep(encoder.embed(value[there]), visible[there])).spread(there)


def joined(step: Step, features: Mapping[str, Features], names: tuple[str, ...]) -> Features:
    """The fusion of modalities, some with other features than their own; of one alone these features themselves.

    Rows in which a replaced modality has no token are fused without it.
    """
    if len(names) == 1:
        return features[names[0]]
    present = {name: step.batch.present[name] & said.mask.any(dim=1) for name, said in features.items()}
    return step.fuse(features, names, present)


def own_tokens(step: Step, name: str, features: Features, names: tuple[str, ...]) -> Padded:
    """(B, T, D) tokens of modality ``name`` as `joined` gives them, each in the place it has in ``features``.

    Raises:
        InputError: where the fusion does not keep them.
    """
    said = joined(step, {name: features}, names)
    if len(names) == 1:
        return Padded(said.tokens, said.mask)
    if name not in said.spans:
        raise InputError(
            f"{type(step.model.fusion).__name__} keeps no tokens of '{name}', so what was hidden of it cannot be "
            "asked: choose a fusion that does, such as merged_attention."
        )
    start, stop = said.spans[name]
    if start == stop:
        # No row of this process may use it: there is nothing to ask.
        return Padded(said.tokens.new_zeros(*features.mask.shape, said.tokens.shape[-1]), features.mask & False)
    return Padded(said.tokens[:, start:stop], said.mask[:, start:stop])


def width_of(model: Model, names: tuple[str, ...], kind: str) -> int:
    """The width of what `joined` gives; raises `InputError` where there is no fusion for it, or not of these."""
    if len(names) == 1:
        return model.encoder(names[0]).width
    strange = {*names} - {*model.encoders}
    if strange:
        raise InputError(f"{kind} asks a fusion, which does not join {', '.join(sorted(strange))}: name modalities.")
    return fusion_of(model, kind).width


def check_patches(model: Model, name: str, kind: str) -> Patches:
    """The encoder of a modality, which must be made of patches; raises `InputError` where it is not."""
    encoder = model.encoder(name)
    if not isinstance(encoder, Patches):
        raise InputError(f"{kind} hides patches of '{name}', whose encoder has none: set its kind to patches.")
    return encoder


def _tokens(step: Step, name: str) -> TokenEncoder:
    return cast(TokenEncoder, step.model.encoder(name))


def _nothing(step: Step, name: str) -> Features:
    encoder = step.model.encoder(name)
    return no_features(next(encoder.parameters()), len(step.batch), encoder.width)
