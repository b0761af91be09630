"""Targets from labels: loops, the released code's numbers, and rows of which nothing is said."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.metrics.pairwise import cosine_similarity
from torch import Tensor

from plait.losses.semantic import label_cosines, semantic_targets


def labels(n: int, k: int = 6, seed: int = 0) -> Tensor:
    """Of every row at least one label is not zero."""
    drawn = torch.randint(-1, 2, (n, k), generator=torch.Generator().manual_seed(seed)).double()
    drawn[:, 0] = 1
    return drawn


def slow_targets(a: Tensor, b: Tensor, temperature: float) -> list[list[float]]:
    rows = []
    for one in a.tolist():
        weights = []
        for other in b.tolist():
            product = sum(x * y for x, y in zip(one, other, strict=True))
            lengths = math.sqrt(sum(x * x for x in one) * sum(y * y for y in other))
            weights.append(math.exp(product / lengths / temperature))
        rows.append([weight / sum(weights) for weight in weights])
    return rows


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_targets_are_the_softmax_of_cosines(temperature: float) -> None:
    a, b = labels(4), labels(6, seed=1)
    expected = torch.tensor(slow_targets(a, b, temperature), dtype=torch.float64)
    torch.testing.assert_close(semantic_targets(a, b, temperature), expected, rtol=1e-9, atol=0)


def test_cosines_are_sklearns() -> None:
    a, b = labels(4), labels(6, seed=1)
    expected = torch.from_numpy(cosine_similarity(a.numpy(), b.numpy()))
    torch.testing.assert_close(label_cosines(a, b), expected)


def test_without_a_temperature_the_target_is_nearly_flat() -> None:
    """Four rows of four different findings: MedCLIP's own target hardly prefers the right one."""
    findings = torch.eye(4, dtype=torch.float64)
    flat = semantic_targets(findings, findings, temperature=1.0)
    assert flat.diagonal().tolist() == pytest.approx([0.4754] * 4, abs=1e-4)
    assert float(flat[0, 1]) == pytest.approx(0.1749, abs=1e-4)
    floor = -float((flat * flat.log()).sum(dim=1).mean())
    assert floor == pytest.approx(1.27, abs=0.01)
    sharp = semantic_targets(findings, findings)
    assert float(sharp.diagonal().min()) > 0.999


def test_more_labels_do_not_sharpen_the_target() -> None:
    """The trap: the authors' code takes the raw product, which the number of a row's labels multiplies."""
    few, many = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0]]), torch.tensor([[1.0, 1, 0, 0], [0, 0, 1, 1]])
    torch.testing.assert_close(semantic_targets(few, few, 1.0), semantic_targets(many, many, 1.0))


def test_rows_of_which_nothing_is_said_are_alike_to_their_kind() -> None:
    """The trap: an all-zero row has a cosine of 0 to every row, and so a uniform target."""
    a = torch.tensor([[0.0, 0.0], [1.0, -1.0]])
    b = torch.tensor([[1.0, -1.0], [0.0, 0.0], [0.0, 0.0]])
    found = semantic_targets(a, b)
    assert found[0].tolist() == pytest.approx([0.0, 0.5, 0.5], abs=1e-4)
    assert found[1].tolist() == pytest.approx([1.0, 0.0, 0.0], abs=1e-4)


@pytest.mark.parametrize(("n", "m"), [(0, 3), (3, 0), (0, 0), (1, 1)])
def test_few_or_no_rows(n: int, m: int) -> None:
    found = semantic_targets(labels(n), labels(m))
    assert found.shape == (n, m)
    assert bool(torch.isfinite(found).all())


def test_half_precision_labels_give_full_precision_targets() -> None:
    a, b = labels(4), labels(6, seed=1)
    with torch.autocast("cpu", torch.bfloat16):
        found = semantic_targets(a.bfloat16(), b.bfloat16(), 0.01)
    torch.testing.assert_close(found.double(), semantic_targets(a, b, 0.01), rtol=1e-4, atol=1e-6)


def test_labels_of_different_kinds_are_refused() -> None:
    with pytest.raises(ValueError, match="are not"):
        semantic_targets(labels(3, 4), labels(3, 5))
