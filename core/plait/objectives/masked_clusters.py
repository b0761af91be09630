"""Hidden tokens predict the units, clusters of a teacher's tokens, that they belong to."""

from __future__ import annotations

from typing import cast, override

import torch
from torch import Tensor, nn

from plait.encoders.features import Features
from plait.encoders.token_encoder import TokenEncoder
from plait.errors import InputError
from plait.losses.kmeans import kmeans, nearest, seeds
from plait.losses.masked import masked_cross_entropy
from plait.model import Model
from plait.objectives.masking import encode_hidden, ranks
from plait.objectives.objective import Objective
from plait.objectives.queue import Queue
from plait.objectives.step import Step


class Units(nn.Module):
    """The cluster centres of a stream's tokens, and the latest tokens that they are found from, all in buffers.

    Args:
        clusters: K.
        queue: tokens.
        width: D.
    """

    centroids: Tensor
    found: Tensor

    def __init__(self, clusters: int, queue: int, width: int) -> None:
        super().__init__()
        self.queue = Queue(queue, width)
        self.register_buffer("centroids", torch.zeros(clusters, width))
        self.register_buffer("found", torch.zeros((), dtype=torch.bool))

    def of(self, tokens: Tensor) -> Tensor:
        """(B, T) int64 units of (B, T, D) tokens."""
        return nearest(tokens.flatten(0, 1), self.centroids)[1].reshape(tokens.shape[:2])

    @torch.no_grad()
    def recluster(self, seed: int) -> None:
        """Find the centres anew, from where they were, once there are enough tokens."""
        tokens = self.queue.contents()[0]
        if len(tokens) >= len(self.centroids):
            drawn = torch.Generator().manual_seed(seed)
            start = self.centroids if bool(self.found) else seeds(tokens, len(self.centroids), drawn)
            self.centroids.copy_(kmeans(tokens, start).centroids)
            self.found.fill_(True)


