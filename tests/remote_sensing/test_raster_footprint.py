"""Where grids lie, by cases that can be worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from pyproj import Geod, Transformer
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.transform import Affine
from shapely import MultiPolygon, Point, Polygon, box

from plait.errors import InputError
from plait_remote_sensing.raster import (
    Grid,
    Window,
    distance_m,
    footprint,
    footprint_of,
    grid_of,
    overlap,
    read_window,
    require_overlap,
)

type Write = Callable[..., Path]


def grid(crs: str, left: float, top: float, pixel: float, width: int, height: int) -> Grid:
    return Grid(CRS.from_string(crs), Affine(pixel, 0, left, 0, -pixel, top), width, height)


def around(lon: float, lat: float, crs: str, size: int = 100, pixel: float = 10.0) -> Grid:
    """A grid whose middle is at a longitude and latitude."""
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    return grid(crs, x - size * pixel / 2, y + size * pixel / 2, pixel, size, size)


TILE = grid("EPSG:32633", 399_960, 5_100_000, 10, 10_980, 10_980)


class TestFootprint:
    def test_degrees_are_their_own_box(self) -> None:
        shape = footprint(grid("EPSG:4326", 10, 50, 0.5, 4, 2))
        assert shape.bounds == (10, 49, 12, 50)
        assert shape.area == pytest.approx(2)

    def test_edges_are_curved_as_they_are(self) -> None:
        """The middle of a tile's northern edge lies beside the chord between its corners."""
        project = Transformer.from_crs("EPSG:32633", "EPSG:4326", always_xy=True)
        shape = footprint(TILE)
        assert isinstance(shape, Polygon)
        for share in (0.25, 0.5, 0.77):
            lon, lat = project.transform(399_960 + share * 109_800, 5_100_000)
            assert shape.exterior.distance(Point(lon, lat)) * 111_000 < 0.15
            assert shape.contains(Point(lon, lat - 1e-5))

    def test_a_grid_across_the_antimeridian_is_split_there(self) -> None:
        shape = footprint(grid("EPSG:4326", 179, -16, 0.1, 20, 10))
        assert isinstance(shape, MultiPolygon)
        assert sorted(part.bounds for part in shape.geoms) == [
            (-180, -17, pytest.approx(-179), -16),
            (pytest.approx(179), -17, 180, -16),
        ]

    @pytest.mark.parametrize("crs", ["EPSG:32601", "EPSG:32660"])
    def test_a_utm_tile_across_the_antimeridian_stays_small(self, crs: str) -> None:
        shape = footprint(around(180, -17, crs))
        assert isinstance(shape, MultiPolygon)
        assert len(shape.geoms) == 2
        assert sum(abs(part.bounds[2] - part.bounds[0]) for part in shape.geoms) < 0.02
        area = abs(Geod(ellps="WGS84").geometry_area_perimeter(shape)[0])
        assert area == pytest.approx(1000 * 1000, rel=0.02)

    @pytest.mark.parametrize(("crs", "pole"), [("EPSG:3413", 90), ("EPSG:3031", -90)])
    def test_a_grid_around_a_pole_holds_it(self, crs: str, pole: int) -> None:
        shape = footprint(grid(crs, -100_000, 100_000, 1000, 200, 200))
        assert shape.bounds[::2] == pytest.approx((-180, 180))
        edge = pole - np.sign(pole) * 0.5
        assert all(shape.covers(Point(lon, edge)) for lon in range(-180, 181, 15))
        assert not any(shape.covers(Point(lon, pole - np.sign(pole) * 2)) for lon in range(-180, 181, 15))
        assert abs(Geod(ellps="WGS84").geometry_area_perimeter(shape)[0]) == pytest.approx(200_000**2, rel=0.07)

    def test_a_polar_grid_beside_the_pole_and_across_the_antimeridian(self) -> None:
        shape = footprint(around(180, 75, "EPSG:3413", 100, 1000))
        assert isinstance(shape, MultiPolygon)
        assert len(shape.geoms) == 2
        assert shape.bounds[3] < 76
        assert shape.covers(Point(179.5, 75))
        assert shape.covers(Point(-179.5, 75))
        assert not shape.covers(Point(0, 75))

    def test_without_a_reference_system_a_grid_lies_nowhere(self) -> None:
        with pytest.raises(InputError, match="lies nowhere"):
            footprint(Grid(None, Affine.identity(), 4, 4))

    def test_the_whole_world_is_a_box(self) -> None:
        shape = footprint(grid("EPSG:4326", -180.25, 90.25, 0.5, 721, 361))
        assert shape.symmetric_difference(box(-180, -90, 180, 90)).area < 1e-6

    def test_a_grid_that_is_not_on_the_earth_is_refused(self) -> None:
        with pytest.raises(InputError, match="EPSG:4326 is not defined"):
            footprint(grid("EPSG:4326", 0, 95, 1, 10, 10))

    def test_control_points_have_a_hull(self, tmp_path: Path, write_raster: Write) -> None:
        corners = [(0, 0, 10, 47), (0, 8, 11, 47), (8, 0, 10, 46), (8, 8, 11, 46), (4, 4, 10.5, 46.5)]
        points = [GroundControlPoint(row=row, col=column, x=x, y=y) for row, column, x, y in corners]
        path = tmp_path / "raw.tif"
        with rasterio.open(
            path, "w", driver="GTiff", width=8, height=8, count=1, dtype="uint16", gcps=points, crs="EPSG:4326"
        ):
            pass
        assert footprint_of(path).bounds == (10, 46, 11, 47)
        plain = write_raster(tmp_path / "a.tif", np.ones((1, 4, 4)))
        assert footprint_of(plain).equals(footprint(grid_of(plain)))


