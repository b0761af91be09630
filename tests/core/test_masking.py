"""What is hidden, and what is shown instead."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import beta, binomtest, kstest
from torch.nn import functional as F

from plait.encoders.text import Text
from plait.errors import InputError
from plait.model import Model
from plait.objectives import Step
from plait.objectives.masked_autoencoding import MaskedAutoencoding
from plait.objectives.masked_language import DistilledMaskedLanguage, MaskedLanguage
from plait.objectives.masking import hide, share_out, whole_words
from plait.objectives.word_masking import WordMasking
from plait.pairs.batch import Batch
from tests.core.battery.worlds import part, scenes
from tests.core.masked_world import step_of, words_in


def test_a_share_of_each_row_is_hidden_and_never_nothing() -> None:
    step = step_of(scenes())
    maskable = torch.arange(20)[None] < torch.tensor([20, 10, 7, 3, 2, 1, 0, 20])[:, None]
    maskable[7, ::2] = False
    hidden = hide(step, "x", maskable, 0.3)
    assert not (hidden & ~maskable).any()
    assert hidden.sum(dim=1).tolist() == [6, 3, 2, 1, 1, 1, 0, 3]


def test_what_is_hidden_is_a_function_of_the_row_alone() -> None:
    world = scenes()
    batch, maskable = world.batch(range(8), {}), torch.ones(8, 9, dtype=torch.bool)
    whole = hide(Step(world.model(), batch), "x", maskable, 0.3)
    some = hide(Step(world.model(), part(batch, [6, 2])), "x", maskable[:2], 0.3)
    assert torch.equal(some, whole[[6, 2]])
    # Another process may have padded its rows further.
    longer = hide(Step(world.model(), batch), "x", F.pad(maskable, (0, 5)), 0.3)
    assert torch.equal(longer, F.pad(whole, (0, 5)))
    others = [
        hide(Step(world.model(), batch, seed=(0, 1)), "x", maskable, 0.3),
        hide(step_of(world), "y", maskable, 0.3),
    ]
    assert all(not torch.equal(other, whole) for other in others)


def test_every_token_is_as_likely() -> None:
    world = scenes()
    model, maskable = world.model(), torch.ones(8, 4, dtype=torch.bool)
    counts = torch.cat([hide(step_of(world, model, n), "x", maskable, 0.5) for n in range(50)]).sum(dim=0)
    assert all(binomtest(int(count), 400, 0.5).pvalue > 1e-4 for count in counts)


def test_all_of_some_rows_are_hidden() -> None:
    world = scenes()
    model, maskable = world.model(), torch.ones(8, 10, dtype=torch.bool)
    hidden = torch.cat([hide(step_of(world, model, n), "x", maskable, 0.2, whole=0.5) for n in range(25)])
    assert {*hidden.sum(dim=1).tolist()} == {2, 10}
    assert binomtest(int(hidden.all(dim=1).sum()), 200, 0.5).pvalue > 1e-4


def test_pieces_go_with_their_word() -> None:
    continues = torch.tensor([[0, 0, 1, 1, 0, 1, 0]]).bool()
    for hidden, expected in [
        ([0, 1, 0, 0, 0, 0, 0], [0, 1, 1, 1, 0, 0, 0]),
        ([0, 0, 0, 0, 1, 0, 1], [0, 0, 0, 0, 1, 1, 1]),
    ]:
        assert whole_words(torch.tensor([hidden]).bool(), continues).int().tolist() == [expected]


def test_budgets_are_shared_out_by_sainte_lague() -> None:
    generator = torch.Generator().manual_seed(0)
    sizes = (5, 3, 8)
    masks = [torch.rand(40, size, generator=generator) < 0.8 for size in sizes]
    draws = [torch.rand(40, size, generator=generator) for size in sizes]
    weights = torch.rand(40, 3, generator=generator)
    seen = share_out(masks, weights, draws, 0.4)
    for row in range(40):
        tokens = [int(mask[row].sum()) for mask in masks]
        seats = [0, 0, 0]
        for _ in range(max(round(0.4 * sum(tokens)), 1)):
            open_to = [m for m in range(3) if seats[m] < tokens[m]]
            seats[max(open_to, key=lambda m: float(weights[row, m]) / (seats[m] + 0.5))] += 1
        assert [int(one[row].sum()) for one in seen] == seats
        for mask, draw, one in zip(masks, draws, seen, strict=True):
            assert not (one & ~mask)[row].any()
            kept, dropped = draw[row][one[row]], draw[row][(mask & ~one)[row]]
            assert not len(kept) or not len(dropped) or kept.max() < dropped.min()


@pytest.mark.parametrize("visible", [0.0, 0.5, 1.0])
def test_something_is_always_seen_and_something_hidden(visible: float) -> None:
    masks = [torch.tensor([[True, True], [False, False], [True, False], [False, False]]), torch.ones(4, 1) > 0]
    masks[1][2:] = False
    seen = torch.cat(share_out(masks, torch.rand(4, 2), [torch.rand(4, 2), torch.rand(4, 1)], visible), dim=1)
    real = torch.cat(masks, dim=1)
    assert seen[0].sum() in (1, 2)
    # Of one token alone there is nothing to tell; of none nothing is seen.
    assert torch.equal(seen[1:], real[1:])


def test_budgets_are_dirichlet() -> None:
    world = scenes()
    model = world.model()
    objective = MaskedAutoencoding(["image", "depth", "third"], visible=0.2)
    masks = {name: torch.ones(8, 900, dtype=torch.bool) for name in objective.modalities}
    shares: list[float] = []
    for number in range(25):
        seen = objective.seen(step_of(world, model, number), masks)
        counts = torch.stack([one.sum(dim=1) for one in seen.values()])
        assert (counts.sum(dim=0) == 540).all()
        shares += (counts[0] / 540).tolist()
    # A component of Dirichlet(1, 1, 1) is Beta(1, 2).
    assert kstest(shares, beta(1, 2).cdf).pvalue > 1e-3


def test_given_budgets_are_kept() -> None:
    world = scenes()
    objective = MaskedAutoencoding(["image", "depth"], visible=0.5, budgets={"image": 3.0, "depth": 1.0})
    seen = objective.seen(step_of(world), {name: torch.ones(8, 8, dtype=torch.bool) for name in ("image", "depth")})
    assert [one.sum(dim=1).tolist() for one in seen.values()] == [[6] * 8, [2] * 8]


def worded() -> tuple[Step, Text]:
    """Texts of long words, each of several pieces, in rows of several lengths."""
    texts = [
        " ".join(["abracadabra", "cadabra", "zebra", "abba"][(i + j) % 4] for j in range(1 + 5 * i)) for i in range(8)
    ]
    text = Text(layers=1, width=8, heads=2, vocabulary=22, max_tokens=256)
    text.fit(texts)
    values = text.collate(texts)
    values.values[0, 1] = text.special["unk"]
    there = torch.ones(8, dtype=torch.bool)
    batch = Batch(tuple("abcdefgh"), tuple("abcdefgh"), {"text": values}, {"text": there}, rows=torch.arange(8))
    return Step(Model({"text": text}, 4), batch), text


def test_hidden_words_are_replaced_berts_way_and_specials_never() -> None:
    step, text = worded()
    masking = WordMasking(text, 0.5, whole=False, whole_text=0.0)
    counts = {"mask": 0, "other": 0, "kept": 0}
    for number in range(8):
        shown, asked = masking(Step(step.model, step.batch, seed=(0, number)), "text")
        words = words_in(step.batch)
        special = torch.isin(words.values, torch.tensor([*text.special.values()]))
        assert not (asked.mask & (special | ~words.mask)).any()
        assert torch.equal(shown.values[~asked.mask], words.values[~asked.mask])
        assert torch.equal(asked.values, words.values)
        assert torch.equal(shown.mask, words.mask)
        was, now = words.values[asked.mask], shown.values[asked.mask]
        counts["mask"] += int((now == text.mask_id).sum())
        counts["kept"] += int((now == was).sum())
        counts["other"] += int(((now != was) & (now != text.mask_id)).sum())
        replaced = now[now != text.mask_id]
        assert not torch.isin(replaced, torch.tensor([*text.special.values()])).any()
    number, vocabulary = sum(counts.values()), len(masking.words)
    assert binomtest(counts["mask"], number, 0.8).pvalue > 1e-4
    # One replacement in as many as there are words is the word itself.
    assert binomtest(counts["kept"], number, 0.1 + 0.1 / vocabulary).pvalue > 1e-4


def test_whole_words_are_hidden_whole() -> None:
    step, text = worded()
    assert text.tokenizer is not None
    hidden = WordMasking(text, 0.4, whole=True, whole_text=0.0)(step, "text")[1]
    pieces = [[text.tokenizer.id_to_token(int(i)) or "" for i in row] for row in hidden.values]
    several = 0
    for row, flags in zip(pieces, hidden.mask.tolist(), strict=True):
        for place, piece in enumerate(row):
            if piece.startswith("##"):
                several += flags[place]
                assert flags[place] == flags[place - 1], (row, flags)
    assert several > 10
    for row, flags in zip(pieces, hidden.mask.tolist(), strict=True):
        heads = [flag for piece, flag in zip(row, flags, strict=True) if not piece.startswith(("##", "["))]
        assert sum(heads) == (max(round(0.4 * len(heads)), 1) if heads else 0)


def test_texts_that_cannot_be_masked_are_refused() -> None:
    _, text = worded()
    with pytest.raises(InputError, match="no mask token"):
        WordMasking(Text(layers=1, width=8, heads=2, vocabulary=22), 0.5, whole=False, whole_text=0.0)
    text.tokenizer = Text(layers=1, width=8, heads=2, vocabulary=64).tokenizer
    world = scenes()
    for kind in (MaskedLanguage, DistilledMaskedLanguage):
        with pytest.raises(InputError, match="reads the words of 'image'"):
            kind(["image", "text"]).prepare(world.model(), 32)
