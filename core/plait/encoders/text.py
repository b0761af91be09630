"""Texts by a small BERT whose vocabulary is learnt from the training texts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from plait.encoders.features import Encoder, Features
from plait.encoders.pooling import masked_mean
from plait.encoders.wordpiece import train_wordpiece
from plait.errors import InputError
from plait.pairs.batch import Padded, Value, pad

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class Text(Encoder):
    """A BERT (Devlin et al., 2019); ``pooled`` is the mean of all tokens, [CLS] and [SEP] among them.

    Takes texts (``collate`` tokenises them) as token ids (B, T) with their mask. An empty text is [CLS][SEP].
    The tokenizer is part of the ``state_dict``, as the bytes of its JSON, so that weights and vocabulary
    can never part. There is no dropout, as in CLIP's text encoder.

    Args:
        layers: number of transformer layers.
        width: D.
        heads: attention heads.
        vocabulary: the most word pieces that ``fit`` may learn.
        max_tokens: longer texts are cut to this many tokens, [CLS] and [SEP] among them.
        folder: a local folder with ``config.json``, ``model.safetensors`` and ``tokenizer.json`` of a
            transformers model, which then says everything but ``max_tokens``; ``fit`` learns nothing more.
    """

    def __init__(
        self,
        layers: int = 2,
        width: int = 128,
        heads: int = 4,
        vocabulary: int = 4000,
        max_tokens: int = 128,
        folder: str | None = None,
    ) -> None:
        super().__init__()
        self.tokenizer: Tokenizer | None = None
        self.vocabulary, self.max_tokens = vocabulary, max_tokens
        if folder is None:
            self.network: Any = _new_bert(layers, width, heads, vocabulary, max_tokens)
        else:
            self.network, self.tokenizer = _from_folder(Path(folder), max_tokens)
        self.width = int(self.network.config.hidden_size)

    def forward(self, value: Value) -> Features:
        if not isinstance(value, Padded):
            raise InputError("A text encoder was given something else than texts: choose another kind for it.")
        tokens: Tensor = self.network(input_ids=value.values, attention_mask=value.mask.long()).last_hidden_state
        return Features(tokens, value.mask, masked_mean(tokens, value.mask))

    def collate(self, samples: Sequence[str]) -> Padded:
        """Tokenise texts into `Padded` (B, T) int64 ids; raises `InputError` before ``fit``."""
        if self.tokenizer is None:
            raise InputError(
                "The text encoder has no vocabulary yet: fit it to the training texts, or give its folder."
            )
        return pad([torch.tensor(self.tokenizer.encode(text).ids) for text in samples])

    def fit(self, samples: Iterable[str]) -> None:
        """Learn the vocabulary from the training texts, the same from the same texts in any order."""
        if self.tokenizer is None:
            # Threads here would make every data-loading worker that is forked later print a warning.
            os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
            self.tokenizer = train_wordpiece(samples, self.vocabulary, self.max_tokens)

    def get_extra_state(self) -> Tensor:
        text = "" if self.tokenizer is None else self.tokenizer.to_str()
        return torch.tensor(list(text.encode()), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        from tokenizers import Tokenizer

        self.tokenizer = Tokenizer.from_str(state.cpu().numpy().tobytes().decode()) if len(state) else None


def _new_bert(layers: int, width: int, heads: int, vocabulary: int, max_tokens: int) -> Any:
    from transformers import BertConfig, BertModel

    if width % heads:
        raise InputError(
            f"The text encoder's width {width} is not a multiple of its {heads} heads: change one of them."
        )
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        max_position_embeddings=max_tokens,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return BertModel(config, add_pooling_layer=False)


def _from_folder(folder: Path, max_tokens: int) -> tuple[Any, Tokenizer]:
    from tokenizers import Tokenizer
    from transformers import AutoModel

    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        if not (folder / name).is_file():
            raise InputError(f"The text encoder's folder {folder} lacks {name}: save model and tokenizer there.")
    network = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True, dtype=torch.float32)
    positions = int(network.config.max_position_embeddings)
    if max_tokens > positions:
        raise InputError(f"The model in {folder} takes {positions} tokens: set max_tokens to {positions} or less.")
    tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(max_tokens)
    tokenizer.no_padding()
    return network, tokenizer