class TestOverlap:
    def test_on_one_grid_it_is_exact(self) -> None:
        there = grid("EPSG:32633", 399_960 + 100, 5_100_000 + 50, 20, 30, 30)
        assert overlap(TILE, there) == Window(10, 0, 60, 55)
        assert overlap(there, TILE) == Window(0, 2, 30, 28)

    def test_a_pixel_that_is_touched_in_part_counts(self) -> None:
        there = grid("EPSG:32633", 399_960 + 105, 5_100_000 - 5, 10, 2, 2)
        assert overlap(TILE, there) == Window(10, 0, 3, 3)

    def test_neighbours_that_touch_share_nothing(self) -> None:
        there = grid("EPSG:32633", 399_960 + 109_800, 5_100_000, 10, 100, 100)
        assert overlap(TILE, there) is None

    def test_a_turned_grid_is_not_its_bounding_box(self) -> None:
        """A diamond beside a square whose bounding boxes cross."""
        square = grid("EPSG:32633", 500_000, 5_000_000, 10, 10, 10)
        diamond = Grid(CRS.from_epsg(32633), Affine(10, 10, 500_090, 10, -10, 4_999_860), 8, 8)
        assert overlap(square, diamond) is None

    def test_between_utm_zones_it_is_the_projected_box(self) -> None:
        there = around(18.0, 45.0, "EPSG:32634", 40)
        here = around(18.0, 45.0, "EPSG:32633", 200)
        found = overlap(here, there)
        x, y = np.asarray([(0, 0), (40, 0), (40, 40), (0, 40)]).T
        t = there.transform
        project = Transformer.from_crs("EPSG:32634", "EPSG:32633", always_xy=True)
        x, y = project.transform(t.c + 10.0 * x, t.f - 10.0 * y)
        columns, rows = (x - here.transform.c) / 10, (here.transform.f - y) / 10
        assert found is not None
        assert abs(found.column - np.floor(columns.min())) <= 1
        assert abs(found.bottom - np.ceil(rows.max())) <= 1
        assert abs(found.right - np.ceil(columns.max())) <= 1

    def test_across_the_antimeridian(self) -> None:
        here, there = around(180, -17, "EPSG:32601", 100), around(180, -17, "EPSG:32660", 20)
        found = overlap(here, there)
        assert found is not None
        assert abs(found.column + found.width / 2 - 50) <= 1
        assert abs(found.row + found.height / 2 - 50) <= 1
        assert 20 <= found.width <= 23
        degrees = grid("EPSG:4326", -180.1, -16.9, 0.01, 20, 20)
        found = overlap(degrees, here)
        assert found is not None
        assert abs(found.column - 9) <= 1
        assert found.width <= 3

    def test_at_the_pole(self) -> None:
        here = grid("EPSG:3413", -100_000, 100_000, 1000, 200, 200)
        there = grid("+proj=stere +lat_0=90 +lon_0=0 +datum=WGS84", -20_000, 20_000, 1000, 40, 40)
        found = overlap(here, there)
        # Turned by 45 degrees, and scales that differ: 1 at 70 degrees north is 0.97 at the pole.
        half = 20 * np.sqrt(2) * 0.97
        assert found is not None
        assert abs(found.column - (100 - half)) <= 1.5
        assert abs(found.bottom - (100 + half)) <= 1.5

    def test_without_coordinates_one_size_is_one_place(self) -> None:
        nowhere = Grid(None, Affine.identity(), 5, 4)
        assert overlap(nowhere, Grid(None, Affine.identity(), 5, 4)) == Window(0, 0, 5, 4)
        with pytest.raises(InputError, match="no coordinate reference system"):
            overlap(nowhere, Grid(None, Affine.identity(), 4, 4))
        with pytest.raises(InputError, match="no coordinate reference system"):
            overlap(TILE, nowhere)


