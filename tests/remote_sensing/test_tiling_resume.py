"""Whatever ends a map, and whenever, the same call goes on, and the bytes are those of a map that nothing ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from plait.cli import main
from plait.errors import InputError
from plait.pairs.workers import Died
from plait_remote_sensing.output import info
from plait_remote_sensing.tiling import TileFunction, engine, processes, run_map
from plait_remote_sensing.tiling import plan as planning
from plait_remote_sensing.tiling.ledger import folder_of, locked
from tests.remote_sensing.tiling_world import ALONE, mean, named, numbers, optical, pixels, plan_of, write_functions

type Write = Callable[..., Path]


class Killed(BaseException):
    """What no handler of ours catches, as little as a SIGKILL."""


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (planning, info):
        monkeypatch.setattr(module, "BLOCK", 64)


@pytest.fixture
def scene(tmp_path: Path, write_raster: Write) -> Path:
    stored = numbers(150, 170)
    stored[:, :60, :60] = 0
    return write_raster(tmp_path / "scene.tif", stored, nodata=0)


class Counting:
    """`mean`, counting its calls, and ended at one of them."""

    def __init__(self, end_at: int | None = None) -> None:
        self.calls, self.end_at = 0, end_at

    def __call__(self, images: Any, masks: Any) -> NDArray[Any]:
        self.calls += 1
        if self.calls == self.end_at:
            raise Killed
        return mean(images, masks)


def plan_with(scene: Path, compute: Any, **sizes: Any) -> Any:
    """A plan with a function that says the same of itself whatever it is, as one does that was not changed."""
    engine._FUNCTIONS.clear()
    plan = plan_of({"optical": optical(scene)}, TileFunction(compute), **sizes)
    object.__setattr__(plan.origin, "identity", lambda: {"function": "mean"})
    return plan


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("end_at", [1, 2, 17, 30, 38])
def test_a_map_ended_within_a_tile_goes_on(tmp_path: Path, scene: Path, end_at: int) -> None:
    whole, broken, again = Counting(), Counting(end_at), Counting()
    run_map(plan_with(scene, whole), tmp_path / "whole.tif", ALONE)
    with pytest.raises(Killed):
        run_map(plan_with(scene, broken), tmp_path / "map.tif", ALONE)
    assert not (tmp_path / "map.tif").exists()
    run_map(plan_with(scene, again), tmp_path / "map.tif", ALONE)
    assert (tmp_path / "map.tif").read_bytes() == (tmp_path / "whole.tif").read_bytes()
    # At most the tiles of the part that was running are computed twice.
    assert broken.calls + again.calls <= whole.calls + planning.GROUP**2


@pytest.mark.usefixtures("small_blocks")
def test_a_map_ended_at_any_file_goes_on(tmp_path: Path, scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before and after every file gets its name, and every file is removed."""
    run_map(plan_with(scene, mean), tmp_path / "whole.tif", ALONE)
    wanted, replace, unlink = (tmp_path / "whole.tif").read_bytes(), Path.replace, Path.unlink
    moment = 0
    while True:
        left = moment

        def ended(act: Any) -> Any:
            def acting(path: Path, *arguments: Any, **options: Any) -> Any:
                nonlocal left
                left -= 1
                if left == -1:
                    raise Killed
                answer = act(path, *arguments, **options)
                left -= 1
                if left == -1:
                    raise Killed
                return answer

            return acting

        out = tmp_path / "map.tif"
        with monkeypatch.context() as patched:
            patched.setattr(Path, "replace", ended(replace))
            patched.setattr(Path, "unlink", ended(unlink))
            try:
                run_map(plan_with(scene, mean), out, ALONE)
                complete = True
            except Killed:
                complete = False
        if not complete:
            run_map(plan_with(scene, mean), out, ALONE)
        assert out.read_bytes() == wanted
        if complete:
            break
        moment += 41
        run_map(plan_with(scene, mean), out, ALONE, restart=True)
        for made in (out, out.with_suffix(".json"), out.with_suffix(".qml"), folder_of(out) / "plan.json"):
            made.unlink()
        (folder_of(out) / "ledger.jsonl").unlink()
    assert moment > 30


