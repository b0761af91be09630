"""What a map may not do: replace what is not its own, mix two files, run stale code, or leave a traceback."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rasterio.transform import Affine

from plait.cli import main
from plait.errors import InputError
from plait_remote_sensing.tiling import Named, TileFunction, run_map
from plait_remote_sensing.tiling.ledger import folder_of
from plait_remote_sensing.tiling.part import write_array
from plait_remote_sensing.tiling.scenes import listed
from tests.remote_sensing.tiling_world import ALONE, mean, numbers, optical, plan_of, sar

type Write = Callable[..., Path]
MEAN = TileFunction(mean)


@pytest.fixture
def scene(tmp_path: Path, write_raster: Write) -> Path:
    return write_raster(tmp_path / "scene.tif", numbers(60, 70))


@pytest.mark.parametrize("name", ["scene.tif", "./scene.tif", "link.tif"])
@pytest.mark.parametrize("restart", [False, True])
def test_a_map_does_not_replace_its_source(tmp_path: Path, scene: Path, name: str, restart: bool) -> None:
    (tmp_path / "link.tif").symlink_to(scene)
    before = scene.read_bytes()
    with pytest.raises(InputError, match=r"The map would replace .*\.tif, which it is made from: name another --out"):
        run_map(plan_of({"optical": optical(scene)}, MEAN), tmp_path / name, ALONE, restart=restart)
    assert scene.read_bytes() == before


@pytest.mark.parametrize("name", ["map.tif", "map.json", "map.qml"])
def test_a_file_that_is_no_map_of_ours_is_not_replaced_unasked(tmp_path: Path, scene: Path, name: str) -> None:
    (tmp_path / name).write_text("a year of field work")
    plan = plan_of({"optical": optical(scene)}, MEAN)
    with pytest.raises(InputError, match=rf"{name} is there, and no map was begun .* or give --restart to replace it"):
        run_map(plan, tmp_path / "map.tif", ALONE)
    assert (tmp_path / name).read_text() == "a year of field work"
    assert run_map(plan, tmp_path / "map.tif", ALONE, restart=True).failures == {}


def test_a_source_that_is_replaced_meanwhile_is_named_and_no_map_is_left(
    tmp_path: Path, scene: Path, write_raster: Write
) -> None:
    calls = 0

    def compute(images: Any, masks: Any) -> NDArray[Any]:
        nonlocal calls
        calls += 1
        if calls == 5:
            write_raster(scene, numbers(60, 70) + 1)
        return mean(images, masks)

    with pytest.raises(InputError, match=r"scene\.tif was changed while it was mapped, .* --restart"):
        run_map(plan_of({"optical": optical(scene)}, TileFunction(compute)), tmp_path / "map.tif", ALONE)
    assert not (tmp_path / "map.tif").exists()


def test_a_scene_that_lies_elsewhere_is_refused_with_the_distance(scene: Path, write_raster: Write) -> None:
    there = Affine(10, 0, 600_000, 0, -10, 5_000_000)
    dark = write_raster(scene.with_name("sar.tif"), np.full((1, 60, 70), -9, np.float32), transform=there)
    with pytest.raises(InputError, match=r"sar\.tif lie 9\d\.\d km apart"):
        plan_of({"sar": sar(dark), "optical": optical(scene)}, MEAN)


def test_clouds_are_not_masked_without_a_classification(scene: Path) -> None:
    with pytest.raises(InputError, match=r"scene\.tif has no scene classification .* leave out --mask"):
        plan_of({"optical": optical(scene)}, MEAN, mask=True)


@pytest.mark.parametrize("left", ["", "{", "[]"])
def test_a_damaged_plan_is_a_sentence(tmp_path: Path, scene: Path, left: str) -> None:
    plan, out = plan_of({"optical": optical(scene)}, MEAN), tmp_path / "map.tif"
    run_map(plan, out, ALONE)
    (folder_of(out) / "plan.json").write_text(left)
    with pytest.raises(InputError, match=r"plan\.json is damaged, .* --restart"):
        run_map(plan, out, ALONE)
    assert run_map(plan, out, ALONE, restart=True).done


def test_what_stands_beside_a_complete_map_is_restored(tmp_path: Path, scene: Path) -> None:
    plan, out = plan_of({"optical": optical(scene)}, MEAN), tmp_path / "map.tif"
    run_map(plan, out, ALONE)
    for path in (out.with_suffix(".json"), out.with_suffix(".qml")):
        wanted = path.read_bytes()
        path.unlink()
        assert run_map(plan, out, ALONE).done == 0
        assert path.read_bytes() == wanted


def test_a_full_disk_is_a_sentence_wherever_it_is_met(
    tmp_path: Path, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    plan, out = plan_of({"optical": optical(scene)}, MEAN), tmp_path / "map.tif"
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(InputError, match=r"plan\.json cannot be written \(No space left on device\): make room"):
            run_map(plan, out, ALONE)
        with pytest.raises(InputError, match=r"part\.npy cannot be written \(No space left on device\)"):
            write_array(tmp_path / "part.npy", np.zeros(3))
    assert not list(tmp_path.glob("**/*.tmp"))
    (folder_of(out) / "ledger.jsonl").symlink_to("/dev/full")
    with pytest.raises(InputError, match=r"ledger\.jsonl cannot be written \(No space left on device\)"):
        run_map(plan, out, ALONE)


def test_a_long_lived_process_runs_the_source_that_the_plan_was_made_of(tmp_path: Path) -> None:
    module = tmp_path / "living_function.py"
    for number in (1, 2):
        module.write_text(f"def f(images, masks):\n    return {number}\n")
        origin = Named("living_function:f", str(tmp_path))
        assert origin.load().compute({}, {}) == number
    module.write_text("def f(images, masks):\n    return 3\n")
    with pytest.raises(InputError, match=r"living_function\.py was changed since the map was begun"):
        origin.load()


def test_no_map_of_a_list_has_the_name_of_its_ledger(tmp_path: Path) -> None:
    (tmp_path / "scenes.csv").write_text("optical,name\nx.tif,maps\n")
    with pytest.raises(InputError, match=r"line 2: a map 'maps' would be described in maps\.json"):
        listed(tmp_path / "scenes.csv", tmp_path / "out", ".tif")


@pytest.mark.parametrize(
    ("name", "body", "workers", "said"),
    [
        ("leaving", "sys.exit(3)", "0", "the function ended its process (sys.exit(3))"),
        ("interrupting", "raise KeyboardInterrupt", "1", "the function raised KeyboardInterrupt"),
        (
            "silent",
            "return images['optical'][:1] * float('nan')",
            "0",
            "the function has no answer (NaN) for any pixel",
        ),
    ],
)
def test_a_function_that_answers_nothing_is_named(
    tmp_path: Path, write_raster: Write, monkeypatch: pytest.MonkeyPatch, capsys: Any,
    name: str, body: str, workers: str, said: str,
) -> None:  # fmt: skip
    scene = write_raster(tmp_path / "scene.tif", numbers(40, 40), tags={"BOA_ADD_OFFSET": "0"})
    (tmp_path / f"{name}.py").write_text(f"import sys\ndef f(images, masks):\n    {body}\n")
    monkeypatch.chdir(tmp_path)
    flags = ["--function", f"{name}:f", "--optical", str(scene), "--out", "map.tif", "--workers", workers]
    assert main(["remote-sensing", "map", *flags]) == 1
    told = capsys.readouterr().out
    assert said in told
    assert "decoder" not in told
    assert (tmp_path / "map.tif").exists() == ("NaN" in said)
