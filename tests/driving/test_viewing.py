"""Open3D is imported when asked for, on machines without libusb too, and never before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_app_loads_without_open3d_and_scikit_image() -> None:
    loaded = run("import sys, plait_driving; print(*[m for m in ('open3d', 'skimage', 'timm', 'matplotlib') if m in sys.modules])")
    assert "open3d" not in loaded and "skimage" not in loaded


def test_a_coloured_sweep_is_written_for_viewers(tmp_path: Path) -> None:
    path = tmp_path / "views" / "sweep.ply"
    run(
        "import numpy as np; from pathlib import Path; from plait_driving.viewing import write_ply;"
        f"write_ply(Path({str(path)!r}), np.arange(12).reshape(4, 3), np.tile([1.0, 0.5, 0.0], (4, 1)))"
    )
    header, _, body = path.read_bytes().partition(b"end_header\n")
    assert b"element vertex 4" in header and b"property uchar red" in header
    first = np.frombuffer(body, dtype=np.dtype([("xyz", "<f8", 3), ("rgb", "u1", 3)]), count=4)
    np.testing.assert_allclose(first["xyz"], np.arange(12).reshape(4, 3))
    assert first["rgb"][0].tolist() == [255, 127, 0] or first["rgb"][0].tolist() == [255, 128, 0]
