"""STAC catalogues: local ones without a network and nothing outside their folder, remote ones by their address."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Generator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlunsplit

import numpy as np
import pytest
from shapely.geometry import mapping

from plait.errors import InputError
from plait_remote_sensing.ingest.stac_items import LAYOUT
from plait_remote_sensing.load import Loader
from plait_remote_sensing.pairing.stac_reader import stac_catalogue
from plait_remote_sensing.pairing.stac_walk import Place, documents
from plait_remote_sensing.raster import footprint, grid_of
from tests.remote_sensing.pair_worlds import L2A, Told, write, write_optical, write_sar

type Json = dict[str, Any]

S1 = {"platform": "sentinel-1a", "sar:instrument_mode": "IW", "sat:orbit_state": "ascending", "sat:relative_orbit": 117}
S2 = {"platform": "sentinel-2b", "processing:level": "L2A", "s2:processing_baseline": "04.00"}


def item(name: str, raster: Path, time: str, properties: Json, assets: Json) -> Json:
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "geometry": mapping(footprint(grid_of(raster))),
        "bbox": list(footprint(grid_of(raster)).bounds),
        "properties": {"datetime": time} | properties,
        "links": [],
        "assets": assets,
    }


def asset(href: str, **fields: Any) -> Json:
    return {
        "href": href,
        "type": "image/tiff; application=geotiff; profile=cloud-optimized",
        "roles": ["data"],
    } | fields


def write_json(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A catalogue of two items: bands tell what they are, file names do not."""
    root = tmp_path / "catalogue"
    sar = write_sar(root / "radar" / "17.tif", zone=33, margin=20)
    optical = write_optical(root / "optics" / "42.tif", offset=1000)
    eo = {"eo:bands": [{"name": name} for name in L2A]}
    radar = item(
        "radar", sar, "2021-04-01T05:26:23.5Z", S1, {"both": asset("17.tif", **{"sar:polarizations": ["VV", "VH"]})}
    )
    write_json(root / "radar" / "item.json", radar)
    picture = asset("42.tif", roles=["visual"])
    write_json(
        root / "optics" / "item.json",
        item("optics", optical, "2021-04-02T10:00:00Z", S2, {"tci": picture, "all": asset("./42.tif", **eo)}),
    )
    links = [{"rel": "item", "href": f"./{name}/item.json"} for name in ("radar", "optics")]
    catalogue = {"type": "Catalog", "stac_version": "1.0.0", "id": "c", "description": "two", "links": links}
    write_json(root / "catalog.json", catalogue)
    return root


def rows_of(root: Path, *options: str) -> tuple[list[Json], Told]:
    told = Told()
    return list(LAYOUT.with_options(["patch=32", *options]).read(root, told)), told


def edited(path: Path, edit: Callable[[Json], object]) -> None:
    value = json.loads(path.read_text())
    edit(value)
    path.write_text(json.dumps(value))


