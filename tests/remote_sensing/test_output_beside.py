"""What stands beside a map: its STAC item, its style, its picture."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pystac
import pytest
from PIL import Image
from pystac.extensions.file import FileExtension
from pystac.extensions.projection import ProjectionExtension
from rasterio.crs import CRS
from rasterio.transform import Affine

from plait.errors import InputError
from plait_remote_sensing.output import MapInfo, quicklook, write_cog, write_qml, write_stac_item, write_zarr
from plait_remote_sensing.raster import Grid, Window
from tests.remote_sensing.stac_core import breaches

CLASSES = {0: ("open water", "#0000ff"), 1: ("trees", "#00a000"), 7: ("built & bare", "#c80010")}
CLASS_MAP = MapInfo(("class",), 255, CLASSES, time="2021-04-01")
VALUES = np.arange(3 * 30 * 40, dtype=np.float32).reshape(3, 30, 40)
CODES = np.where(np.arange(40) < 20, 1, 7).astype(np.uint8)[None, None].repeat(30, 1)

type Written = Callable[..., tuple[Path, Grid]]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Write a map, and give its file and grid."""

    def write(
        info: MapInfo, values: np.ndarray, crs: str | None = "EPSG:32633", at: tuple[float, float, float] | None = None
    ) -> tuple[Path, Grid]:
        x, y, pixel = at or (500_000, 5_000_000, 10)
        place = Affine.identity() if crs is None else Affine(pixel, 0, x, 0, -pixel, y)
        grid = Grid(None if crs is None else CRS.from_string(crs), place, values.shape[2], values.shape[1])
        write_cog(tmp_path / "map.tif", grid, values.dtype.name, info, [(grid.extent, values)])
        return tmp_path / "map.tif", grid

    return write


def item_of(asset: Path, grid: Grid, info: MapInfo, sources: tuple[str, ...] = ()) -> dict[str, Any]:
    """Write an item, see that it is valid by the schemas of STAC 1.1 that pystac carries, and read it."""
    out = asset.with_suffix(".json")
    write_stac_item(out, asset, grid, info, sources)
    assert breaches(out) == []
    return json.loads(out.read_text())


