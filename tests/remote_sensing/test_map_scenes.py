"""The grid of a map, and the scenes of a catalogue."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.transform import Affine

from plait.cli import main
from plait_remote_sensing.raster import grid_of
from plait_remote_sensing.reading import read_scene
from plait_remote_sensing.tiling.scenes import map_grid
from tests.remote_sensing.stac_core import breaches
from tests.remote_sensing.tiling_world import numbers, optical, pixels, sar, write_functions

type Write = Callable[..., Path]


def test_the_grid_is_the_optical_one_where_there_is_one(tmp_path: Path, write_raster: Write) -> None:
    light = write_raster(tmp_path / "optical.tif", numbers(40, 50))
    dark = write_raster(tmp_path / "sar.tif", np.ones((1, 9, 9), np.float32), crs="EPSG:32634")
    assert map_grid({"sar": sar(dark), "optical": optical(light)}).same_as(grid_of(light))
    assert map_grid({"sar": sar(dark)}).same_as(grid_of(dark))


@pytest.mark.parametrize(("latitude", "zone"), [(47.0, 32633), (-33.0, 32733)])
def test_a_scene_with_control_points_only_is_mapped_in_its_utm_zone(tmp_path: Path, latitude: float, zone: int) -> None:
    path = tmp_path / "raw.tif"
    points = [
        GroundControlPoint(row=row, col=col, x=14.0 + col * 2e-4 - row * 2e-5, y=latitude - row * 1e-4, z=0)
        for row in range(0, 101, 20)
        for col in range(0, 101, 20)
    ]
    profile = {"driver": "GTiff", "width": 100, "height": 100, "count": 1, "dtype": "float32"}
    with rasterio.open(path, "w", gcps=points, crs=CRS.from_epsg(4326), **profile) as target:
        target.write(np.full((1, 100, 100), -9.0, np.float32))
    source = sar(path)
    grid = map_grid({"sar": source})
    assert grid.crs is not None
    assert (grid.crs.to_epsg(), grid.transform.a, grid.transform.e) == (zone, 10, -10)
    assert grid.transform.c % 10 == 0
    db = read_scene(source.scene, tmp_path, grid.extent, grid)
    # All of it is there: as many pixels of 10 m as it has of some 15 x 11.
    area = 100 * 100 * (2e-4 * 111_320 * np.cos(np.radians(latitude))) * (1e-4 * 111_320) / 100
    assert np.isfinite(db).sum() == pytest.approx(area, rel=0.03)


def item(name: str, path: Path, time: str, **bands: object) -> dict[str, object]:
    asset = {"href": path.name, "type": "image/tiff; application=geotiff", "roles": ["data"], **bands}
    ring = [[15.0, 45.1], [15.1, 45.1], [15.1, 45.2], [15.0, 45.2], [15.0, 45.1]]
    return {
        "type": "Feature", "stac_version": "1.1.0", "id": name, "links": [], "bbox": [15.0, 45.1, 15.1, 45.2],
        "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": {"datetime": time},
        "assets": {"data": asset},
    }  # fmt: skip


def test_a_stac_catalogue_gives_one_map_a_pair_and_tells_who_has_no_partner(
    tmp_path: Path, write_raster: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    light = write_raster(tmp_path / "s2.tif", numbers(60, 70), tags={"BOA_ADD_OFFSET": "0"})
    place = Affine(10, 0, 500_000, 0, -10, 5_000_000)
    db = np.random.default_rng(0).normal(-12, 3, (2, 60, 70)).astype(np.float32)
    dark = write_raster(tmp_path / "s1.tif", db, transform=place, tags={"UNITS": "dB"})
    both = [
        item("s2_april", light, "2021-04-01T10:00:00Z", bands=[{"name": "B04"}, {"name": "B08"}]),
        item("s1_april", dark, "2021-04-02T05:00:00Z", bands=[{"name": "VV"}, {"name": "VH"}]),
        item("s2_july", light, "2021-07-01T10:00:00Z", bands=[{"name": "B04"}, {"name": "B08"}]),
    ]
    (tmp_path / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": both}))
    functions = write_functions(tmp_path)
    (tmp_path / f"{functions}.py").write_text("def first(images, masks):\n    return images['sar'][:1]\n")
    monkeypatch.chdir(tmp_path)
    command = ["--function", f"{functions}:first", "--stac", "items.json", "--out", "maps", "--workers", "0"]
    assert main(["remote-sensing", "map", *command]) == 0
    said = capsys.readouterr().out
    assert [path.name for path in (tmp_path / "maps").glob("*.tif")] == ["s2_april.tif"]
    np.testing.assert_allclose(pixels(tmp_path / "maps" / "s2_april.tif")[0], db[0], atol=1e-4)
    assert "s2_july: " in said
    assert breaches(tmp_path / "maps" / "s2_april.json") == []
    made = json.loads((tmp_path / "maps" / "s2_april.json").read_text())["properties"]
    assert (made["start_datetime"], made["end_datetime"]) == ("2021-04-01T10:00:00Z", "2021-04-02T05:00:00Z")
