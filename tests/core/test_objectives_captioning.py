"""What writing objectives look at: never at what is still to be written."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor, nn
from torch.nn import functional as F

from plait.errors import InputError
from plait.losses.autoregressive import next_token, unigram_entropy
from plait.model import Model
from plait.objectives import Objective, Step
from plait.objectives.captioning import BackwardCaptioning, Captioning, PrefixLanguage, backward, prefix_of
from plait.pairs.batch import Batch, Padded
from tests.core.battery.battery import total
from tests.core.battery.worlds import scenes
from tests.core.masked_world import images_in, prepared, said_by, step_of, with_value, words_in

SIZE = {"width": 8, "layers": 2, "heads": 2}
KINDS: dict[str, Callable[[], Objective]] = {
    "captioning": lambda: Captioning(["text", "image"], **SIZE),
    "backward_captioning": lambda: BackwardCaptioning(["text", "image", "depth"], **SIZE),
    "prefix_language": lambda: PrefixLanguage(["text", "image"], **SIZE),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def logits_of(objective: Objective, model: Model, batch: Batch) -> Tensor:
    """(B, T, V), the decoder's logits."""
    return said_by("decoder", objective, Step(model, batch))


def changed(batch: Batch, place: int) -> Batch:
    """The batch with another word at one place of every row."""
    text = words_in(batch)
    values = text.values.clone()
    values[:, place] = torch.where(values[:, place] == 5, 6, 5)
    return with_value(batch, "text", Padded(values, text.mask))


def moved(objective: Objective, model: Model, batch: Batch, place: int) -> Tensor:
    """(B, T) bool: where the logits change with the word at a place."""
    difference = logits_of(objective, model, changed(batch, place)) - logits_of(objective, model, batch)
    return difference.abs().amax(dim=2) > 1e-6


def test_a_later_word_changes_no_earlier_prediction() -> None:
    world = scenes()
    model, batch = world.model(), world.batch(range(8), {})
    objective = prepared(KINDS["captioning"](), model)
    for place in range(1, 6):
        # The logits at place t are for the word at t + 1: that at `place` is seen from `place` on.
        expected = (torch.arange(6) >= place).expand(8, -1)
        assert torch.equal(moved(objective, model, batch, place), expected)


def test_backward_an_earlier_word_changes_no_later_prediction() -> None:
    world = scenes()
    model, batch = world.model(), world.batch(range(8), {})
    objective = prepared(KINDS["backward_captioning"](), model)
    for place in range(5):
        expected = (torch.arange(6) >= 5 - place).expand(8, -1)
        assert torch.equal(moved(objective, model, batch, place), expected)


def test_the_prefix_is_seen_both_ways_and_the_rest_is_not() -> None:
    world = scenes()
    model, batch = world.model(), world.batch(range(8), {})
    objective = prepared(KINDS["prefix_language"](), model)
    text = words_in(batch)
    length = prefix_of(text, Step(model, batch).uniform("prefix/text")).sum(dim=1)
    assert {*length.tolist()} == {1, 2, 3, 4, 5}
    for place in range(1, 6):
        in_prefix = (place < length)[:, None]
        # A word of the prefix is seen from everywhere, also from before it; one of the rest from its place on.
        expected = in_prefix | (torch.arange(6) >= place)
        assert torch.equal(moved(objective, model, batch, place), expected)


@every_kind
def test_the_picture_is_looked_at(kind: str) -> None:
    world = scenes()
    model, batch = world.model(), world.batch(range(8), {})
    objective = prepared(KINDS[kind](), model)
    other = with_value(batch, "image", images_in(batch).flip(0))
    assert (logits_of(objective, model, other) - logits_of(objective, model, batch)).abs().max() > 1e-4


@every_kind
def test_longer_padding_changes_nothing(kind: str) -> None:
    world = scenes()
    model, batch = world.model(), world.batch(range(8), {})
    objective = prepared(KINDS[kind](), model)
    text = words_in(batch)
    longer = with_value(batch, "text", Padded(F.pad(text.values, (0, 2)), F.pad(text.mask, (0, 2))))
    torch.testing.assert_close(total(objective(Step(model, longer))), total(objective(Step(model, batch))))


