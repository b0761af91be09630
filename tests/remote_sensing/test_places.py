"""Places: whatever the layout of the patches, two of different places or splits are never nearer than was asked for."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from rasterio.crs import CRS
from rasterio.transform import Affine
from rasterio.warp import transform, transform_bounds

from plait.errors import InputError
from plait_remote_sensing.pairing.places import blocked, bounds_of, cells, components, near_pairs, with_gap
from plait_remote_sensing.raster import Grid, Window

GEOD = Geod(ellps="WGS84")
DISTANCE = 5_000.0
SEAM = [(179.99, 10.0), (-179.99, 10.01), (179.96, 71.0), (-179.87, 71.02), (0.0, 89.99), (120.0, 89.98), (5.0, -89.97)]


def square(longitude: float, latitude: float, side: float = 0.02) -> list[float]:
    east = (longitude + side + 180) % 360 - 180
    return [longitude, latitude, east, min(latitude + side, 90.0)]


@st.composite
def layouts(draw: st.DrawFn) -> np.ndarray:
    """Patches around a few points, on the antimeridian and beside the poles too, near enough to be one place or not."""
    centres = draw(st.lists(st.sampled_from([*SEAM, (9.0, 48.0), (-70.0, -33.0)]), min_size=1, max_size=3))
    offsets = st.tuples(st.floats(-0.12, 0.12), st.floats(-0.12, 0.12), st.floats(0.001, 0.04))
    boxes: list[list[float]] = []
    for longitude, latitude in centres:
        for along, up, side in draw(st.lists(offsets, min_size=1, max_size=5)):
            wide = along / max(np.cos(np.radians(latitude)), 0.01)
            lower = float(np.clip(latitude + up, -90, 89.999))
            boxes.append(square((longitude + wide + 180) % 360 - 180, lower, side))
    return np.asarray(boxes)


def points(box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(25,) longitudes and latitudes in a box."""
    west, south, east, north = box
    along, up = np.meshgrid(np.linspace(0, (east - west) % 360, 5), np.linspace(south, north, 5))
    return west + along.ravel(), up.ravel()


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """The least geodesic distance of 25 points of one box and 25 of another: never less than that of the boxes."""
    (a, b), (c, d) = points(one), points(other)
    return float(GEOD.inv(np.repeat(a, 25), np.repeat(b, 25), np.tile(c, 25), np.tile(d, 25))[2].min())


@settings(max_examples=40, deadline=None)
@given(layouts())
def test_patches_of_two_places_are_never_nearer_than_the_distance(bounds: np.ndarray) -> None:
    names = components(bounds, DISTANCE)
    for one, other in combinations(range(len(bounds)), 2):
        if names[one] != names[other]:
            assert apart(bounds[one], bounds[other]) >= DISTANCE


@settings(max_examples=40, deadline=None)
@given(layouts(), st.randoms(use_true_random=False))
def test_patches_of_two_splits_are_never_nearer_than_the_distance(bounds: np.ndarray, random: object) -> None:
    given_splits = [random.choice(["train", "val", "test", "gap"]) for _ in bounds]  # pyright: ignore
    splits = with_gap(bounds, given_splits, DISTANCE)
    for one, other in combinations(range(len(bounds)), 2):
        if splits[one] != splits[other] and "gap" not in (splits[one], splits[other]):
            assert apart(bounds[one], bounds[other]) >= DISTANCE
    # Test stands, and nothing gains a split.
    assert all(was == now for was, now in zip(given_splits, splits, strict=True) if was == "test" or now != "gap")


@settings(max_examples=30, deadline=None)
@given(layouts(), st.permutations(range(15)))
def test_places_and_their_names_do_not_depend_on_the_order(bounds: np.ndarray, order: list[int]) -> None:
    order = [place for place in order if place < len(bounds)]
    names = components(bounds, DISTANCE)
    assert components(bounds[order], DISTANCE) == [names[place] for place in order]


