"""Redundancy reduction looks at the right rows and at the right vectors."""

from __future__ import annotations

import pytest
import torch

from plait.errors import InputError
from plait.losses.correlation import cca
from plait.losses.redundancy import barlow_twins, decur, vicreg
from plait.objectives import Step
from plait.objectives.redundancy import CCA, BarlowTwins, DeCUR, VICReg
from tests.core.battery.worlds import vectors

BOTH = [0, 2, 3, 4, 5]
"""The positions of the vectors' batch that have a and b."""


def step() -> Step:
    world = vectors()
    return Step(world.model(), world.batch())


def test_the_losses_are_of_projections_that_are_not_normalised() -> None:
    seen = step()
    a, b = seen.projection("a")[BOTH], seen.projection("b")[BOTH]
    assert not torch.allclose(a.norm(dim=1), torch.ones(5))
    expected = {
        VICReg(["a", "b"], 3.0, 2.0, 1.0): vicreg(a, b, 3.0, 2.0, 1.0),
        BarlowTwins(["a", "b"], 0.1): barlow_twins(a, b, 0.1),
        CCA(["a", "b"], 2, 0.1): cca(a, b, 2, 0.1),
    }
    for objective, value in expected.items():
        (found,) = objective(seen).values()
        torch.testing.assert_close(found, value)


def test_decur_is_one_term_across_and_one_within_each() -> None:
    seen, objective = step(), DeCUR(("a", "b"), common=3, off_diagonal=0.1)
    losses = objective(seen)
    a, b = (seen.projection(name) for name in "ab")
    own = {name: (seen.projection(name), seen.projection(f"{name}:2")) for name in "ab"}
    torch.testing.assert_close(losses["decur/a~b"], decur(a[BOTH], b[BOTH], 3, 0.1))
    # Row 1 has no a and rows 6 and 7 no b; within a modality only that counts.
    has = {"a": [0, 2, 3, 4, 5, 6, 7], "b": [0, 1, 2, 3, 4, 5]}
    for name, (one, two) in own.items():
        torch.testing.assert_close(losses[f"decur/{name}~{name}:2"], barlow_twins(one[has[name]], two[has[name]], 0.1))
    assert len(losses) == 3
    assert objective.modalities == ("a", "b", "a:2", "b:2")


def test_three_views_are_three_losses() -> None:
    names = set(VICReg(["a", "b", ["a", "c"]])(step()))
    assert names == {"vicreg/a~b", "vicreg/a~a+c", "vicreg/b~a+c"}


@pytest.mark.parametrize("common", [-1, 9])
def test_decur_cannot_share_more_than_there_is(common: int) -> None:
    with pytest.raises(InputError, match=r"model\.embedding"):
        DeCUR(("a", "b"), common).prepare(vectors().model(), 32)
