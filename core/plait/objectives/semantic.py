"""Learning from labels that rows share, where nothing says which rows belong together.

Every row that has a modality takes part in its side, paired or not. Labels are columns ``label_...`` of the pair
table, +1 where a label holds, -1 where it does not, 0 or empty where that is not known; they may come from the data
set or be read off the texts, by a tagger or a detector.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor

from plait.errors import InputError
from plait.losses.contrastive import multi_positive, soft_targets
from plait.losses.semantic import semantic_targets
from plait.objectives.objective import Objective
from plait.objectives.step import Step
from plait.objectives.temperature import LogitScale
from plait.pairs.batch import stack


class SemanticMatching(Objective):
    """Rows of two modalities are as alike as their labels, paired or not (MedCLIP, Wang et al., 2022).

    Args:
        of: the two modalities.
        labels: the columns.
        temperature: where the learnable temperature of the similarities starts.
        target_temperature: of the labels' cosines; 1 is the paper's, which leaves the targets nearly flat.
    """

    def __init__(
        self,
        of: tuple[str, str],
        labels: list[str],
        temperature: float = 0.07,
        target_temperature: float = 0.1,
    ) -> None:
        super().__init__()
        self.modalities = (of[0], of[1])
        self.labels = label_columns(labels)
        self.collators = dict.fromkeys(self.labels, stack)
        self.scale = LogitScale(temperature)
        self.target_temperature = target_temperature

    def forward(self, step: Step) -> dict[str, Tensor]:
        a, b = (labelled(step, name, self.labels) for name in self.modalities)
        forth = semantic_targets(a.labels, b.labels, self.target_temperature)
        back = semantic_targets(b.labels, a.labels, self.target_temperature)
        loss = soft_targets(a.embeddings, b.embeddings, self.scale(), forth, back)
        return {f"semantic_matching/{'~'.join(self.modalities)}": loss}

    def after_step(self) -> None:
        self.scale.clamp_()


class TagAnchored(Objective):
    """Rows of two modalities are right answers to each other where they share a tag (in the spirit of U-VisualBERT).

    Li et al., 2021, anchor images and texts that were never paired by the tags that a detector finds. Here a tag is a
    label of +1, and of `SemanticMatching` what remains is that two rows have one in common. A row without a tag is
    neither asked nor a negative: what it shows may be anything.

    Args:
        of: the two modalities.
        labels: the columns.
        temperature: where the learnable temperature starts.
    """

    def __init__(self, of: tuple[str, str], labels: list[str], temperature: float = 0.07) -> None:
        super().__init__()
        self.modalities = (of[0], of[1])
        self.labels = label_columns(labels)
        self.collators = dict.fromkeys(self.labels, stack)
        self.scale = LogitScale(temperature)

    def forward(self, step: Step) -> dict[str, Tensor]:
        a, b = (labelled(step, name, self.labels) for name in self.modalities)
        a_tags, b_tags = a.labels > 0, b.labels > 0
        a_tagged, b_tagged = a_tags.any(dim=1), b_tags.any(dim=1)
        positives = shared(a_tags[a_tagged], b_tags[b_tagged])
        loss = multi_positive(a.embeddings[a_tagged], b.embeddings[b_tagged], self.scale(), positives)
        return {f"tag_anchored/{'~'.join(self.modalities)}": loss}

    def after_step(self) -> None:
        self.scale.clamp_()


class Labelled(NamedTuple):
    """The rows of all processes that have a modality.

    Attributes:
        embeddings: (N, E) unit vectors.
        labels: (N, K), 0 where a label is not known.
        rows: (N,) positions among all rows.
    """

    embeddings: Tensor
    labels: Tensor
    rows: Tensor


def labelled(step: Step, name: str, labels: Sequence[str]) -> Labelled:
    """The rows of all processes that have the modality ``name``, with their labels; every process must call it."""
    rows = step.gather(step.present(name)).nonzero().squeeze(1)
    return Labelled(step.gather(step.embedding(name))[rows], step.gather(label_rows(step, labels))[rows], rows)


def label_rows(step: Step, labels: Sequence[str]) -> Tensor:
    """(B, K) labels of this process's rows, 0 where one is not known."""
    unknown = torch.zeros(len(step.batch), device=step.rows.device)
    values = [cast(Tensor, step.batch.values.get(name, unknown)).float().nan_to_num(0.0) for name in labels]
    return torch.stack(values, dim=1) if values else unknown[:, None]


def shared(a_tags: Tensor, b_tags: Tensor) -> Tensor:
    """(N, M) bool: whether two rows have a tag in common, of (N, K) and (M, K) bool."""
    return a_tags.float() @ b_tags.float().T > 0


def label_columns(labels: Sequence[str]) -> tuple[str, ...]:
    """The columns, checked; raises `InputError` for none, or for one that is no label."""
    for name in labels:
        if not name.startswith("label_"):
            raise InputError(f"labels: '{name}' is no label column: these are named label_..., such as label_{name}.")
    if not labels:
        raise InputError("labels: none are given: name the table's columns label_... that the rows share.")
    return tuple(labels)
