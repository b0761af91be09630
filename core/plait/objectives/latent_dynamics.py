"""What comes next where this is done: the next state's place in the shared space, from the state and the action."""

from __future__ import annotations

from dataclasses import dataclass
from typing import override

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plait.errors import InputError
from plait.losses.contrastive import info_nce
from plait.losses.latent import negative_cosine
from plait.losses.masked import mean_of_rows
from plait.model import Model
from plait.objectives.objective import Objective
from plait.objectives.step import Step
from plait.objectives.temperature import fixed_scale
from plait.objectives.views import two
from plait.pairs.batch import Padded


class LatentDynamics(Objective):
    """Predict where a teacher puts the next state (the latent forward model of Poke, Agrawal et al., 2016).

    ::

        L = - mean_t cos(f(z_t, a_t), sg(z'_{t+1}))

    with z the state's place in the shared space, z' the momentum teacher's, and a the action's features; there is no
    reconstruction, in which World Models (Ha and Schmidhuber, 2018) and PlaNet (Hafner et al., 2019) differ. The
    teacher and its stopped gradient are all that speaks against a constant: watch the effective rank.

    Args:
        of: the states and the actions, both sequences; the action of a step leads to the state of the next.
        width: of the forward model's hidden layer.
    """

    needs_teacher = True

    def __init__(self, of: list[str], width: int = 128) -> None:
        super().__init__()
        self.modalities, self.width = two("latent_dynamics", of), width

    @override
    def prepare(self, model: Model, rows: int) -> None:
        self.forward_model = _forward_model(model, self.modalities, self.width)

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        steps = transitions(step, self.modalities)
        predicted = self.forward_model(torch.cat([steps.states[:, :-1], steps.actions], dim=-1)[steps.real])
        with torch.no_grad():
            following = transitions(step.teacher, self.modalities).states[:, 1:][steps.real]
        losses = mean_of_rows(negative_cosine(predicted, following), steps.real)
        return {f"latent_dynamics/{self.modalities[0]}": step.mean(losses, steps.real.any(dim=1))}


class ContrastiveDynamics(Objective):
    """Tell the next state from all other next states of the batch (CFM; Yan et al., 2021).

    ::

        L = - mean_i log softmax_j( cos(f(z_i, a_i), z'_j) / temperature )_i

    CFM takes minus the squared distance for the similarity, which on the unit sphere is twice the cosine less 2. A
    constant cannot tell anything apart, so it does not pay.

    Args:
        of: the states and the actions, both sequences; the action of a step leads to the state of the next.
        width: of the forward model's hidden layer.
        temperature: of the softmax.
    """

    def __init__(self, of: list[str], width: int = 128, temperature: float = 0.1) -> None:
        super().__init__()
        self.modalities, self.width = two("contrastive_dynamics", of), width
        self.scale = fixed_scale(temperature)

    @override
    def prepare(self, model: Model, rows: int) -> None:
        self.forward_model = _forward_model(model, self.modalities, self.width)

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        steps = transitions(step, self.modalities)
        predicted = self.forward_model(torch.cat([steps.states[:, :-1], steps.actions], dim=-1)[steps.real])
        everyones = (step.gather(rows + step.nothing()) for rows in (predicted, steps.states[:, 1:][steps.real]))
        predicted, following = (F.normalize(rows, dim=-1) for rows in everyones)
        loss = info_nce(predicted, following, self.scale, a_to_b=1.0)
        return {f"contrastive_dynamics/{self.modalities[0]}": loss}


@dataclass(frozen=True)
class Transitions:
    """Sequences of a batch.

    Attributes:
        states: (B, T + 1, E) unit vectors.
        actions: (B, T, A).
        real: (B, T) bool, whether there are a state, an action and a next state.
    """

    states: Tensor
    actions: Tensor
    real: Tensor


def transitions(step: Step, names: tuple[str, ...]) -> Transitions:
    """The states and actions of a batch, each step encoded by itself, so that none knows what comes after it."""
    states, actions = (each_step(step, name) for name in names)
    length = min(states.mask.shape[1] - 1, actions.mask.shape[1])
    there = states.mask[:, :length] & states.mask[:, 1 : length + 1] & actions.mask[:, :length]
    placed = step.model.project(names[0], states.values[:, : length + 1])
    real = there & step.present(names)[:, None]
    return Transitions(placed, actions.values[:, :length].to(placed.dtype), real)


def each_step(step: Step, name: str) -> Padded:
    """(B, T, D) features of each step of a sequence, encoded as a sequence of this step alone."""
    value = step.batch.values.get(name)
    encoder = step.model.encoder(name)
    if value is None:
        there = step.present(name)
        return Padded(step.nothing().new_zeros(len(there), 1, encoder.width), there[:, None])
    if not isinstance(value, Padded):
        raise InputError(
            f"'{name}' is to be followed step by step and is no sequence: give it an encoder of sequences."
        )
    frames = value.values[value.mask].unsqueeze(1)
    pooled = encoder(Padded(frames, torch.ones(frames.shape[:2], dtype=torch.bool, device=frames.device))).pooled
    spread = pooled.new_zeros(*value.mask.shape, encoder.width)
    return Padded(spread.index_put((value.mask,), pooled), value.mask)


def _forward_model(model: Model, names: tuple[str, ...], width: int) -> nn.Module:
    inputs = model.embedding + model.encoder(names[1]).width
    return nn.Sequential(nn.Linear(inputs, width), nn.GELU(), nn.Linear(width, model.embedding))
