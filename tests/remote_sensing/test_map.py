"""``plait remote-sensing map``: one scene or many, any function or a trained run, and one sentence where it cannot."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from rio_cogeo.cogeo import cog_validate

from plait.apps import load_app
from plait.cli import main
from plait.pairs.table import PairTable
from plait.recipes import build_model, read_recipe
from plait.training.run_folder import write_run
from plait_remote_sensing.load import Loader
from tests.remote_sensing.miniatures.sentinel1 import land, write_safe
from tests.remote_sensing.stac_core import breaches
from tests.remote_sensing.tiling_world import numbers, pixels, write_functions

type Write = Callable[..., Path]


def plait(*arguments: object) -> int:
    return main(["remote-sensing", "map", *map(str, arguments), "--workers", "0"])


@pytest.fixture
def optical(tmp_path: Path, write_raster: Write) -> Path:
    return write_raster(tmp_path / "s2_optical.tif", numbers(90, 110, 4), tags={"BOA_ADD_OFFSET": "0"})


@pytest.fixture
def function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    return f"{write_functions(tmp_path)}:slow"


@pytest.fixture(scope="module")
def run(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained(pairs, tmp_path_factory.mktemp("run"))


def untrained(pairs: Path, folder: Path, **data: Any) -> Path:
    """A run folder of a model that has not learnt anything, of data read so."""
    domain, table = load_app("remote-sensing"), PairTable.read(pairs)
    recipe = read_recipe("sar_optical_late", domain)
    recipe = replace(recipe, data={**recipe.data, **data})
    torch.manual_seed(0)
    write_run(folder, build_model(recipe, domain), recipe, "remote-sensing", table, 0, 0, [])
    return folder


def without_common(run: Path, copy: Path) -> Path:
    """A run folder as they were before they knew what the rows of their table have in common."""
    shutil.copytree(run, copy)
    told = json.loads((copy / "run.json").read_text())
    del told["common"]
    (copy / "run.json").write_text(json.dumps(told))
    return copy


def test_a_function_of_one_scene(tmp_path: Path, optical: Path, function: str, capsys: Any) -> None:
    out = tmp_path / "map.tif"
    assert plait("--function", function, "--optical", optical, "--out", out) == 0
    np.testing.assert_allclose(pixels(out)[0], numbers(90, 110, 4).mean(axis=0) / 10_000, atol=1e-6)
    assert f"wrote {out}: 100.0% of its pixels have an answer\n" in capsys.readouterr().out
    assert breaches(out.with_suffix(".json")) == []
    item = json.loads(out.with_suffix(".json").read_text())
    assert item["properties"]["plait_function"] == function
    assert item["properties"]["plait_observed"] == 1.0
    assert out.with_suffix(".qml").exists()
    assert cog_validate(out, strict=True)[0]
    assert plait("--function", function, "--optical", optical, "--out", out) == 0
    assert "was complete already" in capsys.readouterr().out


def test_the_offset_and_the_bands_that_the_user_names_are_used(tmp_path: Path, optical: Path, function: str) -> None:
    out = tmp_path / "map.tif"
    flags = ("--optical-offset", "1000", "--optical-bands", "s2_optical_2")
    assert plait("--function", function, "--optical", optical, "--out", out, *flags) == 0
    np.testing.assert_allclose(pixels(out)[0], (numbers(90, 110, 4)[1] - 1000.0) / 10_000, atol=1e-6)


def test_a_map_as_zarr(tmp_path: Path, optical: Path, function: str) -> None:
    out = tmp_path / "map.zarr"
    assert plait("--function", function, "--optical", optical, "--out", out, "--format", "zarr") == 0
    assert breaches(tmp_path / "map.zarr.json") == []
    with rasterio.open(f'ZARR:"{out}":/map') as source:
        np.testing.assert_allclose(source.read(1), numbers(90, 110, 4).mean(axis=0) / 10_000, atol=1e-6)


def test_many_scenes_of_which_one_fails(
    tmp_path: Path, optical: Path, function: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken_s2.tif").write_bytes(optical.read_bytes()[:500])
    table = tmp_path / "scenes.csv"
    table.write_text(f"sar,optical,name\n,{optical.name},good\n,broken_s2.tif,bad\n,{optical.name},again\n")
    out = tmp_path / "maps"
    assert plait("--function", function, "--scenes", table, "--out", out) == 1
    said = capsys.readouterr().out
    assert "bad.tif: " in said
    assert "1 failed; the same command does what is missing" in said
    ledger = {row["map"]: row for row in json.loads((out / "maps.json").read_text())}
    assert {name: row["complete"] for name, row in ledger.items()} == {
        "good.tif": True, "bad.tif": False, "again.tif": True,
    }  # fmt: skip
    assert "broken_s2.tif" in ledger["bad.tif"]["failures"]["bad.tif"]
    (tmp_path / "broken_s2.tif").write_bytes(optical.read_bytes())
    assert plait("--function", function, "--scenes", table, "--out", out) == 0
    assert capsys.readouterr().out.count("was complete already") == 2


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("sar,optical,name\n,,a\n", "line 2: there is neither a sar nor an optical product"),
        ("sar,optical,name\n,x.tif,a\n,y.tif,a\n", "names two maps a.tif"),
        ("sar,optical,name\n,x.tif,../a\n", "would lie outside"),
        ("sar,optical\n", "names no scene"),
    ],
)
def test_a_list_that_cannot_be_mapped_is_a_sentence(
    tmp_path: Path, function: str, rows: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scenes.csv").write_text(rows)
    assert plait("--function", function, "--scenes", tmp_path / "scenes.csv", "--out", tmp_path / "maps") == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--function", "nowhere:it"], "--function nowhere:it cannot be imported"),
        (["--function", "json"], "write it as package.module:callable"),
        (["--function", "json:__doc__"], "is a str: name something callable"),
        (["--function", "json:dumps", "--label", "x"], "give them with --run"),
        (["--function", "json:dumps", "--scenes", "x.csv"], "Give one scene"),
        (["--function", "json:dumps", "--out", "map.png"], "end it in .tif"),
        (["--function", "json:dumps", "--overlap", "300"], "give --overlap 0 to 256"),
        (["--function", "json:dumps", "--optical", "gone.tif"], "There is no .*gone.tif"),
        (["--run", "nowhere"], "is not a finished run folder"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(
    tmp_path: Path, optical: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rest = [] if "--optical" in arguments else ["--optical", optical]
    rest += [] if "--out" in arguments else ["--out", tmp_path / "map.tif"]
    assert plait(*arguments, *rest) == 2
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(capsys.readouterr().err)


def test_a_scene_without_products_is_refused(tmp_path: Path, function: str, capsys: Any) -> None:
    assert plait("--function", function, "--out", tmp_path / "map.tif") == 2
    assert "A map needs a scene" in capsys.readouterr().err


def test_raw_radar_in_mountains_is_mapped_if_its_error_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "radar_first.py").write_text("def first(images, masks):\n    return images['sar'][:1]\n")
    monkeypatch.chdir(tmp_path)
    flags = ("--function", "radar_first:first", "--sar", write_safe(tmp_path, {"VV": land()}, terrain=300.0))
    assert plait(*flags, "--out", tmp_path / "map.tif") == 2
    assert "more than 50 m is refused" in capsys.readouterr().err
    assert plait(*flags, "--out", tmp_path / "map.tif", "--geolocation-limit", "1000") == 0
    assert breaches(tmp_path / "map.json") == []


@pytest.mark.parametrize("data", [{}, {"speckle_filter": "refined_lee", "looks": 3.0}])
def test_an_embedding_is_that_of_the_patch_as_evaluation_reads_it(
    world: Path, pairs: Path, tmp_path: Path, data: dict[str, Any]
) -> None:
    """Of every patch of a scene: the fused features from the loader's own pixels, context and mirror image included."""
    from plait.objectives.step import Step
    from plait.training.run_folder import read_run

    run, scene = untrained(pairs, tmp_path, **data), "601D_101L_0_0.tif"
    flags = ("--sar", world / "S1RTC" / scene, "--optical", world / "S2L2A" / scene, "--step", 16, "--tile", 64)
    assert plait("--run", run, *flags, "--sar-unit", "db", "--optical-offset", "0", "--out", tmp_path / "map.tif") == 0
    found = pixels(tmp_path / "map.tif")
    table, loader = PairTable.read(pairs), Loader(**data)
    model, _, _ = read_run(run, load_app("remote-sensing"))
    rows = [row for row in map(table.row, range(len(table))) if row["id"].startswith("601D")][:12]
    samples = [loader(row, world) for row in rows]
    names = [row["id"] for row in rows]
    with torch.inference_mode():
        wanted = Step(model, model.collate(samples, names, names)).fused(("sar", "optical")).pooled.numpy()
    for row, vector in zip(rows, wanted, strict=True):
        column, line = (int(text) // 16 for text in row["window"].split(",")[:2])
        if column < 6:  # beyond, the loader mirrors at the edge of the split and the map does not
            np.testing.assert_allclose(found[:, line, column], vector, atol=1e-4)


def test_an_embedding_in_8_bits_is_the_unit_vector(world: Path, run: Path, tmp_path: Path) -> None:
    scene = world / "S2L2A" / "601D_101L_0_0.tif"
    flags = ("--run", run, "--optical", scene, "--optical-offset", "0", "--step", 16, "--tile", 64)
    assert plait(*flags, "--out", tmp_path / "float.tif") == 0
    assert plait(*flags, "--dtype", "int8", "--out", tmp_path / "int8.tif") == 0
    values, counts = pixels(tmp_path / "float.tif"), pixels(tmp_path / "int8.tif")
    assert counts.dtype == np.int8
    with rasterio.open(tmp_path / "int8.tif") as source:
        assert source.scales[0] == pytest.approx(1 / 127)
    unit = values / np.linalg.norm(values, axis=0, keepdims=True)
    np.testing.assert_allclose(counts / 127, unit, atol=0.51 / 127)


def test_a_class_map_by_a_linear_probe(world: Path, pairs: Path, run: Path, tmp_path: Path) -> None:
    scene = "602D_102L_0_0.tif"
    flags = ("--run", run, "--pairs", pairs, "--label", "land_cover", "--optical", world / "S2L2A" / scene)
    assert plait(*flags, "--optical-offset", "1000", "--tile", 64, "--out", tmp_path / "map.tif") == 0
    found = pixels(tmp_path / "map.tif")
    assert found.dtype == np.uint8
    assert set(np.unique(found[0])) <= {1, 2, 4, 5, 9}
    assert found[1].min() >= 20
    assert breaches(tmp_path / "map.json") == []
    with rasterio.open(tmp_path / "map.tif") as source:
        assert source.descriptions == ("class", "probability")
    # Untrained features already tell water from land: the map agrees with the truth far above chance.
    with rasterio.open(world / "LULC" / scene) as source:
        truth = source.read(1)[8::16, 8::16][:14, :10]
    assert (found[0, :14, :10] == truth).mean() > 0.4


def test_a_run_that_takes_other_bands_names_those_of_the_scene(
    tmp_path: Path, optical: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    without_common(run, tmp_path / "run")
    assert plait("--run", tmp_path / "run", "--optical", optical, "--step", 16, "--out", tmp_path / "map.tif") == 2
    assert "takes 12 bands of optical, and the scene has 4" in capsys.readouterr().err


def test_a_patch_that_nobody_knows_the_size_of_is_asked_for(
    world: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene, old = world / "S2L2A" / "601D_101L_0_0.tif", without_common(run, tmp_path / "run")
    assert plait("--run", old, "--optical", scene, "--optical-offset", "0", "--out", tmp_path / "map.tif") == 2
    assert "give --step PIXELS" in capsys.readouterr().err
