"""Maps out: valid, placed, named, and never half there."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.transform import Affine
from rio_cogeo.cogeo import cog_validate

from plait.errors import InputError
from plait_remote_sensing.output import MapInfo, write_cog, write_zarr
from plait_remote_sensing.raster import Grid, Window, grid_of
from plait_remote_sensing.raster.grid import rasterio_window

CLASSES = {0: ("open water", "#0000ff"), 1: ("trees", "#00a000"), 7: ("built & bare", "#c80010")}
PLACE = Affine(10, 0, 500_000, 0, -10, 5_000_000)


def grid(width: int, height: int, crs: str | None = "EPSG:32633", transform: Affine = PLACE) -> Grid:
    return Grid(None if crs is None else CRS.from_string(crs), transform, width, height)


def blocks(values: np.ndarray, size: int = 512) -> Iterator[tuple[Window, np.ndarray]]:
    """(C, H, W) in blocks, row by row."""
    for row in range(0, values.shape[1], size):
        for column in range(0, values.shape[2], size):
            part = values[:, row : row + size, column : column + size]
            yield Window(column, row, part.shape[2], part.shape[1]), part


def draw(bands: int, height: int, width: int, dtype: str = "float32") -> np.ndarray:
    values = np.random.default_rng(0).integers(0, 100, (bands, height, width))
    return values.astype(dtype)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np, zarr
from rasterio.crs import CRS
from rasterio.transform import Affine
from plait.errors import InputError
from plait_remote_sensing import output
from plait_remote_sensing.raster import Grid, Window

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
values = np.random.default_rng(0).integers(0, 256, (1, 512, 700), dtype=np.uint8)
parts = [(Window(0, 0, 512, 512), values[..., :512]), (Window(512, 0, 188, 512), values[..., 512:])]
grid = Grid(CRS.from_epsg(32633), Affine(10, 0, 5e5, 0, -10, 5e6), 700, 512)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
for limit in (50_000, 400_000 if sys.argv[1] == "write_cog" else 150_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        getattr(output, sys.argv[1])(Path(sys.argv[2]), grid, "uint8", output.MapInfo(("a",), None), parts)
    except InputError as error:
        print(error)
"""


