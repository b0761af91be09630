"""Texts by a small BERT whose vocabulary is learnt from the training texts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from plait.encoders.features import Features
from plait.encoders.pooling import masked_mean
from plait.encoders.token_encoder import Between, TokenEncoder
from plait.encoders.wordpiece import train_wordpiece
from plait.errors import InputError
from plait.pairs.batch import Padded, Value, pad

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_SPECIAL = {
    "pad": ("[PAD]", "<pad>"),
    "unk": ("[UNK]", "<unk>"),
    "cls": ("[CLS]", "<s>"),
    "sep": ("[SEP]", "</s>"),
    "mask": ("[MASK]", "<mask>"),
}
"""What BERT-like and RoBERTa-like vocabularies call them."""


class Text(TokenEncoder):
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
        config = self.network.config
        self.width, self.depth, self.vocab_size = config.hidden_size, config.num_hidden_layers, config.vocab_size

    def embed(self, value: Value, hidden: Tensor | None = None) -> Padded:
        """(B, T, D) word vectors; their places are added by ``mix``, from the first token on."""
        if not isinstance(value, Padded):
            raise InputError("A text encoder was given something else than texts: choose another kind for it.")
        ids = value.values if hidden is None else value.values.masked_fill(hidden, self.mask_id)
        return Padded(self.network.get_input_embeddings()(ids), value.mask)

    def mix(self, tokens: Padded, grid: tuple[int, int] | None = None, between: Between | None = None) -> Features:
        places = getattr(self.network.config, "max_position_embeddings", tokens.values.shape[1])
        if tokens.values.shape[1] > places:
            raise InputError(
                f"The text encoder has {places} places and was given {tokens.values.shape[1]} tokens (words and what "
                "was put before them): lower max_tokens, or give the other modality coarser tokens."
            )
        hooks = [] if between is None else [_before(self._blocks[level], level, between) for level in range(self.depth)]
        try:
            said = self.network(
                inputs_embeds=tokens.values, attention_mask=tokens.mask.long(), output_hidden_states=True
            )
        finally:
            for hook in hooks:
                hook.remove()
        mixed: Tensor = said.last_hidden_state
        pooled = masked_mean(mixed, tokens.mask)
        return Features(mixed, tokens.mask, pooled, grid, tokens.values, tuple(said.hidden_states[1:]))

    def sentences(self, value: Padded) -> Tensor:
        """(B, T) int64, the sentence of each token, counted from 0 in each text; -1 for tokens that are no words.

        A sentence ends with its full stop, question or exclamation mark, or with the text.
        """
        tokenizer = self.tokenizer
        ends = [] if tokenizer is None else [tokenizer.token_to_id(mark) for mark in ".?!"]
        marks = torch.tensor([mark for mark in ends if mark is not None], device=value.mask.device)
        frame = torch.tensor(list(self.special.values()), device=value.mask.device)
        word = value.mask & ~torch.isin(value.values, frame)
        # A mark closes a sentence only if a word follows, so that "etc. ..." makes no empty one.
        closes = torch.isin(value.values, marks) & value.mask
        opens = word & ~closes & torch.nn.functional.pad(closes, (1, 0))[:, :-1]
        return opens.long().cumsum(dim=1).masked_fill(~word, -1)

    @property
    def mask_id(self) -> int:
        """The id of the mask token; raises `InputError` for a vocabulary that has none."""
        if "mask" not in self.special:
            raise InputError("This text encoder's vocabulary has no mask token: words cannot be hidden from it.")
        return self.special["mask"]

    @property
    def special(self) -> dict[str, int]:
        """The ids of the tokens that are no words, by name: pad, unk, cls, sep, mask; those that there are."""
        if self.tokenizer is None:
            return {}
        ids = {name: [self.tokenizer.token_to_id(text) for text in texts] for name, texts in _SPECIAL.items()}
        return {name: next(i for i in found if i is not None) for name, found in ids.items() if found != [None, None]}

    @property
    def _blocks(self) -> nn.ModuleList:
        """The blocks of the network; raises `InputError` for an architecture in which they lie elsewhere."""
        try:
            return self.network.encoder.layer
        except AttributeError as error:
            raise InputError(
                f"Nothing can be put between the blocks of a {type(self.network).__name__}: give a BERT-like model."
            ) from error

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


def _before(block: nn.Module, level: int, between: Between) -> Any:
    """Have a block see what ``between`` makes of its input; gives a handle whose ``remove`` ends it."""

    def change(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return (between(level, inputs[0]), *inputs[1:])

    return block.register_forward_pre_hook(change)


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
