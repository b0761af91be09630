"""Text that stands in the pixels of a film, where no header can remove it.

No weights: a letter is a small component of thin strokes with sharp edges, and text is such letters of one height and
one brightness in a row. What is found is a suspicion, for a person to decide on.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

type Grey = NDArray[np.uint8]

_STROKES = (3, 5, 10, 24)  # pixels: letters drawn with anything thinner than one of these stand out from the film
_CONTRASTS = (40, 70, 120)  # of 255 grey levels: faint letters, and bright ones without the blur that joins them
_SHARPNESS = 1.0  # edge of one pixel over contrast: about 1.3 for text, 0.7 for the marks of lung vessels and ribs
_SMALLEST = 5  # pixels of height
_LARGEST = 1 / 12  # of the film's longer side
_MOST = 300  # letters looked at for each stroke and contrast, the brightest first: noise has any number of them


class Box(NamedTuple):
    """Rows ``top`` to ``bottom`` and columns ``left`` to ``right`` of a film, the last ones not included."""

    top: int
    left: int
    bottom: int
    right: int


def suspected_text(pixels: NDArray[np.float32]) -> list[Box]:
    """Find where two or more characters stand in a row, or three in a column of turned text.

    A single character is taken for a side marker. Characters are looked for that are 5 pixels to a twelfth of the
    film's longer side high, bright or dark, and differ from what surrounds them by .16 at least. Handwriting, text
    at a slant and letters that touch are missed; rulers and the grid of a CT scout are taken for text.

    Args:
        pixels: (H, W) in [0, 1]. What is too small to read at this size is too small to be found.

    Returns:
        One box for each piece of text, boxes that touch joined to one.
    """
    grey = np.rint(pixels * 255).astype(np.uint8)
    tallest = max(_SMALLEST, int(max(grey.shape) * _LARGEST))
    found = np.zeros(grey.shape, dtype=bool)
    for ink in (grey, 255 - grey):
        padded = np.pad(ink, 1, mode="edge")
        edges = _slid(np.maximum, padded, 3) - _slid(np.minimum, padded, 3)
        for stroke in _STROKES:
            if 2 * stroke <= tallest:
                strokes = ink - _opened(ink, stroke)
                for contrast in _CONTRASTS:
                    letters = _letters(strokes, edges, contrast, max(_SMALLEST, stroke), min(6 * stroke, tallest))
                    for top, left, bottom, right in (*_rows(letters), *_columns(letters)):
                        found[top:bottom, left:right] = True
    return [Box(*box) for box in _pieces(found)[1].tolist()]


def _letters(strokes: Grey, edges: Grey, contrast: int, shortest: int, tallest: int) -> NDArray[np.float64]:
    """(N, 5) top, left, bottom, right and mean contrast of the components that may be characters."""
    ink = strokes > contrast
    labels, boxes = _pieces(ink)
    if not len(boxes):
        return np.empty((0, 5))
    rim = ink & ~_slid(np.minimum, np.pad(ink, 1), 3)
    area, level = _mean(strokes, labels, ink, len(boxes))
    _, edge = _mean(edges, labels, rim, len(boxes))
    height, width = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    short, long = np.minimum(height, width), np.maximum(height, width)
    filled = area / (height * width)
    kept = (long >= shortest) & (long <= tallest) & (edge > _SHARPNESS * level) & (filled > 0.12)
    kept &= (filled < 0.9) | (short < 0.4 * long)  # a full box is no letter, but for I and 1
    letters = np.column_stack([boxes.astype(np.float64), level])[kept]
    return letters[np.argsort(-letters[:, 4], kind="stable")[:_MOST]]


def _pieces(where: NDArray[np.bool_]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The number of the component that each pixel belongs to, from 1, and the components' boxes (N, 4)."""
    labelled: Any = ndimage.label(where, np.ones((3, 3)))
    labels = labelled[0]
    boxes = [(y.start, x.start, y.stop, x.stop) for y, x in ndimage.find_objects(labels)]
    return labels, np.array(boxes, dtype=np.int64).reshape(-1, 4)


def _mean(values: Grey, labels: NDArray[Any], where: NDArray[np.bool_], count: int) -> tuple[Any, Any]:
    """How many pixels each of the components has, and the mean of their values; both (count,)."""
    places = np.flatnonzero(where)
    of = labels.ravel()[places] - 1
    area = np.bincount(of, minlength=count)
    return area, np.bincount(of, values.ravel()[places], count) / area


def _rows(letters: NDArray[np.float64], fewest: int = 2) -> list[Box]:
    """The boxes of letters side by side: three or more, or ``fewest`` that are much alike."""
    letters = letters[(letters[:, 3] - letters[:, 1]) <= 1.6 * (letters[:, 2] - letters[:, 0])]
    if len(letters) < 2:
        return []
    top, left, bottom, right, level = letters.T
    height = bottom - top
    lower, taller = _pairwise(np.minimum, height), _pairwise(np.maximum, height)
    shared = (_pairwise(np.minimum, bottom) - _pairwise(np.maximum, top)) / lower
    gap = (left - right[:, None]) / taller  # from the letter of the line to that of the column
    unlike = np.abs(_pairwise(np.subtract, level))
    follows = (left > left[:, None]) & (gap > -0.2)
    follows &= (gap < 0.8) & (taller <= 1.6 * lower) & (shared > 0.6) & (unlike < 40)
    twins = follows & (gap < 0.6) & (taller <= 1.3 * lower) & (shared > 0.8)
    twins &= _pairwise(np.minimum, level) > 50
    rows = connected_components(coo_array(follows), directed=False)[1]
    counts = np.bincount(rows)
    alike = np.bincount(rows, twins.any(axis=1)) > 0
    return [_around(letters[rows == row]) for row in np.flatnonzero((counts > 2) | ((counts >= fewest) & alike))]


def _columns(letters: NDArray[np.float64]) -> list[Box]:
    """The boxes of text that was turned by 90 degrees; two pieces of one letter often stand like two turned letters."""
    turned = letters[:, [1, 0, 3, 2, 4]]
    return [Box(left, top, right, bottom) for top, left, bottom, right in _rows(turned, fewest=3)]


def _around(letters: NDArray[np.float64]) -> Box:
    top, left = letters[:, :2].min(axis=0)
    bottom, right = letters[:, 2:4].max(axis=0)
    return Box(int(top), int(left), int(bottom), int(right))


def _pairwise(function: np.ufunc, values: NDArray[Any]) -> NDArray[Any]:
    return function(values[:, None], values)


def _opened(grey: Grey, size: int) -> Grey:
    """The film without what is brighter than its surroundings and thinner than ``size`` pixels."""
    padded = np.pad(grey, size - 1, mode="edge")
    return _slid(np.maximum, _slid(np.minimum, padded, size), size)


def _slid(function: np.ufunc, grey: NDArray[Any], size: int) -> NDArray[Any]:
    """The least or the greatest of each window of size x size; (H - size + 1, W - size + 1).

    Windows are joined from halves, which takes log2(size) passes over bytes: twenty times faster than a running filter.
    """
    for _ in range(2):
        grey, done = grey.T, 1
        while done < size:
            step = min(done, size - done)
            grey, done = function(grey[:-step], grey[step:]), done + step
    return grey
