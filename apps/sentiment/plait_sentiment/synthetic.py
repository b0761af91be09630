"""A synthetic world in the files of the layout mosi: made-up reviews whose words tell most of their sentiment.

The text tells most of the sentiment, the voice a little, the face next to nothing. It has what is awkward in the real
files: features that tell more where ``split_feat`` is 0 (they were trained there), constant columns, and an utterance
without a label.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait_sentiment.ingest.mosi import FEATURES, SCALE, TRANSCRIPTS

_VIDEOS, _CLIPS = 24, 10
_CHANNELS = {"text": 100, "audio": 73, "video": 100}
_TELLS = {"text": 1.2, "audio": 0.5, "video": 0.0}
"""How loud the sentiment is in one direction of the features, beside noise of deviation 1 in each."""
_TRAINED = {"text": 3.0, "audio": 0.5, "video": 3.0}
"""The same where ``split_feat`` is 0."""
_CONSTANT = 32
_ADJECTIVES = {
    -3: ("terrible", "unwatchable"), -2: ("bad", "awful"), -1: ("dull", "slow"), 0: ("long", "loud"),
    1: ("fine", "decent"), 2: ("good", "funny"), 3: ("wonderful", "perfect"),
}  # fmt: skip
_SUBJECTS = ("the film", "the story", "the ending", "the music", "every actor", "that scene")
_HEADER = (
    *("row", "id", "transcript_poria", "transcript_label_csv"),
    *("label", "label_binary", "split_feat", "split_official"),
)
_FILLERS = ("", "um", "you know", "i mean", "well")


def synthetic(root: Path, seed: int) -> None:
    """Write the world into ``root``: 240 utterances of 24 videos; the same for the same seed."""
    rng = np.random.default_rng(seed)
    root.mkdir(parents=True, exist_ok=True)
    (root / "SYNTHETIC").write_text("Made-up words and drawn numbers; nobody ever said any of this.\n")
    video = np.repeat(np.arange(_VIDEOS), _CLIPS)
    label = np.clip(np.round(rng.normal(0.2, 1.6, len(video)) * 5) / 5, -SCALE, SCALE).astype(np.float32)
    clean = video % 4 != 3
    official = np.where(video % 8 < 4, 0, np.where(video % 8 == 4, 1, 2))
    unlabelled = 2 * _CLIPS + 3
    table: dict[str, Any] = {
        "id": np.array([f"synthetic{number:02d}_{place % _CLIPS + 1}" for place, number in enumerate(video)]),
        "video": np.array([f"synthetic{number:02d}" for number in video]),
        "clip": (np.arange(len(video)) % _CLIPS + 1).astype(np.int16),
        **{f"{name}_feat": _features(name, label, clean, rng) for name in _CHANNELS},
        "label": label.copy(),
        "label_binary": (label >= 0).astype(np.uint8),
        "split_feat": clean.astype(np.uint8),
        "split_official": official.astype(np.uint8),
    }
    table["label"][unlabelled], table["split_official"][unlabelled] = np.nan, 255
    np.savez(root / FEATURES, **table)
    _write_transcripts(root / TRANSCRIPTS, table, [_sentence(value, rng) for value in label])


def _features(
    name: str, label: NDArray[np.float32], clean: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.float32]:
    """The sentiment along one direction, and noise; where a network was trained with the labels, it is louder."""
    channels = _CHANNELS[name]
    direction = rng.normal(size=channels) / np.sqrt(channels)
    loud = np.where(clean, _TELLS[name], _TRAINED[name])
    values = (loud * label)[:, None] * direction + rng.normal(size=(len(label), channels))
    if name == "video":
        values[:, :_CONSTANT] = 0.0
    return values.astype(np.float32)


def _sentence(label: float, rng: np.random.Generator) -> str:
    """Words for a sentiment; one in ten says something else than it means."""
    meant = int(np.clip(np.round(label + rng.normal(0, 0.4)), -3, 3)) * (-1 if rng.random() < 0.1 else 1)
    words = (str(rng.choice(_FILLERS)), str(rng.choice(_SUBJECTS)), "was", str(rng.choice(_ADJECTIVES[meant])))
    return " ".join(word for word in words if word)


def _write_transcripts(path: Path, table: dict[str, NDArray[Any]], said: list[str]) -> None:
    """Both transcriptions say the same; the second lacks the utterance without a label."""
    names = {0: "train", 1: "dev", 2: "test", 255: ""}
    with path.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(_HEADER)
        for row, words in enumerate(said):
            known = table["split_official"][row] != 255
            label = f"{table['label'][row]:g}" if known else ""
            split = "test" if table["split_feat"][row] else "train"
            cells = [row, table["id"][row], words.upper(), words if known else "", label, table["label_binary"][row]]
            lines.writerow([*cells, split, names[int(table["split_official"][row])]])
