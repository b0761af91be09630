"""What GDAL keeps of a scene is bounded through the command, whatever was read before the first tile."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

type Write = Callable[..., Path]

FUNCTION = """
from pathlib import Path

def held(images, masks):
    kilobytes = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmRSS"))
    with (Path(__file__).parent / "held").open("a") as file:
        file.write(kilobytes + "\\n")
    return images["optical"][:1]
"""
COMMAND = "from plait.cli import main; raise SystemExit(main())"


def test_a_scene_is_not_kept_decoded(tmp_path: Path, write_raster: Write) -> None:
    """Of 200 MB decoded; with GDAL's own bound, a share of the memory, all is kept."""
    stored = np.full((12, 2048, 4096), 2000, np.uint16)
    tiled = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "zstd"}
    scene = write_raster(tmp_path / "scene.tif", stored, tags={"BOA_ADD_OFFSET": "0"}, **tiled)
    (tmp_path / "holding.py").write_text(FUNCTION)
    flags = ["--function", "holding:held", "--optical", str(scene), "--out", "map.tif", "--workers", "1"]
    command = [sys.executable, "-c", COMMAND, "remote-sensing", "map", *flags]
    here = {name: value for name, value in os.environ.items() if name != "GDAL_CACHEMAX"}
    subprocess.run(command, cwd=tmp_path, env=here, check=True, capture_output=True, timeout=100)
    held = [int(line) / 1024 for line in (tmp_path / "held").read_text().splitlines()]
    # The 64 MB that GDAL may keep, less than half of what it would.
    assert max(held) - held[0] < 90
