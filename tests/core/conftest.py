"""The toy domain of CONTRIBUTING, joined to Plait for a test as any distribution would join it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

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
