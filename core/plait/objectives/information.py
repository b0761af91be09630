"""Learning by mutual information: what one view tells of another is to be much, or little."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import cast, override

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from plait.heads import Classes
from plait.losses.class_information import class_barber_agakov
from plait.losses.gaussians import gaussian_log_likelihood
from plait.losses.information import barber_agakov, club, cpc, smile
from plait.losses.precision import full_precision
from plait.model import Model
from plait.objectives.objective import Objective
from plait.objectives.queue import Queue
from plait.objectives.step import Step, View
from plait.objectives.supervised import require_heads
from plait.objectives.temperature import LogitScale
from plait.objectives.views import every_two, label, modalities_of, views_of
from plait.pairs.batch import stack


class CPC(Objective):
    """The first of two views predicts the second, among all of the batch (CPC as in MMIM, 2021), for every two.

    log N less the loss is a lower bound of their information in nats. MMIM (Han et al., 2021) has the fusion predict
    each modality; ``of: [[t, a, v], t, a, v]`` adds pairs of modalities, the other level that Self-MI's abstract names
    (its equations could not be had: what is called so here is a reconstruction).

    Args:
        of: the views, as for `InfoNCE`; of two, the one that comes first predicts, by a linear map.
        temperature: where the temperature starts. The published code has none: 1, and not learnt, is that, and its
            bound never says more than one nat (`plait.losses.information.cpc_ceiling`).
        learn_temperature: whether it is learnt.
    """

    def __init__(self, of: list[str | list[str]], temperature: float = 0.1, learn_temperature: bool = True) -> None:
        super().__init__()
        self.views = views_of(of)
        self.modalities = modalities_of(self.views)
        self.scale = LogitScale(temperature, learn_temperature)
        self.predictors = nn.ModuleDict()

    @override
    def prepare(self, model: Model, rows: int) -> None:
        for key in _keys(self.views):
            self.predictors[key] = nn.Linear(model.embedding, model.embedding, bias=False)

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = {}
        for key, a, b, _ in _pairs(step, self.views):
            with full_precision(a):
                predicted = F.normalize(self.predictors[key](a), dim=-1)
            losses[f"cpc/{key}"] = cpc(predicted, b, self.scale())
        return losses

    @override
    def after_step(self) -> None:
        self.scale.clamp_()


class BarberAgakov(Objective):
    """A Gaussian of the first of two views tells the second (MMIM's bound between modalities), for every two.

    Minus a lower bound of their information in nats, up to how Gaussian the second is (Barber and Agakov, 2003). MMIM
    (Han, Chen and Poria, 2021) takes the entropy from classes and a history of batches, as `ClassBarberAgakov` does;
    here it is the batch's.

    Args:
        of: the views, as for `InfoNCE`; of two, the one that comes first predicts.
        noise: the variance of a noise on the embeddings: what is finer does not count, and a constant is worth
            nothing. In units of 1 / E, the variance of a dimension of unit vectors that are spread evenly.
    """

    def __init__(self, of: list[str | list[str]], noise: float = 0.1) -> None:
        super().__init__()
        self.views = views_of(of)
        self.modalities = modalities_of(self.views)
        self.noise = noise
        self.conditionals = nn.ModuleDict()

    @override
    def prepare(self, model: Model, rows: int) -> None:
        for key in _keys(self.views):
            self.conditionals[key] = Conditional(model.embedding, self.noise / model.embedding)

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = {}
        for key, a, b, _ in _pairs(step, self.views):
            mean, log_variance = self.conditionals[key](a)
            losses[f"barber_agakov/{key}"] = -barber_agakov(mean, log_variance, b, self.noise / b.shape[1])
        return losses


class ClassBarberAgakov(Objective):
    """`BarberAgakov` with the entropy of the second view from its classes' Gaussians (MMIM; Han et al., 2021).

    Of a regression target the classes are the labels above zero and those below it; a row without a class, or with a
    label of zero, counts in the likelihood alone. The classes' spread is that of the batch and of the rows before it,
    as they were embedded then and without gradient.

    MMIM's released code fits q in a stage of its own and then holds it; here the one bound moves q and the model, for
    a better q only brings a lower bound nearer. There the entropy is that of a projection to a quarter of the width
    which nothing trains, and not a number where a class has few rows; here it is that of the view itself, with noise.

    Args:
        target: the label column, one of the recipe's ``model.targets``.
        of: the views, as for `InfoNCE`; of two, the one that comes first predicts.
        history: how many earlier rows the classes' spread is estimated over; MMIM has one batch of them.
        noise: as for `BarberAgakov`.
    """

    def __init__(self, target: str, of: list[str | list[str]], history: int = 256, noise: float = 0.1) -> None:
        super().__init__()
        self.target, self.views = target, views_of(of)
        self.modalities = modalities_of(self.views)
        self.collators = {target: stack}
        self.history, self.noise = history, noise
        self.conditionals, self.histories = nn.ModuleDict(), nn.ModuleDict()
        self._to_push: dict[str, tuple[Tensor, Tensor]] = {}

    @override
    def prepare(self, model: Model, rows: int) -> None:
        require_heads(model, self.target, [])
        for key in _keys(self.views):
            self.conditionals[key] = Conditional(model.embedding, self.noise / model.embedding)
            self.histories[key] = Queue(self.history, model.embedding)

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = {}
        classes = step.gather(_classes(step, self.target))
        for key, a, b, both in _pairs(step, self.views):
            mean, log_variance = self.conditionals[key](a)
            earlier, their_classes = cast(Queue, self.histories[key]).contents()
            known = torch.cat([earlier.to(b.dtype), b])
            bound = class_barber_agakov(
                mean, log_variance, b, known, torch.cat([their_classes, classes[both]]), self.noise / b.shape[1]
            )
            losses[f"class_barber_agakov/{key}"] = -bound
            self._to_push[key] = b.detach(), classes[both]
        return losses

    @override
    def after_step(self) -> None:
        for key, (rows, classes) in self._to_push.items():
            has_class = classes >= 0
            cast(Queue, self.histories[key]).push(rows[has_class], classes[has_class])
        self._to_push = {}


class SMILE(Objective):
    """Minus the SMILE estimate of the information of every two of several views (Song and Ermon, 2020).

    The critic is the scaled cosine and a bias, of which the projectors are a part; the paper's is a perceptron over
    each of the N^2 pairs. What is logged is minus the estimate in nats; what is learnt from is the gradient of
    `plait.losses.information.jsd`.

    Args:
        of: the views, as for `InfoNCE`.
        clip: how large a log ratio may be for the estimate.
        temperature: where the learnable temperature starts.
    """

    def __init__(self, of: list[str | list[str]], clip: float = 5.0, temperature: float = 0.1) -> None:
        super().__init__()
        self.views = views_of(of)
        self.modalities = modalities_of(self.views)
        self.clip = clip
        self.scale = LogitScale(temperature)
        self.bias = nn.Parameter(torch.zeros(()))

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        return every_two(step, "smile", self.views, self._loss)

    def _loss(self, a: Tensor, b: Tensor) -> Tensor:
        with full_precision(a):
            return -smile(self.scale() * a @ b.T + self.bias, self.clip)

    @override
    def after_step(self) -> None:
        self.scale.clamp_()


class CLUB(Objective):
    """Rid every two of several views of what they tell of each other, by an upper bound (Cheng et al., 2020).

    For a view that is to be free of another, such as of where it was recorded. It is least where nothing is said at
    all, so it makes sense only beside an objective that has the views say something.

    Two losses: ``club_fit`` fits q(second | first) to the embeddings as they are and moves only q; ``club`` is the
    bound with q held, and moves only the model. The bound holds as far as q is right.

    Args:
        of: the views, as for `InfoNCE`; of two, q tells the second from the first.
        least_variance: of q, in units of 1 / E, the variance of a dimension of unit vectors that are spread evenly.
    """

    def __init__(self, of: list[str | list[str]], least_variance: float = 0.1) -> None:
        super().__init__()
        self.views = views_of(of)
        self.modalities = modalities_of(self.views)
        self.least_variance = least_variance
        self.conditionals = nn.ModuleDict()

    @override
    def prepare(self, model: Model, rows: int) -> None:
        for key in _keys(self.views):
            self.conditionals[key] = Conditional(model.embedding, self.least_variance / model.embedding)

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = {}
        for key, a, b, _ in _pairs(step, self.views):
            q = self.conditionals[key]
            mean, log_variance = q(a.detach())
            likelihood = gaussian_log_likelihood(mean, log_variance, b.detach())
            losses[f"club_fit/{key}"] = -likelihood.sum() / max(len(b), 1)
            held = {name: parameter.detach() for name, parameter in q.named_parameters()}
            mean, log_variance = cast(tuple[Tensor, Tensor], functional_call(q, held, a))
            losses[f"club/{key}"] = club(mean, log_variance, b)
        return losses


class Conditional(nn.Module):
    """q(y | x): a Gaussian with independent dimensions, whose mean and variance a perceptron tells.

    Args:
        width: E of both x and y.
        least_variance: no dimension's variance is smaller.
    """

    def __init__(self, width: int, least_variance: float) -> None:
        super().__init__()
        self.least_variance = least_variance
        last = nn.Linear(4 * width, 2 * width)
        # An embedding's dimension has a variance of about 1 / E: so q starts near it.
        nn.init.constant_(last.bias[width:], math.log(math.expm1(1.0 / width)))
        self.layers = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), last)

    @override
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, E) mean and (N, E) log-variance of y, of (N, E) x."""
        with full_precision(x):
            mean, raw = self.layers(x).chunk(2, dim=-1)
            return mean, (self.least_variance + F.softplus(raw)).log()


def _keys(views: Sequence[View]) -> list[str]:
    return [f"{label(first)}~{label(second)}" for first, second in combinations(views, 2)]


def _pairs(step: Step, views: Sequence[View]) -> Iterator[tuple[str, Tensor, Tensor, Tensor]]:
    """The gathered embeddings of every two views, by name, and which of all rows have both; there may be none."""
    for key, (first, second) in zip(_keys(views), combinations(views, 2), strict=True):
        both = step.gather(step.present(first) & step.present(second))
        yield key, step.gather(step.embedding(first))[both], step.gather(step.embedding(second))[both], both


def _classes(step: Step, column: str) -> Tensor:
    """(B,) int64, a row's class: for a number 1 above zero and 0 below it; -1 where there is none."""
    truth, known = step.truth(column)
    if isinstance(step.model.targets[column], Classes):
        return truth.long().masked_fill(~known, -1)
    return (truth > 0).long().masked_fill(~known | (truth == 0), -1)
