"""A small network over a whole scene, beside what people use: megapixels a CPU-second, and the most memory held.

A scene of 12 bands in compressed tiles, of which GDAL may keep 64 MB (`map` sees to that itself, for the others it is
set here), and a network of three convolutions that gives ten classes. Every contender reads the file and writes a map
of classes, in a process of its own, with one thread. `agrees` is the share of the map's pixels that have the class of
the network run once over the scene's upper left part. How it scales with workers is shown on the largest scene; with
``--large`` there is one round, and all takes less than ten minutes.

terratorch and geoai conflict with our pins, so their single modules are loaded from a folder without their
dependencies: ``pip install --no-deps --target .peers terratorch geoai-py``. terratorch's tiled_inference is given the
whole raster as a tensor; what of its package it only imports is stood in for (`pad_images`, which is for image sizes
that networks refuse, is the identity). geoai's predict_geotiff is run with its own defaults and its choice of a device
stood in for. What they would take for a scene of 10,980 pixels is their peak beyond the libraries, scaled by pixels;
ours is measured there with ``--large``.
"""

from __future__ import annotations

import importlib.util
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any, ClassVar, NamedTuple

import numpy as np
import rasterio
import torch
from measure import Cell, alone, emit, options, report
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rasterio.windows import Window as RasterioWindow
from scipy.ndimage import zoom
from torch import nn

from plait_remote_sensing.raster import grid_of
from plait_remote_sensing.scene import Scene
from plait_remote_sensing.tiling import Named, Source, cluster, make_plan, processes, run_map
from plait_remote_sensing.tiling.runners import Runner

PEERS = Path(__file__).parents[1] / ".peers"
BANDS, CLASSES, SCENE, CHECKED, TILE_SIDE = 12, 10, "scene.tif", 512, 10_980


class Measured(NamedTuple):
    """What one contender took, in one process."""

    seconds: float
    megabytes: float
    libraries: float
    agrees: float


def main() -> None:
    chosen = options(__doc__, sizes=(4096,), large=(TILE_SIDE,))
    lines: list[dict[str, Cell]] = []
    for size in chosen.sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            alone(write_scene, folder / SCENE, size)
            peers = {} if size >= TILE_SIDE else {name: run for name, run in PEERS_RUN.items() if found(name)}
            wide = {} if size >= TILE_SIDE else {"plait map --tile 1024": partial(ours, tile=1024)}
            runs = {"plait map": ours} | wide | peers
            lines += side_by_side(runs, folder, size, 1 if TILE_SIDE in chosen.sizes else chosen.rounds)
            if size == max(chosen.sizes):
                lines += scaling(folder, size)
    report(lines)


def side_by_side(
    runs: dict[str, Callable[[Path], Path]], folder: Path, size: int, rounds: int
) -> list[dict[str, Cell]]:
    """A line for each contender; every round runs all, one after the other."""
    taken = [{name: alone(measured, run, folder) for name, run in runs.items()} for _ in range(rounds)]
    lines: list[dict[str, Cell]] = []
    for name in runs:
        each = [of[name] for of in taken]
        seconds, megabytes = median(it.seconds for it in each), max(it.megabytes for it in each)
        libraries = median(it.libraries for it in each)
        grows = name in PEERS_RUN
        lines.append(
            emit({
                "what": name,
                "size": size,
                "Mpx/CPU-s": size**2 / 1e6 / seconds,
                "peak MB": megabytes,
                "of it libraries MB": libraries,
                f"at {TILE_SIDE} GB": (libraries + (megabytes - libraries) * (TILE_SIDE / size) ** 2) / 1e3
                if grows else megabytes / 1e3 if size >= TILE_SIDE else None,
                "agrees": each[0].agrees,
            })
        )  # fmt: skip
    return lines


def scaling(folder: Path, size: int) -> list[dict[str, Cell]]:
    """Wall-clock time by who does the jobs, after its processes have started once."""
    from distributed import LocalCluster

    lines: list[dict[str, Cell]] = []
    started: Any = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", host="127.0.0.1")
    with started as dask:
        runners: dict[str, Runner] = {
            "1 process": processes(1), "2 processes": processes(2), "Dask, 2 workers": cluster(dask.scheduler_address),
        }  # fmt: skip
        for name, runner in runners.items():
            start = time.perf_counter()
            out = ours(folder, runner=runner, name=f"{name}.tif")
            seconds = time.perf_counter() - start
            lines.append(
                emit({"what": name, "size": size, "wall s": seconds, "Mpx/s": size**2 / 1e6 / seconds,
                      "agrees": agreement(folder, out)})
            )  # fmt: skip
    return lines


def measured(run: Callable[[Path], Path], folder: Path) -> Measured:
    """Run a contender in this process, which has not computed anything yet."""
    torch.set_num_threads(1)
    network()
    libraries, start = peak(), time.process_time()
    with nullcontext() if run not in PEERS_RUN.values() else rasterio.Env(GDAL_CACHEMAX=64 * 2**20):
        out = run(folder)
    return Measured(time.process_time() - start, peak(), libraries, agreement(folder, out))


