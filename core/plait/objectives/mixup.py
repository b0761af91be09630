"""Contrast of inputs that are a mixture of two instances."""

from __future__ import annotations

from dataclasses import replace
from typing import cast, override

import numpy as np
import torch
from torch import Tensor

from plait.encoders.features import Features, no_features
from plait.encoders.token_encoder import TokenEncoder
from plait.errors import InputError
from plait.losses.contrastive import info_nce
from plait.objectives.objective import Objective
from plait.objectives.step import Step
from plait.objectives.temperature import LogitScale
from plait.objectives.views import two
from plait.pairs.batch import Padded


class MixupContrast(Objective):
    """InfoNCE in which one modality's inputs are mixed, and each mixture has two partners (Cui et al., 2022, ZeroVL).

    A coin a step says which modality is mixed. With lam ~ Beta(alpha, alpha), also one a step, a row's input is
    lam x_i + (1 - lam) x_p(i), and with u its embedding and v the other modality's::

        L = lam InfoNCE(u, v) + (1 - lam) InfoNCE(u, v_p)

    Rows are mixed with rows of any process, so the inputs of one modality are gathered: as much traffic as the joint
    batch of it. An encoder that makes tokens first has these mixed, whatever they were made of; for image patches that
    is the same as to mix the pixels.

    Args:
        of: the two modalities.
        alpha: of the Beta distribution; the smaller, the nearer to one of the two instances a mixture is.
        temperature: where the learnable temperature starts.
        learn_temperature: whether it is learnt.
    """

    def __init__(
        self, of: list[str], alpha: float = 0.1, temperature: float = 0.07, learn_temperature: bool = True
    ) -> None:
        super().__init__()
        self.modalities, self.alpha = two("mixup_contrast", of), alpha
        self.scale = LogitScale(temperature, learn_temperature)

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        first, second = self.modalities
        label = f"mixup_contrast/{first}~{second}"
        paired = step.gather(step.present(first) & step.present(second))
        if not bool(paired.any()):
            return {label: step.nothing()}
        heads, lam = self._draw(step)
        mixed, other = (first, second) if heads else (second, first)
        partner = partners(step.gather(step.uniform("mixup_contrast/order")), paired)
        features = mixed_features(step, mixed, partner[step.places], lam)
        u = step.gather(step.model.project(mixed, features.pooled))[paired]
        v = step.gather(step.embedding(other))
        own = info_nce(u, v[paired], self.scale())
        return {label: lam * own + (1.0 - lam) * info_nce(u, v[partner[paired]], self.scale())}

    def _draw(self, step: Step) -> tuple[bool, float]:
        """The step's coin, and its share of a row's own input."""
        seed = torch.randint(2**62, (1,), generator=step.generator("mixup_contrast"))
        rng = np.random.default_rng(int(seed))
        return bool(rng.random() < 0.5), float(rng.beta(self.alpha, self.alpha))

    @override
    def after_step(self) -> None:
        self.scale.clamp_()


def partners(draws: Tensor, paired: Tensor) -> Tensor:
    """(N,) int64: the row that each is mixed with, another one; the order of the rows does not matter.

    Args:
        draws: (N,) a random number a row.
        paired: (N,) bool; the rows that are mixed, in a cycle. The others are mixed with themselves.
    """
    order = draws.masked_fill(~paired, torch.inf).argsort(stable=True)[: int(paired.sum())]
    partner = torch.arange(len(draws), device=draws.device)
    partner[order] = order.roll(-1)
    return partner


def mixed_features(step: Step, name: str, partner: Tensor, lam: float) -> Features:
    """The features of a modality's inputs, each mixed with that of its ``partner`` (B,) among all processes' rows."""
    everyones, mine = step.gather_features(inputs(step, name)), step.places
    mixture = lam * everyones.tokens[mine] + (1.0 - lam) * everyones.tokens[partner]
    encoder, value, present = step.model.encoder(name), step.batch.values.get(name), step.present(name)
    if value is None:
        # What is said of these rows is not used, but this process, too, takes part in the gather's backward pass.
        features = no_features(mixture, len(present), encoder.width)
        return replace(features, pooled=features.pooled + 0.0 * mixture.sum())
    if isinstance(encoder, TokenEncoder):
        tokens = Padded(mixture, everyones.mask[mine] | everyones.mask[partner])
        return encoder.mix(tokens[present], encoder.grid_of(value)).spread(present)
    return step.encode(name, mixture.reshape(cast(Tensor, value).shape))


def inputs(step: Step, name: str) -> Features:
    """A modality's inputs as tokens: an encoder's own, before it mixes them, or a tensor's numbers one by one.

    Raises:
        InputError: where they are sequences of unequal length, and their encoder makes no tokens.
    """
    encoder, value = step.model.encoder(name), step.batch.values.get(name)
    made = isinstance(encoder, TokenEncoder)
    if value is None:
        return no_features(step.nothing(), len(step.batch), encoder.width if made else 1)
    if isinstance(encoder, TokenEncoder):
        tokens = encoder.embed(value)
        return Features(tokens.values * tokens.mask[..., None], tokens.mask, tokens.values[:, 0])
    if not isinstance(value, Tensor):
        raise InputError(f"mixup_contrast cannot mix the sequences of '{name}': choose an encoder that makes tokens.")
    numbers = value.flatten(1)
    return Features(numbers[..., None], torch.ones_like(numbers, dtype=torch.bool), numbers[:, :1])
