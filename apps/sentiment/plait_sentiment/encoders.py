"""One recipe for every data set: an encoder that becomes what the table holds of its modality."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, override

from plait.encoders.features import Encoder, Features
from plait.encoders.recurrent import LSTM
from plait.encoders.tables import Table
from plait.encoders.text import Text
from plait.errors import InputError
from plait.pairs.batch import Value

HELD = ("words", "vector", "sequence")
"""What a table can hold of a modality: a text, one vector an utterance (C,), or one a time step (T, C)."""


class Utterance(Encoder):
    """What was said, or how it sounded or looked: words by a BERT, a vector by a perceptron, a sequence by an LSTM.

    Args:
        width: D; that of the folder's model where there is one.
        holds: one of `HELD`; ``null`` in a recipe leaves it to the table that is trained on.
        channels: C of a vector or a sequence; left to the table in the same way.
        folder: for words, the local folder of a transformers model; a small BERT from scratch where ``null``.
        layers: of that small BERT.
        vocabulary: the most word pieces that it learns.
        max_tokens: longer texts are cut.

    Raises:
        InputError: where nobody has said what the modality holds.
    """

    def __init__(
        self,
        width: int = 64,
        holds: str | None = None,
        channels: int | None = None,
        folder: str | None = None,
        layers: int = 1,
        vocabulary: int = 2000,
        max_tokens: int = 64,
    ) -> None:
        super().__init__()
        if holds == "words":
            self.inner: Encoder = Text(layers, width, 4, vocabulary, max_tokens, folder)
        elif holds not in HELD:
            found = "is not settled" if holds is None else f"'{holds}' is none of {', '.join(HELD)}"
            raise InputError(f"What an utterance encoder holds {found}: pretrain settles it by the table's holds_... .")
        elif channels is None:
            raise InputError(f"An utterance encoder of a {holds} needs channels: pretrain settles it by the table.")
        else:
            self.inner = Table(channels, width) if holds == "vector" else LSTM(channels, width)
        self.holds, self.width = holds, self.inner.width

    @override
    def forward(self, value: Value) -> Features:
        return self.inner(value)

    @override
    def collate(self, samples: Sequence[Any]) -> Value:
        return self.inner.collate(samples)

    @override
    def fit(self, samples: Iterable[Any]) -> None:
        """As the inner encoder; raises `InputError` where the samples are not what it was said to hold."""
        samples = list(samples)
        found = {"words" if isinstance(sample, str) else HELD[sample.ndim] for sample in samples}
        if found - {self.holds}:
            raise InputError(
                f"An utterance encoder was to hold {self.holds} and the rows have {', '.join(sorted(found))}: leave "
                "holds out of the recipe, and the table settles it."
            )
        self.inner.fit(samples)


ENCODERS: dict[str, type[Encoder]] = {"utterance": Utterance}
"""What the app adds to the kinds of encoders."""
