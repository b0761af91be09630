"""Write the text that belongs to what is seen."""

from __future__ import annotations

from typing import override

import torch
from torch import Tensor

from plait.errors import InputError
from plait.losses.autoregressive import next_token
from plait.model import Model
from plait.objectives.masking import joined, width_of
from plait.objectives.objective import Objective
from plait.objectives.step import Step
from plait.objectives.word_decoder import WordDecoder
from plait.objectives.word_masking import text_encoder, words_of
from plait.pairs.batch import Padded


class Captioning(Objective):
    """Each word from those before it and from what other modalities show (CoCa, Yu et al., 2022; BLIP's LM loss).

    Losses are in nats per token; `plait.losses.autoregressive.unigram_entropy` is what they are to be compared with.
    The decoder belongs to the objective, and the text encoder lends its vocabulary only.

    Args:
        of: the text, then the modalities that it is written from.
        width: of the decoder.
        layers: of the decoder.
        heads: of the decoder.
    """

    def __init__(self, of: list[str], width: int = 128, layers: int = 2, heads: int = 4) -> None:
        super().__init__()
        self.modalities = text_and_others("captioning", of)
        self.size = (width, layers, heads)

    @override
    def prepare(self, model: Model, rows: int) -> None:
        self.decoder = caption_decoder(model, self.modalities, "captioning", self.size)

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        name = self.modalities[0]
        losses, counted = written(step, self.decoder, words_of(step, name), self.modalities)
        return {f"captioning/{name}": step.mean(losses, counted)}


class BackwardCaptioning(Objective):
    """`Captioning` from the last word to the first (VirTex, Desai and Johnson, 2021; REFERS, Zhou et al., 2022).

    Beside `Captioning` it makes the two directions of bicaptioning, each with a decoder of its own.

    Args:
        of: as for `Captioning`.
        width: of the decoder.
        layers: of the decoder.
        heads: of the decoder.
    """

    def __init__(self, of: list[str], width: int = 128, layers: int = 2, heads: int = 4) -> None:
        super().__init__()
        self.modalities = text_and_others("backward_captioning", of)
        self.size = (width, layers, heads)

    @override
    def prepare(self, model: Model, rows: int) -> None:
        self.decoder = caption_decoder(model, self.modalities, "backward_captioning", self.size)

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        name = self.modalities[0]
        losses, counted = written(step, self.decoder, backward(words_of(step, name)), self.modalities)
        return {f"backward_captioning/{name}": step.mean(losses, counted)}


class PrefixLanguage(Objective):
    """The rest of a text from its beginning and from what other modalities show (SimVLM; Wang et al., 2022).

    What other modalities show and the prefix, of random length for each row, see each other in both directions, through
    the text encoder and the fusion; the rest is written word by word, and it alone is asked. [CLS] is always in the
    prefix.

    Args:
        of: the text, then the modalities whose fusion with its prefix is looked at; with none, the text encoder's own
            tokens of the prefix are.
        width: of the decoder.
        layers: of the decoder.
        heads: of the decoder.
    """

    def __init__(self, of: list[str], width: int = 128, layers: int = 2, heads: int = 4) -> None:
        super().__init__()
        self.modalities = tuple(of)
        self.size = (width, layers, heads)

    @override
    def prepare(self, model: Model, rows: int) -> None:
        encoder = text_encoder(model, self.modalities[0], "prefix_language")
        contexts = {"prefix": width_of(model, self.modalities, "prefix_language")}
        self.decoder = WordDecoder(encoder, contexts, *self.size)

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        name = self.modalities[0]
        text = words_of(step, name)
        prefix = prefix_of(text, step.uniform(f"prefix/{name}"))
        said = step.encode(name, Padded(text.values * prefix, prefix))
        logits = self.decoder(text, {"prefix": joined(step, {name: said}, self.modalities)})
        asked = text.mask & ~prefix & step.present(self.modalities)[:, None]
        losses = next_token(logits, text.values, asked)
        return {f"prefix_language/{name}": step.mean(losses, asked.any(dim=1))}


def written(step: Step, decoder: WordDecoder, text: Padded, names: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    """(B,) losses of writing a text from all modalities but the first, and (B,) whether they count."""
    logits = decoder(text, {name: step.features(name) for name in names[1:]})
    asked = text.mask & step.present(names)[:, None]
    return next_token(logits, text.values, asked), asked.any(dim=1)


def backward(text: Padded) -> Padded:
    """The real tokens of each row from the last to the first; what is padded stays at the end."""
    places = torch.arange(text.mask.shape[1], device=text.mask.device)
    turned = text.mask.sum(dim=1, keepdim=True) - 1 - places
    return Padded(text.values.gather(1, torch.where(turned < 0, places, turned)), text.mask)


def prefix_of(text: Padded, draws: Tensor) -> Tensor:
    """(B, T) bool, the first tokens of each row, uniformly 1 to all but one of them.

    Args:
        text: (B, T).
        draws: (B,) in [0, 1).
    """
    length = 1 + (draws * (text.mask.sum(dim=1) - 1).clamp(min=0)).floor()
    return text.mask & (torch.arange(text.mask.shape[1], device=text.mask.device) < length[:, None])


def text_and_others(kind: str, of: list[str]) -> tuple[str, ...]:
    """The modalities of an objective that takes a text and others; raises `InputError` where there is no other."""
    if len(of) < 2:
        raise InputError(f"{kind} writes a text from another modality, and 'of' has {of}: name the text, then another.")
    return tuple(of)


def caption_decoder(model: Model, names: tuple[str, ...], kind: str, size: tuple[int, int, int]) -> WordDecoder:
    """A decoder of width, layers and heads ``size`` of the first modality, a text, that looks at all others."""
    contexts = {name: model.encoder(name).width for name in names[1:]}
    return WordDecoder(text_encoder(model, names[0], kind), contexts, *size)