def test_only_rows_with_all_are_written_and_only_the_rest_is_asked() -> None:
    world = scenes()
    model = world.model()
    step = step_of(world, model, text=[0], image=[3])
    rows = torch.tensor([1, 2, 4, 5, 6, 7])
    text = words_in(step.batch)
    for kind, turn in [("captioning", lambda text: text), ("backward_captioning", backward)]:
        objective = prepared(KINDS[kind](), model)
        logits, words = logits_of(objective, model, step.batch)[rows], turn(text)
        losses = next_token(logits, words.values[rows], words.mask[rows])
        torch.testing.assert_close(total(objective(step)), losses.mean())
    objective = prepared(KINDS["prefix_language"](), model)
    asked = (text.mask & ~prefix_of(text, step.uniform("prefix/text")))[rows]
    logits = logits_of(objective, model, step.batch)[rows]
    torch.testing.assert_close(total(objective(step)), next_token(logits, text.values[rows], asked).mean())


def test_knowing_only_how_frequent_words_are_is_the_unigram_entropy() -> None:
    world = scenes()
    model, batch = world.model(), world.batch(range(8), {})
    objective = prepared(KINDS["captioning"](), model)
    text = words_in(batch)
    counts = text.values[:, 1:].flatten().bincount(minlength=64).float()
    output = objective.get_submodule("decoder.logits")
    assert isinstance(output, nn.Linear)
    with torch.no_grad():
        output.weight.zero_()
        output.bias.copy_((counts / counts.sum()).clamp(min=1e-30).log())
    loss = total(objective(Step(model, batch)))
    torch.testing.assert_close(loss.double(), unigram_entropy(text.values, text.mask), rtol=1e-5, atol=0.0)


def test_backward_by_hand() -> None:
    text = Padded(torch.tensor([[2, 5, 6, 3], [2, 7, 3, 0], [2, 3, 0, 0], [0, 0, 0, 0]]), torch.zeros(4, 4) > 1)
    text = Padded(text.values, text.values > 0)
    turned = backward(text)
    assert turned.values.tolist() == [[3, 6, 5, 2], [3, 7, 2, 0], [3, 2, 0, 0], [0, 0, 0, 0]]
    assert torch.equal(turned.mask, text.mask)
    assert torch.equal(backward(turned).values, text.values)


def test_prefixes_are_uniform_and_leave_a_word_to_write() -> None:
    mask = torch.ones(4000, 5, dtype=torch.bool)
    draws = torch.rand(4000, generator=torch.Generator().manual_seed(0))
    lengths = prefix_of(Padded(mask.long(), mask), draws).sum(dim=1).bincount(minlength=6).tolist()
    assert lengths[0] == lengths[5] == 0
    assert chisquare(lengths[1:5]).pvalue > 1e-3
    last = torch.tensor([1.0 - 2.0**-24])
    assert int(prefix_of(Padded(mask[:1].long(), mask[:1]), last).sum()) == 4
    short = torch.tensor([[True, False], [False, False]])
    assert prefix_of(Padded(short.long(), short), torch.tensor([0.9, 0.9])).tolist() == short.tolist()


def test_without_others_the_prefix_alone_is_looked_at() -> None:
    world = scenes()
    model = world.model()
    objective = prepared(PrefixLanguage(["text"], **SIZE), model)
    loss = total(objective(step_of(world, model, text=[2])))
    loss.backward()
    assert loss > 1.0
    assert any(p.grad is not None and p.grad.any() for p in model.encoder("text").parameters())


def test_the_picture_learns_from_its_caption() -> None:
    world = scenes()
    model = world.model()
    total(prepared(KINDS["captioning"](), model)(step_of(world, model))).backward()
    image = {name: p.grad for name, p in model.encoder("image").named_parameters() if name != "mask_token"}
    assert all(gradient is not None and gradient.any() for gradient in image.values())
    # The text encoder only lends its vocabulary.
    assert all(p.grad is None or not p.grad.any() for p in model.encoder("text").parameters())


def test_recipes_that_do_not_fit_are_refused() -> None:
    for kind in (Captioning, BackwardCaptioning):
        with pytest.raises(InputError, match="writes a text from another modality"):
            kind(["text"])
        with pytest.raises(InputError, match="reads the words of 'image'"):
            kind(["image", "text"]).prepare(scenes().model(), 32)
    with pytest.raises(InputError, match="reads the words of 'image'"):
        PrefixLanguage(["image", "text"]).prepare(scenes().model(), 32)
