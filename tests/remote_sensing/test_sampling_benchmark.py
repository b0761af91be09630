"""The benchmark of patches runs, on a scene of 256 x 256, and its own checks see what is wrong."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SIZE = 256


@pytest.fixture
def patches(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("patches")


def test_both_of_our_readers_give_what_the_files_hold(patches: Any, tmp_path: Path) -> None:
    patches.write_scenes(tmp_path / "scenes", SIZE)
    for reader, names in ((patches.STREAM, ("sar", "optical")), (patches.ONE_BY_ONE, ("optical",))):
        found = patches.measured(reader, tmp_path / "scenes", SIZE, names)
        assert found.patches_a_second > 0
        assert found.wrong < 0.001
        assert found.distance == pytest.approx(1.0, abs=0.1)
        if "sar" in names:
            assert 0.1 < found.sar_error < 1.0  # of a deviation of about 3 dB


def test_a_shift_by_a_pixel_would_be_seen(patches: Any, tmp_path: Path) -> None:
    folder = tmp_path / "scenes"
    patches.write_scenes(folder, SIZE)
    original = np.load(folder / patches.ORIGINAL)
    optical = np.zeros((patches.BANDS, 32, 32), np.float32)
    shifted = patches.Given(np.concatenate([original[:, 40:72, 41:73], optical]), (40.0, 40.0))
    right = patches.Given(np.concatenate([original[:, 40:72, 40:72], optical]), (40.0, 40.0))
    assert patches.off_the_original(folder, right) == 0
    assert patches.off_the_original(folder, shifted) > 0.5
    assert patches.off_the_file(folder, right) > 1
