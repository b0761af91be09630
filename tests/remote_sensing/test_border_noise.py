"""The noisy fringe of a scene goes, with a margin, and is counted; water stays, inside the scene and at its edge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plait_remote_sensing.radar.border_noise import Border, border_noise
from plait_remote_sensing.raster import grid_of, read_window

LOOKS = 4.4


def speckled(decibels: np.ndarray) -> np.ndarray:
    """(2, H, W) with gamma speckle of a ground-range product; the second band 6 dB darker, floored by noise."""
    rng = np.random.default_rng(0)
    both = np.stack([decibels, np.where(decibels < -35, decibels, np.maximum(decibels - 6, -28))])
    return (both + 10 * np.log10(rng.gamma(LOOKS, 1 / LOOKS, both.shape))).astype(np.float32)


def scene(left: int = 0, level: float = -45.0) -> np.ndarray:
    """Land at -10 dB; a lake of calm water inside; ``left`` columns of fringe at the left."""
    decibels = np.full((120, 160), -10.0)
    decibels[40:80, 60:110] = -25.0
    decibels[:, :left] = level
    return speckled(decibels)


def test_a_fringe_is_masked_to_its_last_column_and_the_margin_with_it() -> None:
    found = border_noise(scene(left=12), erosion=3)
    assert found.mask[:, :12].all()
    assert not found.mask[:, 12 + 3 + 2 :].any()
    assert found.mask[:, 12].all()
    assert found.removed == found.mask.sum()
    assert found.observed == 120 * 160


def test_water_inside_the_scene_stays() -> None:
    found = border_noise(scene(left=12))
    assert not found.mask[40:80, 60:110].any()


def test_dark_ground_inside_the_scene_stays_however_dark() -> None:
    decibels = np.full((60, 60), -10.0)
    decibels[20:40, 20:40] = -50.0
    assert not border_noise(speckled(decibels)).mask.any()


def test_the_sea_that_reaches_the_edge_stays() -> None:
    decibels = np.full((120, 160), -10.0)
    decibels[:, :50] = -26.0
    found = border_noise(speckled(decibels))
    assert found.removed == 0
    assert not found.mask.any()


def test_a_scene_without_a_fringe_is_left_whole() -> None:
    found = border_noise(scene())
    assert not found.mask.any()
    assert found.removed == 0


def test_a_missing_corner_is_border_and_so_is_its_margin_where_pixels_were_interpolated_with_zeros() -> None:
    decibels = scene()
    decibels[:, :30, :30] = np.nan
    decibels[:, 30, :31] = decibels[:, :31, 30] = -60.0
    found = border_noise(decibels, erosion=3)
    assert found.mask[:33, :33].all()
    assert found.mask.sum() == 33 * 33
    assert found.removed == 33 * 33 - 30 * 30


def test_a_fringe_between_missing_pixels_and_the_scene_is_found() -> None:
    """As in a rotated swath: nothing, then noise, then land."""
    decibels = scene(left=20)
    decibels[:, :, :12] = np.nan
    found = border_noise(decibels, erosion=0)
    assert found.mask[:, :18].all()
    assert not found.mask[:, 21:].any()
    assert found.removed == pytest.approx(120 * 8, abs=2 * 120)


def test_a_gap_inside_the_scene_is_no_border() -> None:
    decibels = scene(left=12)
    decibels[:, 90:100, 130:140] = np.nan
    assert not border_noise(decibels).mask[90:100, 130:140].any()


def test_one_band_with_signal_is_enough_to_stay() -> None:
    decibels = scene()
    decibels[1, :, :10] = -45.0
    assert not border_noise(decibels).mask.any()


def test_more_erosion_takes_that_many_columns_more() -> None:
    wide, narrow = (border_noise(scene(left=12), erosion=pixels).mask[60].sum() for pixels in (7, 2))
    assert wide - narrow == 5


def test_a_scene_of_nothing_is_all_border() -> None:
    found = border_noise(np.full((1, 20, 20), np.nan, np.float32))
    assert found.mask.all()
    assert (found.removed, found.observed) == (0, 0)


def test_it_turns_with_the_scene() -> None:
    decibels = scene(left=12)
    turned = border_noise(np.rot90(decibels, axes=(1, 2)).copy())
    np.testing.assert_array_equal(turned.mask, np.rot90(border_noise(decibels).mask))


def test_the_count_is_said() -> None:
    said = str(Border(np.zeros((1, 1), bool), 1234, 100_000))
    assert said == "1,234 of 100,000 observed pixels (1.23%) are noise or margin at the border"


@pytest.mark.real
@pytest.mark.parametrize(
    "pattern", ["terramesh_lulc/S1RTC/*.tif", "sen1floods11_sample/*S1Hand.tif", "sen12mscr_sample/s1/*.tif"]
)
def test_real_scenes_without_a_border_lose_nothing(shared_data: Path, pattern: str) -> None:
    paths = sorted((shared_data / "remote_sensing").glob(pattern))
    assert paths
    for path in paths:
        grid = grid_of(path)
        assert border_noise(read_window(path, grid.extent, grid, 0.0)).removed == 0
