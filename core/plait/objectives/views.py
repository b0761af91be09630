"""Which views an objective compares, and every two of them in turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

from torch import Tensor

from plait.errors import InputError
from plait.objectives.step import Step, View


def views_of(of: Sequence[str | list[str]]) -> list[View]:
    """A recipe's ``of``: a name for a modality's own tower, a list of names for the fusion of these alone.

    Raises:
        InputError: where there are fewer than two.
    """
    if len(of) < 2:
        raise InputError(f"Two views or more are compared, and 'of' has {list(of)}: name them.")
    return [view if isinstance(view, str) else tuple(view) for view in of]


def modalities_of(views: Sequence[View]) -> tuple[str, ...]:
    """The modalities that views are made of, each once."""
    names = [name for view in views for name in ((view,) if isinstance(view, str) else view)]
    return tuple(dict.fromkeys(names))


def label(view: View) -> str:
    """What a view is called in the log."""
    return view if isinstance(view, str) else "+".join(view)


def two_or_more(kind: str, of: Sequence[str]) -> tuple[str, ...]:
    """The views of an objective that compares them; raises `InputError` where there are fewer than two."""
    if len(set(of)) < 2 or len(set(of)) < len(of):
        raise InputError(f"{kind} compares two views or more, each named once, and 'of' has {list(of)}: name them.")
    return tuple(of)


def two(kind: str, of: Sequence[str]) -> tuple[str, str]:
    """The modalities of an objective that takes two; raises `InputError` where there are more or fewer."""
    if len(of) != 2 or of[0] == of[1]:
        raise InputError(f"{kind} takes two modalities, and 'of' has {list(of)}: name two.")
    return of[0], of[1]


def every_two(
    step: Step, kind: str, views: Sequence[View], loss: Callable[[Tensor, Tensor], Tensor]
) -> dict[str, Tensor]:
    """The loss of the gathered pairs of every two views, by name; `Step.nothing` where no row has both."""
    losses: dict[str, Tensor] = {}
    for first, second in combinations(views, 2):
        pairs = step.pairs(first, second)
        losses[f"{kind}/{label(first)}~{label(second)}"] = step.nothing() if pairs is None else loss(pairs[0], pairs[1])
    return losses
