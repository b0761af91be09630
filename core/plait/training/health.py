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


def health_notes(lines: Iterable[str], shared: bool) -> list[str]:
    """What a run's card must say of its training.

    Args:
        lines: of its log.
        shared: whether an objective embedded anything in the shared space; the log of what was resumed may say so, too.
    """
    log, notes = [json.loads(line) for line in lines], list[str]()
    if log and all(line["loss"] == 0 for line in log):
        notes.append(
            "the loss was zero at every logged step: nothing was learnt (first labels may come later than that)"
        )
    if not shared and not any(key.startswith("effective_rank/") for line in log for key in line):
        notes.append(
            "no objective uses the shared space: retrieval and zero-shot figures come from untrained projections"
        )
    first: dict[str, int] = {}
    for line in log:
        for key, value in line.items():
            if key.startswith("spread/") and value < LEAST_SPREAD:
                first.setdefault(key.removeprefix("spread/"), line["step"])
    return notes + [f"the embeddings of {name} were seen collapsed, first at step {at}" for name, at in first.items()]