class MaskedClusters(Objective):
    """AV-HuBERT (Shi et al., 2022; of unpaired data u-HuBERT, Hsu and Shi, 2022): masked prediction of hidden units.

    Each modality's tokens are hidden by spans of their own, and some rows are left one modality only. What is fused
    from the rest says of each hidden token in which cluster the token of the teacher, who saw everything, falls. As the
    fusion keeps every modality's tokens, what is asked is what any mask hides: the papers' union of the masks.

    The papers cluster the whole training set a few times, and each time train a new network on the last one's
    clusters. Here the teacher follows the model and the centres follow the teacher, so no units are ever fixed: as
    with other teachers, saying the same of everything would satisfy it, and the collapse watch must be heeded. Left
    out: hiding by substitution with frames of elsewhere.

    Args:
        of: the modalities, whose encoders make tokens before they mix them.
        clusters: K of each modality.
        hide: the share of tokens that are hidden.
        span: how many tokens in a row are hidden together; 1 for tokens on a grid.
        modality_dropout: of how many rows only one modality is left.
        recluster_every: steps from one clustering to the next.
        queue: tokens a modality that are clustered.
        tokens_per_row: how many of a row's tokens enter the queue, drawn anew each step.
    """

    needs_teacher = True
    steps: Tensor

    def __init__(
        self,
        of: list[str],
        clusters: int = 64,
        hide: float = 0.5,
        span: int = 1,
        modality_dropout: float = 0.5,
        recluster_every: int = 200,
        queue: int = 8192,
        tokens_per_row: int = 8,
    ) -> None:
        super().__init__()
        if not 0 < hide < 1 or span < 1 or not 2 <= clusters <= queue:
            raise InputError(
                f"masked_clusters needs hide ({hide}) between 0 and 1, a span ({span}) of 1 or more, and 2 or more "
                f"clusters ({clusters}), no more than its queue ({queue})."
            )
        self.modalities, self.clusters, self.queue = tuple(of), clusters, queue
        self.hide, self.span, self.modality_dropout = hide, span, modality_dropout
        self.recluster_every, self.tokens_per_row = recluster_every, tokens_per_row
        self.heads, self.units = nn.ModuleDict(), nn.ModuleDict()
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self._to_push: dict[str, tuple[Tensor, Tensor]] = {}

    @override
    def prepare(self, model: Model, rows: int) -> None:
        if model.fusion is None or not model.fusion.reads_features:
            raise InputError("masked_clusters needs a fusion that keeps tokens: set model.fusion to merged_attention.")
        for name in self.modalities:
            if not isinstance(model.encoder(name), TokenEncoder):
                raise InputError(
                    f"masked_clusters hides tokens of '{name}', whose encoder does not first make tokens and then mix "
                    "them: choose patches or text."
                )
            self.heads[name] = nn.Linear(model.fusion.width, self.clusters)
            self.units[name] = Units(self.clusters, self.queue, model.fusion.width)

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        seen = step.teacher.fused(self.modalities)
        hidden = {name: self._hidden(step, name) for name in self.modalities}
        left = self._left(step)
        streams = {name: encode_hidden(step, name, where) for name, where in hidden.items()}
        said = step.fuse(streams, self.modalities, left)
        losses: dict[str, Tensor] = {}
        for name in self.modalities:
            target, mask = _stream(seen, name)
            units, length = cast(Units, self.units[name]), target.shape[1]
            tokens = _stream(said, name)[0]
            asked = hidden[name][:, :length] & mask & left[name][:, None]
            # Of a modality that is left to no row here a fusion may say nothing at all.
            tokens = tokens if tokens.shape[1] == length else tokens.new_zeros(*target.shape[:2], tokens.shape[2])
            each = masked_cross_entropy(self.heads[name](tokens[asked]), units.of(target)[asked], asked)
            losses[f"masked_clusters/{name}"] = step.mean(each, asked.any(dim=1) & units.found)
            self._to_push[name] = self._drawn(step, name, target.detach(), mask)
        return losses

    def _hidden(self, step: Step, name: str) -> Tensor:
        """(B, T) bool: spans that begin at random, so often that the share ``hide`` of the tokens is in one or more."""
        length = step.teacher.features(name).mask.shape[1]
        begins = step.uniform(f"masked_clusters/{name}", length) < 1 - (1 - self.hide) ** (1 / self.span)
        far = nn.functional.pad(begins, (self.span - 1, 0)).unfold(1, self.span, 1)
        return far.any(dim=2)

    def _left(self, step: Step) -> dict[str, Tensor]:
        """Of some rows one modality only, drawn from those that they have."""
        there = torch.stack([step.present(name) for name in self.modalities], dim=1)
        drawn = step.uniform("masked_clusters/left", len(self.modalities) + 1)
        alone = drawn[:, -1:] < self.modality_dropout
        luckiest = drawn[:, :-1].masked_fill(~there, -1.0)
        kept = there & (~alone | (luckiest == luckiest.amax(dim=1, keepdim=True)))
        return {name: kept[:, index] for index, name in enumerate(self.modalities)}

    def _drawn(self, step: Step, name: str, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Some tokens of each row of all processes, in the order of the rows, with the rows as keys."""
        draws = step.uniform(f"masked_clusters/queue/{name}", mask.shape[1])
        chosen = mask & (ranks(mask, draws) < self.tokens_per_row)
        rows, order = step.gather(step.rows[:, None].expand_as(chosen)[chosen]).sort(stable=True)
        return step.gather(tokens[chosen])[order], rows

    @override
    @torch.no_grad()
    def after_step(self) -> None:
        self.steps.add_(1)
        for index, name in enumerate(self.modalities):
            units = cast(Units, self.units[name])
            if name in self._to_push:
                units.queue.push(*self._to_push[name])
            if int(self.steps) % self.recluster_every == 0:
                units.recluster(len(self.modalities) * int(self.steps) + index)
        self._to_push = {}


def _stream(fused: Features, name: str) -> tuple[Tensor, Tensor]:
    """A modality's own (B, T, D) tokens among the fused ones, with their mask."""
    if name not in fused.spans:
        raise InputError(
            f"masked_clusters needs the fused tokens of '{name}', and this fusion does not keep them: "
            "set model.fusion to merged_attention."
        )
    own = slice(*fused.spans[name])
    return fused.tokens[:, own], fused.mask[:, own]