class TestLocal:
    @pytest.mark.parametrize("start", ["", "catalog.json"])
    def test_items_become_rows_that_the_loader_reads(self, world: Path, start: str) -> None:
        rows, told = rows_of(world / start)
        assert len(rows) == 4
        row = rows[0]
        assert (row["sar"], row["sar_bands"], row["sar_unit"]) == (["radar/17.tif"], "VV,VH", "db")
        assert (row["sar_time"], row["sar_orbit"], row["sar_relative_orbit"]) == (
            "2021-04-01T05:26:23Z",
            "ascending",
            117,
        )
        assert (row["optical"], row["optical_bands"]) == (["optics/42.tif"], ",".join(L2A))
        assert (row["optical_offset"], row["optical_level"]) == (1000.0, "L2A")
        assert row["days_apart"] == pytest.approx(-1.19, abs=0.01)
        assert any("processing baseline" in cause for cause in told.of("optics"))
        for row in rows:
            assert all(value is not None for value in Loader()(row, world).values())

    def test_a_band_in_several_assets_is_taken_from_the_finest(self, world: Path) -> None:
        for name in ("a", "b", "c"):
            (world / "optics" / f"{name}.tif").write_bytes((world / "optics" / "42.tif").read_bytes())

        def split(value: Json) -> None:
            value["assets"] = {
                "B02_60m": asset("c.tif"),
                "B11_20m": asset("b.tif"),
                "B02_10m": asset("a.tif"),
                "SCL": asset("scl.tif"),
                "thumbnail": asset("x.tif", roles=["thumbnail"]),
                "meta": {"href": "m.xml", "type": "application/xml"},
            }

        edited(world / "optics" / "item.json", split)
        entries = stac_catalogue(str(world / "catalog.json"), world, Told(), offset=0.0)
        scene = next(entry.scene for entry in entries if entry.name == "optics")
        assert (scene.paths, scene.bands) == (("optics/a.tif", "optics/b.tif"), ("B02", "B11"))
        assert scene.scl == "optics/scl.tif"

    def test_the_names_of_version_1_1_and_common_names_are_known(self, world: Path) -> None:
        def renew(value: Json) -> None:
            common = ["coastal", "blue", "green", "red", "rededge071", "rededge075", "rededge078", "nir", "nir08"]
            bands = [
                {"name": f"x{n}", "eo:common_name": name}
                for n, name in enumerate([*common, "nir09", "swir16", "swir22"])
            ]
            value["stac_version"] = "1.1.0"
            value["assets"] = {"all": asset("42.tif", bands=bands)}

        edited(world / "optics" / "item.json", renew)
        assert rows_of(world)[0][0]["optical_bands"] == ",".join(L2A)

    def test_an_item_collection_and_loose_items_are_read_too(self, world: Path) -> None:
        items = [json.loads((world / name / "item.json").read_text()) for name in ("radar", "optics")]
        for value, folder in zip(items, ("radar", "optics"), strict=True):
            for found in value["assets"].values():
                found["href"] = f"{folder}/{Path(found['href']).name}"
        (world / "catalog.json").unlink()
        assert len(rows_of(world)[0]) == 4, "all JSON files of the folder"
        found = write_json(world / "found.json", {"type": "FeatureCollection", "features": items})
        assert len(rows_of(found)[0]) == 4

    def test_the_place_is_that_of_the_raster_where_the_item_has_no_geometry(self, world: Path) -> None:
        edited(world / "optics" / "item.json", lambda value: value.update(geometry=None))
        assert len(rows_of(world)[0]) == 4

    def test_what_the_item_says_of_the_unit_decides(self, world: Path) -> None:
        write_sar(world / "radar" / "17.tif", zone=33, margin=20, tags={"UNITS": ""})
        said = {"raster:bands": [{"unit": "dB"}]}
        edited(world / "radar" / "item.json", lambda value: value["assets"]["both"].update(said))
        (scene,) = (e.scene for e in stac_catalogue(str(world / "catalog.json"), world, Told()) if e.name == "radar")
        assert scene.unit == "db"
        assert "metadata say" in scene.notes[-1]

    def test_a_radar_asset_of_bytes_is_a_picture(self, world: Path) -> None:
        write(world / "radar" / "17.tif", np.full((2, 64, 64), 90, np.uint8), ("VV", "VH"))
        (scene,) = (e.scene for e in stac_catalogue(str(world / "catalog.json"), world, Told()) if e.name == "radar")
        assert scene.unit == "grey"


class TestBadItems:
    @pytest.mark.parametrize(
        ("edit", "cause"),
        [
            (lambda v: v["assets"]["both"].update(href="../../outside.tif"), "leaves the catalogue's folder"),
            (lambda v: v["assets"]["both"].update(href="/etc/passwd.tif"), "leaves the catalogue's folder"),
            (lambda v: v["assets"]["both"].update(href="https://x.org/a.tif"), "lies on the network: fetch it, or"),
            (lambda v: v["assets"]["both"].update(href="s3://x/a.tif"), "is an address of s3"),
            (lambda v: v["assets"]["both"].update(href="gone.tif"), "There is no raster"),
            (lambda v: v.update(assets={}), "has no image among its assets"),
            (lambda v: v.update(geometry={"type": "Polygon"}), "no GeoJSON"),
            (lambda v: v["properties"].update(datetime="soon"), "'soon' is no time"),
            (lambda v: v.update(assets=3), "malformed"),
            (lambda v: v["assets"].update(both="x.tif"), "malformed"),
            (lambda v: v.update(id="optics"), "is that of another item too"),
        ],
    )
    def test_a_bad_item_costs_itself_alone(self, world: Path, edit: Callable[[Json], object], cause: str) -> None:
        write_sar(world.parent / "outside.tif")
        edited(world / "radar" / "item.json", edit)
        told = Told()
        entries = stac_catalogue(str(world / "catalog.json"), world, told)
        assert len(entries) == 1
        assert len(told.refusals()) == 1
        assert cause in " ".join(told.refusals().values())

    def test_a_broken_link_costs_its_item_alone(self, world: Path) -> None:
        (world / "radar" / "item.json").write_text("{")
        told = Told()
        assert [entry.name for entry in stac_catalogue(str(world / "catalog.json"), world, told)] == ["optics"]
        assert "cannot be read as a STAC document" in " ".join(told.refusals().values())

    def test_a_catalogue_that_links_to_itself_ends(self, world: Path) -> None:
        edited(world / "catalog.json", lambda v: v["links"].append({"rel": "child", "href": "./catalog.json"}))
        found = list(documents(str(world / "catalog.json"), Place(world, remote=False), Told()))
        assert [value["id"] for _, value in found] == ["radar", "optics"]

    @pytest.mark.parametrize("text", ["", "[]", "{"])
    def test_a_document_that_is_none_is_refused(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "catalog.json").write_text(text)
        with pytest.raises(InputError, match=r"catalog\.json"):
            rows_of(tmp_path)

    def test_a_folder_without_documents_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="holds no STAC document: give a catalog"):
            rows_of(tmp_path)


