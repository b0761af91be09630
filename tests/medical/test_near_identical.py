"""The threshold for near-identical films, against real films: copies lie above it, different studies well below."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from plait.pairs.leakage import NEAR_IDENTICAL, fingerprints


def thumbnail(film: Image.Image) -> np.ndarray:
    """The unit vector whose dot products are the correlations that the leakage check looks at."""
    grey = torch.from_numpy(np.asarray(film.convert("L"), dtype=np.float32) / 255)[None]
    values = np.frombuffer(fingerprints({"image": grey})["image"], dtype=np.int8).astype(np.float64)
    values -= values.mean()
    return values / np.linalg.norm(values)


def encoded_again(film: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    film.convert("L").save(buffer, "JPEG", quality=50)
    return Image.open(buffer)


@pytest.mark.real
def test_copies_lie_above_the_threshold_and_different_studies_below(shared_data: Path) -> None:
    studies = (shared_data / "medical/iu_xray/studies.csv").read_text().splitlines()[1:]
    films: dict[str, list[Image.Image]] = {"train": [], "val": []}
    for study in studies:
        _, split, image, *_ = study.split(",")
        with Image.open(shared_data / "medical/iu_xray" / image) as film:
            films[split].append(film.copy())
    copies = [thumbnail(film) @ thumbnail(encoded_again(film)) for film in films["train"][::20]]
    train, val = (np.stack([thumbnail(film) for film in films[split]]) for split in ("train", "val"))
    nearest = (train @ val.T).max()
    assert min(copies) > 0.9998 > NEAR_IDENTICAL
    assert nearest < 0.975