class TestCog:
    @pytest.mark.parametrize(
        ("dtype", "shape", "nodata"),
        [
            ("float32", (2, 520, 600), float("nan")),
            ("uint8", (1, 1, 1), 255),
            ("uint16", (4, 513, 511), 0),
            ("int16", (1, 512, 1024), -32768),
            ("float64", (1, 3, 2000), -9999.0),
            ("int8", (128, 60, 50), -128),
        ],
    )
    def test_what_is_written_is_valid_and_comes_back(
        self, tmp_path: Path, dtype: str, shape: tuple[int, int, int], nodata: float
    ) -> None:
        out, values = tmp_path / "map.tif", draw(*shape, dtype)
        values[:, :1, :1] = nodata
        place = grid(shape[2], shape[1])
        names = tuple(f"band {index}" for index in range(shape[0]))
        write_cog(out, place, dtype, MapInfo(names, nodata, unit="dB"), blocks(values))
        valid, errors, warned = cog_validate(out, strict=True, quiet=True)
        assert (valid, errors, warned) == (True, [], [])
        assert grid_of(out).same_as(place)
        with rasterio.open(out) as source:
            np.testing.assert_array_equal(source.read(), values)
            assert source.descriptions == names
            assert set(source.units) == {"dB"}
            np.testing.assert_equal(source.nodata, nodata)
            assert source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert left(tmp_path) == ["map.tif"]

    def test_a_turned_grid_stays_turned(self, tmp_path: Path) -> None:
        turned = grid(40, 30, transform=Affine(8, 3, 500_000, 3, -8, 5_000_000))
        write_cog(tmp_path / "map.tif", turned, "uint8", MapInfo(("a",), None), blocks(draw(1, 30, 40, "uint8")))
        assert grid_of(tmp_path / "map.tif").same_as(turned)

    def test_a_map_of_no_place_is_written_without_one(self, tmp_path: Path) -> None:
        nowhere = grid(40, 30, None, Affine.identity())
        write_cog(tmp_path / "map.tif", nowhere, "uint8", MapInfo(("a",), None), blocks(draw(1, 30, 40, "uint8")))
        assert grid_of(tmp_path / "map.tif") == nowhere

    def test_classes_have_their_colours_and_overviews_of_the_most_frequent(self, tmp_path: Path) -> None:
        out = tmp_path / "map.tif"
        values = np.tile(np.asarray([[1, 1], [1, 7]], np.uint8), (600, 600))[None]
        write_cog(out, grid(1200, 1200), "uint8", MapInfo(("class",), 255, CLASSES), blocks(values))
        with rasterio.open(out) as source:
            assert source.colorinterp == (ColorInterp.palette,)
            colours = source.colormap(1)
            assert {code: colours[code] for code in CLASSES} == {
                0: (0, 0, 255, 255),
                1: (0, 160, 0, 255),
                7: (200, 0, 16, 255),
            }
            assert source.tags()["CLASSES"] == "0 open water, 1 trees, 7 built & bare"
            assert source.overviews(1) == [2, 4]
        with rasterio.open(out, overview_level=1) as source:
            assert set(np.unique(source.read()).tolist()) == {1}

    def test_overviews_of_values_are_averages_of_what_is_known(self, tmp_path: Path) -> None:
        out = tmp_path / "map.tif"
        values = np.tile(np.asarray([[2.0, np.nan], [4.0, 6.0]], np.float32), (300, 300))[None]
        write_cog(out, grid(600, 600), "float32", MapInfo(("a",), float("nan")), blocks(values))
        with rasterio.open(out, overview_level=0) as source:
            np.testing.assert_allclose(source.read(), 4.0)

    def test_four_bands_of_bytes_are_no_picture_with_transparency(self, tmp_path: Path) -> None:
        out = tmp_path / "map.tif"
        names = ("B02", "B03", "B04", "B08")
        write_cog(out, grid(20, 20), "uint8", MapInfo(names, None), blocks(draw(4, 20, 20, "uint8")))
        with rasterio.open(out) as source:
            assert ColorInterp.alpha not in source.colorinterp
            assert source.colorinterp[0] == ColorInterp.gray

    def test_tags_time_scales_and_offsets_are_kept(self, tmp_path: Path) -> None:
        out = tmp_path / "map.tif"
        info = MapInfo(
            ("a", "b"), -128, time="2021-04-01", tags={"plait:run": "é <x>"}, scales=(0.5, 0.25), offsets=(1.0, 0.0)
        )
        write_cog(out, grid(20, 20), "int8", info, blocks(draw(2, 20, 20, "int8")))
        with rasterio.open(out) as source:
            assert source.scales == (0.5, 0.25)
            assert source.offsets == (1.0, 0.0)
            assert source.tags()["plait_run"] == "é <x>"
            assert source.tags()["TIME"] == "2021-04-01"

    def test_many_bands_are_stored_apart_and_few_together(self, tmp_path: Path) -> None:
        for bands, stored in ((3, "PIXEL"), (12, "BAND")):
            out = tmp_path / f"{bands}.tif"
            info = MapInfo(tuple("abcdefghijkl"[:bands]), None)
            write_cog(out, grid(20, 20), "uint8", info, blocks(draw(bands, 20, 20, "uint8")))
            with rasterio.open(out) as source:
                assert source.tags(ns="IMAGE_STRUCTURE")["INTERLEAVE"] == stored


