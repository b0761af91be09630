"""The toy domain of CONTRIBUTING, joined to Plait for a test as any distribution would join it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from plait.evaluation import probes
from plait.evaluation.statistics import interval, paired_difference, summarise
from plait.pairs.table import PairTable

TOY = Path(__file__).parents[2] / "docs" / "examples" / "toy"


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module ``toy_app``, its entry point installed for this process and its children."""
    site = tmp_path / "site"
    (site / "toy-0.1.dist-info").mkdir(parents=True)
    (site / "toy-0.1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 0.1\n")
    (site / "toy-0.1.dist-info" / "entry_points.txt").write_text("[plait.apps]\ntoy = toy_app:app\n")
    for folder in (site, TOY):
        monkeypatch.syspath_prepend(str(folder))
    paths = [str(site), str(TOY), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in paths if path))
    import toy_app

    yield toy_app
    for name in ("toy_app", "toy_objective", "toy_layout"):
        sys.modules.pop(name, None)


@pytest.fixture
def toy_world(toy: ModuleType, tmp_path: Path) -> Path:
    """A folder with a ``stations.csv``."""
    toy.synthetic(tmp_path / "world", 0)
    return tmp_path / "world"


@pytest.fixture
def toy_pairs(toy: ModuleType, toy_world: Path, tmp_path: Path) -> Path:
    """The toy world's pair table."""
    from plait.verbs import run_ingest

    out = tmp_path / "pairs.parquet"
    run_ingest(toy.app, "stations", toy_world, out)
    return out


@pytest.fixture
def toy_table(toy_pairs: Path) -> PairTable:
    return PairTable.read(toy_pairs)


@pytest.fixture
def plait(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process: exit code, output, errors."""
    from plait.cli import main

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture(scope="module")
def quick() -> Iterator[None]:
    """Every command does all that it does, on less: for a test that asks whether it runs, not how good the figures are.

    Worlds of few frames, films and patches, intervals of 20 resamples, linear probes of one strength and one draw,
    pictures of few pixels. What is damaged or missing in a world still is.
    """
    from matplotlib.figure import Figure

    from plait_driving import frames
    from plait_driving.synthetic import pandaset
    from plait_medical import synthetic as films
    from plait_remote_sensing import tasks
    from plait_remote_sensing.synthetic import terramesh

    save = Figure.savefig
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pandaset, "TRAIN", (24, 28, 30, 33, 36, 37, 40))
        patch.setattr(pandaset, "VAL", (60, 63, 66))
        patch.setattr(pandaset, "SURROUND", (24, 60, 66))
        patch.setattr(frames, "POINTS", {"train": 50, "val": 100})
        patch.setattr(films, "_STUDIES", 120)
        patch.setattr(terramesh, "HEIGHT", 64)
        patch.setattr(tasks, "DRAWS", 1)
        patch.setattr(probes, "STRENGTHS", probes.STRENGTHS[:1])
        for function in (interval, summarise, paired_difference):
            patch.setitem(function.__kwdefaults__, "resamples", 20)
        patch.setattr(Figure, "savefig", lambda self, path, **how: save(self, path, **how | {"dpi": 40}))
        yield
