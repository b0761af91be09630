"""What every fusion promises: any subset of the modalities is a legal input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plait.encoders.conv import Conv
from plait.encoders.patches import Patches
from plait.fusion import FUSIONS, Fusion
from tests.core.fusion_world import CHANNELS, WIDTHS, one_row, same, world

type Maker = Callable[[Mapping[str, int]], Fusion]


def of_width(kind: str, **options: Any) -> Maker:
    return lambda modalities: FUSIONS[kind](modalities, width=16, **options)


def stitched(kind: str, **options: Any) -> Maker:
    """A fusion with the host that a model would give it."""

    def make(modalities: Mapping[str, int]) -> Fusion:
        fusion = FUSIONS[kind](modalities, into="optical", **options)
        fusion.host({"optical": Patches(patch=4, width=WIDTHS["optical"], layers=2, heads=2)})
        return fusion

    return make


def early(modalities: Mapping[str, int]) -> Fusion:
    encoder = Conv(in_channels=sum(CHANNELS.values()), widths=(8, 16), strides=(2, 2))
    return FUSIONS["early"](modalities, encoder=encoder, channels=CHANNELS)


MAKERS: dict[str, Maker] = {
    "bottleneck": of_width("bottleneck", layers=2),
    "concat": of_width("concat"),
    "concat_levels": of_width("concat_levels", channels=CHANNELS, widths=(8, 16), strides=(2, 2)),
    "cross_attention": of_width("cross_attention"),
    "decoder": of_width("decoder", into="optical"),
    "directional_attention": of_width("directional_attention", layers=1),
    "early": early,
    "film": of_width("film", into="optical"),
    "gated": of_width("gated"),
    "grid_concat": of_width("grid_concat"),
    "inserted_cross_attention": stitched("inserted_cross_attention"),
    "late": of_width("late"),
    "learned_gate": of_width("learned_gate"),
    "low_rank": of_width("low_rank"),
    "merged_attention": of_width("merged_attention"),
    "modality_experts": of_width("modality_experts"),
    "product_of_experts": of_width("product_of_experts"),
    "prompt": stitched("prompt"),
    "prompt/mlp": stitched("prompt", projector="mlp"),
    "shared_private": of_width("shared_private"),
    "tensor": of_width("tensor", size=4),
}

ALL = tuple(WIDTHS)

SPANS = dict.fromkeys(
    ("bottleneck", "cross_attention", "directional_attention", "merged_attention", "modality_experts"), ALL
) | {
    "decoder": ("optical",),
    "film": ("optical",),
    "inserted_cross_attention": ("optical",),
    "prompt": ALL,
    "prompt/mlp": ALL,
}
"""Whose tokens can still be told apart after the fusion; all others join them, or keep one token a modality."""

NOTHING_LEARNT = ("late", "learned_gate", "product_of_experts")
"""In these a missing modality simply has no say: there is nothing to put in its place."""

SYMMETRIC = (*NOTHING_LEARNT, "bottleneck", "cross_attention", "merged_attention", "modality_experts")
"""Whose weights belong to a modality, or to all: those of the others belong to a place in the modalities' order, or
one modality is unlike the others."""


def make(kind: str, modalities: Mapping[str, int] = WIDTHS) -> Fusion:
    torch.manual_seed(0)
    made = MAKERS[kind](modalities)
    for name, parameter in made.named_parameters():  # what starts at zero, or near it, has moved away
        if "missing" in name or name.endswith("gates"):
            nn.init.normal_(parameter)
    return made


@pytest.fixture(params=MAKERS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def fusion(kind: str) -> Fusion:
    return make(kind)


def test_the_allow_list_is_what_is_tested() -> None:
    assert set(FUSIONS) == {kind.partition("/")[0] for kind in MAKERS}
    assert list(FUSIONS) == sorted(FUSIONS)


@pytest.mark.parametrize("subset", list(product([0, 1], repeat=3)))
def test_every_subset_gives_finite_features_and_gradients(fusion: Fusion, subset: tuple[int, ...]) -> None:
    """A row with the subset, one with the first modality alone if that is in it, and one with nothing."""
    has = {name: [there, there * (name == "sar"), 0] for name, there in zip(ALL, subset, strict=True)}
    fused = world(**has).fuse(fusion)
    assert fused.pooled.shape == (3, fusion.width)
    assert fused.tokens.shape == (*fused.mask.shape, fusion.width)
    assert torch.isfinite(fused.pooled).all()
    assert torch.isfinite(fused.tokens).all()
    assert fused.mask.any(dim=1).tolist() == [any(subset), bool(subset[0]), False]
    loss = fused.pooled.square().sum() + fused.tokens[fused.mask].square().sum()
    if loss.requires_grad:
        loss.backward()
    for name, parameter in fusion.named_parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name


def test_a_batch_without_rows_is_a_batch(fusion: Fusion) -> None:
    fused = world(sar=[], optical=[], height=[]).fuse(fusion)
    assert fused.pooled.shape == (0, fusion.width)
    assert len(fused.tokens) == len(fused.mask) == 0


@pytest.mark.parametrize("missing", ALL)
def test_missing_is_the_same_as_withheld(fusion: Fusion, missing: str) -> None:
    complete = world(**{name: [1, 1] for name in ALL})
    lacking = world(**{name: [1, int(missing != name)] for name in ALL})
    withheld = complete.fuse(fusion, withheld=(missing,))
    same(lacking.row(1).fuse(fusion), one_row(withheld, 1))
    same(one_row(lacking.fuse(fusion), 1), one_row(withheld, 1))


@pytest.mark.parametrize("missing", ALL)
def test_a_modality_may_be_withheld_from_some_rows_only(fusion: Fusion, missing: str) -> None:
    complete = world(sar=[1, 1], optical=[1, 1], height=[1, 1])
    flags = complete.batch.present | {missing: torch.tensor([True, False])}
    mixed = fusion(complete.batch, complete.features, flags)
    same(one_row(mixed, 0), one_row(complete.fuse(fusion), 0))
    same(one_row(mixed, 1), one_row(complete.fuse(fusion, withheld=(missing,)), 1))


def test_withholding_everything_is_lacking_everything(fusion: Fusion) -> None:
    same(
        world(sar=[1, 1], optical=[1, 1], height=[1, 1]).fuse(fusion, withheld=ALL),
        world(sar=[0, 0], optical=[0, 0], height=[0, 0]).fuse(fusion),
    )


def test_a_row_does_not_depend_on_the_rest_of_its_batch(fusion: Fusion) -> None:
    fusion.train()
    mixed = world(sar=[1, 0, 1, 0, 1], optical=[1, 1, 0, 0, 0], height=[1, 0, 0, 0, 1])
    together = mixed.fuse(fusion)
    for row in range(5):
        same(mixed.row(row).fuse(fusion), one_row(together, row))


def test_what_absent_rows_and_masked_tokens_hold_says_nothing(fusion: Fusion) -> None:
    has = {"sar": [1, 0], "optical": [1, 1], "height": [0, 1]}
    clean, dirty = world(**has), world(**has)
    for name, there in dirty.batch.present.items():
        features = dirty.said[name]
        assert features.embedded is not None
        masked = ~features.mask[..., None]
        dirty.said[name] = replace(
            features,
            tokens=features.tokens.masked_fill(masked, 1e4),
            embedded=features.embedded.masked_fill(masked, 1e4),
            pooled=features.pooled.masked_fill(~there[:, None], 1e4),
        )
        image = dirty.batch.values[name]
        assert isinstance(image, Tensor)
        dirty.batch.values[name] = image.masked_fill(~there[:, None, None, None], 1e4)
    same(clean.fuse(fusion), dirty.fuse(fusion))


def test_each_modality_is_heard(fusion: Fusion) -> None:
    complete = world(sar=[1], optical=[1], height=[1])
    everything = complete.fuse(fusion).pooled
    for name in ALL:
        assert not torch.allclose(everything, complete.fuse(fusion, withheld=(name,)).pooled, atol=1e-3), name


@pytest.mark.parametrize("missing", ALL)
def test_what_is_said_of_a_missing_modality_is_learnt(kind: str, fusion: Fusion, missing: str) -> None:
    if kind in NOTHING_LEARNT:
        return
    fused = world(**{name: [int(name != missing), 1] for name in ALL}).fuse(fusion)
    # Not the sum of squares: that is constant after a last normalisation.
    fused.pooled[:, 0].sum().backward()
    learnt = [p for name, p in fusion.named_parameters() if "missing" in name and missing in name]
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in learnt)


@pytest.mark.parametrize("kind", SPANS)
def test_spans_say_where_a_modalitys_own_tokens_lie(kind: str) -> None:
    fusion = make(kind)
    before = world(sar=[1, 0, 1], optical=[1, 1, 0], height=[1, 1, 1])
    fused = before.fuse(fusion)
    assert set(fused.spans) == set(SPANS[kind])
    for name, (start, stop) in fused.spans.items():
        assert torch.equal(fused.mask[:, start:stop], before.said[name].mask)
        place = int(before.said[name].mask[0].nonzero()[3])
        after = before.with_token(name, 0, place).fuse(fusion)
        moved = (after.tokens - fused.tokens).abs().amax(dim=2)
        assert moved[0].argmax() == start + place
        assert moved[1:].max() == 0


@pytest.mark.parametrize("kind", SPANS)
def test_what_the_batch_lacks_has_no_real_token_in_its_span(kind: str) -> None:
    fused = world(sar=[1], optical=[0], height=[0]).fuse(make(kind))
    for name, (start, stop) in fused.spans.items():
        assert fused.mask[:, start:stop].any() == (name == "sar")


def test_other_fusions_claim_no_spans(kind: str, fusion: Fusion) -> None:
    assert bool(world(sar=[1], optical=[1], height=[1]).fuse(fusion).spans) == (kind in SPANS)


@pytest.mark.parametrize("kind", SYMMETRIC)
def test_the_order_of_the_modalities_says_nothing(kind: str) -> None:
    turned = make(kind, dict(reversed(WIDTHS.items())))
    straight = make(kind)
    turned.load_state_dict(straight.state_dict())
    some = world(sar=[1, 1, 0], optical=[1, 0, 1], height=[1, 1, 0])
    torch.testing.assert_close(some.fuse(straight).pooled, some.fuse(turned).pooled)


def test_other_features_are_heard_unless_it_reads_the_values(kind: str, fusion: Fusion) -> None:
    before = world(sar=[1], optical=[1], height=[1])
    said = {
        name: replace(features, tokens=-features.tokens, pooled=-features.pooled, embedded=-features.tokens)
        for name, features in before.said.items()
    }
    after = fusion(before.batch, said.__getitem__, before.batch.present)
    assert fusion.reads_features == (not torch.equal(after.pooled, before.fuse(fusion).pooled))
    assert fusion.reads_features == (kind not in ("early", "concat_levels"))


def test_double_precision_stays_double(kind: str) -> None:
    fusion = make(kind).double()
    if kind in ("prompt", "prompt/mlp", "inserted_cross_attention"):
        fusion.host({"optical": Patches(patch=4, width=WIDTHS["optical"], layers=2, heads=2).double()})
        fusion.double()
    fused = world(torch.float64, sar=[1, 0], optical=[1, 1], height=[0, 0]).fuse(fusion)
    assert fused.pooled.dtype == fused.tokens.dtype == torch.float64


def test_autocast_stays_near_full_precision(fusion: Fusion) -> None:
    mixed = world(sar=[1, 0, 1, 0], optical=[1, 1, 0, 0], height=[1, 1, 1, 1])
    exact = mixed.fuse(fusion).pooled
    with torch.autocast("cpu", torch.bfloat16):
        rough = mixed.fuse(fusion).pooled
    assert torch.isfinite(rough).all()
    assert F.cosine_similarity(exact, rough.float()).min() > 0.99