@pytest.mark.usefixtures("small_blocks")
def test_a_complete_map_is_left_alone(tmp_path: Path, scene: Path) -> None:
    first = run_map(plan_with(scene, mean), tmp_path / "map.tif", ALONE)
    stamp, again = (tmp_path / "map.tif").stat().st_mtime_ns, Counting()
    second = run_map(plan_with(scene, again), tmp_path / "map.tif", ALONE)
    assert (again.calls, second.done, (tmp_path / "map.tif").stat().st_mtime_ns) == (0, 0, stamp)
    assert (second.seam, second.observed) == (first.seam, first.observed)
    assert str(second).startswith(f"{tmp_path / 'map.tif'} was complete already")


@pytest.mark.usefixtures("small_blocks")
def test_a_map_that_was_damaged_or_removed_is_made_again(tmp_path: Path, scene: Path) -> None:
    out = tmp_path / "map.tif"
    run_map(plan_with(scene, mean), out, ALONE)
    wanted = out.read_bytes()
    for spoil in (lambda: out.write_bytes(wanted[:-10]), out.unlink):
        spoil()
        run_map(plan_with(scene, mean), out, ALONE)
        assert out.read_bytes() == wanted


@pytest.mark.usefixtures("small_blocks")
def test_a_part_that_was_damaged_and_a_line_cut_short_are_done_again(tmp_path: Path, scene: Path) -> None:
    run_map(plan_with(scene, mean), tmp_path / "whole.tif", ALONE)
    out = tmp_path / "map.tif"
    with pytest.raises(Killed):
        run_map(plan_with(scene, Counting(30)), out, ALONE)
    folder = folder_of(out)
    parts = sorted(folder.glob("part-*.npy"))
    parts[0].write_bytes(parts[0].read_bytes()[:-40] + bytes(40))
    parts[1].write_bytes(b"")
    (folder / "part-9-9.77.tmp").write_bytes(b"half")
    ledger = folder / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes()[:-25])
    run_map(plan_with(scene, mean), out, ALONE)
    assert out.read_bytes() == (tmp_path / "whole.tif").read_bytes()
    assert not list(folder.glob("*.tmp"))


@pytest.mark.usefixtures("small_blocks")
def test_what_is_changed_is_named_and_restart_begins_anew(tmp_path: Path, scene: Path, write_raster: Write) -> None:
    out = tmp_path / "map.tif"
    with pytest.raises(Killed):
        run_map(plan_with(scene, Counting(20)), out, ALONE)
    with pytest.raises(InputError, match=r"begun with another halo \(8, and now 4\): .*--restart"):
        run_map(plan_with(scene, mean, halo=4), out, ALONE)
    with pytest.raises(InputError, match=r"begun with another format \(cog, and now zarr\)"):
        run_map(plan_with(scene, mean), out, ALONE, form="zarr")
    changed = write_raster(scene, numbers(150, 170) + 1)
    with pytest.raises(InputError, match="begun with another optical files"):
        run_map(plan_with(changed, mean), out, ALONE)
    again = Counting()
    assert run_map(plan_with(changed, again), out, ALONE, restart=True).failures == {}
    assert again.calls > 30


@pytest.mark.usefixtures("small_blocks")
def test_a_function_that_fails_on_one_tile_costs_its_part_only_and_is_tried_again(tmp_path: Path, scene: Path) -> None:
    run_map(plan_with(scene, mean), tmp_path / "whole.tif", ALONE)
    calls = 0

    def failing(images: Any, masks: Any) -> NDArray[Any]:
        nonlocal calls
        calls += 1
        if calls == 20:
            raise RuntimeError("no luck")  # in the line that the message names
        return mean(images, masks)

    line = 1 + Path(__file__).read_text().splitlines().index(
        '            raise RuntimeError("no luck")  # in the line that the message names'
    )
    summary = run_map(plan_with(scene, failing), tmp_path / "map.tif", ALONE)
    assert list(summary.failures.values()) == [
        f"the function failed (RuntimeError: no luck) at test_tiling_resume.py, line {line}"
    ]
    assert not (tmp_path / "map.tif").exists()
    again = Counting()
    assert run_map(plan_with(scene, again), tmp_path / "map.tif", ALONE).failures == {}
    assert 1 <= again.calls <= planning.GROUP**2
    assert (tmp_path / "map.tif").read_bytes() == (tmp_path / "whole.tif").read_bytes()


