"""Masked and autoregressive losses against loops, hand-computed values and libraries."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy
from torch import Tensor
from torch.nn import functional as F

from plait.losses.autoregressive import next_token, unigram_entropy
from plait.losses.masked import (
    distilled_cross_entropy,
    masked_cross_entropy,
    masked_nce,
    masked_regression,
    mean_of_rows,
    normalised_patches,
)

HIDDEN = torch.tensor([[True, False, True, True], [False, False, False, False], [False, True, False, False]])
"""Three rows; of the second nothing is hidden."""
ROWS = [[0, 1, 2], [], [3]]
"""Which of the four hidden tokens are whose."""


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def log_softmax(logits: list[float]) -> list[float]:
    total = math.log(sum(math.exp(x) for x in logits))
    return [x - total for x in logits]


def means(losses: list[float]) -> list[float]:
    return [sum(losses[i] for i in row) / max(len(row), 1) for row in ROWS]


def test_masked_cross_entropy_is_a_loop() -> None:
    logits, targets = 3 * draw(4, 5), torch.tensor([0, 4, 2, 2])
    losses = [-log_softmax(row)[t] for row, t in zip(logits.tolist(), targets.tolist(), strict=True)]
    assert masked_cross_entropy(logits, targets, HIDDEN).tolist() == pytest.approx(means(losses), rel=1e-12)


def test_masked_cross_entropy_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3.0)]] * 4)
    loss = masked_cross_entropy(logits, torch.tensor([1, 1, 0, 0]), HIDDEN)
    torch.testing.assert_close(loss, torch.tensor([(2 * math.log(4 / 3) + math.log(4)) / 3, 0.0, math.log(4)]))


def test_distilled_cross_entropy_is_a_loop() -> None:
    logits, teacher, targets = 2 * draw(4, 5), 2 * draw(4, 5, seed=1), torch.tensor([0, 4, 2, 2])
    losses: list[float] = []
    for said, thought, target in zip(logits.tolist(), teacher.tolist(), targets.tolist(), strict=True):
        p, q = log_softmax(said), log_softmax(thought)
        divergence = sum(math.exp(b) * (b - a) for a, b in zip(p, q, strict=True))
        losses.append(-0.7 * p[target] + 0.3 * divergence)
    found = distilled_cross_entropy(logits, teacher, targets, HIDDEN, alpha=0.3)
    assert found.tolist() == pytest.approx(means(losses), rel=1e-10)


def test_distillation_between_its_ends() -> None:
    logits, targets = draw(4, 5).requires_grad_(), torch.tensor([0, 4, 2, 2])
    teacher = draw(4, 5, seed=1).requires_grad_()
    alone = distilled_cross_entropy(logits, teacher, targets, HIDDEN, alpha=0.0)
    torch.testing.assert_close(alone, masked_cross_entropy(logits, targets, HIDDEN))
    agreed = distilled_cross_entropy(logits, logits, targets, HIDDEN, alpha=1.0)
    torch.testing.assert_close(agreed, torch.zeros(3, dtype=torch.float64), atol=1e-12, rtol=0.0)
    distilled_cross_entropy(logits, teacher, targets, HIDDEN).sum().backward()
    assert logits.grad is not None
    assert teacher.grad is None


def test_masked_regression_is_a_loop() -> None:
    predicted, targets = draw(4, 3), draw(4, 3, seed=1)
    losses = [
        sum((p - t) ** 2 for p, t in zip(*pair, strict=True)) / 3
        for pair in zip(predicted.tolist(), targets.tolist(), strict=True)
    ]
    assert masked_regression(predicted, targets, HIDDEN).tolist() == pytest.approx(means(losses), rel=1e-12)


def test_only_what_is_hidden_is_averaged() -> None:
    # The trap: a mean over all tokens makes the loss smaller, the fewer are hidden.
    predicted, targets = torch.ones(1, 2), torch.zeros(1, 2)
    for tokens in (1, 7, 100):
        hidden = torch.zeros(1, tokens, dtype=torch.bool)
        hidden[0, -1] = True
        assert float(masked_regression(predicted, targets, hidden)) == 1.0


def test_normalised_patches_are_a_loop() -> None:
    patches = 3 * draw(2, 3, 5) + 1
    found = normalised_patches(patches, eps=1e-3)
    for i in range(2):
        for j in range(3):
            x = patches[i, j].numpy()
            np.testing.assert_allclose(found[i, j], (x - x.mean()) / np.sqrt(x.var() + 1e-3), rtol=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.1, -3.0, 12345.678])
@pytest.mark.parametrize("pixels", [1, 3, 768])
def test_a_flat_patch_is_zero_with_a_finite_gradient(value: float, pixels: int) -> None:
    patches = torch.full((2, pixels), value, requires_grad=True)
    found = normalised_patches(patches)
    assert found.abs().max() < 1e-3
    found.sum().backward()
    assert patches.grad is not None
    assert torch.isfinite(patches.grad).all()


@given(st.floats(0.5, 100.0), st.floats(-100.0, 100.0))
@settings(max_examples=15, deadline=None)
def test_brightness_and_contrast_are_no_part_of_the_target(contrast: float, brightness: float) -> None:
    patches = draw(4, 16)
    torch.testing.assert_close(
        normalised_patches(contrast * patches + brightness), normalised_patches(patches), rtol=1e-4, atol=1e-4
    )


def nce_inputs() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    predicted, candidates = F.normalize(draw(4, 3), dim=1), F.normalize(draw(6, 3, seed=1), dim=1)
    return predicted, candidates, torch.tensor([0, 2, 3, 5]), torch.tensor([7, 8, 7, -9, 7, 3])


def test_masked_nce_is_a_loop() -> None:
    predicted, candidates, own, keys = nce_inputs()
    losses: list[float] = []
    for i in range(4):
        o = int(own[i])
        s = [4.0 * float(predicted[i] @ candidates[j]) for j in range(6)]
        others = [math.exp(s[j]) for j in range(6) if int(keys[j]) != int(keys[o])]
        losses.append(math.log(math.exp(s[o]) + sum(others)) - s[o])
    assert masked_nce(predicted, candidates, own, keys, HIDDEN, 4.0).tolist() == pytest.approx(means(losses), rel=1e-10)


def test_a_token_of_the_same_content_is_no_negative() -> None:
    predicted, candidates, own, _ = nce_inputs()
    same = masked_nce(predicted, candidates, own, torch.zeros(6, dtype=torch.int64), HIDDEN, 4.0)
    torch.testing.assert_close(same, torch.zeros(3, dtype=torch.float64), atol=1e-12, rtol=0.0)
    apart = masked_nce(predicted, candidates, own, torch.arange(6), HIDDEN, 4.0)
    direct = F.cross_entropy(4.0 * predicted @ candidates.T, own, reduction="none")
    torch.testing.assert_close(apart, mean_of_rows(direct, HIDDEN))


def test_constant_candidates_are_chance() -> None:
    predicted, candidates = torch.ones(4, 1), torch.ones(6, 1)
    loss = masked_nce(predicted, candidates, torch.tensor([0, 2, 3, 5]), torch.arange(6), HIDDEN, 10.0)
    torch.testing.assert_close(loss, torch.tensor([math.log(6), 0.0, math.log(6)]))


IDS = torch.tensor([[2, 5, 6, 3, 0], [2, 6, 6, 6, 3], [0, 0, 0, 0, 0]])
REAL = torch.tensor([[True, True, True, True, False], [True] * 5, [False] * 5])


def test_next_token_is_a_loop() -> None:
    logits = 2 * draw(3, 5, 7)
    expected: list[float] = []
    for b in range(3):
        losses = [-log_softmax(logits[b, t - 1].tolist())[int(IDS[b, t])] for t in range(1, 5) if bool(REAL[b, t])]
        expected.append(sum(losses) / max(len(losses), 1))
    assert next_token(logits, IDS, REAL).tolist() == pytest.approx(expected, rel=1e-12)


def test_next_token_is_that_of_transformers() -> None:
    from transformers.loss.loss_utils import ForCausalLMLoss

    logits = draw(3, 5, 7).float()
    for row in (0, 1):
        labels = IDS[row : row + 1].masked_fill(~REAL[row : row + 1], -100)
        theirs = ForCausalLMLoss(logits[row : row + 1], labels, vocab_size=7)
        torch.testing.assert_close(next_token(logits, IDS, REAL)[row], theirs)


def test_the_shift_is_by_one() -> None:
    knows_the_next = 100.0 * F.one_hot(IDS.roll(-1, dims=1), 7).float()
    knows_itself = 100.0 * F.one_hot(IDS, 7).float()
    assert next_token(knows_the_next, IDS, REAL).max() < 1e-6
    assert next_token(knows_itself, IDS, REAL)[0] > 50


def test_padding_and_what_follows_it_say_nothing() -> None:
    logits = draw(3, 5, 7)
    longer = torch.cat([logits, 1e6 * torch.ones(3, 2, 7)], dim=1)
    ids, real = F.pad(IDS, (0, 2), value=4), F.pad(REAL, (0, 2))
    torch.testing.assert_close(next_token(longer, ids, real), next_token(logits, IDS, REAL))


def test_unigram_entropy_is_scipys_and_the_least_without_context() -> None:
    counts = Counter(
        int(i) for row, real in zip(IDS, REAL, strict=True) for i, r in zip(row[1:], real[1:], strict=True) if r
    )
    assert float(unigram_entropy(IDS, REAL)) == pytest.approx(entropy(list(counts.values())), rel=1e-12)
    frequency = torch.tensor([float(counts[i]) for i in range(7)], dtype=torch.float64)
    frequency /= frequency.sum()
    for logits in (frequency.clamp(min=1e-300).log(), draw(7), (frequency + 0.01).log()):
        losses = next_token(logits.expand(3, 5, 7), IDS, REAL)
        mean = float((losses * REAL[:, 1:].sum(dim=1)).sum() / REAL[:, 1:].sum())
        assert mean >= float(unigram_entropy(IDS, REAL)) - 1e-12
    exact = next_token(frequency.clamp(min=1e-300).log().expand(3, 5, 7), IDS, REAL)
    assert float((exact * torch.tensor([3, 4, 0])).sum() / 7) == pytest.approx(float(unigram_entropy(IDS, REAL)))


def test_nothing_asked_is_zero_with_a_finite_gradient() -> None:
    none = torch.zeros(2, 3, dtype=torch.bool)
    rows, empty = torch.zeros(0, 5, requires_grad=True), torch.zeros(0, dtype=torch.int64)
    losses = [
        masked_cross_entropy(rows, empty, none),
        distilled_cross_entropy(rows, rows, empty, none),
        masked_regression(rows, rows, none),
        masked_nce(rows, rows, empty, empty, none, 10.0),
        masked_nce(rows, torch.ones(2, 5), empty, torch.arange(2), none, 10.0),
        next_token(torch.zeros(2, 3, 4, requires_grad=True), torch.zeros(2, 3, dtype=torch.int64), none),
        next_token(torch.zeros(2, 1, 4, requires_grad=True), torch.zeros(2, 1, dtype=torch.int64), none[:, :1]),
        next_token(torch.zeros(0, 3, 4, requires_grad=True), none[:0].long(), none[:0]),
    ]
    for loss in losses:
        assert loss.sum() == 0.0
        loss.sum().backward()
    assert rows.grad is not None
    assert torch.isfinite(rows.grad).all()
    assert unigram_entropy(IDS[2:], REAL[2:]) == 0.0


def test_extreme_half_precision_inputs_are_finite_and_exact() -> None:
    logits = torch.full((4, 3), -3e4, dtype=torch.bfloat16)
    logits[:, 1] = 3e4
    logits.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        losses = [
            masked_cross_entropy(logits, torch.tensor([1, 1, 1, 0]), HIDDEN),
            distilled_cross_entropy(logits, logits.flip(1), torch.tensor([1, 1, 1, 1]), HIDDEN),
            masked_regression(logits, torch.zeros(4, 3), HIDDEN),
            masked_nce(logits, logits, torch.arange(4), torch.arange(4), HIDDEN, 1.0),
            next_token(logits.expand(3, 4, 3), torch.ones(3, 4, dtype=torch.int64), HIDDEN),
        ]
    for loss in losses:
        assert loss.dtype == torch.float32
        assert torch.isfinite(loss).all()
        loss.sum().backward()
    assert losses[0][0] == 0.0
    assert losses[0][2] > 5e4
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_gradients_are_slopes() -> None:
    targets = torch.tensor([0, 4, 2, 2])
    own, keys = nce_inputs()[2:]
    assert torch.autograd.gradcheck(lambda x: masked_cross_entropy(x, targets, HIDDEN), draw(4, 5).requires_grad_())
    assert torch.autograd.gradcheck(
        lambda x: distilled_cross_entropy(x, draw(4, 5, seed=1), targets, HIDDEN), draw(4, 5).requires_grad_()
    )
    assert torch.autograd.gradcheck(
        lambda x, y: masked_nce(x, y, own, keys, HIDDEN, 3.0),
        (draw(4, 3).requires_grad_(), draw(6, 3, seed=1).requires_grad_()),
    )
    assert torch.autograd.gradcheck(lambda x: next_token(x, IDS, REAL), draw(3, 5, 7).requires_grad_())
    assert torch.autograd.gradcheck(normalised_patches, draw(2, 5).requires_grad_())


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="4 tokens are asked"):
        masked_cross_entropy(draw(3, 5), torch.zeros(3, dtype=torch.int64), HIDDEN)
    with pytest.raises(ValueError, match="one shape"):
        masked_regression(draw(4, 3), draw(4, 1), HIDDEN)
    with pytest.raises(ValueError, match="6 candidates have 5 keys"):
        masked_nce(draw(4, 3), draw(6, 3), torch.arange(4), torch.arange(5), HIDDEN, 1.0)
    with pytest.raises(ValueError, match="logits, ids and asked"):
        next_token(draw(3, 4, 7), IDS, REAL)
