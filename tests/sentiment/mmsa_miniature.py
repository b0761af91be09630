"""Miniatures of the feature files of MMSA: MOSI aligned, MOSEI not aligned, CH-SIMS with its unimodal labels."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

SIZES = {"train": 6, "valid": 3, "test": 3}
STEPS = {"text": 8, "audio": 8, "vision": 8}
LONG = {"text": 8, "audio": 60, "vision": 20}
CHANNELS = {
    "mosi": {"audio": 5, "vision": 20},
    "mosei": {"audio": 74, "vision": 35},
    "sims": {"audio": 33, "vision": 70},
}


def mosi(**changes: Any) -> dict[str, dict[str, Any]]:
    """Aligned: every modality has as many steps, padded with zeros behind the words."""
    return {split: _part("mosi", split, STEPS) | changes for split in SIZES}


def mosei() -> dict[str, dict[str, Any]]:
    """Not aligned, with lengths; COVAREP's minus infinity in the audio, and one utterance in which nobody is seen."""
    tree = {split: _part("mosei", split, LONG) for split in SIZES}
    tree["train"]["audio"][0, 1, :2] = -np.inf
    tree["train"]["audio"][4, 0, 0] = np.nan
    tree["valid"]["vision"][2] = 0.0
    return tree


def sims() -> dict[str, dict[str, Any]]:
    """Not aligned; labels in [-1, 1], of the whole and of each modality."""
    tree = {split: _part("sims", split, LONG) for split in SIZES}
    for split, part in tree.items():
        part["regression_labels"] = part["regression_labels"] / 3
        for place, letter in enumerate("TAV"):
            part[f"regression_labels_{letter}"] = np.linspace(-1, 1, SIZES[split]) * (place + 1) / 3
        part["raw_text"] = np.array(
            [f"\u6211\u5f88\u9ad8\u5174 {number}" for number in range(SIZES[split])], dtype=object
        )
    return tree


def write(root: Path, tree: Any, protocol: int = 4, name: str = "unaligned_50.pkl") -> Path:
    (root / name).write_bytes(pickle.dumps(tree, protocol))
    return root / name


def lengths(split: str, key: str) -> list[int]:
    """How many steps each utterance of a miniature has: another number for each."""
    longest = LONG[key]
    return [longest - place % 4 for place in range(SIZES[split])]


def _part(name: str, split: str, steps: dict[str, int]) -> dict[str, Any]:
    rng = np.random.default_rng([list(SIZES).index(split), len(name)])
    number = SIZES[split]
    words = [8 - place % 4 for place in range(number)]
    mask = np.arange(8) < np.array(words)[:, None]
    part: dict[str, Any] = {
        "raw_text": np.array([f"it was {place} of {split}" for place in range(number)]),
        "id": [f"{split}{place // 2}$_${place}" for place in range(number)],
        "text": rng.normal(size=(number, 8, 12)).astype(np.float32),
        "text_bert": np.stack([mask * 7, mask, mask * 0], axis=1).astype(np.float32),
        "annotations": np.array(["Neutral"] * number),
        "classification_labels": np.ones(number),
        "regression_labels": np.linspace(-3, 3, number).astype(np.float32),
    }
    for key in ("audio", "vision"):
        part[key] = rng.normal(size=(number, steps[key], CHANNELS[name][key])).astype(np.float32)
        real = words if steps is STEPS else lengths(split, key)
        part[key][np.arange(steps[key]) >= np.array(real)[:, None]] = 0.0
        if steps is LONG:
            part[f"{key}_lengths"] = real
    return part
