"""A lower-cased WordPiece tokenizer, learnt from texts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from plait.errors import InputError

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from tokenizers.models import Model

_UNKNOWN = "[UNK]"
_SPECIAL = ["[PAD]", _UNKNOWN, "[CLS]", "[SEP]", "[MASK]"]
"""In BERT's order: padding is 0, as in a `Padded`."""


def train_wordpiece(texts: Iterable[str], vocabulary: int, max_tokens: int) -> Tokenizer:
    """Learn word pieces (Schuster and Nakajima, 2012), and to frame a text as [CLS] ... [SEP].

    The same texts give the same tokenizer, in any order and in any process.

    Args:
        texts: to learn from.
        vocabulary: the most pieces to learn.
        max_tokens: longer texts will be cut to this many tokens.

    Raises:
        InputError: where the vocabulary cannot hold even the letters.
    """
    from tokenizers.models import WordPiece
    from tokenizers.trainers import WordPieceTrainer

    words = list(texts)
    draft = _tokenizer(WordPiece(unk_token=_UNKNOWN))
    # The trainer numbers the pieces "##x" in the order of a randomly seeded hash map, and breaks ties between
    # equally frequent pairs by these numbers. Naming them beforehand makes it deterministic.
    letters = {letter for text in words for letter in draft.normalizer.normalize_str(text) if not letter.isspace()}
    known = _SPECIAL + [f"##{letter}" for letter in sorted(letters)]
    # Each letter is a piece twice: at the start of a word, and within one.
    needed = len(known) + len(letters)
    if needed > vocabulary:
        raise InputError(f"The texts have {len(letters)} different letters: set the vocabulary to {needed} or more.")
    trainer = WordPieceTrainer(vocab_size=vocabulary, special_tokens=known, show_progress=False)
    draft.train_from_iterator(words, trainer)
    return _framed(_tokenizer(WordPiece(vocab=draft.get_vocab(), unk_token=_UNKNOWN)), max_tokens)


def _tokenizer(model: Model) -> Tokenizer:
    from tokenizers import Tokenizer
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer

    tokenizer = Tokenizer(model)
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    return tokenizer


def _framed(tokenizer: Any, max_tokens: int) -> Tokenizer:
    from tokenizers.processors import TemplateProcessing

    tokenizer.add_special_tokens(_SPECIAL)
    ends = [(name, _SPECIAL.index(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    tokenizer.enable_truncation(max_tokens)
    return tokenizer
