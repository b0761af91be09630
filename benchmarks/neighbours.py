"""The two probes of frozen features beside what people call today: time, and the same answer.

All start from raw features: each standardises by the training rows and scales rows to length one where it votes by
cosine. The linear probe is compared with scikit-learn choosing the same strengths on as many held-out parts.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from measure import Cell, emit, library, medians, options, report
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler
from torch.nn import functional as F

from plait.evaluation.knn import knn_probe
from plait.evaluation.probes import HOLDOUTS, STRENGTHS, linear_probe

type Array = NDArray[Any]
type Probe = Callable[[Array, Array, Array], Array]

WIDTH, K, TEMPERATURE = 512, 200, 0.07
QUERIES = 2000


def blobs(n: int, classes: int, spread: float) -> tuple[Array, Array]:
    """n rows around a centre a class, in unlike units."""
    rng = np.random.default_rng(0)
    centres, y = rng.standard_normal((classes, WIDTH)), rng.integers(0, classes, n)
    return ((centres[y] + spread * rng.standard_normal((n, WIDTH))) * rng.uniform(0.1, 10, WIDTH)).astype(np.float32), y


def standardised(x: Array, asked: Array) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit rows in torch, as a few lines of a user's own."""
    bank, queries = torch.from_numpy(x), torch.from_numpy(asked)
    deviation, mean = torch.std_mean(bank, dim=0, correction=0)
    return F.normalize((bank - mean) / deviation, dim=1), F.normalize((queries - mean) / deviation, dim=1)


def plain_knn(x: Array, y: Array, asked: Array) -> Array:
    """One matrix product, topk, and a vote."""
    bank, queries = standardised(x, asked)
    cosine, nearest = (queries @ bank.T).topk(K)
    votes = torch.zeros(len(asked), int(y.max()) + 1)
    votes.scatter_add_(1, torch.from_numpy(y)[nearest], ((cosine - 1) / TEMPERATURE).exp())
    return (votes / votes.sum(dim=1, keepdim=True)).numpy()


def sklearn_knn(x: Array, y: Array, asked: Array) -> Array:
    """Brute force in scikit-learn; on unit rows the squared distance is 2 - 2 cosine."""
    weights: Any = lambda distance: np.exp(-(distance**2) / 2 / TEMPERATURE)  # noqa: E731
    model = make_pipeline(StandardScaler(), Normalizer(), KNeighborsClassifier(K, weights=weights, algorithm="brute"))
    return model.fit(x, y).predict_proba(asked)


def lightly_knn(lightly: Any, x: Array, y: Array, asked: Array) -> Array:
    """The class order of lightly's vote."""
    bank, queries = standardised(x, asked)
    classes = int(y.max()) + 1
    return lightly.knn_predict(queries, bank.T, torch.from_numpy(y), classes, knn_k=K, knn_t=TEMPERATURE).numpy()


def sklearn_linear(x: Array, y: Array, asked: Array) -> Array:
    """LogisticRegressionCV over the same strengths."""
    strengths: Any = list(STRENGTHS)
    chosen = LogisticRegressionCV(Cs=strengths, cv=HOLDOUTS, scoring="neg_log_loss", max_iter=1000, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # attributes that scikit-learn will rename
        return make_pipeline(StandardScaler(), chosen).fit(x, y).predict_proba(asked)


def sklearn_fit(x: Array, y: Array, asked: Array) -> Array:
    """One fit at a strength that is given: what choosing costs is the difference."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1e-2, max_iter=1000, tol=1e-3))
    return model.fit(x, y).predict_proba(asked)


def compare(
    task: str, probes: dict[str, Probe], data: tuple[Array, ...], rounds: int, alike: float
) -> list[dict[str, Cell]]:
    """A line for each probe, ours first: time, and the share of its predictions that are ours, at least ``alike``."""
    x, y, asked, right = data
    times = medians({name: partial(probe, x, y, asked) for name, probe in probes.items()}, rounds)
    predicted = {name: _classes(probe(x, y, asked)) for name, probe in probes.items()}
    ours = next(iter(probes))
    lines: list[dict[str, Cell]] = []
    for name, classes in predicted.items():
        line: dict[str, Cell] = {"task": task, "probe": name, "N": len(x), "seconds": times[name]}
        line |= {"plait_times_as_fast": times[name] / times[ours], "accuracy": float(np.mean(classes == right))}
        share = float(np.mean(classes == predicted[ours]))
        if share < alike:
            raise SystemExit(f"{name} and {ours} agree on {share:.1%} of the classes only: no time of theirs counts.")
        lines.append(emit(line | {"as_plait": share}))
    return lines


def main() -> None:
    chosen = options(__doc__, sizes=(50_000,))
    neighbours: dict[str, Probe] = {
        "plait knn_probe": lambda x, y, asked: knn_probe(x, y, asked, k=K, temperature=TEMPERATURE),
        "torch matmul + topk": plain_knn,
        "scikit-learn brute": sklearn_knn,
    }
    if lightly := library("lightly.utils.benchmarking"):
        neighbours["lightly knn_predict"] = partial(lightly_knn, lightly)
    linear: dict[str, Probe] = {
        "plait linear_probe": linear_probe,
        "scikit-learn LogisticRegressionCV": sklearn_linear,
        "scikit-learn LogisticRegression, C given": sklearn_fit,
    }
    lines: list[dict[str, Cell]] = []
    for n in chosen.sizes:
        asked = max(1, min(QUERIES, n // 2))
        x, y = blobs(n + asked, 100, 5.0)
        lines += compare("neighbours", neighbours, (x[:n], y[:n], x[n:], y[n:]), chosen.rounds, 0.999)
        x, y = blobs(n // 10 + asked, 10, 8.0)
        data = x[: n // 10], y[: n // 10], x[n // 10 :], y[n // 10 :]
        lines += compare("linear", linear, data, chosen.rounds, 0.0)  # each chooses its own strength
    report(lines)


def _classes(scores: Array) -> Array:
    """Scores (M, K), or classes in order of preference, to the first class."""
    return scores.argmax(axis=1) if scores.dtype.kind == "f" else scores[:, 0]


if __name__ == "__main__":
    main()
