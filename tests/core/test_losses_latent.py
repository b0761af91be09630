"""Latent prediction against loops over vectors and dimensions."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from plait.losses.latent import layer_average, negative_cosine, smooth_l1_latent


def vectors(*shape: int) -> tuple[Tensor, Tensor]:
    prediction, target = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return prediction, target


def test_negative_cosine_is_a_loop() -> None:
    predictions, targets = vectors(3, 4, 5)
    found = negative_cosine(predictions, targets)
    for i in range(3):
        for j in range(4):
            p, t = predictions[i, j].tolist(), targets[i, j].tolist()
            dot = sum(x * y for x, y in zip(p, t, strict=True))
            assert float(found[i, j]) == pytest.approx(-dot / math.hypot(*p) / math.hypot(*t), rel=1e-12)


def test_byols_distance_is_two_and_two_of_it() -> None:
    p, t = vectors(6, 5)
    unit = [torch.nn.functional.normalize(x, dim=1) for x in (p, t)]
    torch.testing.assert_close(2 + 2 * negative_cosine(p, t), (unit[0] - unit[1]).square().sum(dim=1))


def test_cosine_by_hand() -> None:
    p = torch.tensor([[3.0, 4.0], [1.0, 0.0], [0.0, 0.0]])
    t = torch.tensor([[6.0, 8.0], [-2.0, 0.0], [1.0, 0.0]])
    torch.testing.assert_close(negative_cosine(p, t), torch.tensor([-1.0, 1.0, 0.0]))


@pytest.mark.parametrize("beta", [0.0, 0.5, 2.0])
def test_smooth_l1_is_a_loop(beta: float) -> None:
    predictions, targets = vectors(4, 6)
    found = smooth_l1_latent(predictions, 2 * targets, beta)
    for i in range(4):
        total = 0.0
        for p, t in zip(predictions[i].tolist(), (2 * targets[i]).tolist(), strict=True):
            e = abs(p - t)
            total += e * e / (2 * beta) if e < beta else e - beta / 2
        assert float(found[i]) == pytest.approx(total / 6, rel=1e-12)


@pytest.mark.parametrize("loss", [negative_cosine, smooth_l1_latent])
def test_gradient_goes_to_the_prediction_only(loss) -> None:
    prediction, target = (x.requires_grad_() for x in vectors(3, 4))
    assert torch.autograd.gradcheck(lambda p: loss(p, target.detach()), (prediction,))
    loss(prediction, target).sum().backward()
    assert target.grad is None


@pytest.mark.parametrize("loss", [negative_cosine, smooth_l1_latent])
def test_autocast_and_no_rows(loss) -> None:
    prediction, target = (30 * x.to(torch.bfloat16) for x in vectors(16, 64))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = loss(prediction, target)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), loss(prediction.double(), target.double()), rtol=1e-5, atol=1e-5)
    assert loss(prediction[:0], target[:0]).shape == (0,)


def test_zero_vectors_are_finite() -> None:
    prediction = torch.zeros(2, 3, requires_grad=True)
    negative_cosine(prediction, torch.zeros(2, 3)).sum().backward()
    assert torch.isfinite(prediction.grad).all()


def test_the_layer_average_is_a_loop_over_the_last_blocks() -> None:
    layers = [*vectors(3, 4, 5), torch.full((3, 4, 5), 7.0, dtype=torch.float64)]
    found = layer_average(layers, 2)
    for i in range(3):
        for j in range(4):
            token = layers[1][i, j].tolist()
            mean = sum(token) / 5
            deviation = math.sqrt(sum((x - mean) ** 2 for x in token) / 5 + 1e-5)
            # The last block is constant over its dimensions: it says nothing.
            expected = [(x - mean) / deviation / 2 for x in token]
            assert found[i, j].tolist() == pytest.approx(expected, rel=1e-9)


def test_a_block_with_large_numbers_weighs_no_more() -> None:
    one, other = vectors(2, 3, 8)
    torch.testing.assert_close(
        layer_average([one, 1e6 * other], 2), layer_average([one, other], 2), rtol=1e-3, atol=1e-3
    )
    assert torch.equal(layer_average([one, other], 1), layer_average([other], 1))


@pytest.mark.parametrize("top_k", [0, 3])
def test_more_blocks_than_there_are_is_refused(top_k: int) -> None:
    with pytest.raises(ValueError, match="top_k"):
        layer_average(list(vectors(2, 3, 4)), top_k)
