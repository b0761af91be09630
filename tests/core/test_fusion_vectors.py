"""The fusions of one vector a modality, against slow references written out row by row."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from plait.encoders.features import Features
from plait.errors import InputError
from plait.fusion.concat import ConcatFusion
from plait.fusion.gated import GatedFusion
from plait.fusion.late import LateFusion
from plait.fusion.learned_gate import LearnedGateFusion
from plait.fusion.low_rank import LowRankFusion
from plait.fusion.modality_tokens import ModalityTokens
from plait.fusion.product_of_experts import ProductOfExpertsFusion
from plait.fusion.tensor import TensorFusion
from tests.core.fusion_world import fuse, random_features

WIDTHS = {"a": 3, "b": 5, "c": 2}
PRESENT = {"a": [1, 0, 1, 0], "b": [1, 1, 0, 0], "c": [1, 1, 0, 0]}
ROWS = range(4)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def said() -> dict[str, Features]:
    return {name: random_features(width, rows=4) for name, width in WIDTHS.items()}


def vectors(tokens: ModalityTokens, said: dict[str, Features], row: int) -> dict[str, Tensor]:
    """What each modality says of a row, or what has been learnt in its place."""
    return {
        name: tokens.projections[name](said[name].pooled[row]) if PRESENT[name][row] else tokens.missing[name]
        for name in WIDTHS
    }


def test_late_fusion_is_the_mean_over_the_present_modalities(said: dict[str, Features]) -> None:
    fusion = LateFusion(WIDTHS, width=4).double()
    fused = fuse(fusion, said, PRESENT)
    a, b, c = (fusion.tokens.projections[name](said[name].pooled) for name in WIDTHS)
    expected = [(a[0] + b[0] + c[0]) / 3, (b[1] + c[1]) / 2, a[2], torch.zeros(4, dtype=torch.float64)]
    torch.testing.assert_close(fused.pooled, torch.stack(expected))


def test_concat_puts_modalities_side_by_side_and_learned_vectors_in_their_gaps(said: dict[str, Features]) -> None:
    fusion = ConcatFusion(WIDTHS, width=4).double()
    fused = fuse(fusion, said, PRESENT)
    for row in ROWS:
        expected = fusion.join(torch.cat(list(vectors(fusion.tokens, said, row).values())))
        torch.testing.assert_close(fused.pooled[row], expected)
    assert fused.mask.tolist() == [[True, True, True], [False, True, True], [True, False, False], [False] * 3]


def test_the_gated_unit_weighs_each_feature_of_each_modality(said: dict[str, Features]) -> None:
    fusion = GatedFusion(WIDTHS, width=4).double().requires_grad_(False)
    fused = fuse(fusion, said, PRESENT)
    for row in ROWS:
        x = vectors(fusion.tokens, said, row)
        everything = torch.cat(list(x.values()))
        for feature in range(4):
            total = 0.0
            for index, vector in enumerate(x.values()):
                gate = 1 / (1 + math.exp(-float(fusion.gates.weight[4 * index + feature] @ everything)))
                total += gate * math.tanh(float(vector[feature]))
            assert fused.pooled[row, feature].item() == pytest.approx(total, rel=1e-9)


def test_a_gated_unit_of_two_whose_gates_are_opposed_is_the_bimodal_one() -> None:
    """z h_1 + (1 - z) h_2 (Arevalo et al., 2017, figure 2b)."""
    fusion, said = GatedFusion({"a": 3, "b": 5}, width=4).double(), {"a": random_features(3), "b": random_features(5)}
    with torch.no_grad():
        fusion.gates.weight[4:] = -fusion.gates.weight[:4]
    fused = fuse(fusion, said, {"a": [1, 1, 1], "b": [1, 1, 1]}).pooled
    a, b = (fusion.tokens.projections[name](said[name].pooled) for name in "ab")
    gate = torch.sigmoid(torch.cat([a, b], dim=1) @ fusion.gates.weight[:4].T)
    torch.testing.assert_close(fused, gate * a.tanh() + (1 - gate) * b.tanh())


def test_the_learned_gate_is_a_softmax_over_the_present_modalities(said: dict[str, Features]) -> None:
    fusion = LearnedGateFusion(WIDTHS, width=4).double().requires_grad_(False)
    fused = fuse(fusion, said, PRESENT)
    for row in ROWS:
        there = [vector for name, vector in vectors(fusion.tokens, said, row).items() if PRESENT[name][row]]
        scores = [math.exp(float(fusion.score.weight[0] @ vector.tanh())) for vector in there]
        expected = sum((s * vector for s, vector in zip(scores, there, strict=True)), torch.zeros(4).double())
        torch.testing.assert_close(fused.pooled[row], expected / max(sum(scores), 1e-300))


@pytest.mark.parametrize("size", [1e6, -1e6])
def test_the_learned_gate_can_choose_one_modality_alone(said: dict[str, Features], size: float) -> None:
    fusion = LearnedGateFusion(WIDTHS, width=4).double().requires_grad_(False)
    with torch.no_grad():
        fusion.score.weight.fill_(size)
    fused = fuse(fusion, said, PRESENT)
    assert torch.isfinite(fused.pooled).all()
    torch.testing.assert_close(fused.pooled[2], vectors(fusion.tokens, said, 2)["a"])
    chosen = max(vectors(fusion.tokens, said, 0).values(), key=lambda vector: size * float(vector.tanh().sum()))
    torch.testing.assert_close(fused.pooled[0], chosen)


def test_tensor_fusion_multiplies_every_feature_with_every_other(said: dict[str, Features]) -> None:
    fusion = TensorFusion(WIDTHS, width=4, size=2).double()
    fused = fuse(fusion, said, PRESENT)
    weight = fusion.join.weight.view(4, 3, 3, 3)
    for row in ROWS:
        a, b, c = ([1.0, *vector.tolist()] for vector in vectors(fusion.tokens, said, row).values())
        total = fusion.join.bias.clone()
        for i, j, k in product(range(3), repeat=3):
            total += weight[:, i, j, k] * a[i] * b[j] * c[k]
        torch.testing.assert_close(fused.pooled[row], total)
    assert fused.mask.tolist() == [[True], [True], [True], [False]]


def test_tensor_fusion_keeps_each_modality_alone() -> None:
    """Of two modalities with one number each: 1, b, a and a b."""
    fusion, said = TensorFusion({"a": 3, "b": 5}, width=4, size=1).double(), {n: random_features(3) for n in "ab"}
    said["b"] = random_features(5)
    with torch.no_grad():
        fusion.join.weight.copy_(torch.eye(4))
        fusion.join.bias.zero_()
    fused = fuse(fusion, said, {"a": [1, 1, 1], "b": [1, 1, 1]}).pooled
    a, b = (fusion.tokens.projections[name](said[name].pooled).squeeze(1) for name in "ab")
    torch.testing.assert_close(fused, torch.stack([torch.ones(3, dtype=torch.float64), b, a, a * b], dim=1))


def test_tensor_fusion_refuses_a_product_that_is_too_large() -> None:
    with pytest.raises(InputError, match=r"4 modalities has 104976 numbers: lower the fusion's size, or choose low_r"):
        TensorFusion(dict.fromkeys("abcd", 3), size=17)


def test_low_rank_fusion_is_tensor_fusion_with_a_weight_of_low_rank(said: dict[str, Features]) -> None:
    low, full = LowRankFusion(WIDTHS, width=4, rank=3).double(), TensorFusion(WIDTHS, width=4, size=4).double()
    full.tokens = low.tokens
    with torch.no_grad():
        low.bias.normal_()
        full.join.bias.copy_(low.bias)
        weight = torch.zeros(4, 5, 5, 5, dtype=torch.float64)
        for rank, i, j, k in product(range(3), range(5), range(5), range(5)):
            a, b, c = low.factors[:, rank]
            weight[:, i, j, k] += a[i] * b[j] * c[k]
        full.join.weight.copy_(weight.flatten(1))
    expected = fuse(full, said, PRESENT).pooled
    torch.testing.assert_close(fuse(low, said, PRESENT).pooled, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("count", [2, 6])
def test_low_rank_fusion_starts_at_unit_scale_for_any_number_of_modalities(count: int) -> None:
    names = [f"m{index}" for index in range(count)]
    fusion = LowRankFusion(dict.fromkeys(names, 64), width=64, rank=8)
    for name in names:
        fusion.tokens.projections[name] = torch.nn.Identity()
    said = {name: random_features(64, rows=200) for name in names}
    pooled = fuse(fusion, said, {name: [1] * 200 for name in names}).pooled
    assert 0.6 < pooled.square().mean().sqrt() < 1.7


def test_a_product_of_experts_has_the_mean_of_the_multiplied_densities(said: dict[str, Features]) -> None:
    fusion = ProductOfExpertsFusion(WIDTHS, width=2).double()
    with torch.no_grad():
        fused = fuse(fusion, said, PRESENT)
    x = torch.linspace(-12, 12, 20_001, dtype=torch.float64)
    for row, feature in product(ROWS, range(2)):
        log_density = -0.5 * x**2
        for name in WIDTHS:
            if PRESENT[name][row]:
                raw = fusion.experts[name](said[name].pooled[row]).tolist()
                precision = math.log1p(math.exp(raw[2 + feature]))
                log_density = log_density - 0.5 * precision * (x - raw[feature]) ** 2
        density = log_density.exp()
        expected = float((x * density).sum() / density.sum())
        assert fused.pooled[row, feature].item() == pytest.approx(expected, abs=1e-9)


def test_an_expert_that_is_missing_drops_out(said: dict[str, Features]) -> None:
    """Whatever it would have said: the closed form of the two that are left."""
    fusion = ProductOfExpertsFusion(WIDTHS, width=2).double()
    fused = fuse(fusion, said, {"a": [1] * 4, "b": [0] * 4, "c": [1] * 4})
    total, mean = 1.0, torch.zeros(2, dtype=torch.float64)
    for name in "ac":
        raw = fusion.experts[name](said[name].pooled[0])
        precision = torch.nn.functional.softplus(raw[2:])
        total, mean = total + precision, mean + precision * raw[:2]
    torch.testing.assert_close(fused.pooled[0], mean / total)
    assert fused.mask.tolist() == [[True, False, True]] * 4


def test_a_certain_expert_overrules_the_others_and_stays_finite(said: dict[str, Features]) -> None:
    fusion: Any = ProductOfExpertsFusion(WIDTHS, width=2)
    with torch.no_grad():
        fusion.experts["a"][1].bias[2:] = 1e9  # its exponential would be infinite
    said = {name: type(f)(f.tokens.float(), f.mask, f.pooled.float()) for name, f in said.items()}
    fused = fuse(fusion, said, {name: [1] * 4 for name in WIDTHS})
    torch.testing.assert_close(fused.pooled, fused.tokens[:, 0], rtol=1e-4, atol=1e-4)
