"""The sparse U-Net: maps of the loader or its own, a sweep on its own, and reach."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from plait.errors import InputError
from plait.pairs.batch import Padded, collate, pad
from plait_driving.encoders import SparseUNet
from plait_driving.encoders.kernel_maps import pyramid
from plait_driving.encoders.sparse_unet import UNet, VoxelSweeps
from plait_driving.encoders.voxels import voxelise


def sweeps(*numbers: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(number, 4, generator=generator) * torch.tensor([3.0, 3.0, 1.0, 0.3]) for number in numbers]


@pytest.fixture
def encoder() -> SparseUNet:
    torch.manual_seed(0)
    return SparseUNet(width=8, levels=3, voxel_size=0.5)


def test_maps_of_the_loader_and_maps_found_on_the_way_say_the_same(encoder: SparseUNet) -> None:
    samples = sweeps(80, 0, 50)
    made = encoder.collate(samples)
    assert isinstance(made, VoxelSweeps)
    assert encoder.voxelised(made) is made
    ours, plain = encoder(made.to("cpu")), encoder(pad(samples))
    for name in ("tokens", "mask", "pooled"):
        assert torch.equal(getattr(ours, name), getattr(plain, name))


def test_maps_of_another_grid_are_not_used(encoder: SparseUNet) -> None:
    samples = sweeps(80)
    for other in (SparseUNet(8, levels=3, voxel_size=0.2), SparseUNet(8, levels=2, voxel_size=0.5)):
        assert torch.equal(encoder(other.collate(samples)).tokens, encoder(pad(samples)).tokens)


def test_a_selected_row_is_as_it_was(encoder: SparseUNet) -> None:
    made = encoder.collate(sweeps(80, 50, 60))
    whole = encoder(made)
    chosen = encoder(made[torch.tensor([True, False, True])])
    torch.testing.assert_close(chosen.tokens, whole.tokens[[0, 2]])
    torch.testing.assert_close(chosen.pooled, whole.pooled[[0, 2]])


def test_a_batch_in_which_a_sweep_is_missing(encoder: SparseUNet) -> None:
    one, other = sweeps(80, 50)
    batch = collate([{"points": one}, {"points": None}, {"points": other}], "abc", "abc", {"points": encoder.collate})
    value = batch.values["points"]
    pooled = encoder(value[batch.present["points"]]).pooled
    torch.testing.assert_close(pooled, encoder(encoder.collate([one, other])).pooled)
    assert not encoder(value).pooled[1].any()


def test_a_sweep_is_the_same_beside_any_other_and_padding_is_nothing(encoder: SparseUNet) -> None:
    one, other = sweeps(80, 50)
    encoder.train()
    together, alone = encoder(encoder.collate([one, other])), encoder(encoder.collate([other]))
    torch.testing.assert_close(together.tokens[1, :50], alone.tokens[0])
    assert not together.tokens[1, 50:].any()
    assert not together.mask[1, 50:].any()


def test_points_of_a_voxel_share_their_token_and_the_order_of_points_does_not_matter(encoder: SparseUNet) -> None:
    (points,) = sweeps(80)
    points[7, :3] = points[3, :3]
    order = torch.randperm(80, generator=torch.Generator().manual_seed(1))
    tokens = encoder(pad([points])).tokens[0]
    assert torch.equal(tokens[7], tokens[3])
    torch.testing.assert_close(encoder(pad([points[order]])).tokens[0], tokens[order])


def test_a_voxel_is_told_intensity_height_range_and_offset_but_no_direction(encoder: SparseUNet) -> None:
    # Cells of 0.5 m: the first two points share one, whose centre is (3.25, 4.25, -0.25).
    points = torch.tensor([[3.0, 4.0, -0.5, 0.2], [3.0, 4.25, -0.5, 0.4], [-3.0, -4.0, -0.5, 0.2]])
    inputs = encoder.prepare(pad([points]))
    features = inputs["features"][inputs["voxel"]]
    ranges = torch.tensor([[3.0, 4.0, 0.5], [3.0, 4.25, 0.5]]).norm(dim=1)
    expected = torch.tensor([0.3, -0.25, float(torch.log1p(ranges).mean()) - 3, -0.5, -0.25, -0.5])
    torch.testing.assert_close(features[:2], expected.expand(2, 6))
    alone = torch.tensor([0.2, -0.25, float(torch.log1p(ranges[0])) - 3, -0.5, -0.5, -0.5])
    torch.testing.assert_close(features[2], alone)


def test_the_way_up_keeps_what_the_way_down_saw(encoder: SparseUNet) -> None:
    (points,) = sweeps(80)
    for parameter in encoder.unet.up.parameters():
        torch.nn.init.zeros_(parameter)
    brighter = points + torch.tensor([0.0, 0.0, 0.0, 0.5])
    changed = encoder(pad([brighter])).tokens - encoder(pad([points])).tokens
    assert bool((changed.abs().amax(dim=2) > 1e-3).all())


def test_a_shift_by_whole_voxels_of_the_coarsest_level_changes_nothing() -> None:
    torch.manual_seed(0)
    place, features = torch.randn(150, 3) * 3, torch.randn(150, 2)
    network, told = UNet(2, width=4, levels=3, blocks=2), []
    for shift in ((0.0, 0.0, 0.0), (-8.0, 12.0, 4.0)):
        maps = pyramid(voxelise(place + torch.tensor(shift), torch.zeros(150, dtype=torch.int64), 1.0), 3)
        up = [step.inverse() for step in maps.down]
        out = network(maps.voxels.mean(features), maps.within, maps.down, up)
        told.append(out[maps.voxels.index])
    torch.testing.assert_close(told[1], told[0])


def test_levels_carry_a_token_further_than_the_kernel() -> None:
    # Of a chain of voxels beside each other, the last is told only what its network's levels can reach.
    chain = torch.zeros(40, 4)
    chain[:, 0] = torch.arange(40) + 0.5
    reach: list[int] = []
    for levels in (1, 3):
        torch.manual_seed(0)
        encoder = SparseUNet(width=8, levels=levels, voxel_size=1.0)
        bright = chain.clone()
        bright[0, 3] = 1.0
        changed = (encoder(pad([bright])).tokens - encoder(pad([chain])).tokens)[0].abs().amax(dim=1) > 0
        reach.append(changed.nonzero().max().item())
    assert reach[0] == 3  # stem and two convolutions, a voxel each
    assert reach[1] > 8


@pytest.mark.parametrize("points", [torch.zeros(0, 4), torch.tensor([[3.0, 1.0, 0.0, 0.5]]), torch.ones(20, 4)])
def test_no_point_one_point_and_one_place_are_finite_with_a_finite_gradient(
    points: Tensor, encoder: SparseUNet
) -> None:
    said = encoder(encoder.collate([points]))
    assert bool(torch.isfinite(said.pooled).all())
    said.pooled.sum().backward()
    gradients = [parameter.grad for parameter in encoder.parameters()]
    assert all(gradient is not None and bool(torch.isfinite(gradient).all()) for gradient in gradients)


def test_the_exported_form_says_the_same(encoder: SparseUNet) -> None:
    value = encoder.collate(sweeps(80, 0, 50))
    said = encoder.network(encoder.prepare(value))
    torch.testing.assert_close(said, encoder(value).tokens[value.mask], rtol=1e-5, atol=1e-5)


def test_bfloat16_is_close_to_single_precision(encoder: SparseUNet) -> None:
    value = encoder.collate(sweeps(200))
    exact = encoder(value).tokens
    with torch.autocast("cpu", torch.bfloat16):
        rough = encoder(value).tokens
    assert (rough - exact).abs().max() < 0.05 * exact.abs().max()


def test_bad_input_is_one_sentence(encoder: SparseUNet) -> None:
    with pytest.raises(InputError, match="voxel_size above 0 m"):
        SparseUNet(voxel_size=0.0)
    with pytest.raises(InputError, match="1 to 16 levels"):
        SparseUNet(levels=0)
    for other in (torch.zeros(1, 2, 4), Padded(torch.zeros(1, 2, 5), torch.ones(1, 2, dtype=torch.bool))):
        with pytest.raises(InputError, match="points of 4 columns"):
            encoder(other)
