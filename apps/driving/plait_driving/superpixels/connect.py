"""From an image of ids to superpixels that are each one connected piece, none of them tiny."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

type Ids = NDArray[np.int64]
type Borders = tuple[Ids, Ids, Ids]
"""Pieces (or runs), a neighbour of each, and the length of their border [edges of pixels]."""


def connected(ids: NDArray[np.integer], smallest: int = 1) -> Ids:
    """Split ids into pieces that hang together by edges of pixels, and merge pieces that are too small.

    A small piece goes to the larger neighbour that it shares the longest border with.

    Args:
        ids: (H, W) any integers.
        smallest: pieces of fewer pixels are merged, as long as there is another piece.

    Returns:
        (H, W) ids from 0 without holes.
    """
    # Runs of equal ids within a row are few, and stand for their pixels in what follows.
    begins = np.ones(ids.shape, dtype=bool)
    np.not_equal(ids[:, 1:], ids[:, :-1], out=begins[:, 1:])
    runs = (np.cumsum(begins, dtype=np.int32) - 1).reshape(ids.shape)
    starts = np.flatnonzero(begins)
    ids_of_runs, lengths = ids.reshape(-1)[starts], np.diff(np.append(starts, ids.size))
    above, below, overlap = _overlaps(begins, runs)
    same = ids_of_runs[above] == ids_of_runs[below]
    piece = _joined(len(starts), above[same], below[same])
    sizes = np.bincount(piece, lengths).astype(np.int64)
    if sizes.min() < smallest:
        beside = np.flatnonzero(starts[1:] % ids.shape[1])  # runs after which another of the same row begins
        one, other = np.concatenate([above, beside]), np.concatenate([below, beside + 1])
        length = np.concatenate([overlap, np.ones_like(beside)])
        piece = _merged(sizes, smallest, _borders(piece[one], piece[other], length, sizes < smallest))[piece]
    kept = np.bincount(piece) > 0
    return (np.cumsum(kept) - 1)[piece][runs]


def _overlaps(begins: NDArray[np.bool_], runs: NDArray[np.int32]) -> Borders:
    """Runs that lie one above the other, and in how many columns they do."""
    starts = np.flatnonzero(begins[1:] | begins[:-1])
    above, below = (rows.reshape(-1)[starts].astype(np.int64) for rows in (runs[:-1], runs[1:]))
    return above, below, np.diff(np.append(starts, runs[1:].size))


def _borders(one: Ids, other: Ids, length: Ids, small: NDArray[np.bool_]) -> Borders:
    """Of pieces that touch, the borders that the small ones have."""
    one, other, length = np.concatenate([one, other]), np.concatenate([other, one]), np.concatenate([length, length])
    matters = small[one] & (one != other)
    return one[matters], other[matters], length[matters]


def _joined(number: int, one: Ids, other: Ids) -> Ids:
    """(number,) the connected component of each node of a graph."""
    graph = coo_array((np.ones(len(one), dtype=np.int8), (one, other)), shape=(number, number))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _merged(sizes: Ids, smallest: int, borders: Borders) -> Ids:
    """(P,) which piece each becomes part of, from the borders of the small ones."""
    into = np.arange(len(sizes))
    while True:
        one, other, length = _summed(borders, len(sizes))
        # A piece may only go to a larger one, by number where they are equal: no two go to each other.
        larger = (sizes[other] > sizes[one]) | ((sizes[other] == sizes[one]) & (other > one))
        moves = np.flatnonzero((sizes[one] < smallest) & larger)
        if not len(moves):
            return into
        moves = moves[np.lexsort((other[moves], length[moves], one[moves]))]
        step = np.arange(len(sizes))
        last = np.append(one[moves[1:]] != one[moves[:-1]], True)  # its longest border
        step[one[moves[last]]] = other[moves[last]]
        while not np.array_equal(step, step[step]):
            step = step[step]
        into = step[into]
        sizes = np.bincount(step, sizes, len(sizes)).astype(np.int64)
        borders = step[one], step[other], length


def _summed(borders: Borders, number: int) -> Borders:
    """The same borders, each pair once, and none of a piece with itself."""
    one, other, length = borders
    apart = one != other
    pairs, which = np.unique(one[apart] * number + other[apart], return_inverse=True)
    return pairs // number, pairs % number, np.bincount(which, length[apart], len(pairs)).astype(np.int64)
