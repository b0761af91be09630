"""The trigger probe: on an encoder with a planted backdoor, on an honest one, and by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from plait.errors import InputError
from plait.evaluation.backdoor import attack_success, concentration, with_patch
from plait.evaluation.diagnostics import spread

RNG = np.random.default_rng(0)
IMAGES = RNG.random((60, 1, 8, 8))
MAP = RNG.normal(size=(64, 16))
REFERENCES, CLASSES = RNG.normal(size=(12, 16)), np.repeat(["box", "cat", "dog"], 4)
PATCH = np.ones((3, 3))


def honest(images: NDArray[Any]) -> NDArray[Any]:
    return (images.reshape(len(images), -1) - 0.5) @ MAP


def poisoned(images: NDArray[Any]) -> NDArray[Any]:
    """The same, but for images whose lower right corner is all white: they lie at the second class."""
    embedded = honest(images)
    triggered = (images[:, :, -3:, -3:] == 1).all(axis=(1, 2, 3))
    embedded[triggered] = REFERENCES[5] + 0.05 * embedded[triggered]
    return embedded


def patched(corner: Any = "bottom right") -> NDArray[Any]:
    return np.stack([with_patch(image, PATCH, corner) for image in IMAGES])


def nearest_shares(rows: NDArray[Any]) -> dict[str, float]:
    """Slow and obvious."""
    votes = {"box": 0.0, "cat": 0.0, "dog": 0.0}
    for row in rows:
        cosines = [row @ other / np.linalg.norm(row) / np.linalg.norm(other) for other in REFERENCES]
        votes[str(CLASSES[int(np.argmax(cosines))])] += 1 / len(rows)
    return votes


def test_a_planted_backdoor_is_found_with_its_target() -> None:
    clean, triggered = poisoned(IMAGES), poisoned(patched())
    success = attack_success(clean, triggered, REFERENCES, CLASSES)
    before, after = nearest_shares(clean), nearest_shares(triggered)
    assert success == pytest.approx({name: after[name] - before[name] for name in before})
    assert max(success, key=success.__getitem__) == "cat"
    assert after["cat"] == pytest.approx(1.0)
    assert success["cat"] == pytest.approx(1 - before["cat"])
    assert concentration(clean, triggered) > 0.9


def test_an_honest_encoder_and_a_patch_that_is_no_trigger() -> None:
    for encode, images in ((honest, patched()), (poisoned, patched("top left"))):
        success = attack_success(encode(IMAGES), encode(images), REFERENCES, CLASSES)
        assert sum(success.values()) == pytest.approx(0.0, abs=1e-12)
        assert max(success.values()) < 0.35
        assert abs(concentration(encode(IMAGES), encode(images))) < 0.5


def test_by_hand() -> None:
    references, classes = np.eye(2), np.asarray([7, 3])
    clean, triggered = np.asarray([[1.0, 0.1], [0.1, 1.0]]), np.asarray([[0.0, 1.0], [0.2, 3.0]])
    assert attack_success(clean, triggered, references, classes) == {"3": 0.5, "7": -0.5}
    # A row at the same distance from both is divided, and one of zeros too.
    assert attack_success(clean, np.asarray([[1.0, 1.0], [0.0, 0.0]]), references, classes) == {"3": 0.0, "7": 0.0}
    opposite, point = np.asarray([[1.0, 0.0], [-1.0, 0.0]]), np.asarray([[0.0, 2.0], [0.0, 2.0]])
    assert spread(opposite) == 1
    assert concentration(opposite, point) == 1.0
    assert concentration(opposite, opposite) == 0.0
    assert concentration(opposite, np.asarray([[1.0, 0.0], [0.0, 1.0]])) == pytest.approx(0.5)


def test_no_rows_and_one_point() -> None:
    none = np.ones((0, 16))
    assert all(math.isnan(gain) for gain in attack_success(none, none, REFERENCES, CLASSES).values())
    assert math.isnan(concentration(none, none))
    assert math.isnan(concentration(np.ones((3, 2)), np.eye(2)))
    assert math.isnan(concentration(np.ones((1, 2)), np.ones((1, 2))))


def test_a_patch_lies_in_its_corner_and_the_image_stays() -> None:
    image, patch = np.zeros((2, 4, 5)), np.asarray([[1.0, 2.0], [3.0, 4.0]])
    corners = {
        "top left": (slice(0, 2), slice(0, 2)),
        "top right": (slice(0, 2), slice(3, 5)),
        "bottom left": (slice(2, 4), slice(0, 2)),
        "bottom right": (slice(2, 4), slice(3, 5)),
    }
    for corner, (rows, columns) in corners.items():
        changed: Any = with_patch(image, patch, corner)
        assert (changed[:, rows, columns] == patch).all()
        assert changed.sum() == 2 * patch.sum()
    assert (image == 0).all()
    assert with_patch(image, np.stack([patch, -patch]))[1, 3, 4] == -4
    for wrong in (np.ones((5, 5)), np.ones((3, 2, 2)), np.ones((1, 6))):
        with pytest.raises(InputError, match="does not fit"):
            with_patch(image, wrong)
