"""Words against regions: one pair and one word at a time, as the papers and the authors' code say it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from plait.losses.contrastive import info_nce
from plait.losses.local import contrast, gloria_similarity, late_interaction


def tokens(rows: int, longest: int, seed: int, width: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(rows, longest, width, generator=generator, dtype=torch.float64)
    lengths = torch.randint(1, longest + 1, (rows,), generator=generator)
    return values, torch.arange(longest) < lengths[:, None]


def softmax(values: list[float]) -> list[float]:
    total = sum(math.exp(value) for value in values)
    return [math.exp(value) / total for value in values]


def slow_gloria(regions: Tensor, words: Tensor, attention_scale: float, word_scale: float) -> float:
    """One image's real regions and one text's real words."""
    over_words = [softmax([float(region @ word) for word in words]) for region in regions]
    total = 0.0
    for t, word in enumerate(words):
        attention = softmax([attention_scale * over_words[k][t] for k in range(len(regions))])
        context = torch.stack([weight * region for weight, region in zip(attention, regions, strict=True)]).sum(dim=0)
        cosine = float(context @ word) / float(context.norm() * word.norm())
        total += math.exp(word_scale * cosine)
    return math.log(total)


def slow_late(a: Tensor, b: Tensor) -> float:
    return sum(max(float(token @ other) for other in b) for token in a) / len(a)


def test_gloria_is_the_double_softmax_pair_by_pair() -> None:
    (regions, region_mask), (words, word_mask) = tokens(3, 4, 0), tokens(4, 6, 1)
    found = gloria_similarity(regions, region_mask, words, word_mask, attention_scale=3.0, word_scale=2.0)
    for i in range(3):
        for j in range(4):
            expected = slow_gloria(regions[i][region_mask[i]], words[j][word_mask[j]], 3.0, 2.0)
            assert float(found[i, j]) == pytest.approx(expected, rel=1e-9)


def test_gloria_is_not_the_single_softmax_over_regions() -> None:
    """The trap: a plain attention, a softmax over the regions alone."""
    (regions, region_mask), (words, word_mask) = tokens(1, 4, 0), tokens(1, 6, 1)
    region, word = regions[0][region_mask[0]], words[0][word_mask[0]]
    context = (4.0 * word @ region.T).softmax(dim=1) @ region
    single = (5.0 * F.cosine_similarity(context, word, dim=1)).logsumexp(dim=0)
    assert abs(float(single) - float(gloria_similarity(regions, region_mask, words, word_mask))) > 0.1


def test_late_interaction_is_the_mean_of_each_tokens_best() -> None:
    (a, a_mask), (b, b_mask) = tokens(3, 4, 0), tokens(4, 6, 1)
    found = late_interaction(a, a_mask, b, b_mask)
    back = late_interaction(b, b_mask, a, a_mask).T
    for i in range(3):
        for j in range(4):
            assert float(found[i, j]) == pytest.approx(slow_late(a[i][a_mask[i]], b[j][b_mask[j]]))
            assert float(back[i, j]) == pytest.approx(slow_late(b[j][b_mask[j]], a[i][a_mask[i]]))


def test_late_interaction_by_hand() -> None:
    a = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    b = torch.tensor([[[1.0, 0.0], [0.6, 0.8]]])
    everywhere = torch.ones(1, 2, dtype=torch.bool)
    assert float(late_interaction(a, everywhere, b, everywhere)) == pytest.approx((1.0 + 0.8) / 2)
    assert float(late_interaction(b, everywhere, a, everywhere)) == pytest.approx((1.0 + 0.8) / 2)
    only_first = torch.tensor([[True, False]])
    assert float(late_interaction(a, everywhere, b, only_first)) == pytest.approx(0.5)


SCORES = pytest.mark.parametrize("score", [gloria_similarity, late_interaction])


@SCORES
@pytest.mark.parametrize("block", [1, 3, 4, 100])
def test_the_block_changes_neither_scores_nor_gradients(score: Any, block: int) -> None:
    results = []
    for size in (4, block):
        (a, a_mask), (b, b_mask) = tokens(3, 4, 0), tokens(4, 6, 1)
        a.requires_grad_()
        b.requires_grad_()
        scores = score(a, a_mask, b, b_mask, block=size)
        (scores * scores.detach().cos()).sum().backward()
        results.append((scores.detach(), a.grad, b.grad))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


@SCORES
def test_no_attention_of_all_pairs_is_kept_for_the_backward_pass(score: Any) -> None:
    pairs = 8 * 8 * 12 * 12
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes() // tensor.element_size()
        return tensor

    a, b = torch.randn(8, 12, 4, requires_grad=True), torch.randn(8, 12, 4, requires_grad=True)
    everything = torch.ones(8, 12, dtype=torch.bool)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        scores = score(a, everything, b, everything, block=1)
    scores.sum().backward()
    assert max(kept.values(), default=0) < pairs / 8
    assert sum(kept.values()) < pairs


@SCORES
def test_padding_changes_nothing(score: Any) -> None:
    (a, a_mask), (b, b_mask) = tokens(3, 4, 0), tokens(4, 6, 1)
    longer = torch.cat([b, torch.full((4, 2, 5), 7.0, dtype=torch.float64)], dim=1)
    longer_mask = torch.cat([b_mask, torch.zeros(4, 2, dtype=torch.bool)], dim=1)
    torch.testing.assert_close(score(a, a_mask, longer, longer_mask), score(a, a_mask, b, b_mask))


@SCORES
def test_a_side_without_tokens_scores_zero_and_has_a_finite_gradient(score: Any) -> None:
    (a, a_mask), (b, b_mask) = tokens(3, 4, 0), tokens(4, 6, 1)
    a_mask[1], b_mask[2] = False, False
    a.requires_grad_()
    b.requires_grad_()
    scores = score(a, a_mask, b, b_mask)
    assert not scores[1].any()
    assert not scores[:, 2].any()
    scores.sum().backward()
    for side in (a, b):
        assert side.grad is not None
        assert bool(torch.isfinite(side.grad).all())
    assert a.grad is not None
    assert not a.grad[1].any()


@SCORES
@pytest.mark.parametrize("rows", [(0, 3), (3, 0), (0, 0), (1, 1)])
def test_few_or_no_rows(score: Any, rows: tuple[int, int]) -> None:
    (a, a_mask), (b, b_mask) = tokens(rows[0], 2, 0), tokens(rows[1], 3, 1)
    scores = score(a, a_mask, b, b_mask)
    assert scores.shape == rows
    assert bool(torch.isfinite(scores).all())


@SCORES
def test_gradient_check(score: Any) -> None:
    (a, a_mask), (b, b_mask) = tokens(2, 3, 0, width=3), tokens(3, 2, 1, width=3)
    a.requires_grad_()
    b.requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: score(a, a_mask, b, b_mask, block=2), (a, b))


@SCORES
def test_autocast_does_not_touch_the_scores(score: Any) -> None:
    (a, a_mask), (b, b_mask) = tokens(3, 4, 0), tokens(4, 6, 1)
    a, b = 20 * a.bfloat16(), 20 * b.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = score(a, a_mask, b, b_mask)
    torch.testing.assert_close(found.double(), score(a.double(), a_mask, b.double(), b_mask), rtol=1e-4, atol=1e-4)


@SCORES
def test_shapes_that_do_not_fit_are_refused(score: Any) -> None:
    (a, a_mask), (b, b_mask) = tokens(3, 4, 0), tokens(4, 6, 1)
    for arguments in ((a[0], a_mask, b, b_mask), (a, a_mask[:2], b, b_mask), (a, a_mask, b[..., :3], b_mask)):
        with pytest.raises(ValueError, match="are not"):
            score(*arguments)


@pytest.mark.parametrize("a_to_b", [0.0, 0.5, 0.75])
def test_contrast_of_scaled_cosines_is_info_nce(a_to_b: float) -> None:
    a, b = (F.normalize(side[:, 0], dim=1) for side in (tokens(6, 1, 0)[0], tokens(6, 1, 1)[0]))
    assert float(contrast(7.0 * a @ b.T, a_to_b=a_to_b)) == pytest.approx(float(info_nce(a, b, 7.0, a_to_b=a_to_b)))


def test_contrast_asks_rows_of_one_matrix_and_columns_of_the_other() -> None:
    forth, back = tokens(5, 5, 0)[0][0], tokens(5, 5, 1)[0][0]
    rows = sum(-math.log(softmax(forth[i].tolist())[i]) for i in range(5)) / 5
    columns = sum(-math.log(softmax(back[:, i].tolist())[i]) for i in range(5)) / 5
    assert float(contrast(forth, back)) == pytest.approx((rows + columns) / 2)


def test_contrast_of_one_or_no_row_is_zero_and_of_oblongs_refused() -> None:
    assert float(contrast(torch.ones(1, 1))) == 0
    assert float(contrast(torch.ones(0, 0))) == 0
    with pytest.raises(ValueError, match="not square"):
        contrast(torch.ones(2, 3))