def test_two_processes_do_not_make_one_map_and_a_dead_one_does_not_bar_it(tmp_path: Path, scene: Path) -> None:
    folder = folder_of(tmp_path / "map.tif")
    with locked(folder), pytest.raises(InputError, match=f"Process {os.getpid()} is making this map"):
        run_map(plan_with(scene, mean), tmp_path / "map.tif", ALONE)
    (folder / "lock").write_text("999999")
    assert run_map(plan_with(scene, mean), tmp_path / "map.tif", ALONE).done


def test_too_small_a_disk_is_said_before_the_work(tmp_path: Path, scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    counting = Counting()
    with pytest.raises(InputError, match=r"has 0\.0 MB free where the map and its parts take up to 0\.\d: make room"):
        run_map(plan_with(scene, counting), tmp_path / "map.tif", ALONE)
    assert counting.calls <= planning.GROUP**2


@pytest.fixture
def functions(tmp_path: Path) -> str:
    return write_functions(tmp_path)


def test_a_worker_that_is_killed_is_replaced_and_its_job_done_again(
    tmp_path: Path, scene: Path, functions: str
) -> None:
    run_map(named(scene, functions, "slow"), tmp_path / "whole.tif", ALONE)
    summary = run_map(named(scene, functions, "deadly"), tmp_path / "map.tif", processes(2))
    assert (tmp_path / "killed").exists()
    assert summary.failures == {}
    with_tags = [pixels(tmp_path / name) for name in ("whole.tif", "map.tif")]
    np.testing.assert_array_equal(*with_tags)


@pytest.mark.usefixtures("small_blocks")
def test_a_job_whose_workers_always_die_is_named_and_the_others_go_on(tmp_path: Path, scene: Path) -> None:
    deaths: list[str] = []

    def deadly(function: Any, jobs: Any) -> Any:
        for job in jobs:
            if str(job) == "part 2,2":
                deaths.append(str(job))
                yield job, Died("ended the process that read it (Killed)")
            else:
                yield job, function(job)

    summary = run_map(plan_with(scene, mean), tmp_path / "map.tif", deadly)
    assert summary.failures == {"part 2,2": "ended the process that read it (Killed) (3 times)"}
    assert len(deaths) == 3
    again = Counting()
    assert run_map(plan_with(scene, again), tmp_path / "map.tif", ALONE).failures == {}
    assert 1 <= again.calls <= planning.GROUP**2


PLAIT = [sys.executable, "-c", "from plait.cli import main; raise SystemExit(main())"]


def test_a_command_that_is_killed_goes_on_with_the_same_command(
    tmp_path: Path, write_raster: Write, functions: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = write_raster(tmp_path / "optical.tif", numbers(250, 250, 4), tags={"BOA_ADD_OFFSET": "0"})
    arguments = ["remote-sensing", "map", "--function", f"{functions}:slow", "--optical", str(scene)]
    arguments += ["--tile", "32", "--halo", "8", "--overlap", "8", "--out"]
    out, ledger = tmp_path / "map.tif", folder_of(tmp_path / "map.tif") / "ledger.jsonl"
    with (tmp_path / "said").open("w") as said:
        command = [*PLAIT, *arguments, str(out), "--workers", "0"]
        process = subprocess.Popen(command, cwd=tmp_path, stderr=said)
        while not (ledger.exists() and ledger.read_bytes().count(b"\n") >= 5):
            assert process.poll() is None, (tmp_path / "said").read_text()
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = ledger.read_bytes().count(b"\n")
    assert not out.exists()
    monkeypatch.chdir(tmp_path)
    assert main([*arguments, str(out), "--workers", "0"]) == 0
    calls = (tmp_path / "calls").stat().st_size
    assert main([*arguments, str(tmp_path / "whole.tif"), "--workers", "0"]) == 0
    assert out.read_bytes() == (tmp_path / "whole.tif").read_bytes()
    assert done >= 5
    # 11 x 11 tiles, and those of the part that was running.
    assert calls <= 11**2 + planning.GROUP**2
