"""Changed texts by hand, and a bag of words that cannot tell an order."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from plait.errors import InputError
from plait.evaluation.language import drop_words, negate, preference, shuffle_words, swap_neighbours, swap_terms, typos
from plait.evaluation.scaling import unit_rows

TEXTS = [
    "a small red box on the left of a large blue ball",
    "two birds above the water, and none below",
    "the cat sits under the old table in the kitchen",
    "no cars are on the road that leads to the bridge",
]


def draw(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(st.lists(st.sampled_from(["a", "b", "c,", "D"]), max_size=8), st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_shuffling_keeps_the_bag_and_changes_the_order_wherever_it_can(words: list[str], seed: int) -> None:
    shuffled = shuffle_words(" ".join(words), draw(seed))
    assert Counter(shuffled.split()) == Counter(words)
    assert (shuffled.split() != words) == (len(set(words)) > 1)


def test_a_share_of_the_words_changes_places() -> None:
    words = [str(number) for number in range(100)]
    moved = [a != b for a, b in zip(shuffle_words(" ".join(words), draw(), 0.2).split(), words, strict=True)]
    assert 2 <= sum(moved) <= 20
    assert sum(a != b for a, b in zip(shuffle_words("a b c d", draw(), 0.0).split(), "abcd", strict=True)) == 2


@given(st.lists(st.sampled_from("abc"), max_size=6), st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_neighbours_that_change_places_are_two_and_lie_together(words: list[str], seed: int) -> None:
    swapped = swap_neighbours(" ".join(words), draw(seed)).split()
    changed = [place for place in range(len(words)) if swapped[place] != words[place]]
    assert Counter(swapped) == Counter(words)
    assert changed == ([] if len(set(words)) < 2 else [changed[0], changed[0] + 1])


def test_words_are_dropped_in_order_and_one_is_left() -> None:
    text = "one two three four five six seven eight nine ten"
    kept = drop_words(text, draw(), 0.3).split()
    assert len(kept) == 7
    assert kept == [word for word in text.split() if word in kept]
    assert len(drop_words(text, draw(), 0.0).split()) == 9
    assert len(drop_words(text, draw(), 1.0).split()) == 1
    assert drop_words("alone", draw(), 1.0) == "alone"


def test_typos_by_hand() -> None:
    # The text has one letter: it goes, doubles, changes places with the dot, or becomes itself.
    assert {typos("(a.", draw(seed)) for seed in range(40)} == {"(.", "(aa.", "(.a", "(a."}
    text = "the quick brown fox"
    assert sum(typos(text, draw(seed)) != text for seed in range(50)) > 40
    assert set(typos(text * 9, draw(), 1.0)) <= set(text)
    assert len(typos("abcdefghij" * 10, draw(), 0.05)) in range(95, 106)


def test_negation_is_toggled() -> None:
    assert negate("a red box") == "no a red box"
    assert negate("No box, not red and without a lid") == "box, red and a lid"
    assert negate("nobody knows a notable no-one") == "no nobody knows a notable no-one"
    assert negate(negate("boxes in the room")) == "boxes in the room"
    assert negate("kein Haus", cues=("kein", "nicht")) == "Haus"
    assert negate("ein Haus", cues=("kein", "nicht")) == "kein ein Haus"
    assert negate("no") == ""
    assert negate("  ") == "  "


def test_terms_are_swapped_both_ways_at_once() -> None:
    swaps = {"left": "right", "upper left": "lower left", "red": "blue"}
    assert swap_terms("LEFT of the Right, not leftover; left-handed", {"left": "right"}) == (
        "RIGHT of the Left, not leftover; left-handed"
    )
    assert swap_terms("upper left and left, red on blue", swaps) == "lower left and right, blue on red"
    assert swap_terms(swap_terms(TEXTS[0], swaps), swaps) == TEXTS[0]
    assert swap_terms("No way, no", {"no": "yes", "no way": "of course"}) == "Of course, yes"
    assert swap_terms("a (b)", {"b": "c"}) == "a (c)"
    assert swap_terms("nothing", {}) == "nothing"
    with pytest.raises(InputError, match="two pairs"):
        swap_terms("x", {"left": "right", "Right": "wrong"})


@pytest.mark.parametrize("perturb", [shuffle_words, swap_neighbours, drop_words, typos])
def test_the_seed_says_everything_and_short_texts_are_borne(perturb: Any) -> None:
    assert perturb(TEXTS[0], draw(3)) == perturb(TEXTS[0], draw(3))
    assert len({perturb(TEXTS[0], draw(seed)) for seed in range(10)}) > 3
    assert perturb("", draw()) == ""
    assert perturb("word", draw()) == "word" or perturb is typos
    assert perturb("...", draw()) == "..."


def test_preference_by_hand() -> None:
    assert preference([3.0, 2.0, 1.0, 5.0], [1.0, 2.0, 2.0, 4.0]) == (2 + 0.5) / 4
    assert preference([1.0 + 1e-8], [1.0]) == 0.5
    assert math.isnan(preference([], []))
    assert math.isnan(preference([1.0, float("nan")], [0.0, 0.0]))


def bags(texts: list[str]) -> NDArray[np.float64]:
    """A real bag of words: a sum of word vectors in float32, in the order of the text."""
    known = {word: place for place, word in enumerate(sorted({word for text in TEXTS for word in text.split()}))}
    vectors = np.random.default_rng(0).normal(size=(len(known), 16)).astype(np.float32)
    return unit_rows(np.stack([sum(vectors[known[word]] for word in text.split()) for text in texts]))


def ordered(texts: list[str]) -> NDArray[np.float64]:
    """An encoder that knows the order: the bag of pairs of neighbours, hashed by a fixed table."""
    vectors = np.random.default_rng(0).normal(size=(997, 64))
    pairs = [list(zip(text.split(), text.split()[1:], strict=False)) for text in texts]
    return unit_rows(np.stack([np.sum([vectors[hash_of(pair)] for pair in row], axis=0) for row in pairs]))


def hash_of(pair: tuple[str, str]) -> int:
    return sum(ord(letter) * 31**place for place, letter in enumerate(" ".join(pair))) % 997


@pytest.mark.parametrize("perturb", [shuffle_words, swap_neighbours])
def test_a_bag_of_words_has_exactly_one_half(perturb: Any) -> None:
    twins = [perturb(text, draw(seed)) for seed, text in enumerate(TEXTS)]
    images = unit_rows(bags(TEXTS) + 0.3 * draw().normal(size=(len(TEXTS), 16)))
    right, wrong = (np.sum(images * bags(texts), axis=1) for texts in (TEXTS, twins))
    assert preference(right, wrong) == 0.5
    of_order = ordered(TEXTS)
    right, wrong = (np.sum(of_order * ordered(texts), axis=1) for texts in (TEXTS, twins))
    assert preference(right, wrong) == 1.0
