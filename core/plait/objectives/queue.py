"""A queue of the latest rows, for objectives that want more others than a batch holds."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plait.losses.precision import full_precision


class Queue(nn.Module):
    """First in, first out. All its state is in buffers, so a run that was killed goes on with the same queue.

    It starts empty: what was never pushed is nobody's negative.

    Args:
        size: how many rows it holds; a batch may be of any size, also a larger one.
        width: D.
    """

    places: Tensor
    keys: Tensor
    pointer: Tensor
    filled: Tensor

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("places", torch.zeros(size, width))
        self.register_buffer("keys", torch.zeros(size, dtype=torch.int64))
        self.register_buffer("pointer", torch.zeros((), dtype=torch.int64))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    def contents(self) -> tuple[Tensor, Tensor]:
        """(Q, D) places and their (Q,) keys, Q at most ``size``, in no particular order."""
        filled = int(self.filled)
        return self.places[:filled], self.keys[:filled]

    def nearest(self, places: Tensor, keys: Tensor) -> Tensor:
        """(N, D): the likest in the queue to each of (N, D) unit vectors, but of another key.

        A row to which the queue has nothing to say is its own nearest.
        """
        others, their_keys = self.contents()
        if not len(others):
            return places
        others = others.to(places.dtype)
        with full_precision(places):
            similarities = places @ others.T
        best, chosen = similarities.masked_fill(keys[:, None] == their_keys[None], -torch.inf).max(dim=1)
        return torch.where((best > -torch.inf)[:, None], others[chosen], places)

    @torch.no_grad()
    def push(self, places: Tensor, keys: Tensor) -> None:
        """Add (N, D) rows with their (N,) keys, the oldest making room; of more than ``size`` the last stay."""
        count = len(places)
        slots = (self.pointer + torch.arange(count, device=places.device)) % self.size
        last = slice(max(count - self.size, 0), None)
        self.places[slots[last]] = places[last].to(self.places.dtype)
        self.keys[slots[last]] = keys[last]
        self.pointer.add_(count).remainder_(self.size)
        self.filled.add_(count).clamp_(max=self.size)
