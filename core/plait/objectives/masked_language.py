"""Say the hidden words from the other words and from what the other modalities show."""

from __future__ import annotations

import copy
from typing import override

import torch
from torch import Tensor, nn

from plait.losses.masked import distilled_cross_entropy, masked_cross_entropy
from plait.model import Model
from plait.objectives.masking import own_tokens, width_of
from plait.objectives.objective import Objective
from plait.objectives.step import Step
from plait.objectives.word_masking import WordMasking, text_encoder
from plait.pairs.batch import Padded


class MaskedLanguage(Objective):
    """BERT's masked words (Devlin et al., 2019), told with the help of other modalities, of which nothing is hidden.

    To hide of one modality at a time is UNITER's conditional masking (Chen et al., 2020, section 3.2): else a word may
    be hidden together with what shows it, and there is nothing to tell it from.

    Args:
        of: the text, then the modalities that help; their fusion is asked. With none, the text encoder itself is, as
            in FLAVA's unimodal masked language (Singh et al., 2022).
        share: of the words that are hidden.
        whole_words: hide the pieces of a word together (ViLT; Kim et al., 2021).
        whole_text: the probability that all words of a row are hidden, so that the others must say everything (VLM;
            Xu et al., 2021).
    """

    def __init__(self, of: list[str], share: float = 0.15, whole_words: bool = False, whole_text: float = 0.0) -> None:
        super().__init__()
        self.modalities = tuple(of)
        self.share, self.whole_words, self.whole_text = share, whole_words, whole_text

    @override
    def prepare(self, model: Model, rows: int) -> None:
        encoder = text_encoder(model, self.modalities[0], "masked_language")
        self.masking = WordMasking(encoder, self.share, self.whole_words, self.whole_text)
        self.head = word_head(width_of(model, self.modalities, "masked_language"), encoder.vocab_size)

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        name = self.modalities[0]
        shown, words = self.masking(step, name)
        tokens = tokens_of_text(step, shown, self.modalities)
        asked = words.mask & tokens.mask & step.present(self.modalities)[:, None]
        losses = masked_cross_entropy(self.head(tokens.values[asked]), words.values[asked], asked)
        return {f"masked_language/{name}": step.mean(losses, asked.any(dim=1))}


class DistilledMaskedLanguage(Objective):
    """`MaskedLanguage` that also listens to a momentum teacher (Li et al., 2021, ALBEF, section 3.4).

    The teacher is shown the same hidden words. Its head is the running mean of this one, as it is of the model.

    Args:
        of: as for `MaskedLanguage`.
        share: of the words that are hidden.
        alpha: in [0, 1], how much the teacher is listened to.
        momentum: of the teacher's head.
        whole_words: as for `MaskedLanguage`.
        whole_text: as for `MaskedLanguage`.
    """

    needs_teacher = True

    def __init__(
        self,
        of: list[str],
        share: float = 0.15,
        alpha: float = 0.4,
        momentum: float = 0.995,
        whole_words: bool = False,
        whole_text: float = 0.0,
    ) -> None:
        super().__init__()
        self.modalities = tuple(of)
        self.share, self.whole_words, self.whole_text = share, whole_words, whole_text
        self.alpha, self.momentum = alpha, momentum

    @override
    def prepare(self, model: Model, rows: int) -> None:
        encoder = text_encoder(model, self.modalities[0], "distilled_masked_language")
        self.masking = WordMasking(encoder, self.share, self.whole_words, self.whole_text)
        self.head = word_head(width_of(model, self.modalities, "distilled_masked_language"), encoder.vocab_size)
        self.teachers_head = copy.deepcopy(self.head).requires_grad_(False)

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        name = self.modalities[0]
        shown, words = self.masking(step, name)
        tokens = tokens_of_text(step, shown, self.modalities)
        asked = words.mask & tokens.mask & step.present(self.modalities)[:, None]
        with torch.no_grad():
            teachers = tokens_of_text(step.teacher, shown, self.modalities)
            thought = self.teachers_head(teachers.values[asked])
        said = self.head(tokens.values[asked])
        losses = distilled_cross_entropy(said, thought, words.values[asked], asked, self.alpha)
        return {f"distilled_masked_language/{name}": step.mean(losses, asked.any(dim=1))}

    @override
    @torch.no_grad()
    def after_step(self) -> None:
        for mine, new in zip(self.teachers_head.parameters(), self.head.parameters(), strict=True):
            mine.lerp_(new, 1.0 - self.momentum)


def word_head(width: int, words: int) -> nn.Module:
    """BERT's head: a layer, its normalisation, and the vocabulary's logits."""
    return nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width), nn.Linear(width, words))


def tokens_of_text(step: Step, shown: Padded, names: tuple[str, ...]) -> Padded:
    """(B, T, D) tokens of the first modality, a text that was changed to ``shown``, fused with the others."""
    return own_tokens(step, names[0], step.encode(names[0], shown), names)
