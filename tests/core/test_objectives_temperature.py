"""The temperature of contrastive objectives: its bound lets the gradient through, and what is fixed stays as it is."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from plait.errors import InputError
from plait.losses.contrastive import info_nce
from plait.objectives import Objective, Step
from plait.objectives.cluster_contrast import ClusterContrast
from plait.objectives.instance_discrimination import InfoNCE
from plait.objectives.local import GLoRIA
from plait.objectives.masked_feature import MaskedFeature
from plait.objectives.mixup import MixupContrast
from plait.objectives.momentum_contrast import MomentumContrast
from plait.objectives.nearest_neighbour import NearestNeighbour
from plait.objectives.swapped_prediction import SwappedPrediction
from plait.objectives.temperature import LogitScale
from tests.core.battery.worlds import vectors


def test_the_scale_comes_back_from_its_bound() -> None:
    torch.manual_seed(0)
    a, b = torch.nn.functional.normalize(torch.randn(2, 8, 4), dim=-1)
    scale = LogitScale(temperature=0.01)
    optimiser = torch.optim.SGD(scale.parameters(), lr=1e-3)
    for _ in range(3):
        # These pairs are of strangers: the loss is least at the lowest scale, and says so at the bound, too.
        optimiser.zero_grad()
        info_nce(a, b, scale()).backward()
        assert scale.log_scale.grad is not None
        assert float(scale.log_scale.grad) > 1.0
        optimiser.step()
        scale.clamp_()
    assert float(scale().detach()) < 99.9
    with torch.no_grad():
        scale.log_scale.fill_(9.0)
    scale.clamp_()
    assert float(scale().detach()) == pytest.approx(100.0, rel=1e-6)
    with torch.no_grad():
        scale.log_scale.fill_(-9.0)
    scale.clamp_()
    assert float(scale().detach()) == 1.0


@pytest.mark.parametrize("temperature", [0.002, 2.0])
def test_what_is_not_learnt_is_not_bounded(temperature: float) -> None:
    scale = LogitScale(temperature, learn=False)
    scale.clamp_()
    assert float(scale()) == pytest.approx(1 / temperature, rel=1e-6)
    assert float(scale.log_scale) == pytest.approx(-math.log(temperature), rel=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: InfoNCE(["a", "b"], temperature=0.0),
        lambda: GLoRIA(("a", "b"), temperature=0.0),
        lambda: MaskedFeature(["a"], temperature=0.0),
        lambda: SwappedPrediction(["a", "b"], temperature=-1.0),
        lambda: ClusterContrast(["a", "b"], temperature=0.0),
    ],
)
def test_a_temperature_is_positive(make: Callable[[], Objective]) -> None:
    with pytest.raises(InputError, match="give a number above 0"):
        make()


@pytest.mark.parametrize("kind", [MixupContrast, MomentumContrast, NearestNeighbour])
def test_with_a_fixed_temperature_nothing_paired_is_a_zero_gradient(
    kind: type[MixupContrast | MomentumContrast | NearestNeighbour],
) -> None:
    world = vectors()
    model, teacher = world.model(), world.model().requires_grad_(False)
    batch = world.batch(missing={"a": [0, 1, 2, 3], "b": [4, 5, 6, 7]})
    objective = kind(["a", "b"], learn_temperature=False)
    objective.prepare(model, 32)
    (loss,) = objective(Step(model, batch, teacher)).values()
    loss.backward()
    assert float(loss.detach()) == 0.0
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients
    assert not any(bool(gradient.any()) for gradient in gradients)
