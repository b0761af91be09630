"""What ``map`` says of how it reads, what it takes from a run, and in which words it refuses and fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch

from plait.apps import load_app
from plait.cli import main
from plait.errors import InputError
from plait.pairs.table import PairTable
from plait.recipes import build_model, read_recipe
from plait.training.run_folder import write_run
from plait_remote_sensing.bands import L2A_BANDS
from plait_remote_sensing.products.sar_unit import decide_unit
from plait_remote_sensing.tiling import TileFunction, make_plan
from plait_remote_sensing.tiling import plan as planning
from tests.remote_sensing.tiling_world import Given, mean, numbers, optical, pixels, plan_of, write_functions

type Write = Callable[..., Path]
type Said = pytest.CaptureFixture[str]


def plait(*arguments: object) -> int:
    return main(["remote-sensing", "map", *map(str, arguments), "--workers", "0"])


@pytest.fixture
def light(tmp_path: Path, write_raster: Write) -> Path:
    return write_raster(tmp_path / "s2_optical.tif", numbers(90, 110, 4), tags={"BOA_ADD_OFFSET": "0"})


@pytest.fixture
def dark(tmp_path: Path, write_raster: Write) -> Path:
    db = np.random.default_rng(0).normal([[[-10]], [[-17]]], 3, (2, 90, 110)).astype(np.float32)
    return write_raster(tmp_path / "s1_sar.tif", db, tags={"UNITS": "dB"})


@pytest.fixture
def functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    return write_functions(tmp_path)


@pytest.fixture(scope="module")
def run(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, domain, table = tmp_path_factory.mktemp("run"), load_app("remote-sensing"), PairTable.read(pairs)
    recipe = read_recipe("sar_optical_late", domain)
    torch.manual_seed(0)
    write_run(folder, build_model(recipe, domain), recipe, "remote-sensing", table, 0, 0, [])
    return folder


@pytest.fixture
def backwards(world: Path, tmp_path: Path) -> Path:
    """An optical scene of the world with its bands named, and in the reverse order."""
    with rasterio.open(world / "S2L2A" / "601D_101L_0_0.tif") as source:
        profile, values = source.profile, source.read()
    path = tmp_path / "backwards_optical.tif"
    with rasterio.open(path, "w", **profile) as target:
        target.write(values[::-1])
        for number, name in enumerate(L2A_BANDS[::-1], 1):
            target.set_band_description(number, name)
    return path


def test_a_run_finds_its_bands_by_name_and_knows_its_patches(
    world: Path, run: Path, backwards: Path, tmp_path: Path, capsys: Said
) -> None:
    flags = ("--run", run, "--optical-offset", "0", "--tile", 64)
    assert plait(*flags, "--optical", world / "S2L2A" / "601D_101L_0_0.tif", "--out", tmp_path / "one.tif") == 0
    assert f"plait: loading {run}\n" in capsys.readouterr().err
    assert plait(*flags, "--optical", backwards, "--out", tmp_path / "two.tif") == 0
    np.testing.assert_allclose(pixels(tmp_path / "two.tif"), pixels(tmp_path / "one.tif"), atol=1e-6)
    with rasterio.open(tmp_path / "two.tif") as source:
        assert source.tags()["plait_step"] == "16"
        assert source.tags()["plait_optical_bands"] == ",".join(L2A_BANDS)


def test_other_bands_than_those_of_the_run_are_refused(
    run: Path, backwards: Path, light: Path, tmp_path: Path, capsys: Said
) -> None:
    flags = ("--run", run, "--optical-offset", "0", "--out", tmp_path / "map.tif")
    assert plait(*flags, "--optical", backwards, "--optical-bands", ",".join(L2A_BANDS[::-1])) == 2
    assert f"trained on the optical bands {','.join(L2A_BANDS)}, and --optical-bands asks" in capsys.readouterr().err
    assert plait(*flags, "--optical", light) == 2
    assert "s2_optical.tif has no B01, B02" in capsys.readouterr().err


def test_the_bands_of_a_recipe_go_before_those_of_the_table(pairs: Path, run: Path) -> None:
    from plait.training.run_folder import read_info
    from plait_remote_sensing.load import Loader
    from plait_remote_sensing.tiling.trained import _bands_of

    info = read_info(run)
    assert _bands_of("optical", Loader(optical_bands=("B04", "B03")), info) == ("B04", "B03")
    assert _bands_of("optical", Loader(), info) == L2A_BANDS
    assert _bands_of("sar", Loader(), info) == ("VV", "VH")


def test_how_a_scene_is_read_is_said_and_kept(
    tmp_path: Path, light: Path, dark: Path, functions: str, capsys: Said
) -> None:
    out = tmp_path / "map.tif"
    flags = ("--function", f"{functions}:slow", "--sar", dark, "--optical", light, "--sar-bands", "VH")
    assert plait(*flags, "--out", out) == 0
    said = capsys.readouterr().err
    assert "plait: sar: s1_sar.tif: unit db, bands VH; Its two bands have no names" in said
    assert "plait: optical: s2_optical.tif: unit dn, offset 0, bands s2_optical_1" in said
    assert said.index("plait: optical") < said.index("map map.tif: 1/")
    wanted = {"plait_sar_unit": "db", "plait_sar_bands": "VH", "plait_optical_unit": "dn", "plait_optical_offset": "0"}
    item = json.loads(out.with_suffix(".json").read_text())["properties"]
    with rasterio.open(out) as source:
        for told in (item, source.tags()):
            assert {name: told[name] for name in wanted} == wanted


def test_a_raster_of_the_other_sensor_is_asked_about(
    tmp_path: Path, light: Path, dark: Path, backwards: Path, functions: str, capsys: Said
) -> None:
    flags = ("--function", f"{functions}:slow", "--out", tmp_path / "map.tif")
    assert plait(*flags, "--sar", backwards) == 2
    assert "is it the optical scene? Give it with --optical" in capsys.readouterr().err
    assert plait(*flags, "--optical", dark) == 2
    assert "negative values" in (said := capsys.readouterr().err)
    assert "as decibels are" in said
    with rasterio.open(dark, "r+") as target:
        target.set_band_description(1, "VV")
        target.set_band_description(2, "VH")
    assert plait(*flags, "--optical", dark) == 2
    assert "has the bands VH, VV: is it the SAR scene?" in capsys.readouterr().err


def test_a_geotiff_and_a_zarr_group_of_one_name_keep_their_own_items(
    tmp_path: Path, light: Path, functions: str
) -> None:
    flags = ("--function", f"{functions}:slow", "--optical", light)
    assert plait(*flags, "--out", tmp_path / "map.tif") == 0
    before = (tmp_path / "map.json").read_bytes()
    assert plait(*flags, "--out", tmp_path / "map.zarr", "--format", "zarr") == 0
    assert (tmp_path / "map.json").read_bytes() == before
    assert json.loads((tmp_path / "map.zarr.json").read_text())["assets"]["map"]["href"] == "map.zarr"


def test_a_mended_function_begins_anew_by_itself_where_nothing_was_done(
    tmp_path: Path, light: Path, functions: str, capsys: Said
) -> None:
    (tmp_path / "mending_one.py").write_text("def it(images, masks):\n    return images['optical'][0] / 0 + nothing\n")
    (tmp_path / "mending_two.py").write_text("def it(images, masks):\n    return images['optical'][:1]\n")
    flags = ("--optical", light, "--tile", 32, "--halo", 0, "--overlap", 0, "--out", tmp_path / "map.tif")
    with np.errstate(all="ignore"):
        assert plait("--function", "mending_one:it", *flags) == 1
    said = capsys.readouterr().out
    # Four parts, one cause, and where in the user's own file it lies.
    assert said.count("NameError: name 'nothing' is not defined) at mending_one.py, line 2") == 1
    assert "map.tif, columns 0 to 64, rows 0 to 64; map.tif, columns 64 to 110, rows 0 to 64;" in said
    assert " and 1 more: the function failed" in said
    assert "a mended function begins anew with --restart" in said
    assert plait("--function", "mending_two:it", *flags) == 0
    (tmp_path / "map.tif").unlink()
    assert plait("--function", "mending_one:it", *flags) == 2
    assert "was begun with another function" in capsys.readouterr().err


def test_what_the_work_takes_is_said_before_the_function_is_called(
    tmp_path: Path, light: Path, functions: str, capsys: Said
) -> None:
    assert plait("--function", f"{functions}:slow", "--optical", light, "--out", tmp_path / "map.tif") == 0
    said = capsys.readouterr().err
    bound = "map.tif: 1 tiles of 512 pixels in 1 parts; at most"
    assert said.index(bound) < said.index("MB a worker for what is read") < said.index("map map.tif: 1/")


def test_a_tile_is_no_larger_than_the_scene(tmp_path: Path, write_raster: Write) -> None:
    source = optical(write_raster(tmp_path / "scene.tif", numbers(90, 700)))
    assert plan_of({"optical": source}, TileFunction(mean), tile=100_000).tile == 1024
    coarse = TileFunction(mean, step=96)
    assert plan_of({"optical": source}, coarse, tile=96_000, halo=0, overlap=0).tile == 1536


def test_tiles_that_do_not_fit_into_memory_are_refused(
    tmp_path: Path, write_raster: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = optical(write_raster(tmp_path / "scene.tif", numbers(900, 900)))
    plan = plan_of({"optical": source}, TileFunction(mean), tile=512)
    monkeypatch.setattr(planning, "_memory", lambda: 2 * plan.reading)
    assert plan_of({"optical": source}, TileFunction(mean), tile=512).tile == 512
    monkeypatch.setattr(planning, "_memory", lambda: 2 * plan.reading - 2)
    with pytest.raises(InputError, match=r"Tiles of 512 pixels take .* GB a worker .*: give a smaller --tile"):
        plan_of({"optical": source}, TileFunction(mean), tile=512)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"tile": 0}, "--tile 0: .*give --tile 1 or more"),
        ({"halo": -1}, "--halo -1: a number of pixels is wanted, 0 or more"),
        ({"overlap": -2}, "--overlap -2: a number of pixels is wanted, 0 or more"),
    ],
)
def test_sizes_that_are_none_are_refused_by_their_flag(
    tmp_path: Path, write_raster: Write, sizes: dict[str, int], message: str
) -> None:
    source = optical(write_raster(tmp_path / "scene.tif", numbers(40, 40)))
    with pytest.raises(InputError, match=message):
        make_plan({"optical": source}, planning.grid_of(source.root / "scene.tif"), Given(TileFunction(mean)), **sizes)


def test_the_columns_of_a_list_are_named_where_they_are_others(tmp_path: Path, functions: str, capsys: Said) -> None:
    (tmp_path / "scenes.csv").write_text("radar,image\na.tif,b.tif\n")
    assert plait("--function", f"{functions}:slow", "--scenes", "scenes.csv", "--out", tmp_path / "maps") == 2
    assert "has the columns radar, image, and a list of scenes has sar or optical" in capsys.readouterr().err


def test_the_flag_of_each_verb_for_a_unit_is_named() -> None:
    with pytest.raises(InputError, match=r"'--sar-unit power' \(map\) or '--set sar_unit=power' \(ingest\)"):
        decide_unit(np.full((1, 100), 1000.0, np.float32), {}, [None], "here.tif")


def test_the_seam_score_is_said_with_its_meaning_and_only_where_there_are_borders_enough(
    tmp_path: Path, light: Path, functions: str, capsys: Said
) -> None:
    flags = ("--function", f"{functions}:slow", "--optical", light, "--halo", 0, "--overlap", 0)
    assert plait(*flags, "--tile", 32, "--out", tmp_path / "many.tif") == 0
    assert " (1 is seamless)\n" in capsys.readouterr().out
    assert isinstance(json.loads((tmp_path / "many.json").read_text())["properties"]["plait_seam_score"], float)
    assert plait(*flags, "--tile", 64, "--out", tmp_path / "few.tif") == 0
    assert "seam score" not in capsys.readouterr().out
    assert "plait_seam_score" not in json.loads((tmp_path / "few.json").read_text())["properties"]