class TestStacItem:
    def test_it_is_valid_and_says_where_and_what_the_map_is(self, written: Written) -> None:
        asset, grid = written(CLASS_MAP, CODES)
        item = item_of(asset, grid, CLASS_MAP)
        assert item["stac_version"] == "1.1.0"
        assert item["id"] == "map"
        west, south, east, north = item["bbox"]
        assert (west, north) == pytest.approx((15.0, 45.15348), abs=1e-4)
        assert 0.004 < east - west < 0.006
        assert 0.002 < north - south < 0.003
        assert item["properties"]["proj:code"] == "EPSG:32633"
        assert item["properties"]["proj:shape"] == [30, 40]
        assert item["properties"]["proj:transform"] == [10, 0, 500_000, 0, -10, 5_000_000]
        told = item["assets"]["map"]
        assert (told["data_type"], told["nodata"]) == ("uint8", 255)
        assert told["file:checksum"] == "1220" + hashlib.sha256(asset.read_bytes()).hexdigest()
        assert told["href"] == "map.tif"

    def test_pystac_reads_what_its_extensions_say(self, written: Written) -> None:
        asset, grid = written(CLASS_MAP, CODES)
        item_of(asset, grid, CLASS_MAP)
        item = pystac.Item.from_file(str(asset.with_suffix(".json")))
        assert ProjectionExtension.ext(item).code == "EPSG:32633"
        assert ProjectionExtension.ext(item).shape == [30, 40]
        assert FileExtension.ext(item.assets["map"]).size == asset.stat().st_size
        (band,) = item.assets["map"].extra_fields["bands"]
        classes = band["classification:classes"]
        assert [(entry["value"], entry["name"], entry["title"], entry["color_hint"]) for entry in classes] == [
            (0, "open_water", "open water", "0000FF"),
            (1, "trees", "trees", "00A000"),
            (7, "built_bare", "built & bare", "C80010"),
        ]
        assert item.assets["map"].get_absolute_href() == str(asset)

    def test_an_extension_is_named_where_its_fields_are(self, written: Written) -> None:
        asset, grid = written(MapInfo(("a", "b", "c"), None), VALUES)
        plain = item_of(asset, grid, MapInfo(("a", "b", "c"), None))
        assert not [name for name in plain["stac_extensions"] if "classification" in name or "raster" in name]
        scaled = MapInfo(("a", "b", "c"), float("nan"), scales=(0.5,) * 3, offsets=(1.0,) * 3)
        item = item_of(asset, grid, scaled)
        assert [name for name in item["stac_extensions"] if "raster" in name]
        assert item["assets"]["map"]["bands"][2] == {"name": "c", "raster:scale": 0.5, "raster:offset": 1.0}
        assert item["assets"]["map"]["nodata"] == "nan"

    @pytest.mark.parametrize(
        ("time", "expected"),
        [
            ("2021-04-01T05:26:23Z", {"datetime": "2021-04-01T05:26:23Z"}),
            ("2021-04-01", ("2021-04-01T00:00:00Z", "2021-04-01T23:59:59Z")),
            ("2021-04-01/2021-04-09T01:00:00Z", ("2021-04-01T00:00:00Z", "2021-04-09T01:00:00Z")),
            (None, ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z")),
        ],
    )
    def test_times(self, written: Written, time: str | None, expected: Any) -> None:
        info = MapInfo(("a", "b", "c"), None, time=time)
        asset, grid = written(info, VALUES)
        told = {name: value for name, value in item_of(asset, grid, info)["properties"].items() if "datetime" in name}
        if isinstance(expected, tuple):
            expected = {"datetime": None, "start_datetime": expected[0], "end_datetime": expected[1]}
        assert told == expected

    @pytest.mark.parametrize("time", ["yesterday", "2021-04-01T05:26:23", "2021-04-01/", "/2021-04-01"])
    def test_a_time_that_is_none_is_refused(self, written: Written, time: str) -> None:
        info = MapInfo(("a", "b", "c"), None, time=time)
        asset, grid = written(info, VALUES)
        with pytest.raises(InputError, match=rf"time '{time}' is no ISO 8601"):
            item_of(asset, grid, info)

    def test_across_the_antimeridian_it_is_split(self, written: Written) -> None:
        info = MapInfo(("a", "b", "c"), None)
        asset, grid = written(info, VALUES, "EPSG:4326", (179.8, -16.9, 0.01))
        item = item_of(asset, grid, info)
        assert item["geometry"]["type"] == "MultiPolygon"
        assert item["bbox"] == pytest.approx([179.8, -17.2, -179.8, -16.9])
        for (ring,) in item["geometry"]["coordinates"]:
            x, y = np.asarray(ring).T
            assert np.ptp(x) == pytest.approx(0.2)
            assert (x[:-1] * y[1:] - x[1:] * y[:-1]).sum() > 0, "against the clock"

    def test_around_a_pole_it_goes_all_round(self, written: Written) -> None:
        info = MapInfo(("a", "b", "c"), None)
        asset, grid = written(info, VALUES, "EPSG:3413", (-20_000, 15_000, 1000))
        bbox = item_of(asset, grid, info)["bbox"]
        assert (bbox[0], bbox[2], bbox[3]) == pytest.approx((-180, 180, 90))

    def test_a_map_of_no_place_has_an_item_without_one(self, written: Written) -> None:
        info = MapInfo(("a", "b", "c"), None)
        asset, grid = written(info, VALUES, None)
        item = item_of(asset, grid, info)
        assert item["geometry"] is None
        assert "bbox" not in item

    def test_a_reference_system_without_a_code_is_written_out(self, written: Written) -> None:
        info = MapInfo(("a", "b", "c"), None)
        asset, grid = written(info, VALUES, "+proj=laea +lat_0=10 +lon_0=20 +datum=WGS84 +units=m", (0, 0, 10))
        item = item_of(asset, grid, info)
        assert item["properties"]["proj:code"] is None
        assert CRS.from_wkt(item["properties"]["proj:wkt2"]) == grid.crs

    def test_where_it_lies_changes_nothing(self, written: Written, tmp_path: Path) -> None:
        """Paths are relative to the item, and there is no time of writing."""
        info = MapInfo(("class",), 255, CLASSES, tags={"plait:run": "abc"})
        asset, grid = written(info, CODES)
        sources = (str(tmp_path / "in" / "s1.tif"), "https://example.org/s2.tif")
        first = item_of(asset, grid, info, sources)
        assert [link["href"] for link in first["links"]] == ["in/s1.tif", "https://example.org/s2.tif"]
        assert first["properties"]["plait:run"] == "abc"
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        moved = asset.rename(elsewhere / "map.tif")
        sources = (str(elsewhere / "in" / "s1.tif"), "https://example.org/s2.tif")
        item_of(moved, grid, info, sources)
        assert (elsewhere / "map.json").read_bytes() == (tmp_path / "map.json").read_bytes()

    def test_a_zarr_group_has_one_too(self, tmp_path: Path) -> None:
        grid = Grid(CRS.from_epsg(32633), Affine(10, 0, 500_000, 0, -10, 5_000_000), 40, 30)
        info = MapInfo(("a", "b", "c"), None)
        write_zarr(tmp_path / "map.zarr", grid, "float32", info, [(grid.extent, VALUES)])
        told = item_of(tmp_path / "map.zarr", grid, info)["assets"]["map"]
        assert told["data_type"] == "float32"
        assert told["type"].startswith("application/vnd.zarr")
        assert "file:checksum" not in told


def style_of(out: Path) -> ElementTree.Element:
    renderer = ElementTree.fromstring(out.read_text()).find("pipe/rasterrenderer")
    assert renderer is not None
    return renderer


class TestStyle:
    def test_classes_have_a_palette(self, written: Written, tmp_path: Path) -> None:
        asset, _ = written(CLASS_MAP, CODES)
        write_qml(tmp_path / "map.qml", CLASS_MAP, asset)
        renderer = style_of(tmp_path / "map.qml")
        assert (renderer.get("type"), renderer.get("band")) == ("paletted", "1")
        entries = [
            tuple(entry.get(name) for name in ("value", "label", "color")) for entry in renderer.iter("paletteEntry")
        ]
        assert entries == [(str(code), name, colour) for code, (name, colour) in CLASSES.items()]

    def test_one_band_is_grey_between_its_percentiles(self, written: Written, tmp_path: Path) -> None:
        info = MapInfo(("a",), -1.0)
        values = np.linspace(0, 100, 1200, dtype=np.float32).reshape(1, 30, 40)
        values[0, 0, 0] = -1.0
        asset, _ = written(info, values)
        write_qml(tmp_path / "map.qml", info, asset)
        renderer = style_of(tmp_path / "map.qml")
        assert (renderer.get("type"), renderer.get("grayBand")) == ("singlebandgray", "1")
        assert float(renderer.findtext("contrastEnhancement/minValue", "")) == pytest.approx(2, abs=0.2)
        assert float(renderer.findtext("contrastEnhancement/maxValue", "")) == pytest.approx(98, abs=0.2)
        assert renderer.findtext("contrastEnhancement/algorithm") == "StretchToMinimumMaximum"

    def test_three_bands_are_colours(self, written: Written, tmp_path: Path) -> None:
        info = MapInfo(("a", "b", "c"), None)
        asset, _ = written(info, VALUES)
        write_qml(tmp_path / "map.qml", info, asset)
        renderer = style_of(tmp_path / "map.qml")
        assert [renderer.get(f"{name}Band") for name in ("red", "green", "blue")] == ["1", "2", "3"]
        assert float(renderer.findtext("blueContrastEnhancement/minValue", "")) == pytest.approx(2424, abs=5)

    def test_a_map_of_nothing_has_a_style_all_the_same(self, written: Written, tmp_path: Path) -> None:
        info = MapInfo(("a",), 0.0)
        asset, _ = written(info, np.zeros((1, 30, 40), np.float32))
        write_qml(tmp_path / "map.qml", info, asset)
        assert style_of(tmp_path / "map.qml").findtext("contrastEnhancement/maxValue") == "1.0"


class TestQuicklook:
    def test_classes_have_their_colours(self, written: Written, tmp_path: Path) -> None:
        codes = CODES.copy()
        codes[0, 0, 0], codes[0, 0, 1] = 255, 99
        asset, _ = written(CLASS_MAP, codes)
        quicklook(tmp_path / "map.png", CLASS_MAP, asset)
        with Image.open(tmp_path / "map.png") as picture:
            seen = np.asarray(picture)
        assert seen.shape == (30, 40, 4)
        assert seen[0, 0, 3] == 0
        assert seen[0, 1].tolist() == [128, 128, 128, 255]
        assert seen[5, 5].tolist() == [0, 160, 0, 255]
        assert seen[5, 35].tolist() == [200, 0, 16, 255]

    def test_values_are_stretched_and_what_is_large_is_small(self, tmp_path: Path) -> None:
        grid = Grid(CRS.from_epsg(32633), Affine(10, 0, 500_000, 0, -10, 5_000_000), 1200, 600)
        values = np.broadcast_to(np.arange(1200, dtype=np.float32), (1, 600, 1200)).copy()
        values[:, :100] = np.nan
        parts = [(Window(0, row, 1200, min(512, 600 - row)), values[:, row : row + 512]) for row in (0, 512)]
        write_cog(tmp_path / "map.tif", grid, "float32", MapInfo(("a",), float("nan")), parts)
        quicklook(tmp_path / "map.png", MapInfo(("a",), float("nan")), tmp_path / "map.tif")
        with Image.open(tmp_path / "map.png") as picture:
            seen = np.asarray(picture)
        assert seen.shape == (256, 512, 4)
        assert (seen[10, :, 3] == 0).all()
        assert (seen[-1, :5, 0] == 0).all()
        assert (seen[-1, -5:, 0] == 255).all()
        assert abs(int(seen[-1, 256, 0]) - 128) < 3