class TestDistance:
    def test_along_the_equator_it_is_that_of_the_ellipsoid(self) -> None:
        here, there = grid("EPSG:4326", 0, 1, 1, 1, 2), grid("EPSG:4326", 3, 1, 1, 1, 2)
        assert distance_m(here, there) == pytest.approx(2 * np.pi * 6_378_137 * 2 / 360, rel=2e-3)

    def test_between_the_corners_it_is_to_the_edge(self) -> None:
        """A small raster beside the middle of a long edge: nearer to the edge than to any of its points."""
        there = grid("EPSG:32633", 399_960 + 50_000, 5_100_000 + 1000, 10, 10, 30)
        assert distance_m(TILE, there) == pytest.approx(700, rel=1e-3)

    def test_across_the_antimeridian_it_is_the_short_way(self) -> None:
        here, there = grid("EPSG:4326", 178, 1, 1, 1, 1), grid("EPSG:4326", -179, 1, 1, 1, 1)
        assert distance_m(here, there) == pytest.approx(222_000, rel=0.01)

    def test_what_overlaps_is_at_none(self) -> None:
        assert distance_m(TILE, around(15, 45.5, "EPSG:4326", 10, 0.01)) == 0.0

    def test_rasters_apart_are_refused_with_the_distance(self) -> None:
        there = grid("EPSG:32633", 399_960 + 109_800 + 42_000, 5_100_000, 10, 100, 100)
        with pytest.raises(InputError, match=r"^a\.tif and b\.tif lie 42\.0 km apart: pair rasters of one place"):
            require_overlap(TILE, there, "a.tif", "b.tif")
        assert require_overlap(TILE, TILE, "a", "b") == TILE.extent

    def test_a_read_of_a_raster_far_away_is_refused_with_the_distance(
        self, tmp_path: Path, write_raster: Write
    ) -> None:
        path = write_raster(tmp_path / "here.tif", np.ones((1, 10, 10), np.float32))
        away = grid("EPSG:32633", 530_000, 5_000_000, 10, 10, 10)
        with pytest.raises(InputError, match=r"here\.tif and its partner lie 29\.9 km apart"):
            read_window(path, away.extent, away)
