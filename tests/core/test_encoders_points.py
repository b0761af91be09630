"""The point encoder: sets of points in metres, of any number and in any order."""

from __future__ import annotations

from collections import defaultdict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from plait.encoders.cells import cells_of
from plait.encoders.points import Points
from plait.errors import InputError
from plait.pairs.batch import Padded, pad


def sweep(points: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(points, 4, generator=generator) * torch.tensor([20.0, 20.0, 2.0, 0.3])


def point_encoder() -> Points:
    torch.manual_seed(0)
    return Points(width=16, cell_sizes=(1.0, 8.0, 1.0)).eval()


def test_cell_means_equal_those_of_a_loop_over_points() -> None:
    points, sweeps = torch.cat([sweep(60), sweep(40, 1)]), torch.tensor([0] * 60 + [1] * 40)
    cells = cells_of(points[:, :3], sweeps, 5.0)
    members: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, place in enumerate(points[:, :3].tolist()):
        members[(int(sweeps[index]), *(int(x // 5.0) for x in place))].append(index)
    assert len(cells.counts) == len(members)
    means = cells.mean(points)[cells.index]
    for rows in members.values():
        torch.testing.assert_close(means[rows], points[rows].mean(dim=0).expand(len(rows), -1))


def test_cells_far_apart_and_of_many_sweeps_are_not_confused() -> None:
    place = torch.tensor([[60000.0, -60000.0, 0.0], [60000.0, 60000.0, 0.0], [-60000.0, 0.0, 60000.0]])
    cells = cells_of(place.repeat(2, 1), torch.tensor([0, 0, 0, 8191, 8191, 8191]), 1.0)
    assert cells.index.unique().numel() == 6


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=4), st.integers(0, 1000))
def test_padding_and_the_other_sweeps_say_nothing(lengths: list[int], seed: int) -> None:
    encoder = point_encoder()
    sweeps = [sweep(length, seed + row) for row, length in enumerate(lengths)]
    together = encoder(pad(sweeps))
    for row, points in enumerate(sweeps):
        alone = encoder(pad([points]))
        torch.testing.assert_close(together.tokens[row, : len(points)], alone.tokens[0], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(together.pooled[row], alone.pooled[0], atol=1e-5, rtol=1e-4)


def test_masked_values_say_nothing() -> None:
    encoder, value = point_encoder(), pad([sweep(30), sweep(20, 1)])
    garbage = value.values.masked_fill(~value.mask.unsqueeze(-1), 1e6)
    assert torch.equal(encoder(value).tokens, encoder(Padded(garbage, value.mask)).tokens)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_tokens_move_with_their_points(seed: int) -> None:
    encoder, points = point_encoder(), sweep(50)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(seed))
    straight, shuffled = encoder(pad([points])), encoder(pad([points[order]]))
    torch.testing.assert_close(shuffled.tokens[0], straight.tokens[0, order], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(shuffled.pooled, straight.pooled, atol=1e-5, rtol=1e-4)


def test_a_point_hears_of_its_own_cells_only() -> None:
    encoder = point_encoder()
    points = torch.tensor([[0.5, 0.5, 0.5, 0.1], [7.5, 7.5, 7.5, 0.1], [9.0, 0.5, 0.5, 0.1]])
    before = encoder(pad([points])).tokens[0]
    points[1, 3] = 0.9  # shares the first point's 8 m cell, and not the third's
    after = encoder(pad([points])).tokens[0]
    assert not torch.allclose(before[0], after[0], atol=1e-5)
    assert torch.equal(before[2], after[2])


def test_a_sweep_without_points_gives_zeros() -> None:
    features = point_encoder()(pad([torch.zeros(0, 4)]))
    assert features.tokens.shape == (1, 0, 16)
    assert features.pooled.eq(0).all()


def test_gradients_are_finite_for_coinciding_points_at_the_sensor() -> None:
    encoder = point_encoder()
    encoder(pad([torch.zeros(5, 4), sweep(1)])).pooled.square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_the_description_of_a_point_is_exact_even_under_autocast() -> None:
    # 80 m away bfloat16 steps by half a metre: a cell's points would be told apart no more.
    encoder, points = Points(width=16, cell_sizes=(2.0, 8.0)), sweep(200) + torch.tensor([80.0, 0.0, 0.0, 0.0])
    seen: list[Tensor] = []
    encoder.embed.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.autocast("cpu", torch.bfloat16):
        encoder(pad([points]))
    exact = points.double()
    for index, row in enumerate(exact):
        place, expected = row[:3], [*(row[:3] / 20.0), row[3], torch.log1p(row[:3].norm())]
        for size in (2.0, 8.0):
            mates = (torch.floor(exact[:, :3] / size) == torch.floor(place / size)).all(dim=1)
            expected += [*((place - exact[mates, :3].mean(dim=0)) / size)]
        torch.testing.assert_close(seen[0][index].double(), torch.stack(expected), atol=2e-5, rtol=1e-5)


def test_autocast_stays_near_full_precision() -> None:
    encoder, value = point_encoder(), pad([sweep(200)])
    exact = encoder(value)
    with torch.autocast("cpu", torch.bfloat16):
        rough = encoder(value)
    assert F.cosine_similarity(exact.tokens[0], rough.tokens[0].float()).min() > 0.98
    assert F.cosine_similarity(exact.pooled, rough.pooled.float()).min() > 0.99


def test_misuse_is_said_in_one_sentence() -> None:
    with pytest.raises(InputError, match="x, y, z first"):
        Points(in_features=2)
    with pytest.raises(InputError, match="cell_sizes above 0 m"):
        Points(cell_sizes=(0.5, 0.0))
    with pytest.raises(InputError, match="set the encoder's in_features to 5"):
        point_encoder()(pad([torch.zeros(3, 5)]))
