"""What training does to the shared space, from the embeddings that a step has computed anyway."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import combinations

from torch import Tensor

from plait.evaluation.diagnostics import (
    LEAST_SPREAD,
    alignment,
    effective_rank,
    is_collapsed,
    modality_gap,
    spread,
)


def health(embeddings: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, float]:
    """Figures for the log: how much of the space each modality uses, and how far apart two of them lie.

    Args:
        embeddings: name of a view to its (B, E) projections and to (B,) which rows have it.

    Returns:
        ``effective_rank/image`` (1 to E) and ``spread/image`` (0 to 1) for each view of two rows or more, and
        ``gap/image~text`` (0 to 2) and ``alignment/image~text`` (0 to 4) for each two with a common row.
    """
    rows = {name: (e.detach().float().cpu().numpy(), there.cpu().numpy()) for name, (e, there) in embeddings.items()}
    figures: dict[str, float] = {}
    for name, (embedding, there) in rows.items():
        if there.sum() > 1:
            figures[f"effective_rank/{name}"] = effective_rank(embedding[there])
            figures[f"spread/{name}"] = spread(embedding[there])
    for (first, (a, in_a)), (second, (b, in_b)) in combinations(rows.items(), 2):
        if (both := in_a & in_b).any():
            figures[f"gap/{first}~{second}"] = modality_gap(a[both], b[both])
            figures[f"alignment/{first}~{second}"] = alignment(a[both], b[both])
    return figures


def collapsed(embeddings: Mapping[str, tuple[Tensor, Tensor]]) -> list[str]:
    """The views of which all rows are, all but, one point."""
    return [name for name, (e, there) in embeddings.items() if is_collapsed(e.detach().float()[there].cpu().numpy())]


def collapse_notes(lines: Iterable[str]) -> list[str]:
    """For the run's card, from the lines of its log: the views that were seen collapsed, and when first."""
    first: dict[str, int] = {}
    for line in map(json.loads, lines):
        for key, value in line.items():
            if key.startswith("spread/") and value < LEAST_SPREAD:
                first.setdefault(key.removeprefix("spread/"), line["step"])
    return [f"the embeddings of {name} were seen collapsed, first at step {step}" for name, step in first.items()]
