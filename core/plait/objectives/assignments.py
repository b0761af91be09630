"""What clusters of the whole training set are found from: the latest features of every row.

A pass over the data for every clustering would be exact, and cost an epoch; here each row's features are those of its
last step. The rows of a clustering are therefore of different ages, up to an epoch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plait.errors import InputError
from plait.losses.clustering import balanced_weights
from plait.losses.kmeans import kmeans, match_labels, seeds
from plait.losses.precision import upcast
from plait.objectives.memory_bank import Bank
from plait.objectives.step import Step


class ClusteredRows(nn.Module):
    """The latest features of each training row of one modality, and its cluster, all in buffers.

    Args:
        rows: how many training rows there are.
        width: D.
        clusters: K.
    """

    labels: Tensor
    weights: Tensor

    def __init__(self, rows: int, width: int, clusters: int) -> None:
        super().__init__()
        self.clusters = clusters
        self.bank = Bank(rows, width, momentum=0.0)
        self.register_buffer("labels", torch.full((rows,), -1))
        self.register_buffer("weights", torch.zeros(rows))

    @torch.no_grad()
    def recluster(self, seed: int) -> None:
        """Find the clusters of all rows that were ever seen, where these are enough, by spherical k-means.

        Clusters keep the numbers of those before that they share most rows with, so what predicts them need not
        begin anew.
        """
        seen = self.bank.seen.nonzero().squeeze(1)
        if len(seen) < self.clusters:
            return
        places = self.bank.places[seen]
        start = seeds(places, self.clusters, torch.Generator().manual_seed(seed))
        labels, before = kmeans(places, start, spherical=True).labels, self.labels[seen]
        known = before >= 0
        self.labels[seen] = match_labels(labels[known], before[known], self.clusters)[labels]
        self.weights.copy_(balanced_weights(self.labels, self.clusters))


def directions(step: Step, name: str) -> Tensor:
    """(B, D) unit vectors of a modality's pooled features; zero where a row lacks it."""
    return F.normalize(upcast(step.features(name).pooled), dim=1)


def enough_rows(kind: str, clusters: int, rows: int) -> None:
    """Raise `InputError` where there are fewer training rows than clusters, or not two clusters."""
    if not 2 <= clusters <= rows:
        raise InputError(
            f"{kind} looks for {clusters} clusters among {rows} training rows: set clusters from 2 to the rows."
        )
