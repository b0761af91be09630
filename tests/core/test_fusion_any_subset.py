"""What every fusion promises: any subset of the modalities is a legal input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from plait.encoders.conv import Conv
from plait.encoders.features import Features
from plait.fusion import FUSIONS, Fusion
from plait.pairs.batch import Batch, Value

WIDTHS = {"sar": 6, "optical": 8}
CHANNELS = {"sar": 2, "optical": 3}
GRID = (4, 4)


@dataclass
class World:
    """Images of two modalities with their features, as a model would hand them to a fusion."""

    batch: Batch
    said: dict[str, Features]

    def features(self, name: str) -> Features:
        assert self.batch.present[name].any(), "a fusion may not ask for what no row has"
        return self.said[name]

    def fuse(self, fusion: Fusion, withheld: tuple[str, ...] = ()) -> Features:
        flags = {name: there & (name not in withheld) for name, there in self.batch.present.items()}
        return fusion(self.batch, self.features, flags)

    def row(self, index: int) -> World:
        rows = torch.tensor([index])
        present = {name: flags[rows] for name, flags in self.batch.present.items()}
        values = {name: value[rows] for name, value in self.batch.values.items() if present[name].any()}
        said = {
            name: Features(features.tokens[rows], features.mask[rows], features.pooled[rows], features.grid)
            for name, features in self.said.items()
        }
        return World(Batch(("0",), ("0",), values, present), said)


def world(sar: list[int], optical: list[int]) -> World:
    """Row i has a modality where its list has a 1; everything a row lacks is zero, as `Model` makes it."""
    generator = torch.Generator().manual_seed(0)
    present = {"sar": torch.tensor(sar).bool(), "optical": torch.tensor(optical).bool()}
    values: dict[str, Value] = {}
    said: dict[str, Features] = {}
    for name, there in present.items():
        rows = len(there)
        image = torch.randn(rows, CHANNELS[name], 16, 16, generator=generator)
        tokens = torch.randn(rows, GRID[0] * GRID[1], WIDTHS[name], generator=generator)
        mask = torch.rand(rows, GRID[0] * GRID[1], generator=generator) > 0.2
        pooled = torch.randn(rows, WIDTHS[name], generator=generator)
        said[name] = Features(
            tokens * (there[:, None] & mask)[..., None], mask & there[:, None], pooled * there[:, None], GRID
        )
        if there.any():
            values[name] = image * there[:, None, None, None]
    ids = tuple(str(row) for row in range(len(sar)))
    return World(Batch(ids, ids, values, present), said)


MAKERS: dict[str, Callable[[], Fusion]] = {
    "early": lambda: FUSIONS["early"](
        WIDTHS, encoder=Conv(in_channels=5, widths=(8, 16), strides=(2, 2)), channels=CHANNELS
    ),
    **{
        kind: lambda kind=kind: FUSIONS[kind](WIDTHS, width=16)
        for kind in ("late", "concat", "grid_concat", "cross_attention")
    },
}


@pytest.fixture(params=MAKERS)
def fusion(request: pytest.FixtureRequest) -> Fusion:
    torch.manual_seed(0)
    made = MAKERS[request.param]()
    for name, parameter in made.named_parameters():  # a learned vector has moved away from zero
        if "missing" in name:
            torch.nn.init.normal_(parameter)
    return made


def same(one: Features, other: Features) -> None:
    """Assert equal pooled features and equal real tokens, in order."""
    torch.testing.assert_close(one.pooled, other.pooled, atol=1e-5, rtol=1e-4)
    for row in range(len(one.pooled)):
        torch.testing.assert_close(
            one.tokens[row][one.mask[row]], other.tokens[row][other.mask[row]], atol=1e-5, rtol=1e-4
        )


def one_row(features: Features, row: int) -> Features:
    return Features(
        features.tokens[row : row + 1], features.mask[row : row + 1], features.pooled[row : row + 1], features.grid
    )


def test_the_allow_list_is_what_is_tested() -> None:
    assert set(FUSIONS) == set(MAKERS)


@pytest.mark.parametrize(("sar", "optical"), list(product([[0, 0], [0, 1], [1, 1]], repeat=2)))
def test_every_subset_gives_finite_features_and_gradients(fusion: Fusion, sar: list[int], optical: list[int]) -> None:
    fused = world(sar, optical).fuse(fusion)
    assert fused.pooled.shape == (2, fusion.width)
    assert fused.tokens.shape == (*fused.mask.shape, fusion.width)
    assert torch.isfinite(fused.pooled).all()
    assert torch.isfinite(fused.tokens).all()
    has_any = torch.tensor(sar).bool() | torch.tensor(optical).bool()
    assert torch.equal(fused.mask.any(dim=1), has_any)
    loss = fused.pooled.square().sum() + fused.tokens[fused.mask].square().sum()
    if loss.requires_grad:
        loss.backward()
    for name, parameter in fusion.named_parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize("missing", ["sar", "optical"])
def test_missing_is_the_same_as_withheld(fusion: Fusion, missing: str) -> None:
    complete = world([1, 1], [1, 1])
    lacking = world([1, int(missing != "sar")], [1, int(missing != "optical")])
    withheld = complete.fuse(fusion, withheld=(missing,))
    same(lacking.row(1).fuse(fusion), one_row(withheld, 1))
    same(one_row(lacking.fuse(fusion), 1), one_row(withheld, 1))


@pytest.mark.parametrize("missing", ["sar", "optical"])
def test_a_modality_may_be_withheld_from_some_rows_only(fusion: Fusion, missing: str) -> None:
    complete = world([1, 1], [1, 1])
    flags = complete.batch.present | {missing: torch.tensor([True, False])}
    mixed = fusion(complete.batch, complete.features, flags)
    same(one_row(mixed, 0), one_row(complete.fuse(fusion), 0))
    same(one_row(mixed, 1), one_row(complete.fuse(fusion, withheld=(missing,)), 1))


def test_withholding_everything_is_lacking_everything(fusion: Fusion) -> None:
    same(world([1, 1], [1, 1]).fuse(fusion, withheld=("sar", "optical")), world([0, 0], [0, 0]).fuse(fusion))


def test_a_row_does_not_depend_on_the_rest_of_its_batch(fusion: Fusion) -> None:
    fusion.train()
    mixed = world([1, 0, 1, 0], [1, 1, 0, 0])
    together = mixed.fuse(fusion)
    for row in range(4):
        same(mixed.row(row).fuse(fusion), one_row(together, row))


def test_what_absent_rows_and_masked_tokens_hold_says_nothing(fusion: Fusion) -> None:
    clean = world([1, 0], [1, 1])
    dirty = world([1, 0], [1, 1])
    for name, there in dirty.batch.present.items():
        features = dirty.said[name]
        dirty.said[name] = replace(
            features,
            tokens=features.tokens.masked_fill(~features.mask[..., None], 1e4),
            pooled=features.pooled.masked_fill(~there[:, None], 1e4),
        )
        image = dirty.batch.values[name]
        assert isinstance(image, Tensor)
        dirty.batch.values[name] = image.masked_fill(~there[:, None, None, None], 1e4)
    same(clean.fuse(fusion), dirty.fuse(fusion))


def test_each_modality_is_heard(fusion: Fusion) -> None:
    mixed = world([1], [1])
    alone = {name: mixed.fuse(fusion, withheld=(name,)).pooled for name in WIDTHS}
    both = mixed.fuse(fusion).pooled
    assert not torch.allclose(both, alone["sar"], atol=1e-3)
    assert not torch.allclose(both, alone["optical"], atol=1e-3)


def test_what_is_said_of_a_missing_modality_is_learnt(fusion: Fusion) -> None:
    fused = world([0, 1], [1, 1]).fuse(fusion)
    fused.pooled.square().sum().backward()
    if type(fusion) is not FUSIONS["late"]:  # an average has nothing to put in its place
        learnt = [p for name, p in fusion.named_parameters() if "missing" in name and "sar" in name]
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in learnt)


def test_autocast_stays_near_full_precision(fusion: Fusion) -> None:
    mixed = world([1, 0, 1], [1, 1, 0])
    exact = mixed.fuse(fusion).pooled
    with torch.autocast("cpu", torch.bfloat16):
        rough = mixed.fuse(fusion).pooled
    assert torch.isfinite(rough).all()
    assert F.cosine_similarity(exact, rough.float()).min() > 0.99
