"""Where patches may lie and which are drawn: all of every place, what was observed, strata, classes, and no loop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rasterio.transform import Affine

from plait.errors import InputError
from plait.pairs.table import PairTable
from plait_remote_sensing.load import Loader
from plait_remote_sensing.raster import Window
from plait_remote_sensing.sampling import (
    Frame,
    Place,
    balanced_frames,
    balanced_patches,
    by_class,
    frames_of,
    grid_patches,
    places_of,
    random_patches,
    stratified_patches,
)
from plait_remote_sensing.scene import Scene

type Write = Callable[..., Path]


@pytest.fixture
def place(tmp_path: Path, write_raster: Write) -> Callable[..., Place]:
    """A place of one SAR raster in dB of the given values (H, W), all of it or an area."""

    def make(values: np.ndarray, name: str = "a", area: Window | None = None, **more: object) -> Place:
        write_raster(tmp_path / f"{name}.tif", values[None].astype(np.float32), **more)
        scene = Scene("sar", (f"{name}.tif",), ("VV",), "db")
        extent = Window(0, 0, values.shape[1], values.shape[0])
        return Place(name, tmp_path, {"sar": scene}, f"{name}.tif", area or extent)

    return make


def land(height: int, width: int) -> np.ndarray:
    return np.full((height, width), -12.0)


def test_a_frame_knows_every_position_of_a_patch(place: Callable[..., Place]) -> None:
    frame = Frame.of(place(land(20, 30)), 8, observed=0)
    assert frame.weight() == (20 - 8 + 1) * (30 - 8 + 1)
    assert frame.weight(frame.inside(Window(5, 5, 10, 9))) == 3 * 2
    assert frame.weight(frame.inside(Window(5, 5, 7, 20))) == 0


def test_draws_reach_every_position_and_none_more_than_others(place: Callable[..., Place]) -> None:
    """The cells of corners are 2 pixels wide here and the last is cut, so a wrong count of corners would show."""
    frame = Frame.of(place(land(20, 22)), 16, observed=0)
    seen = Counter(frame.draw(np.random.default_rng(0), 7000))
    assert {(window.column, window.row) for window in seen} == {(c, r) for c in range(7) for r in range(5)}
    assert 150 < min(seen.values()) <= max(seen.values()) < 250


def test_draws_stay_in_the_area_and_in_the_window_asked_for(place: Callable[..., Place]) -> None:
    area = Window(7, 3, 40, 50)
    frame = Frame.of(place(land(60, 60), area=area), 16, observed=0)
    for window in frame.draw(np.random.default_rng(0), 200):
        assert window.clipped(area) == window
    inner = Window(11, 9, 21, 17)
    drawn = set(frame.draw(np.random.default_rng(0), 200, frame.inside(inner)))
    assert {(window.column, window.row) for window in drawn} == {(c, r) for c in range(11, 17) for r in (9, 10)}


def test_places_have_patches_in_proportion_to_their_positions(place: Callable[..., Place]) -> None:
    frames = frames_of([place(land(16, 16), "small"), place(land(16, 46), "large")], 16, observed=0)
    sources = Counter(patch.source for patch in random_patches(frames, 3200))
    assert sources[0] == pytest.approx(100, abs=35)
    assert sources[0] + sources[1] == 3200


def test_nothing_is_drawn_where_too_little_was_observed(place: Callable[..., Place]) -> None:
    """The right part of the swath is without data; a patch may reach over its edge by at most half."""
    values = land(64, 200)
    values[:, 100:] = np.nan
    frame = Frame.of(place(values), 32, observed=0.5)
    rights = [patch.window.right for patch in random_patches([frame], 2000)]
    assert 100 + 16 - 4 <= max(rights) <= 100 + 16 + 4  # the cells are 4 pixels wide
    assert min(patch.window.column for patch in random_patches([frame], 2000)) == 0


def test_each_scene_of_a_place_must_have_observed_enough(tmp_path: Path, write_raster: Write) -> None:
    left, right = land(32, 96), land(32, 96)
    left[:, 64:], right[:, :32] = np.nan, np.nan
    scenes = {}
    for modality, values in (("sar_before", left), ("sar_after", right)):
        write_raster(tmp_path / f"{modality}.tif", values[None].astype(np.float32))
        scenes[modality] = Scene("sar", (f"{modality}.tif",), ("VV",), "db")
    frame = Frame.of(Place("a", tmp_path, scenes, "sar_before.tif", Window(0, 0, 96, 32)), 32, observed=0.9)
    columns = {patch.window.column for patch in random_patches([frame], 300)}
    assert min(columns) >= 28
    assert max(columns) <= 36


def test_what_was_observed_is_seen_on_another_grid_and_on_none(tmp_path: Path, write_raster: Write) -> None:
    values = land(64, 64)
    values[:, 32:] = np.nan
    write_raster(tmp_path / "fine.tif", np.ones((1, 128, 128), np.uint16), transform=Affine(5, 0, 5e5, 0, -5, 5e6))
    write_raster(tmp_path / "coarse.tif", values[None].astype(np.float32))
    sar = Scene("sar", ("coarse.tif",), ("VV",), "db")
    warped = Frame.of(Place("a", tmp_path, {"sar": sar}, "fine.tif", Window(0, 0, 128, 128)), 16, observed=1.0)
    assert max(patch.window.right for patch in random_patches([warped], 500)) in range(60, 67)
    write_raster(tmp_path / "picture.tif", values[None].astype(np.float32), crs=None)
    picture = Scene("sar", ("picture.tif",), ("VV",), "db")
    plain = Frame.of(Place("a", tmp_path, {"sar": picture}, "picture.tif", Window(0, 0, 64, 64)), 16, observed=1.0)
    assert max(patch.window.right for patch in random_patches([plain], 500)) in range(30, 34)


def test_a_picture_without_coordinates_is_judged_by_the_middle_of_each_cell(
    tmp_path: Path, write_raster: Write
) -> None:
    """Only the lower half is the area, and of it only one pixel of each cell of 4 x 4 was observed."""
    values = np.full((1, 128, 64), np.nan, np.float32)
    values[0, 66::4, 2::4] = -12
    write_raster(tmp_path / "picture.tif", values, crs=None)
    scene = Scene("sar", ("picture.tif",), ("VV",), "db")
    lower = Place("a", tmp_path, {"sar": scene}, "picture.tif", Window(0, 64, 64, 64))
    assert Frame.of(lower, 32, observed=1.0).weight() == 33**2


def test_clouds_count_as_not_observed_where_a_classification_tells_of_them(tmp_path: Path, write_raster: Write) -> None:
    codes = np.full((1, 32, 96), 4, np.uint8)
    codes[0, :, 48:] = 9  # cloud of high probability
    write_raster(tmp_path / "scl.tif", codes)
    write_raster(tmp_path / "s2.tif", np.full((1, 32, 96), 900, np.uint16))
    optical = Scene("optical", ("s2.tif",), ("B04",), "dn", scl="scl.tif")
    frame = Frame.of(Place("a", tmp_path, {"optical": optical}, "s2.tif", Window(0, 0, 96, 32)), 32, observed=0.9)
    assert max(patch.window.right for patch in random_patches([frame], 200)) <= 48 + 8


def test_an_empty_scene_and_a_small_one_are_one_sentence_and_the_others_go_on(place: Callable[..., Place]) -> None:
    empty, small, good = place(land(32, 32) * np.nan, "empty"), place(land(9, 40), "small"), place(land(32, 32), "good")
    with pytest.raises(InputError, match="empty has no patch of 16 x 16 pixels of which each scene observed 50%"):
        frames_of([empty, good], 16)
    refused: dict[str, str] = {}
    frames = frames_of([empty, small, good], 16, refuse=refused.__setitem__)
    assert [frame.place.name for frame in frames] == ["good"]
    assert set(refused) == {"empty", "small"}
    assert "small has 40 x 9 pixels, less than a patch of 16 x 16" in refused["small"]
    with pytest.raises(InputError, match="No place has a patch of 64 x 64"):
        frames_of([good], 64, refuse=refused.__setitem__)


def test_a_grid_reaches_the_end_of_the_image(place: Callable[..., Place]) -> None:
    frames = frames_of([place(land(20, 37), area=Window(0, 0, 37, 20))], 16, observed=0)
    corners = [(patch.window.column, patch.window.row) for patch in grid_patches(frames)]
    assert corners == [(0, 0), (16, 0), (21, 0), (0, 4), (16, 4), (21, 4)]
    covered = np.zeros((20, 37), bool)
    for patch in grid_patches(frames, stride=10):
        covered[patch.window.row : patch.window.bottom, patch.window.column : patch.window.right] = True
    assert covered.all()
    with pytest.raises(InputError, match="stride of 0"):
        grid_patches(frames, stride=0)


def test_a_grid_leaves_out_what_was_not_observed(place: Callable[..., Place]) -> None:
    values = land(32, 96)
    values[:, :32] = np.nan
    frames = frames_of([place(values)], 32)
    assert [patch.window.column for patch in grid_patches(frames)] == [32, 64]


def test_one_seed_and_epoch_give_one_list_and_shares_are_the_whole(place: Callable[..., Place]) -> None:
    frames = frames_of([place(land(40, 40), "a"), place(land(64, 40), "b")], 16)
    patches = random_patches(frames, 100, seed=3, epoch=5)
    assert patches == random_patches(frames, 100, seed=3, epoch=5)
    assert patches != random_patches(frames, 100, seed=3, epoch=6)
    assert patches != random_patches(frames, 100, seed=4, epoch=5)
    shares = [patches[share::3] for share in range(3)]
    assert Counter(patch for share in shares for patch in share) == Counter(patches)


def test_strata_have_equal_numbers_and_weights_undo_it(place: Callable[..., Place]) -> None:
    places = [place(land(16, 16 + 9 * more), str(more)) for more in (0, 1, 10)]
    frames = frames_of(places, 16, observed=0)
    patches = stratified_patches(frames, ("forest", "forest", "sea"), 301)
    strata = Counter("sea" if patch.source == 2 else "forest" for patch in patches)
    assert set(strata.values()) == {150, 151}
    positions = [frame.weight() for frame in frames]  # 1, 10, 91
    estimated = sum(patch.weight for patch in patches if patch.source == 2) / sum(patch.weight for patch in patches)
    assert estimated == pytest.approx(positions[2] / sum(positions), abs=0.01)
    assert [patch.source for patch in patches] != sorted(patch.source for patch in patches)


@pytest.fixture
def shore(place: Callable[..., Place], tmp_path: Path, write_raster: Write) -> Place:
    """A place of 256 x 128 whose map has class 2 in a corner of 32 x 32, 1 elsewhere, and its lower end unlabelled."""
    codes = np.ones((1, 256, 128), np.uint8)
    codes[0, :32, :32] = 2
    codes[0, 192:] = 255
    write_raster(tmp_path / "classes.tif", codes, nodata=255)
    return place(land(256, 128))


def test_classes_are_strata_by_the_middle_of_a_patch(shore: Place) -> None:
    frames, strata = by_class(frames_of([shore], 32), ["classes.tif"])
    assert strata == [1, 2]
    patches = stratified_patches(frames, strata, 400)
    assert Counter(strata[patch.source] for patch in patches) == {1: 200, 2: 200}
    for patch in patches:
        middle = patch.window.row + 16, patch.window.column + 16
        if strata[patch.source] == 2:
            assert max(middle) < 32 + 4
        assert middle[0] < 192 + 4


def test_balanced_patches_are_drawn_for_each_class_alike_and_weights_undo_it(shore: Place) -> None:
    """Means over balanced patches, weighted, are those over random ones; the rare class is there far more often."""
    frames = frames_of([shore], 32)
    patches = balanced_patches(frames, ["classes.tif"], 4000)
    assert patches == random_patches(balanced_frames(frames, ["classes.tif"]), 4000)
    rare = np.asarray([max(0, 32 - p.window.row) * max(0, 32 - p.window.column) / 32**2 for p in patches])
    uniform = [max(0, 32 - row) * max(0, 32 - column) / 32**2 for row in range(225) for column in range(97)]
    weights = np.asarray([patch.weight for patch in patches])
    assert (rare > 0).mean() == pytest.approx(0.53, abs=0.06)  # half for its own sake, and a few of the others
    assert np.mean(np.asarray(uniform) > 0) < 0.05
    assert np.average(rare, weights=weights) == pytest.approx(np.mean(uniform), rel=0.25)
    assert weights.mean() == pytest.approx(224 / 225, abs=0.15)
    assert all(patch.window.row < 192 for patch in patches)


def test_a_map_that_labels_nothing_is_said(shore: Place, tmp_path: Path, write_raster: Write) -> None:
    write_raster(tmp_path / "nothing.tif", np.full((1, 256, 128), 255, np.uint8), nodata=255)
    for split in (by_class, balanced_frames):
        with pytest.raises(InputError, match=r"nothing\.tif labels"):
            split(frames_of([shore], 32), ["nothing.tif"])


def test_places_come_from_a_pair_table_and_rows_go_back(table: PairTable) -> None:
    """A place has the area of its rows' split, and a patch of it loads as the row of the table does."""
    places = places_of(table.where_split("train"))
    assert {place.name for place in places} == set(table.where_split("train").groups.tolist())
    row = table.row(0)
    place = next(place for place in places if place.name == row["group"])
    again = place.row(Window.parse(row["window"]))
    load = Loader(context=0)
    assert again["area"] == row["area"]
    for name in ("sar", "optical"):
        if row[name] is not None:
            assert load(again, table.root, (name,))[name].equal(load(row, table.root, (name,))[name])