class _Ranges(SimpleHTTPRequestHandler):
    """Serves parts of files, as every store of cloud-optimised rasters does."""

    def do_GET(self) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        path = Path(self.translate_path(self.path))
        if asked is None or not path.is_file():
            super().do_GET()
            return
        whole = path.read_bytes()
        part = whole[int(asked[1]) : int(asked[2]) + 1 if asked[2] else None]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {asked[1]}-{int(asked[1]) + len(part) - 1}/{len(whole)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@pytest.fixture
def server(world: Path) -> Generator[str]:
    handler = type(
        "Handler", (_Ranges,), {"__init__": lambda self, *a: _Ranges.__init__(self, *a, directory=str(world))}
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield urlunsplit(("http", f"127.0.0.1:{running.server_port}", "", "", ""))
        running.shutdown()


class TestRemote:
    def test_assets_at_an_address_are_read_through_small_files_under_the_root(
        self, world: Path, server: str, tmp_path: Path
    ) -> None:
        root = tmp_path / "here"
        root.mkdir()
        rows, told = rows_of(root, f"url={server}/catalog.json")
        assert len(rows) == 4
        assert rows[0]["sar"] == ["remote/radar/both.vrt"]
        assert rows[0]["optical_offset"] == 1000.0
        assert any("its pixels, which lie elsewhere, were not looked at" in cause for cause in told.of("optics"))
        sample = Loader(context=0)(rows[0], root)
        here = Loader(context=0)(rows_of(world)[0][0], world)
        for name in ("sar", "optical"):
            one, other = sample[name], here[name]
            assert one is not None
            assert other is not None
            assert one.equal(other)
        assert sum(path.stat().st_size for path in root.rglob("*.*")) < 20_000

    def test_a_server_that_refuses_is_told_with_its_address(self, server: str, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"none\.json cannot be read as a STAC document .* is there a network\?"):
            rows_of(tmp_path, f"url={server}/none.json")

    def test_an_asset_that_is_gone_costs_its_item(self, world: Path, server: str, tmp_path: Path) -> None:
        (world / "radar" / "17.tif").unlink()
        told = Told()
        entries = stac_catalogue(f"{server}/catalog.json", tmp_path, told)
        assert [entry.name for entry in entries] == ["optics"]
        assert "cannot be read over the network" in told.refusals()["radar"]

    def test_pages_of_an_interface_are_followed(self, world: Path, server: str, tmp_path: Path) -> None:
        items = [json.loads((world / name / "item.json").read_text()) for name in ("radar", "optics")]
        for page, (value, folder) in enumerate(zip(items, ("radar", "optics"), strict=True)):
            for found in value["assets"].values():
                found["href"] = f"{server}/{folder}/{Path(found['href']).name}"
            links = [{"rel": "next", "href": f"{server}/page1.json"}] if page == 0 else []
            write_json(world / f"page{page}.json", {"type": "FeatureCollection", "features": [value], "links": links})
        entries = stac_catalogue(f"{server}/page0.json", tmp_path, Told())
        assert [entry.name for entry in entries] == ["optics", "radar"]

    def test_names_of_items_do_not_leave_the_root(self, world: Path, server: str, tmp_path: Path) -> None:
        edited(world / "radar" / "item.json", lambda value: value.update(id="../../../up"))
        entries = stac_catalogue(f"{server}/catalog.json", tmp_path / "here", Told())
        assert {path for entry in entries for path in entry.scene.paths} == {
            "remote/_up/both.vrt",
            "remote/optics/all.vrt",
        }
