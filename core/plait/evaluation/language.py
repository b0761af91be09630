"""Texts that say something else, or the same with faults: what a text encoder should tell apart, or bear.

An image and its text are set against a twin of the text with its words in another order, or with its claim turned
round. Encoders trained by contrast alone hardly need the order of words to find a text among others, and often do not
learn it (Yuksekgonul et al., 2023). A twin may also read worse than the text, whatever the image shows: set beside it
what a score without the image prefers (Hsieh et al., 2023), such as the texts' cosine to the mean image.

Words are what white space separates; a changed text has single spaces. Draws come from the generator that is passed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from plait.errors import InputError

NEGATIONS = ("no", "not", "without")
TIE = 1e-6
"""Scores closer than this are tied: a sum over words in another order differs by so much in float32."""


def shuffle_words(text: str, rng: np.random.Generator, share: float = 1.0) -> str:
    """Put words into another order: the same bag of words.

    Args:
        text: of any length.
        rng: what draws.
        share: in [0, 1], of the words that change places among themselves; never fewer than two.

    Returns:
        A text in another order wherever the drawn words are not all the same one.
    """
    words = text.split()
    places = np.sort(rng.permutation(len(words))[: max(2, round(share * len(words)))]).tolist()
    drawn = [words[place] for place in places]
    shuffled = drawn
    while shuffled == drawn and len(set(drawn)) > 1:
        shuffled = [drawn[number] for number in rng.permutation(len(drawn))]
    for place, word in zip(places, shuffled, strict=True):
        words[place] = word
    return " ".join(words)


def swap_neighbours(text: str, rng: np.random.Generator) -> str:
    """Let two neighbouring words that differ change places: the least change of order.

    Args:
        text: returned as it is where it has no such words.
        rng: what draws.
    """
    words = text.split()
    unlike = [place for place in range(len(words) - 1) if words[place] != words[place + 1]]
    if not unlike:
        return text
    place = unlike[rng.integers(len(unlike))]
    words[place : place + 2] = words[place + 1], words[place]
    return " ".join(words)


def drop_words(text: str, rng: np.random.Generator, share: float = 0.2) -> str:
    """Leave out words, one at the least, but never the last one left.

    Args:
        text: returned as it is where it has one word or none.
        rng: what draws.
        share: in [0, 1], of the words that go.
    """
    words = text.split()
    if len(words) < 2:
        return text
    count = min(max(1, round(share * len(words))), len(words) - 1)
    gone = set(rng.permutation(len(words))[:count].tolist())
    return " ".join(word for place, word in enumerate(words) if place not in gone)


def typos(text: str, rng: np.random.Generator, share: float = 0.1) -> str:
    """Mistype letters: each is left out, doubled, swapped with what follows, or becomes another letter of the text.

    A draw may change nothing, such as a swap of two equal letters.

    Args:
        text: of any script; marks and spaces are not mistyped themselves.
        rng: what draws.
        share: in [0, 1], of the letters and digits; one at the least.
    """
    letters = [place for place, letter in enumerate(text) if letter.isalnum()]
    if not letters:
        return text
    chosen = rng.permutation(len(letters))[: max(1, round(share * len(letters)))]
    faults = rng.integers(4, size=len(letters)).tolist()
    others = rng.integers(len(letters), size=len(letters)).tolist()
    typed = list(text)
    for number in sorted(chosen.tolist(), reverse=True):  # from the end, so that the places before stay what they are
        place = letters[number]
        typed[place : place + 2] = _mistyped(typed[place : place + 2], faults[number], text[letters[others[number]]])
    return "".join(typed)


def negate(text: str, cues: Sequence[str] = NEGATIONS) -> str:
    """Turn a text's claim round: take out every word that negates, or put the first of ``cues`` in front.

    It knows words and no grammar: of a text with several claims all negated ones are affirmed, or the first is negated.

    Args:
        text: returned as it is where it is blank.
        cues: the words that negate, in any case of letters.
    """
    if not text.strip():
        return text
    affirmed, found = re.subn(rf"{_any_of(cues)}\s*", "", text, flags=re.IGNORECASE)
    return affirmed.strip() if found else f"{cues[0]} {text}"


def swap_terms(text: str, swaps: Mapping[str, str]) -> str:
    """Put each of a pair of terms where the other stands, both ways, with the letters' case kept.

    Args:
        text: returned as it is where it has no such term.
        swaps: a pair of terms each, such as ``{"left": "right"}``; whole words are swapped, in any case of letters.

    Raises:
        InputError: where a term is in two pairs.
    """
    pairs = [*swaps.items(), *((other, one) for one, other in swaps.items())]
    partner = {one.lower(): other for one, other in pairs}
    if len(partner) < 2 * len(swaps):
        raise InputError(f"A term of {dict(swaps)} is in two pairs to be swapped: give each term once.")
    if not partner:
        return text
    longest_first = sorted(partner, key=len, reverse=True)
    pattern = re.compile(_any_of(longest_first), re.IGNORECASE)
    return pattern.sub(lambda found: _cased(partner[found[0].lower()], like=found[0]), text)


def preference(right: ArrayLike, wrong: ArrayLike) -> float:
    """Share of rows whose true text scores above its changed twin, ties counted half.

    With `shuffle_words` the test of order (as in ARO: Yuksekgonul et al., 2023), with `negate` that of negation, with
    `swap_terms` that of a distinction. A bag of words has exactly 0.5 in the first. It is a statistic as a
    `Measurement` wants it: ``Measurement(task, "preference", preference, (right, wrong), groups)``.

    Args:
        right: (N,) scores of the true texts, such as cosines to their images.
        wrong: (N,) scores of the twins; nearer than `TIE` is a tie.

    Returns:
        A figure in [0, 1], 0.5 by chance; NaN where there is no row or a score is NaN.
    """
    ahead = np.asarray(right, dtype=np.float64) - np.asarray(wrong, dtype=np.float64)
    if not ahead.size or np.isnan(ahead).any():
        return float("nan")
    return float(np.mean((ahead > TIE) + 0.5 * (np.abs(ahead) <= TIE)))


def _mistyped(pair: list[str], fault: int, other: str) -> list[str]:
    """A letter and what follows it, if anything, with one of four faults."""
    letter, after = pair[0], pair[1:]
    return [after, [letter, letter, *after], [*after, letter], [other, *after]][fault]


def _any_of(terms: Sequence[str]) -> str:
    """A pattern of whole words; a hyphen does not end one."""
    return rf"(?<![\w-])(?:{'|'.join(map(re.escape, terms))})(?![\w-])"


def _cased(term: str, like: str) -> str:
    if like.isupper() and len(like) > 1:
        return term.upper()
    return term[:1].upper() + term[1:] if like[:1].isupper() else term
