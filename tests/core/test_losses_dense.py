"""Dense contrast and region pooling against loops over patches and pixels."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from plait.losses.dense import Critic, cosine_critic, dense_info_nce, mse_critic, patches_at, pooled_regions


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slow_mse(a: Tensor, b: Tensor) -> float:
    return -sum((float(x) - float(y)) ** 2 for x, y in zip(a.flatten(), b.flatten(), strict=True)) / a.numel()


def slow_cosine(a: Tensor, b: Tensor) -> float:
    return float((a * b).sum()) / math.sqrt(float((a * a).sum()) * float((b * b).sum()))


CRITICS = pytest.mark.parametrize(("critic", "slow"), [(mse_critic, slow_mse), (cosine_critic, slow_cosine)])


@CRITICS
def test_critics_are_over_places_and_channels(critic: Critic, slow: Any) -> None:
    a, b = draw(3, 4, 2), draw(5, 4, 2, seed=1)
    found = critic(a, b)
    for i in range(3):
        for j in range(5):
            assert float(found[i, j]) == pytest.approx(slow(a[i], b[j]), rel=1e-9)


def test_the_cosine_of_single_places_is_over_channels_and_not_over_places() -> None:
    """The trap of the authors' notebook: a norm over dimension 1 of a (C, H, W) map is over its height."""
    a, b = torch.tensor([[3.0, 4.0], [1.0, 0.0]]), torch.tensor([[4.0, 3.0], [0.0, 2.0]])
    torch.testing.assert_close(cosine_critic(a, b), torch.tensor([[24 / 25, 4 / 5], [4 / 5, 0.0]]))


@CRITICS
@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_dense_info_nce_is_the_double_sum_over_both_modalities(critic: Critic, slow: Any, temperature: float) -> None:
    a, b = draw(5, 4, 3), draw(5, 4, 3, seed=1)
    both = [*a, *b]
    total = 0.0
    for i, patch in enumerate(both):
        scores = [slow(patch, other) / temperature for other in both]
        others = sum(math.exp(score) for j, score in enumerate(scores) if j != i)
        total += math.log(others) - scores[(i + 5) % 10]
    assert float(dense_info_nce(a, b, temperature, critic)) == pytest.approx(total / 10, rel=1e-9)


@CRITICS
@pytest.mark.parametrize("rows", [0, 1])
def test_one_or_no_patch_gives_zero(critic: Critic, slow: Any, rows: int) -> None:
    del slow
    a = draw(rows, 4, 3).requires_grad_()
    loss = dense_info_nce(a, draw(rows, 4, 3, seed=1), 0.5, critic)
    loss.backward()
    assert float(loss.detach()) == 0
    assert a.grad is not None
    assert bool(torch.isfinite(a.grad).all())


@CRITICS
def test_equal_patches_have_finite_gradients(critic: Critic, slow: Any) -> None:
    """A dead map is constant: all distances are zero, where a square root has no slope."""
    del slow
    a = torch.zeros(4, 4, 3, dtype=torch.float64, requires_grad=True)
    loss = dense_info_nce(a, torch.zeros(4, 4, 3, dtype=torch.float64), 0.5, critic)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(math.log(7))
    assert a.grad is not None
    assert bool(torch.isfinite(a.grad).all())


@CRITICS
def test_gradient_check(critic: Critic, slow: Any) -> None:
    del slow
    inputs = draw(3, 2, 2).requires_grad_(), draw(3, 2, 2, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: dense_info_nce(a, b, 0.5, critic), inputs)


@CRITICS
def test_autocast_does_not_touch_the_loss(critic: Critic, slow: Any) -> None:
    del slow
    a, b = 30 + draw(5, 4, 3).bfloat16(), 30 + draw(5, 4, 3, seed=1).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = dense_info_nce(a, b, 0.1, critic)
    expected = dense_info_nce(a.double(), b.double(), 0.1, critic)
    torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-4)


def test_near_equal_patches_keep_their_small_distance() -> None:
    """The trap: |a|^2 + |b|^2 - 2 a.b is all rounding where the maps lie far from zero."""
    a, b = 300 + 1e-2 * draw(5, 4, 3).float(), 300 + 1e-2 * draw(5, 4, 3, seed=1).float()
    torch.testing.assert_close(mse_critic(a, b).double(), mse_critic(a.double(), b.double()), rtol=1e-2, atol=0)


def test_patches_of_different_places_are_refused() -> None:
    with pytest.raises(ValueError, match="same places"):
        dense_info_nce(draw(3, 4, 2), draw(2, 4, 2))


