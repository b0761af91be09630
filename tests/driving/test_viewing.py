"""What other programs look at: clouds by Open3D, which is imported only when asked for, pages, recordings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from plait.cli import main
from plait.errors import InputError
from plait.pairs.table import PairTable
from plait_driving.viewing import import_open3d

CODE = """
import sys
from pathlib import Path
import numpy as np
import plait_driving
assert not {"open3d", "skimage"} & set(sys.modules), "something heavy was imported on the way"
from plait_driving.viewing import write_ply
write_ply(Path(sys.argv[1]), np.arange(12).reshape(4, 3), np.tile([1.0, 0.5, 0.0], (4, 1)))
"""


def test_a_coloured_sweep_is_written_for_viewers_and_open3d_imported_only_for_it(tmp_path: Path) -> None:
    path = tmp_path / "views" / "sweep.ply"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", CODE, str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    header, _, body = path.read_bytes().partition(b"end_header\n")
    assert b"element vertex 4" in header
    assert b"property uchar red" in header
    written = np.frombuffer(body, dtype=np.dtype([("xyz", "<f8", 3), ("rgb", "u1", 3)]), count=4)
    np.testing.assert_allclose(written["xyz"], np.arange(12).reshape(4, 3))
    np.testing.assert_allclose(written["rgb"], np.tile([255, 127.5, 0], (4, 1)), atol=0.6)


def test_a_machine_without_open3d_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open3d", None)
    with pytest.raises(InputError, match="run 'pip install open3d libusb-package'"):
        import_open3d()


def test_a_moment_is_drawn_and_the_whole_drive_recorded(table: PairTable, tmp_path: Path) -> None:
    pytest.importorskip("rerun")
    pairs = table.root / "pairs.parquet"
    assert main(["driving", "view", "--pairs", str(pairs), "--frame", "26", "--out", str(tmp_path), "--rerun"]) == 0
    html = (tmp_path / "view.html").read_text(encoding="utf-8")
    assert "Synthetic data" in html
    assert html.count("<figure>") == 3
    assert {path.stem for path in (tmp_path / "pictures").iterdir()} == {"camera_0", "birds_eye_0", "ranges_0"}
    assert (tmp_path / "drive.rrd").read_bytes()[:3] == b"RRF"


def test_an_unknown_frame_is_one_sentence(table: PairTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = table.root / "pairs.parquet"
    assert main(["driving", "view", "--pairs", str(pairs), "--frame", "7", "--out", str(tmp_path)]) == 2
    assert "has no frame '7': name one such as 24" in capsys.readouterr().err
