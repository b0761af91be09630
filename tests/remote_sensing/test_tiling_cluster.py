"""A Dask cluster makes the map that one process makes, byte for byte, also where one of its workers is killed."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from plait.errors import InputError
from plait_remote_sensing.tiling import cluster, run_map, runners
from tests.remote_sensing.tiling_world import ALONE, named, numbers, write_functions

type Write = Callable[..., Path]


@pytest.fixture(scope="module")
def address() -> Generator[str]:
    """A scheduler and two workers, each a process of its own, on loopback."""
    from distributed import LocalCluster

    two: Any = LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", host="127.0.0.1")
    with two as started:
        yield started.scheduler_address


def test_a_killed_worker_changes_no_byte(tmp_path: Path, write_raster: Write, address: str) -> None:
    functions = write_functions(tmp_path)
    scene = write_raster(tmp_path / "scene.tif", numbers(150, 170))
    summary = run_map(named(scene, functions, "deadly"), tmp_path / "map.tif", cluster(address))
    assert (tmp_path / "killed").exists()
    assert summary.failures == {}
    run_map(named(scene, functions, "deadly"), tmp_path / "whole.tif", ALONE)
    assert (tmp_path / "map.tif").read_bytes() == (tmp_path / "whole.tif").read_bytes()


def test_an_address_where_no_scheduler_answers_is_a_sentence(
    tmp_path: Path, write_raster: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runners, "PATIENCE", 0.5)
    functions = write_functions(tmp_path)
    scene = write_raster(tmp_path / "scene.tif", numbers(40, 40))
    with pytest.raises(InputError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:9 .*dask scheduler"):
        run_map(named(scene, functions, "slow"), tmp_path / "map.tif", cluster("tcp://127.0.0.1:9"))


def test_a_scheduler_without_workers_is_said_before_the_wait(capsys: pytest.CaptureFixture[str]) -> None:
    from distributed import LocalCluster

    nobody: Any = LocalCluster(n_workers=0, dashboard_address=":0", host="127.0.0.1")
    jobs: list[str] = []
    with nobody as started:
        address = started.scheduler_address
        assert list(cluster(address)(dict, jobs)) == []
    assert f"{address} has no worker yet, so the map waits: start some with" in capsys.readouterr().err
