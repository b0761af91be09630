"""One split of an MMSA feature file, its arrays checked against each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait_sentiment.feature_files import pickled_array

KEYS = {"text": "text", "audio": "audio", "video": "vision"}
"""A modality to what MMSA calls it."""
_NEEDED = ("raw_text", "id", "regression_labels")
_UNIMODAL = {name: f"regression_labels_{letter}" for name, letter in zip(KEYS, "TAV", strict=True)}


@dataclass(frozen=True)
class Part:
    """The N utterances of a split.

    Attributes:
        ids: ``VIDEO$_$CLIP``.
        words: what is said.
        labels: ``sentiment``, and of ``text``, ``audio`` and ``video`` those that people gave each modality; (N,).
        sequences: modality to (N, T, C).
        lengths: modality to (N,) real steps, for the modalities that say so; those of others are padded with zeros.
    """

    ids: list[str]
    words: list[str]
    labels: Mapping[str, NDArray[np.float64]]
    sequences: Mapping[str, NDArray[Any]]
    lengths: Mapping[str, NDArray[np.int64]]

    @classmethod
    def of(cls, split: Mapping[str, Any], wanted: tuple[str, ...], where: str) -> Part:
        """Read the modalities ``wanted`` of a split.

        Raises:
            InputError: something is missing, is no array, or has another shape than the rest; ``where`` opens it.
        """
        found = {key: _array(split, key, where) for key in (*_NEEDED, *(KEYS[name] for name in wanted))}
        ids = [_text(value) for value in found["id"].tolist()] if found["id"].ndim == 1 else []
        if not ids:
            raise InputError(f"{where}: 'id' has the shape {found['id'].shape}, and is to be a list of VIDEO$_$CLIP.")
        labels = {"sentiment": "regression_labels"} | {name: key for name, key in _UNIMODAL.items() if key in split}
        part = cls(
            ids=ids,
            words=[_text(value) for value in found["raw_text"].ravel().tolist()],
            labels={name: _numbers(_array(split, key, where), key, where) for name, key in labels.items()},
            sequences={name: found[KEYS[name]] for name in wanted},
            lengths={name: steps for name in wanted if (steps := _lengths(split, name, where)) is not None},
        )
        part.check(where)
        return part

    def check(self, where: str) -> None:
        """Raise `InputError` unless all arrays are of the same N utterances."""
        for name, array in self.sequences.items():
            if array.ndim != 3 or array.dtype.kind not in "fiu" or not array.shape[1] or not array.shape[2]:
                raise InputError(f"{where}: '{KEYS[name]}' is {array.dtype} of shape {array.shape}, and not (N, T, C).")
        counts = {"raw_text": len(self.words)} | {f"label of {name}": len(array) for name, array in self.labels.items()}
        counts |= {KEYS[name]: len(array) for name, array in self.sequences.items()}
        counts |= {f"lengths of {KEYS[name]}": len(array) for name, array in self.lengths.items()}
        for name, count in counts.items():
            if count != len(self.ids):
                raise InputError(f"{where}: {len(self.ids):,} ids and {count:,} of '{name}': make the file again.")

    def steps(self, name: str, row: int) -> tuple[int, int]:
        """Which steps of an utterance are real, from the first to before the last; none where all are zero.

        Raises:
            InputError: the file says that there are more than there are.
        """
        sequence = self.sequences[name][row]
        real = np.flatnonzero((sequence != 0).any(axis=1))
        if not len(real):
            return 0, 0
        if name not in self.lengths:
            return int(real[0]), int(real[-1]) + 1
        stop = int(self.lengths[name][row])
        if not 0 <= stop <= len(sequence):
            raise InputError(f"its {KEYS[name]} is {stop} of {len(sequence)} steps long: correct the lengths")
        return 0, stop


def _array(split: Mapping[str, Any], key: str, where: str) -> NDArray[Any]:
    if key not in split:
        has = ", ".join(sorted(map(str, split)))
        raise InputError(f"{where} has no '{key}' (it has {has}): give a feature file of MMSA 2.")
    try:
        return pickled_array(split[key])
    except (ValueError, TypeError, IndexError, KeyError, OverflowError) as error:
        raise InputError(f"{where}: '{key}' is no array of numbers or texts ({error}): make the file again.") from error


def _lengths(split: Mapping[str, Any], name: str, where: str) -> NDArray[np.int64] | None:
    """The real steps of a modality: those of text are the attention mask of ``text_bert`` (N, 3, T)."""
    if name != "text":
        key = f"{KEYS[name]}_lengths"
        return _numbers(_array(split, key, where), key, where).astype(np.int64) if key in split else None
    if "text_bert" not in split:
        return None
    tokens = _array(split, "text_bert", where)
    if tokens.ndim != 3 or tokens.shape[1] != 3 or tokens.dtype.kind not in "fiu":
        raise InputError(f"{where}: 'text_bert' is {tokens.dtype} of shape {tokens.shape}, and not (N, 3, T).")
    return (tokens[:, 1] > 0).sum(axis=1)


def _numbers(array: NDArray[Any], key: str, where: str) -> NDArray[np.float64]:
    if array.dtype.kind not in "fiu":
        raise InputError(f"{where}: '{key}' holds {array.dtype}, and is to hold numbers.")
    return array.astype(np.float64).ravel()


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
