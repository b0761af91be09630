"""What holds for every point encoder: no order, no neighbour in the batch and no padding changes a sweep's features."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from plait.errors import InputError
from plait.pairs.batch import Padded, pad
from plait_driving.encoders import PillarNet, PointMixer, RangeNet
from plait_driving.encoders.point_encoder import PointEncoder

ENCODERS: dict[str, Callable[[], PointEncoder]] = {
    "point_mixer": lambda: PointMixer(width=16, depth=3),
    "range_net": lambda: RangeNet(width=16, size=(16, 64), widths=(16, 16), strides=((1, 2), (2, 2))),
    "pillar_net": lambda: PillarNet(width=16, pillar_size=3.2, widths=(16, 16), strides=(2, 2)),
}


@pytest.fixture(params=list(ENCODERS))
def encoder(request: pytest.FixtureRequest) -> PointEncoder:
    return ENCODERS[request.param]()


def sweep(number: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    scale = torch.tensor([15.0, 15.0, 1.0, 0.0])
    return torch.cat(
        [torch.randn(number, 4, generator=generator)[:, :3] * scale[:3], torch.rand(number, 1, generator=generator)], 1
    )


def test_sweeps_of_a_batch_do_not_touch_each_other_and_padding_is_nothing(encoder: PointEncoder) -> None:
    one, other = sweep(70, 1), sweep(40, 2)
    together, alone = encoder(pad([one, other])), encoder(pad([other]))
    torch.testing.assert_close(together.tokens[1, :40], alone.tokens[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(together.pooled[1], alone.pooled[0], rtol=1e-4, atol=1e-5)
    assert not together.tokens[1, 40:].any()
    rubbish = pad([one, other])
    rubbish.values[~rubbish.mask] = 1e6
    torch.testing.assert_close(encoder(rubbish).tokens, together.tokens)


def test_the_order_of_the_points_does_not_matter(encoder: PointEncoder) -> None:
    points = sweep(200)
    points[50:100, :3] = points[:50, :3]  # each of these pairs is one place with two intensities
    order = torch.randperm(200)
    straight, mixed = encoder(pad([points])), encoder(pad([points[order]]))
    torch.testing.assert_close(mixed.tokens[0], straight.tokens[0, order], rtol=1e-4, atol=1e-5)


def test_the_same_weights_and_points_give_the_same_bits(encoder: PointEncoder) -> None:
    value = pad([sweep(300)])
    assert torch.equal(encoder(value).tokens, encoder(value).tokens)


def test_a_point_looks_around_itself(encoder: PointEncoder) -> None:
    # Only the second point moves, to where it still is in the neighbourhood: what the first says must change.
    near = torch.tensor([[10.0, 0.1, -1.0, 0.5], [10.6, 0.3, -1.0, 0.5]])
    moved = near + torch.tensor([[0.0] * 4, [0.3, 0.2, 0.3, -0.5]])
    before, after = (encoder(pad([points])).tokens[0, 0].detach() for points in (near, moved))
    assert float((before - after).abs().max()) > 1e-3


@pytest.mark.parametrize(
    "points",
    [
        torch.zeros(0, 4),
        torch.tensor([[3.0, 1.0, 0.0, 0.5]]),
        torch.zeros(1, 4),  # at the sensor's own place, where directions have no meaning
        torch.ones(20, 4),  # all points in one cell
        torch.full((3, 4), 5e4),  # beyond every grid
    ],
    ids=["empty", "one", "origin", "one-cell", "far"],
)
def test_few_points_are_finite_with_a_finite_gradient(encoder: PointEncoder, points: torch.Tensor) -> None:
    features = encoder(pad([points, sweep(9)]))
    assert features.tokens.shape == (2, max(len(points), 9), 16)
    (features.tokens.square().sum() + features.pooled.sum()).backward()
    assert bool(torch.isfinite(features.tokens).all())
    assert all(bool(torch.isfinite(p.grad).all()) for p in encoder.parameters() if p.grad is not None)


def test_a_batch_without_any_point_has_no_feature_and_no_gradient(encoder: PointEncoder) -> None:
    features = encoder(pad([torch.zeros(0, 4), torch.zeros(0, 4)]))
    features.pooled.sum().backward()
    assert torch.equal(features.pooled, torch.zeros(2, 16))


def test_every_weight_learns(encoder: PointEncoder) -> None:
    features = encoder(pad([sweep(150) / 10, sweep(90, 1) / 10]))  # so near that most have neighbours
    (features.tokens * torch.randn_like(features.tokens)).sum().backward()
    silent = [name for name, p in encoder.named_parameters() if p.grad is None or not bool(p.grad.any())]
    assert silent == []


def test_half_precision_is_near_full(encoder: PointEncoder) -> None:
    value = pad([sweep(400)])
    full = encoder(value)
    with torch.autocast("cpu", torch.bfloat16):
        half = encoder(value)
        assert encoder.prepare(value)["points"].dtype == torch.float32
    half.tokens.float().square().mean().backward()
    # Tokens have deviation 1; bfloat16 keeps 8 bits, and a few layers lose some of them.
    assert float((half.tokens - full.tokens).detach().abs().mean()) < 0.05
    assert half.pooled.dtype == torch.float32


def test_other_values_are_refused_in_one_sentence(encoder: PointEncoder) -> None:
    for value in (torch.zeros(2, 3, 8, 8), Padded(torch.zeros(1, 2, 3), torch.ones(1, 2, dtype=torch.bool))):
        with pytest.raises(
            InputError, match=f"A {type(encoder).__name__} encoder was given something else than points"
        ):
            encoder(value)