@pytest.mark.parametrize("write", [write_cog, write_zarr])
class TestBoth:
    def test_the_same_input_gives_the_same_bytes(self, tmp_path: Path, write: Callable[..., None]) -> None:
        values, sums = draw(3, 600, 600), []
        for name in ("one", "two"):
            out = tmp_path / name / ("map.tif" if write is write_cog else "map.zarr")
            write(out, grid(600, 600), "float32", MapInfo(("a", "b", "c"), None, tags={"x": "1"}), blocks(values))
            files = sorted(path for path in (out.rglob("*") if out.is_dir() else [out]) if path.is_file())
            told = [(path.relative_to(out).as_posix(), path.read_bytes()) for path in files]
            sums.append(hashlib.sha256(repr(told).encode()).hexdigest())
        assert sums[0] == sums[1]

    def test_the_order_and_size_of_blocks_is_free(self, tmp_path: Path, write: Callable[..., None]) -> None:
        values = draw(1, 1100, 1100)
        name = "map.tif" if write is write_cog else "map.zarr"
        parts = list(blocks(values, 1024))[::-1]
        write(tmp_path / name, grid(1100, 1100), "float32", MapInfo(("a",), None), parts)
        np.testing.assert_array_equal(read_map(tmp_path / name), values)

    def test_a_map_that_was_there_is_replaced(self, tmp_path: Path, write: Callable[..., None]) -> None:
        out = tmp_path / ("map.tif" if write is write_cog else "map.zarr")
        for value in (1, 2):
            values = np.full((1, 9, 9), value, np.uint8)
            write(out, grid(9, 9), "uint8", MapInfo(("a",), None), blocks(values))
        assert read_map(out).max() == 2
        assert read_map(out).min() == 2
        assert left(tmp_path) == [out.name]

    def test_a_run_that_ends_in_the_middle_leaves_what_was_there(
        self, tmp_path: Path, write: Callable[..., None]
    ) -> None:
        out = tmp_path / ("map.tif" if write is write_cog else "map.zarr")
        info, values = MapInfo(("a",), None), draw(1, 1100, 600, "uint8")
        write(out, grid(600, 1100), "uint8", info, blocks(values))

        def broken() -> Iterator[tuple[Window, np.ndarray]]:
            yield from list(blocks(values + 1))[:3]
            raise InputError("tile 3 cannot be read")

        with pytest.raises(InputError, match="tile 3 cannot be read"):
            write(out, grid(600, 1100), "uint8", info, broken())
        assert left(tmp_path) == [out.name]
        np.testing.assert_array_equal(read_map(out), values)

    def test_what_a_killed_run_left_is_removed(self, tmp_path: Path, write: Callable[..., None]) -> None:
        out = tmp_path / ("map.tif" if write is write_cog else "map.zarr")
        (tmp_path / f".{out.name}.partial").mkdir()
        (tmp_path / f".{out.name}.partial" / "plain.tif").write_bytes(b"half")
        write(out, grid(9, 9), "uint8", MapInfo(("a",), None), blocks(draw(1, 9, 9, "uint8")))
        assert left(tmp_path) == [out.name]

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            (lambda parts: parts[:-1], "hold .* of .* pixels"),
            (lambda parts: [(window, values[:, 1:]) for window, values in parts], "is wanted"),
            (lambda parts: [(window, values.astype("int16")) for window, values in parts], "is wanted"),
            (lambda parts: [(Window(w.column + 1, w.row, w.width, w.height), v) for w, v in parts], "multiples of 512"),
        ],
    )
    def test_blocks_that_are_not_the_maps_are_a_mistake(
        self, tmp_path: Path, write: Callable[..., None], wrong: Callable[..., Any], message: str
    ) -> None:
        parts = wrong(list(blocks(draw(1, 600, 600, "uint8"))))
        with pytest.raises(ValueError, match=message):
            write(tmp_path / "map", grid(600, 600), "uint8", MapInfo(("a",), None), parts)
        assert left(tmp_path) == []

    @pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
    def test_a_disk_that_is_full_leaves_nothing_and_is_said(self, tmp_path: Path, write: Callable[..., None]) -> None:
        """In a process that may write no large file: while blocks come, and while they are made cloud-optimised."""
        ended = subprocess.run(
            [sys.executable, "-c", FULL_DISK, write.__name__, str(tmp_path / "map")],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        told = ended.stdout.splitlines()
        assert len(told) == 2, ended.stderr
        for line in told:
            assert "map could not be written (" in line
            assert "MiB are free there): make room" in line
        assert left(tmp_path) == []

    def test_a_folder_that_cannot_be_written_to_is_said(self, tmp_path: Path, write: Callable[..., None]) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match=r"map could not be written \(.*make room or choose another place"):
            write(tmp_path / "file" / "map", grid(9, 9), "uint8", MapInfo(("a",), None), blocks(draw(1, 9, 9, "uint8")))


