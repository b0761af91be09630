"""Learning what a teacher sees: the teacher is the running mean of the model, the target its representation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import combinations
from typing import Literal, cast, override

from torch import Tensor, nn

from plait.encoders.features import Features
from plait.encoders.token_encoder import TokenEncoder
from plait.errors import InputError
from plait.losses.distillation import on_grid
from plait.losses.latent import layer_average, negative_cosine, smooth_l1_latent
from plait.losses.precision import upcast
from plait.model import Model
from plait.objectives.objective import Objective
from plait.objectives.step import Step
from plait.objectives.views import label, modalities_of, views_of


class BYOL(Objective):
    """Each view predicts where the teacher puts the other (Grill et al., 2020), for every two of several views.

    The squared distance of unit vectors, the mean of both directions. Only the predictor and the teacher's slowness
    keep the model from saying the same of everything, which would cost nothing: watch the health of the shared space.
    The predictor has layer normalisation where the paper has batch normalisation, so that a row's loss does not depend
    on its batch.

    Args:
        of: the views, as for `InfoNCE`: two modalities, or a modality and its second view.
        hidden: width of the predictors' hidden layer; four times the shared space where ``None``.
    """

    needs_teacher = True

    def __init__(self, of: list[str | list[str]], hidden: int | None = None) -> None:
        super().__init__()
        self.views = views_of(of)
        self.modalities = modalities_of(self.views)
        self.hidden = hidden
        self.predictors = nn.ModuleDict()

    @override
    def prepare(self, model: Model, rows: int) -> None:
        width = model.embedding
        for view in self.views:
            self.predictors[_tower(label(view))] = _predictor(width, self.hidden or 4 * width)

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = {}
        for first, second in combinations(self.views, 2):
            forth, back = (
                negative_cosine(
                    self.predictors[_tower(label(student))](step.projection(student)), step.teacher.projection(teacher)
                )
                for student, teacher in ((first, second), (second, first))
            )
            both = step.present(first) & step.present(second)
            losses[f"byol/{label(first)}~{label(second)}"] = step.mean(2.0 + forth + back, both)
        return losses


class LatentRegression(Objective):
    """From an input of which some tokens are hidden, tell what the teacher makes of the whole, at the hidden places.

    A student that is its own teacher is data2vec (Baevski et al., 2022). RAVEn (Haliassos et al., 2023) is asymmetric:
    ``{audio: [audio, video], video: [audio]}`` has the audio student regress both teachers and the video student the
    audio teacher only. Its predictors are small transformers, and one linear map a target here; its released code can
    also count the places that are not hidden where the teacher is another modality.

    Targets of another modality are taken place by place, so the two must lie over each other: on image grids of one
    extent (the teacher's is resampled to the student's), or with as many tokens.

    Args:
        targets: student to the modalities whose teachers it regresses, all with encoders made of blocks.
        hidden: the share of tokens that is hidden from the student, drawn anew for each row and step.
        top_k: of how many of the teacher's last blocks the mean is the target.
        loss: ``smooth_l1`` as in data2vec, or ``negative_cosine`` as in RAVEn.
        beta: where the parabola of smooth L1 becomes a line.
    """

    needs_teacher = True

    def __init__(
        self,
        targets: dict[str, list[str]],
        hidden: float = 0.5,
        top_k: int = 1,
        loss: Literal["smooth_l1", "negative_cosine"] = "smooth_l1",
        beta: float = 2.0,
    ) -> None:
        super().__init__()
        if not 0 < hidden <= 1:
            raise InputError(f"Objective latent_regression: hidden is {hidden}: give a share above 0 and up to 1.")
        self.targets, self.hidden, self.top_k = targets, hidden, top_k
        self.modalities = tuple(dict.fromkeys([*targets, *(name for names in targets.values() for name in names)]))
        losses: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
            "smooth_l1": partial(smooth_l1_latent, beta=beta),
            "negative_cosine": negative_cosine,
        }
        self.loss = losses[loss]
        self.predictors = nn.ModuleDict()

    @override
    def prepare(self, model: Model, rows: int) -> None:
        for name in self.modalities:
            encoder = model.encoder(name)
            if not isinstance(encoder, TokenEncoder) or encoder.depth < self.top_k:
                raise InputError(
                    f"Objective latent_regression needs an encoder made of at least {self.top_k} blocks for '{name}': "
                    "choose another kind or more layers there, or a smaller top_k."
                )
        for student, teachers in self.targets.items():
            for teacher in teachers:
                widths = model.encoder(student).width, model.encoder(teacher).width
                self.predictors[f"{student}>{teacher}"] = nn.Linear(*widths)

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = {}
        for student, teachers in self.targets.items():
            seen = self._hide(step, student) if bool(step.present(student).any()) else None
            for teacher in teachers:
                rows, counted = self._rows(step, student, teacher, seen)
                losses[f"latent_regression/{student}~{teacher}"] = step.mean(rows, counted)
        return losses

    def _hide(self, step: Step, name: str) -> tuple[Features, Tensor]:
        """What the student says of a modality with some tokens hidden, and (B, T) which these are."""
        encoder, present = cast(TokenEncoder, step.model.encoder(name)), step.present(name)
        value = step.batch.values[name][present]
        real = encoder.embed(value).mask
        hidden = real & (step.uniform(f"latent_regression/{name}", real.shape[1])[present] < self.hidden)
        said = encoder.mix(encoder.embed(value, hidden), encoder.grid_of(value)).spread(present)
        everywhere = said.mask.clone()
        everywhere[present] = hidden
        return said, everywhere

    def _rows(
        self, step: Step, student: str, teacher: str, seen: tuple[Features, Tensor] | None
    ) -> tuple[Tensor, Tensor]:
        """(B,) loss of each row over its hidden places, and (B,) whether it has any."""
        both = step.present(student) & step.present(teacher)
        if seen is None or not bool(both.any()):
            return upcast(step.nothing()).expand(len(both)), both
        said, hidden = seen
        told = _over_each_other(student, said, teacher, step.teacher.features(teacher), self.top_k)
        found = self.loss(self.predictors[f"{student}>{teacher}"](said.tokens), told)
        places = hidden & both[:, None]
        counted = places.any(dim=1)
        return (found * places).sum(dim=1) / places.sum(dim=1).clamp(min=1), counted


def _over_each_other(student: str, said: Features, teacher: str, told: Features, top_k: int) -> Tensor:
    """(B, T, D) the teacher's targets at the student's T places."""
    targets = layer_average(told.layers, top_k)
    if said.grid is not None and told.grid is not None:
        return on_grid(targets, told.grid, said.grid)
    if targets.shape[1] != said.tokens.shape[1]:
        raise InputError(
            f"Objective latent_regression: '{teacher}' has {targets.shape[1]} tokens and '{student}' "
            f"{said.tokens.shape[1]}, so none lies over another: let each regress its own teacher only."
        )
    return targets


def _tower(view: str) -> str:
    """Two views of one modality share a predictor."""
    return view.partition(":")[0]


def _predictor(width: int, hidden: int) -> nn.Module:
    return nn.Sequential(nn.Linear(width, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Linear(hidden, width))