@pytest.mark.parametrize("latitude", [0.0, 45.0, -60.0])
def test_patches_clearly_farther_than_the_distance_are_two_places(latitude: float) -> None:
    longitude, _, _ = GEOD.fwd(10.02, latitude + 0.02, 90, 1.02 * DISTANCE)
    boxes = np.asarray([square(10.0, latitude), square(longitude, latitude)])
    assert apart(*boxes) > DISTANCE
    assert len(set(components(boxes, DISTANCE))) == 2
    assert len(set(components(boxes, 1.03 * DISTANCE))) == 1


def test_a_chain_of_near_patches_is_one_place_and_is_named_after_its_corner() -> None:
    chain = np.asarray([square(8.0 + 0.03 * step, 47.0 + 0.001 * step) for step in range(20)])
    assert components(chain, 1_000.0) == ["+47.00000+008.00000"] * 20
    assert len(set(components(chain, 100.0))) == 20


def test_a_place_is_named_after_its_southernmost_patch() -> None:
    boxes = np.asarray([square(8.00, 47.01), square(8.01, 47.0), square(8.02, 47.0)])
    assert set(components(boxes, 0.0)) == {"+47.00000+008.01000"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([0.0, 89.98, 1.0, 89.99], [180.0, 89.98, -179.0, 89.99]),  # across the pole
        ([0.0, 60.0, 1.0, 80.0], [1.2, 60.0, 2.0, 80.0]),  # 11 km apart at their feet, 4 at their heads
        ([179.0, 60.0, -179.95, 80.0], [-179.75, 60.0, -179.0, 80.0]),  # the same across the antimeridian
        ([179.99, 10.0, -179.98, 10.03], [-179.946, 10.0, -179.92, 10.03]),  # one of them on the antimeridian
        ([-180.0, 89.9, 180.0, 90.0], [30.0, 89.8, 31.0, 89.87]),  # a polar cap
    ],
)
def test_boxes_that_are_near_where_the_earth_is_narrow_are_one_place(one: list[float], other: list[float]) -> None:
    assert len(set(components(np.asarray([one, other]), DISTANCE))) == 1
    # Components put boxes in order; pairs do not.
    assert len(near_pairs(np.asarray([one, other]), DISTANCE)[0])
    assert len(near_pairs(np.asarray([other, one]), DISTANCE)[0])


def test_patches_that_touch_or_are_one_are_joined_at_no_distance() -> None:
    boxes = np.asarray([[8.0, 47.0, 8.1, 47.1], [8.1, 47.0, 8.2, 47.1], [8.0, 47.0, 8.1, 47.1], [8.3, 47, 8.4, 47.1]])
    assert [name == "+47.00000+008.00000" for name in components(boxes, 0.0)] == [True, True, True, False]


def test_no_patches_have_no_places() -> None:
    assert components(np.zeros((0, 4)), 1.0) == []
    assert with_gap(np.zeros((0, 4)), [], 1.0) == []


def test_the_same_ground_on_the_grids_of_two_utm_zones_is_one_place() -> None:
    x, y = 790_000.0, 5_330_000.0
    there, up = (values[0] for values in transform("EPSG:32632", "EPSG:32633", [x], [y])[:2])
    grids = utm("EPSG:32632", x, y), utm("EPSG:32633", there, up), utm("EPSG:32633", there + 10_000, up)
    bounds = np.concatenate([bounds_of(grid, [Window(0, 0, 256, 256)]) for grid in grids])
    first, second, third = components(bounds, 0.0)
    assert first == second != third
    assert len(set(components(bounds, 8_000.0))) == 1


def utm(crs: str, x: float, y: float) -> Grid:
    return Grid(CRS.from_string(crs), Affine(10, 0, x, 0, -10, y), 2560, 2560)


def test_bounds_are_those_of_the_followed_edges() -> None:
    grid = utm("EPSG:32633", 300_000, 7_900_000)
    windows = [Window(0, 0, 2560, 2560), Window(512, 256, 256, 256)]
    for window, found in zip(windows, bounds_of(grid, windows), strict=True):
        left, top = grid.transform @ (window.column, window.row)
        right, bottom = grid.transform @ (window.right, window.bottom)
        known = transform_bounds(grid.crs, "EPSG:4326", left, bottom, right, top, densify_pts=101)
        assert np.allclose(found, known, atol=2e-5)


