"""Open3D is imported when asked for, on machines without libusb too, and never before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from plait.errors import InputError
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
