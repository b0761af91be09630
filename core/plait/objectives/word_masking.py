"""Words hidden from a text, BERT's way."""

from __future__ import annotations

from typing import override

import torch
from torch import Tensor, nn

from plait.encoders.text import Text
from plait.errors import InputError
from plait.model import Model
from plait.objectives.masking import hide, whole_words
from plait.objectives.step import Step
from plait.pairs.batch import Padded


class WordMasking(nn.Module):
    """Of the hidden words 80 % become [MASK], 10 % another word and 10 % stay (Devlin et al., 2019, section 3.1).

    [PAD], [CLS], [SEP] and unknown words are never hidden.

    Args:
        encoder: with its vocabulary.
        share: of each row's words.
        whole: hide the pieces of a word together; else one may be told from the others (ViLT; Kim et al., 2021).
        whole_text: the probability that all words of a row are hidden (VLM; Xu et al., 2021).

    Raises:
        InputError: where the vocabulary has no mask token, or pieces are asked for that do not begin with ``##``.
    """

    special: Tensor
    words: Tensor
    continues: Tensor

    def __init__(self, encoder: Text, share: float, whole: bool, whole_text: float) -> None:
        super().__init__()
        self.share, self.whole, self.whole_text, self.mask_id = share, whole, whole_text, encoder.mask_id
        pieces: dict[str, int] = {} if encoder.tokenizer is None else encoder.tokenizer.get_vocab()
        special = sorted(encoder.special.values())
        continues = torch.zeros(encoder.vocab_size, dtype=torch.bool)
        continues[[place for piece, place in pieces.items() if piece.startswith("##")]] = True
        if whole and not bool(continues.any()):
            raise InputError("No word piece of the text encoder begins with ##: set whole_words to false.")
        # They follow from the vocabulary, which is the encoder's to keep.
        self.register_buffer("special", torch.tensor(special), persistent=False)
        self.register_buffer("words", torch.tensor(sorted({*pieces.values()} - {*special})), persistent=False)
        self.register_buffer("continues", continues, persistent=False)

    @override
    def forward(self, step: Step, name: str) -> tuple[Padded, Padded]:
        """The text with words hidden, and as it was with a mask that is true where one is hidden."""
        text = words_of(step, name)
        hidden = self._hidden(step, name, text)
        what, which = step.uniform(f"instead/{name}", text.values.shape[1], 2).unbind(dim=-1)
        other = self.words[(which * len(self.words)).long()]
        instead = torch.where(what < 0.8, self.mask_id, torch.where(what < 0.9, other, text.values))
        return Padded(torch.where(hidden, instead, text.values), text.mask), Padded(text.values, hidden)

    def _hidden(self, step: Step, name: str, text: Padded) -> Tensor:
        maskable = text.mask & ~torch.isin(text.values, self.special)
        if not self.whole:
            return hide(step, name, maskable, self.share, self.whole_text)
        continues = self.continues[text.values]
        hidden = hide(step, name, maskable & ~continues, self.share, self.whole_text)
        return whole_words(hidden, continues) & maskable


def words_of(step: Step, name: str) -> Padded:
    """(B, T) token ids of a text, masked where a row lacks it; one masked token where all rows do."""
    value = step.batch.values.get(name)
    if isinstance(value, Padded):
        return value
    there = step.present(name)
    return Padded(torch.zeros(len(there), 1, dtype=torch.int64, device=there.device), (there & False)[:, None])


def text_encoder(model: Model, name: str, kind: str) -> Text:
    """The encoder of a modality, which must be of texts; raises `InputError` where it is not."""
    encoder = model.encoder(name)
    if not isinstance(encoder, Text):
        raise InputError(f"{kind} reads the words of '{name}', whose encoder knows none: name a text first in 'of'.")
    return encoder