def peak() -> float:
    """The most memory that this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


# The scene and the network.


def write_scene(path: Path, size: int) -> None:
    """Write smooth fields with noise, as digital numbers."""
    rng, rows = np.random.default_rng(0), 1024
    profile: dict[str, Any] = {"driver": "GTiff", "count": BANDS, "dtype": "uint16", "nodata": 0, "BIGTIFF": "IF_SAFER"}
    profile |= {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "zstd", "predictor": 2}
    place: dict[str, Any] = {"crs": CRS.from_epsg(32633), "transform": from_origin(500_000, 5_000_000, 10, 10)}
    with rasterio.open(path, "w", width=size, height=size, **profile, **place) as target:
        for row in range(0, size, rows):
            height = min(rows, size - row)
            for band in range(BANDS):
                field: NDArray[Any] = np.asarray(
                    zoom(rng.normal(size=(height // 64 + 2, size // 64 + 2)), 64, order=1)
                )[:height, :size]
                numbers = 1500 + 400 * field + rng.normal(0, 60, (height, size))
                window = RasterioWindow(0, row, size, height)  # pyright: ignore[reportCallIssue]
                target.write(numbers.clip(1, 10_000).astype(np.uint16), band + 1, window=window)


def network() -> nn.Module:
    """Three convolutions, with weights that are the same in every process."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(BANDS, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()]
    layers.append(nn.Conv2d(16, CLASSES, 3, padding=1))
    return nn.Sequential(*layers).eval().to(memory_format=torch.channels_last)


def agreement(folder: Path, out: Path) -> float:
    """The share of the pixels of the upper left part with the class that the network gives them at once."""
    with rasterio.open(folder / SCENE) as source:
        side = min(CHECKED, source.width)
        window = RasterioWindow(0, 0, side, side)  # pyright: ignore[reportCallIssue]
        stored = source.read(window=window).astype(np.float32) / 10_000
    with torch.inference_mode():
        wanted = network()(torch.from_numpy(stored)[None])[0].argmax(dim=0).numpy()
    with rasterio.open(out) as source:
        found = source.read(1, window=window)
    inner = slice(8, side - 8)
    return float((found[inner, inner] == wanted[inner, inner]).mean())


# The contenders.


def ours(folder: Path, tile: int = 512, runner: Runner | None = None, name: str = "ours.tif") -> Path:
    bands = tuple(f"B{number:02d}" for number in range(1, BANDS + 1))
    source = Source(Scene("optical", (SCENE,), bands, "dn"), folder)
    origin = Named("tiles:TinyNetwork", str(Path(__file__).parent))
    plan = make_plan({"optical": source}, grid_of(folder / SCENE), origin, tile)
    summary = run_map(plan, folder / name, runner or processes(0), restart=True)
    assert not summary.failures, summary.failures
    return folder / name


class _TinyNetwork:
    """The network as a function of a tile."""

    classes: ClassVar = {code: (f"class {code}", f"#{20 * code:02x}8080") for code in range(CLASSES)}

    def __init__(self) -> None:
        self._network: nn.Module | None = None

    @torch.inference_mode()
    def __call__(self, images: Any, masks: Any) -> NDArray[np.float32]:
        if self._network is None:
            self._network = network()
        tile = torch.from_numpy(images["optical"])[None].contiguous(memory_format=torch.channels_last)
        return self._network(tile)[0].numpy()


TinyNetwork = _TinyNetwork()


def terratorch(folder: Path) -> Path:
    stand_in("terratorch.models.utils", pad_images=lambda images, *_: images)
    tiled_inference = peer("terratorch.tasks.tiled_inference").tiled_inference
    with rasterio.open(folder / SCENE) as source:
        profile = source.profile
        image = torch.from_numpy(source.read().astype(np.float32))[None] / 10_000
    with torch.inference_mode():
        scores = tiled_inference(network(), image, crop=256, stride=192, delta=8)
    profile.update(count=1, dtype="uint8", nodata=255)
    with rasterio.open(folder / "terratorch.tif", "w", **profile) as target:
        target.write(scores[0].argmax(dim=0).to(torch.uint8).numpy(), 1)
    return folder / "terratorch.tif"


def geoai(folder: Path) -> Path:
    stand_in("geoai.utils", get_device=lambda: torch.device("cpu"))
    stand_in("geoai.progress", tqdm=lambda it, **_: it)
    out = folder / "geoai.tif"
    peer("geoai.inference").predict_geotiff(
        network(), str(folder / SCENE), str(out), num_classes=CLASSES, output_dtype="uint8", output_nodata=255,
        preprocess_fn=lambda tile: tile / np.float32(10_000), verbose=False,
        postprocess_fn=lambda scores: scores.argmax(axis=0)[None],
    )  # fmt: skip
    return out


PEERS_RUN: dict[str, Callable[[Path], Path]] = {"terratorch": terratorch, "geoai": geoai}


def found(name: str) -> bool:
    """Whether a peer is there; says so where it is not."""
    if (PEERS / name).is_dir():
        return True
    print(
        f"{name} is not in {PEERS}, so its row is left out: pip install --no-deps --target .peers terratorch geoai-py"
    )
    return False


def peer(name: str) -> ModuleType:
    """A single module of a peer, without its package's own imports."""
    spec = importlib.util.spec_from_file_location(name, PEERS / (name.replace(".", "/") + ".py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def stand_in(name: str, **holds: Any) -> None:
    """Put a module in the place of one that a peer imports and does not need."""
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        package = ModuleType(".".join(parts[:end]))
        package.__path__ = []
        sys.modules.setdefault(package.__name__, package)
    vars(sys.modules[name]).update(holds)


if __name__ == "__main__":
    main()