def test_a_window_across_the_antimeridian_stays_small() -> None:
    """Zone 1 is counted from 180 degrees west, and grids of it begin before."""
    west, south, east, north = bounds_of(utm("EPSG:32601", 340_000, 7_000_000), [Window(0, 0, 2560, 2560)])[0]
    assert west > 179 > -179 > east
    assert (east - west) % 360 < 1.0
    assert south < north


def test_a_window_over_the_pole_has_all_longitudes() -> None:
    grid = Grid(CRS.from_epsg(3413), Affine(100, 0, -12_800, 0, -100, 12_800), 256, 256)
    assert bounds_of(grid, [grid.extent])[0].tolist()[::2] == [-180.0, 180.0]
    assert bounds_of(grid, [grid.extent])[0, 3] == 90.0
    beside = bounds_of(grid, [Window(200, 0, 56, 56)])[0]
    assert beside[3] < 90.0


def test_a_grid_in_degrees_round_the_whole_earth_has_all_longitudes() -> None:
    grid = Grid(CRS.from_epsg(4326), Affine(1, 0, -180, 0, -1, 80), 360, 100)
    assert bounds_of(grid, [grid.extent])[0].tolist() == [-180.0, -20.0, 180.0, 80.0]


def test_a_raster_without_coordinates_has_no_place() -> None:
    with pytest.raises(InputError, match="no place on Earth"):
        bounds_of(Grid(None, Affine.identity(), 10, 10), [Window(0, 0, 10, 10)])


def test_cells_are_about_square_and_turn_with_the_earth() -> None:
    longitude, latitude = np.meshgrid(np.linspace(-180, 180, 721), np.asarray([0.01, 45.01, 75.01, -60.01]))
    for row in range(4):
        count = len(set(cells(longitude[row], latitude[row], 200.0)))
        around = 40_030.0 * np.cos(np.radians(latitude[row, 0]))
        assert abs(around / count - 200.0) < 12.0
    assert cells(np.asarray([-180.0, 180.0]), np.zeros(2), 50.0)[0] == cells(np.asarray([180.0]), np.zeros(1), 50.0)[0]
    assert len(set(cells(np.asarray([3.0, 100.0]), np.asarray([90.0, 90.0]), 50.0))) == 1


@pytest.fixture(scope="module")
def mosaic() -> np.ndarray:
    """60 x 40 patches of about 2.2 km, edge to edge: one component."""
    columns, rows = np.meshgrid(np.arange(60), np.arange(40))
    west, south = 10 + 0.03 * columns.ravel(), 47 + 0.02 * rows.ravel()
    return np.stack([west, south, west + 0.03, south + 0.02], axis=1)


class TestBlocked:
    def test_a_mosaic_is_split_with_a_gap_as_wide_as_was_asked_for(self, mosaic: np.ndarray) -> None:
        assert len(set(components(mosaic, 0.0))) == 1
        groups, splits = blocked(mosaic, 30.0, DISTANCE)
        split_of: dict[str, set[str]] = {}
        for group, split in zip(groups, splits, strict=True):
            split_of.setdefault(group, set()).add(split)
        assert all(len(found - {"gap"}) <= 1 for found in split_of.values())
        train, val = (mosaic[[split == name for split in splits]] for name in ("train", "val"))
        one, other = near_pairs(np.concatenate([train, val]), DISTANCE)
        assert len(one) > 1000
        assert ((one < len(train)) == (other < len(train))).all()
        assert 0.1 < len(val) / len(mosaic) < 0.35
        assert len(train) > len(mosaic) / 3

    def test_the_draw_is_the_seeds_and_not_the_orders(self, mosaic: np.ndarray) -> None:
        order = np.random.default_rng(1).permutation(len(mosaic))
        _, splits = blocked(mosaic, 30.0, DISTANCE, seed=4)
        assert blocked(mosaic[order], 30.0, DISTANCE, seed=4)[1] == [splits[place] for place in order]
        assert blocked(mosaic, 30.0, DISTANCE, seed=5)[1] != splits

    def test_of_one_cell_nothing_is_held_out(self, mosaic: np.ndarray) -> None:
        assert set(blocked(mosaic[:2], 1_000.0, DISTANCE)[1]) == {"train"}
