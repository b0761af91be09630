"""Drawn chest films for the synthetic world: soft ellipses for body, lungs and heart, and a shape for each finding."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

type Film = NDArray[np.floating]
type Findings = Mapping[str, str]
"""Finding to where it is: ``left`` or ``right`` of the patient, or an empty text for one without a side."""

_SIDE = 128
_Y, _X = np.meshgrid(np.linspace(-1, 1, _SIDE), np.linspace(-1, 1, _SIDE), indexing="ij")


def drawn_film(findings: Findings, rng: np.random.Generator) -> Image.Image:
    """Draw a film of 256 x 256 grey pixels, viewed as if facing the patient: the patient's left is at the right."""
    big = "emphysema_copd" in findings
    x, y = _posed(rng)
    bend = 0.22 * _sign(findings["scoliosis_kyphosis"]) if "scoliosis_kyphosis" in findings else 0.0
    spine = x - bend * np.sin(np.pi * (y + 0.9) / 1.8)
    film = 0.08 + 0.5 * _ellipse(x, y, 0, 0.15, 0.92, 1.15, 12)
    lung_width, lung_height = rng.uniform(0.29, 0.33), rng.uniform(0.62, 0.7) + 0.14 * big
    for side in (-1, 1):
        film -= (0.34 + 0.08 * big) * _ellipse(x, y, 0.42 * side, -0.1 + 0.08 * big, lung_width, lung_height, 14)
    film += 0.1 * np.maximum(0, np.cos(14 * (y - 0.35 * x**2))) ** 6 * (np.abs(x) < 0.8)
    film += 0.16 * np.exp(-((spine / 0.09) ** 2))
    heart = rng.uniform(0.36, 0.42) if "cardiomegaly" in findings else rng.uniform(0.22, 0.26)
    film += 0.3 * _ellipse(x, y, 0.1 + 0.3 * (heart - 0.22), 0.32, heart, 0.3, 14)
    film += 0.22 / (1 + np.exp(-25 * (y - 0.62 - 0.15 * big + (0 if big else 0.12) * np.cos(3 * x))))
    for name, side in findings.items():
        film += _finding(name, _sign(side), x, y, rng)
    film = film * rng.uniform(0.75, 0.95) + rng.uniform(-0.04, 0.04) + rng.normal(0, 0.02, film.shape)
    pixels = (np.clip(film, 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(pixels).resize((256, 256), Image.Resampling.BICUBIC)


def _finding(name: str, sign: int, x: Film, y: Film, rng: np.random.Generator) -> Film:
    """What a finding adds to the film; ``sign`` is 1 at the patient's left."""
    side = 0.42 * sign
    match name:
        case "pleural_effusion":
            depth = rng.uniform(0.15, 0.35)
            return 0.3 / (1 + np.exp(-18 * (y - 0.5 + depth))) * _ellipse(x, y, side, 0.1, 0.36, 0.9, 14)
        case "nodule_mass":
            size = rng.uniform(0.07, 0.11)
            return 0.35 * _ellipse(x, y, side + rng.uniform(-0.1, 0.1), rng.uniform(-0.5, 0.1), size, size, 20)
        case "opacity":
            centre = side + rng.uniform(-0.08, 0.08), rng.uniform(-0.3, 0.25)
            return 0.25 * np.exp(-(((x - centre[0]) / 0.2) ** 2) - ((y - centre[1]) / 0.22) ** 2)
        case "device":
            box = (np.abs(x - 0.5 * sign) < 0.13) & (np.abs(y + 0.55) < 0.09)
            wire = (np.abs(y + 0.55 - 1.1 * (0.5 - x * sign)) < 0.02) & (x * sign > 0) & (x * sign < 0.5)
            return 0.5 * (box | wire)
        case _:
            return np.zeros_like(x)


def _posed(rng: np.random.Generator) -> tuple[Film, Film]:
    """Coordinates from -1 to 1 of a patient who stands a little off and a little turned."""
    turn, zoom = rng.normal(0, 0.05), rng.normal(1, 0.05)
    across, down = rng.normal(0, 0.06, size=2)
    x = zoom * (np.cos(turn) * _X - np.sin(turn) * _Y) + across
    y = zoom * (np.sin(turn) * _X + np.cos(turn) * _Y) + down
    return x, y


def _ellipse(x: Film, y: Film, across: float, down: float, width: float, height: float, edge: float) -> Film:
    """1 inside an ellipse and 0 outside, with a soft edge: the larger ``edge``, the sharper."""
    radius = np.sqrt(((x - across) / width) ** 2 + ((y - down) / height) ** 2)
    return 1 / (1 + np.exp(np.clip(edge * (radius - 1), -50, 50)))


def _sign(side: str) -> int:
    return {"left": 1, "right": -1}.get(side, 0)