def read_map(out: Path) -> np.ndarray:
    with rasterio.open(f'ZARR:"{out}":/map' if out.is_dir() else out) as source:
        return source.read()


def test_silent_loss_on_a_full_disk_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GDAL may only log that the disk is full: a file whose blocks are not those that were given is not kept."""
    from plait_remote_sensing.output import cog

    original = cog.copy

    def lossy(plain: Path, path: Path, **options: Any) -> None:
        with rasterio.open(plain, "r+") as target:
            target.write(np.zeros((1, 512, 88), np.uint8), window=rasterio_window(Window(512, 0, 88, 512)))
        original(plain, path, **options)

    monkeypatch.setattr(cog, "copy", lossy)
    with pytest.raises(InputError, match=r"map\.tif could not be written \(block 512,0,88,512 is not what was written"):
        write_cog(
            tmp_path / "map.tif", grid(600, 600), "uint8", MapInfo(("a",), None), blocks(draw(1, 600, 600, "uint8") + 1)
        )
    assert left(tmp_path) == []


def test_it_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[str] = []
    fsync = os.fsync

    def spy(handle: int) -> None:
        kept.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        assert kept[0].endswith("/.map.tif.partial/map.tif")
        assert (tmp_path / "map.tif").exists() == (len(kept) > 1)
        fsync(handle)

    monkeypatch.setattr(os, "fsync", spy)
    write_cog(tmp_path / "map.tif", grid(9, 9), "uint8", MapInfo(("a",), None), blocks(draw(1, 9, 9, "uint8")))
    assert kept[-1] == str(tmp_path)


class TestZarr:
    @pytest.mark.parametrize(
        ("crs", "transform"),
        [
            ("EPSG:32633", PLACE),
            ("EPSG:4326", Affine(0.01, 0, 10, 0, -0.01, 50)),
            ("EPSG:3413", Affine(500, 0, -15_000, 0, -500, 15_000)),
        ],
    )
    def test_gdal_finds_its_place(self, tmp_path: Path, crs: str, transform: Affine) -> None:
        out, place = tmp_path / "map.zarr", grid(600, 520, crs, transform)
        values = draw(2, 520, 600)
        write_zarr(out, place, "float32", MapInfo(("VV", "VH"), -9999.0, unit="dB"), blocks(values))
        with rasterio.open(f'ZARR:"{out}":/map') as source:
            assert source.crs.to_epsg() == CRS.from_string(crs).to_epsg()
            np.testing.assert_allclose(list(source.transform)[:6], list(transform)[:6])
            assert source.nodata == -9999.0
            np.testing.assert_array_equal(source.read(), values)

    def test_a_turned_grid_is_refused(self, tmp_path: Path) -> None:
        turned = grid(9, 9, transform=Affine(8, 3, 500_000, 3, -8, 5_000_000))
        with pytest.raises(InputError, match=r"map\.zarr would lose its place.*write a GeoTIFF"):
            write_zarr(tmp_path / "map.zarr", turned, "uint8", MapInfo(("a",), None), [])

    def test_a_reader_without_gdal_finds_its_place_and_names(self, tmp_path: Path) -> None:
        import zarr

        info = MapInfo(("class",), 255, CLASSES, tags={"run": "x"}, time="2021-04-01")
        write_zarr(tmp_path / "map.zarr", grid(20, 10), "uint8", info, blocks(draw(1, 10, 20, "uint8")))
        group: Any = zarr.open_group(str(tmp_path / "map.zarr"), mode="r")
        array = group["map"]
        assert array.metadata.dimension_names == ("band", "y", "x")
        assert array.chunks == (1, 512, 512)
        assert array.attrs["grid_mapping"] == "spatial_ref"
        assert array.attrs["bands"] == ["class"]
        assert array.attrs["flag_values"] == [0, 1, 7]
        assert array.attrs["flag_meanings"] == "open_water trees built_&_bare"
        np.testing.assert_allclose(group["x"][:3], [500_005, 500_015, 500_025])
        np.testing.assert_allclose(group["y"][:2], [4_999_995, 4_999_985])
        assert CRS.from_wkt(group["spatial_ref"].attrs["crs_wkt"]).to_epsg() == 32633