def test_patches_are_cut_where_the_corners_say() -> None:
    height, width, side = 5, 6, 3
    maps = draw(2, height * width, 4)
    corners = torch.tensor([[[0.0, 0.0], [0.999, 0.999]], [[0.4, 0.3], [0.7, 0.8]]])
    found = patches_at(maps, (height, width), corners, side)
    image = maps.reshape(2, height, width, 4)
    expected = []
    for b in range(2):
        for row, column in corners[b].tolist():
            top, left = int(row * (height - side + 1)), int(column * (width - side + 1))
            expected.append(image[b, top : top + side, left : left + side].reshape(-1, 4))
    torch.testing.assert_close(found, torch.stack(expected))
    assert torch.equal(found[0], image[0, :3, :3].reshape(9, 4))
    assert torch.equal(found[1], image[0, 2:, 3:].reshape(9, 4))


def slow_pooled(maps: Tensor, grid: tuple[int, int], regions: Tensor) -> dict[tuple[int, int], Tensor]:
    """Enlarge the map to the pixels, and average pixel by pixel."""
    sums: dict[tuple[int, int], list[Tensor]] = {}
    rows, height, width = regions.shape
    for b in range(rows):
        for y in range(height):
            for x in range(width):
                token = maps[b, (y * grid[0] // height) * grid[1] + x * grid[1] // width]
                if int(regions[b, y, x]) >= 0:
                    sums.setdefault((b, int(regions[b, y, x])), []).append(token / token.norm())
    return {key: torch.stack(units).mean(dim=0) for key, units in sums.items()}


def regions(high: int, seed: int = 0) -> Tensor:
    return torch.randint(-1, high, (2, 6, 8), generator=torch.Generator().manual_seed(seed))


def test_regions_are_means_of_their_pixels_unit_features() -> None:
    maps, grid, ids = draw(2, 12, 5), (3, 4), regions(7)
    found, keys = pooled_regions(maps, grid, ids)
    expected = slow_pooled(maps, grid, ids)
    assert [tuple(key) for key in keys.tolist()] == sorted(expected)
    for mean, key in zip(found, keys.tolist(), strict=True):
        torch.testing.assert_close(mean, expected[tuple(key)], rtol=1e-9, atol=1e-12)


def test_a_grid_that_does_not_divide_the_pixels() -> None:
    maps, grid, ids = draw(2, 20, 5), (4, 5), regions(4)
    found, keys = pooled_regions(maps, grid, ids)
    expected = slow_pooled(maps, grid, ids)
    for mean, key in zip(found, keys.tolist(), strict=True):
        torch.testing.assert_close(mean, expected[tuple(key)], rtol=1e-9, atol=1e-12)


def test_the_norm_is_taken_before_the_mean_and_not_after_it() -> None:
    """Two opposite features of length 1 and 9: their mean is 0, not the longer's direction."""
    maps = torch.tensor([[[1.0, 0.0], [-9.0, 0.0], [0.0, 2.0], [0.0, 5.0]]])
    found, _ = pooled_regions(maps, (2, 2), torch.tensor([[[0, 0], [1, 1]]]))
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.0], [0.0, 1.0]]))


def test_more_regions_than_a_byte_can_number_stay_apart() -> None:
    """The trap: uint8 ids, of which 0 and 256 are one; and bytes times a row's offset."""
    maps = draw(3, 400, 4)
    ids = torch.arange(400).reshape(1, 20, 20).expand(3, 20, 20)
    found, keys = pooled_regions(maps, (20, 20), ids)
    assert len(keys) == 1200
    torch.testing.assert_close(found, F.normalize(maps, dim=-1).flatten(0, 1))
    bytes_, _ = pooled_regions(maps, (20, 20), (ids % 200).to(torch.uint8))
    assert len(bytes_) == 600
    huge, _ = pooled_regions(maps, (20, 20), ids * 10**15)
    torch.testing.assert_close(huge, found)


def test_no_region_at_all() -> None:
    maps = draw(2, 12, 5).requires_grad_()
    found, keys = pooled_regions(maps, (3, 4), torch.full((2, 6, 8), -1))
    found.sum().backward()
    assert found.shape == (0, 5)
    assert keys.shape == (0, 2)
    assert maps.grad is not None
    none, _ = pooled_regions(draw(0, 12, 5), (3, 4), torch.zeros(0, 6, 8, dtype=torch.int64))
    assert none.shape == (0, 5)


def test_pooling_gradient_and_refusals() -> None:
    ids = regions(4)
    assert torch.autograd.gradcheck(lambda maps: pooled_regions(maps, (3, 4), ids)[0], draw(2, 12, 3).requires_grad_())
    with pytest.raises(ValueError, match="do not fit"):
        pooled_regions(draw(2, 12, 3), (3, 5), ids)
    with pytest.raises(ValueError, match="do not fit"):
        pooled_regions(draw(1, 12, 3), (3, 4), ids)
