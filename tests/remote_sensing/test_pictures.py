"""Pictures: the right composites, one stretch for all, and files that are worth opening."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from plait.pairs.table import PairTable
from plait.subjects import RawSubject
from plait_remote_sensing.load import Loader
from plait_remote_sensing.pictures import backscatter_colours, pictures, true_colour
from plait_remote_sensing.raw import RAW


def band(value: float) -> np.ndarray:
    return np.full((2, 2), value, np.float32)


def test_radar_is_vv_vh_and_their_difference() -> None:
    colours = backscatter_colours({"VV": band(-10), "VH": band(-17)})
    np.testing.assert_array_equal(colours[0, 0], [-10, -17, 7])


def test_radar_of_one_band_is_grey() -> None:
    np.testing.assert_array_equal(backscatter_colours({"VV": band(-10)})[0, 0], [-10] * 3)


def test_true_colour_is_red_green_blue_whatever_the_order_of_bands() -> None:
    bands = {"B02": band(0.1), "B08": band(0.4), "B03": band(0.2), "B04": band(0.3)}
    np.testing.assert_allclose(true_colour(bands)[0, 0], [0.3, 0.2, 0.1])


@pytest.fixture(scope="module")
def drawn(table: PairTable, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pictures")
    return {picture.path.name: picture.path for picture in pictures(RawSubject(RAW, Loader(), table), folder)}


def test_pairs_and_scenes_are_drawn(drawn: dict[str, Path]) -> None:
    assert set(drawn) == {"pairs.png", "land_cover.png"}
    for path in drawn.values():
        pixels = np.asarray(Image.open(path).convert("RGB"))
        assert min(pixels.shape[:2]) > 300
        assert pixels.std() > 20


def test_a_table_without_pairs_draws_nothing(table: PairTable, tmp_path: Path) -> None:
    lonely = table.take(np.flatnonzero(~table.present("sar")))
    assert not list(pictures(RawSubject(RAW, Loader(), lonely), tmp_path))
