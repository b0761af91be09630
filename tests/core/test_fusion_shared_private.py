"""The fusion of shared and private vectors, against a reference written out row by row."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from plait.encoders.features import Features
from plait.errors import InputError
from plait.fusion.shared_private import SharedPrivateFusion
from tests.core.fusion_world import fuse, random_features

WIDTHS = {"b": 5, "a": 3, "c": 2}
PRESENT = {"b": [1, 1, 0, 0], "a": [1, 0, 1, 0], "c": [1, 1, 0, 0]}
FLAGS = {name: torch.tensor(there).bool() for name, there in PRESENT.items()}


@pytest.fixture
def fusion() -> SharedPrivateFusion:
    torch.manual_seed(0)
    return SharedPrivateFusion(WIDTHS, width=4).double().requires_grad_(False)


@pytest.fixture
def said() -> dict[str, Features]:
    torch.manual_seed(1)
    return {name: random_features(width, rows=4) for name, width in WIDTHS.items()}


def vectors(fusion: SharedPrivateFusion, said: dict[str, Features], row: int) -> list[Tensor]:
    """The shared vectors of a row and then the private ones, each modality in the order it was named in."""
    shared: list[Tensor] = []
    private: list[Tensor] = []
    for name in WIDTHS:
        tokens = fusion.tokens
        whole = tokens.projections[name](said[name].pooled[row]) if PRESENT[name][row] else tokens.missing[name]
        whole = (whole - whole.mean()) / (whole.var(correction=0) + 1e-5).sqrt()
        for into, encoder in ((shared, fusion.shared), (private, fusion.private[name])):
            before = encoder.get_parameter("0.weight") @ whole + encoder.get_parameter("0.bias")
            into.append(1 / (1 + torch.exp(-before)))
    return shared + private


def test_a_transformer_mixes_all_vectors_and_a_perceptron_joins_them(
    fusion: SharedPrivateFusion, said: dict[str, Features]
) -> None:
    fused = fuse(fusion, said, PRESENT)
    for row in range(4):
        everything = torch.ones(1, 6, dtype=torch.bool)
        mixed = fusion.mix(torch.stack(vectors(fusion, said, row))[None], everything)
        torch.testing.assert_close(fused.tokens[row], mixed[0])
        torch.testing.assert_close(fused.pooled[row], fusion.join(mixed.flatten()))
    assert fused.mask.tolist() == [[True] * 6, [True, False, True] * 2, [False, True, False] * 2, [False] * 6]


def test_the_parts_are_what_is_mixed(fusion: SharedPrivateFusion, said: dict[str, Features]) -> None:
    parts = fusion.parts(said.__getitem__, FLAGS)
    assert list(parts) == list(WIDTHS)
    for row in range(4):
        found = [part.shared[row] for part in parts.values()] + [part.private[row] for part in parts.values()]
        torch.testing.assert_close(torch.stack(found), torch.stack(vectors(fusion, said, row)))


def test_modalities_have_one_shared_encoder_and_one_each_of_their_own(said: dict[str, Features]) -> None:
    """Two modalities that say the same, and are projected alike, differ in their private part alone."""
    torch.manual_seed(0)
    fusion = SharedPrivateFusion({"a": 3, "b": 3}, width=4).double()
    fusion.tokens.projections["b"].load_state_dict(fusion.tokens.projections["a"].state_dict())
    a, b = fusion.parts(lambda _: said["a"], {name: torch.ones(4).bool() for name in "ab"}).values()
    assert torch.equal(a.whole, b.whole)
    assert torch.equal(a.shared, b.shared)
    assert not torch.allclose(a.private, b.private, atol=1e-2)


def test_the_parts_of_a_row_do_not_know_the_other_modalities(
    fusion: SharedPrivateFusion, said: dict[str, Features]
) -> None:
    before = fusion.parts(said.__getitem__, FLAGS)
    after = fusion.parts((said | {"a": random_features(3, rows=4)}).__getitem__, FLAGS)
    assert torch.equal(before["b"].shared, after["b"].shared)
    assert not torch.equal(before["a"].shared, after["a"].shared)


def test_the_size_of_what_a_modality_says_is_not_in_its_parts(
    fusion: SharedPrivateFusion, said: dict[str, Features]
) -> None:
    """Else the least error of a reconstruction would be that of vectors near zero."""
    for part in fusion.parts(said.__getitem__, FLAGS).values():
        torch.testing.assert_close(part.whole.square().mean(dim=1), torch.ones(4).double(), atol=1e-2, rtol=0.0)


def test_heads_that_do_not_divide_the_width_are_named() -> None:
    with pytest.raises(InputError, match="multiple"):
        SharedPrivateFusion(WIDTHS, width=5)
