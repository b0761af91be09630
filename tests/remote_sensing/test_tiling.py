"""Tiles: laid over any raster, no pixel is missed, weights sum to one, and edges are where squares begin and end."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plait.errors import InputError
from plait_remote_sensing.raster import Window
from plait_remote_sensing.tiling.tiling import Place, Tiling, ramp


@st.composite
def tilings(draw: st.DrawFn) -> Tiling:
    side = draw(st.integers(1, 24))
    return Tiling(draw(st.integers(1, 90)), draw(st.integers(1, 90)), side, draw(st.integers(0, side // 2)))


@settings(deadline=None, max_examples=60)
@given(tilings())
def test_weights_sum_to_one_on_every_pixel(tiling: Tiling) -> None:
    total = np.zeros((1, tiling.height, tiling.width), np.float32)
    for place in tiling.places():
        at = tiling.window(place)
        weight = np.ones((1, at.height, at.width), np.float32)
        tiling.fade(weight, place)
        assert (weight >= 0).all()
        total[:, at.row : at.bottom, at.column : at.right] += weight
    np.testing.assert_allclose(total, 1, atol=1e-6)


@pytest.mark.parametrize("length", [1, 2, 3, 7, 64, 129])
def test_a_ramp_and_its_mirror_image_sum_to_one_exactly(length: int) -> None:
    rise = ramp(length)
    assert (rise + rise[::-1] == 1).all()
    assert (np.diff(rise) > 0).all()
    slow = 0.5 - 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / length)
    np.testing.assert_allclose(rise, slow, atol=1e-7)


@settings(deadline=None, max_examples=60)
@given(tilings(), st.data())
def test_the_squares_that_touch_a_window_are_those_that_share_a_pixel_with_it(
    tiling: Tiling, data: st.DataObject
) -> None:
    column, row = data.draw(st.integers(0, tiling.width - 1)), data.draw(st.integers(0, tiling.height - 1))
    window = Window(column, row, data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40)))
    window = window.clipped(Window(0, 0, tiling.width, tiling.height))
    shares = [place for place in tiling.places() if tiling.window(place).clipped(window).width]
    shares = [place for place in shares if tiling.window(place).clipped(window).height]
    assert list(tiling.touching(window)) == shares


@settings(deadline=None, max_examples=60)
@given(tilings())
def test_borders_are_where_a_square_begins_or_the_one_before_ends(tiling: Tiling) -> None:
    windows = [tiling.window(Place(0, column)) for column in range(tiling.columns)]
    edges = {edge for one, other in pairwise(windows) for edge in (other.column, one.right)}
    found = tiling.borders(0, tiling.width, tiling.width)
    assert {place + 1 for place in np.flatnonzero(found)} == edges
    part = tiling.borders(tiling.width // 3, tiling.width, tiling.width)
    np.testing.assert_array_equal(part, found[tiling.width // 3 :])


def test_a_last_square_is_never_all_overlap() -> None:
    for width in range(1, 200):
        tiling = Tiling(width, 1, 16, 6)
        last = tiling.window(Place(0, tiling.columns - 1))
        assert last.right == width
        assert tiling.columns == 1 or last.width > tiling.overlap


@pytest.mark.parametrize(("side", "overlap"), [(16, 9), (16, 16), (16, 40), (16, -1), (0, 0)])
def test_squares_that_overlap_by_more_than_half_are_refused(side: int, overlap: int) -> None:
    with pytest.raises(InputError, match=r"give --(overlap 0 to 8|tile 1 or more)"):
        Tiling(100, 100, side, overlap)
