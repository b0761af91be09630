"""Recall of each modality by the other, both ways, beside sorting the whole similarity matrix: time and peak memory.

Plait ranks in blocks of float64 and counts ties; the others sort all N^2 similarities in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from measure import Cell, alone, emit, library, medians, options, peak_megabytes, report
from torch import Tensor
from torch.nn import functional as F

from plait.evaluation import retrieval_ranks

type Recalls = dict[str, float]
type Metric = Callable[[Tensor, Tensor], Recalls]

WIDTH, KS = 512, (1, 5, 10)


def ours(a: Tensor, b: Tensor) -> Recalls:
    """Plait's ranks."""
    keys = np.arange(len(a))
    sides = {"ab": (a.numpy(), b.numpy()), "ba": (b.numpy(), a.numpy())}
    ranks = {name: retrieval_ranks(*side, keys, keys) for name, side in sides.items()}
    return {f"{name}@{k}": float(np.mean(ranks[name] <= k)) for name in ranks for k in KS}


def argsort(a: Tensor, b: Tensor) -> Recalls:
    """The rank of each partner in the sorted similarities."""
    similarity, partner = a @ b.T, torch.arange(len(a))[:, None]
    found: Recalls = {}
    for name, rows in {"ab": similarity, "ba": similarity.T}.items():
        place = torch.where(rows.argsort(dim=1, descending=True) == partner)[1]
        found |= {f"{name}@{k}": float((place < k).float().mean()) for k in KS}
    return found


def implementations() -> dict[str, Metric]:
    """Ours first."""
    metrics: dict[str, Metric] = {"plait retrieval_ranks": ours, "torch argsort": argsort}
    if open_clip := library("open_clip_train.train"):

        def open_clips(a: Tensor, b: Tensor) -> Recalls:
            found = open_clip.get_clip_metrics(a, b, 1.0)
            names = {"ab": "image_to_text", "ba": "text_to_image"}
            return {f"{side}@{k}": float(found[f"{name}_R@{k}"]) for side, name in names.items() for k in KS}

        metrics["open_clip get_clip_metrics"] = open_clips
    return metrics


def rows(n: int) -> tuple[Tensor, Tensor]:
    """Two noisy views of n instances, of which some are found and some are not."""
    generator = torch.Generator().manual_seed(0)
    shared = torch.randn(n, WIDTH, generator=generator)
    a, b = (F.normalize(shared + 2 * torch.randn(n, WIDTH, generator=generator), dim=1) for _ in range(2))
    return a, b


def peak(n: int, name: str) -> float | None:
    """Peak memory of one implementation, for a fresh process."""
    metric = implementations()[name]
    metric(*rows(8))  # what is loaded once, at first use
    return peak_megabytes(partial(metric, *rows(n)))


def main() -> None:
    chosen = options(__doc__, sizes=(5_000,), large=(20_000,))
    metrics = implementations()
    lines: list[dict[str, Cell]] = []
    for n in chosen.sizes:
        a, b = rows(n)
        recalls = {name: metric(a, b) for name, metric in metrics.items()}
        times = medians({name: partial(metric, a, b) for name, metric in metrics.items()}, chosen.rounds)
        mine = next(iter(metrics))
        for name, found in recalls.items():
            off = max(abs(found[measure] - right) for measure, right in recalls[mine].items())
            if off > 5 / n:  # queries on the edge of float32
                raise SystemExit(f"{name} and {mine} differ by {off:.1e} in a recall: no time of theirs counts.")
            line: dict[str, Cell] = {"metric": name, "N": n, "recall_at_1": found["ab@1"], "seconds": times[name]}
            line |= {"plait_times_as_fast": times[name] / times[mine]}
            lines.append(emit(line | {"peak_MB": alone(peak, n, name)}))
    report(lines)


if __name__ == "__main__":
    main()
