"""Two sparse convolutions 4-32-32 and voxels of a sweep, beside Open3D, spconv and numpy.

Open3D's sparse convolution refuses every torch but 2.13 (CPU), so it runs in an environment of its own, once made in
the repository's folder by

    uv venv .open3d && uv pip install --python .open3d/bin/python open3d-cpu libusb-package torch==2.13.0

(Python 3.11 and pip do as well) and its rows are left out where that is missing. spconv's CPU build runs forward only.
Each row finds its neighbours anew, but for the one that says otherwise. Before times count, outputs and gradients must
be the same: spconv's within 1e-6 of the largest value, Open3D's within 1e-5 (nothing lies between the layers, for at a
ReLU's kink two right gradients part); and of voxels, how many there are. Times are the best of all rounds, which time
all ways in turn. 34,688 points are the nuScenes keyframe where the shared data lie beside the repository, else a made
sweep.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import Cell, emit, library, options, peer, report, seconds
from numpy.typing import NDArray
from torch import Tensor

from plait_driving.encoders.kernel_maps import KernelMap, neighbours
from plait_driving.encoders.sparse_convolution import convolve
from plait_driving.encoders.voxels import voxelise

SIZE = 0.1
FORWARD, TRAIN = "convolve, forward", "convolve, forward and backward"
PYTHON = Path(__file__).parent.parent / ".open3d/bin/python"
SHARED = Path(os.environ.get("PLAIT_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))

type Found = Mapping[str, NDArray[Any]]
type Given = dict[str, Tensor]
type Ways = dict[tuple[str, str], Callable[[], float]]
"""(task, who) to one timed run."""


def main() -> None:
    torch.set_num_threads(1)
    chosen = options(__doc__, [34_688], [200_000])
    if not PYTHON.exists():
        print(f"{PYTHON} is not there, so Open3D's rows are left out: see the first lines of {Path(__file__).name}")
    report([emit(line) for size in chosen.sizes for line in measured(sweep(size), chosen.rounds)])


def measured(place: Tensor, rounds: int) -> Iterator[dict[str, Cell]]:
    """A line for each task and who does it."""
    given = made(place)
    keys = voxelise(place, torch.zeros(len(place), dtype=torch.int64), SIZE).keys
    ways = our_ways(given, keys)
    with open3d(given) as (answer, found):
        if found:
            check_open3d(found, given, keys)
            ways[TRAIN, "open3d SparseConv"] = lambda: answer("train")
            ways[FORWARD, "open3d SparseConv"] = lambda: answer("convolve")
            ways["voxelise", "open3d legacy voxel_down_sample"] = lambda: answer("legacy")
            ways["voxelise", "open3d tensor voxel_down_sample"] = lambda: answer("tensor")
            ways["voxelise", "open3d ml.ops.voxelize"] = lambda: answer("voxelize")
        if spconv := library("spconv.pytorch"):
            ways[FORWARD, "spconv"] = spconv_way(spconv, given, keys)
        for run in ways.values():
            run()
        rows = [{name: run() for name, run in ways.items()} for _ in range(rounds)]
    took = {name: min(row[name] for row in rows) for name in ways}
    for (task, who), best in sorted(took.items(), key=lambda item: item[0][0]):
        line: dict[str, Cell] = {"task": task, "who": who, "points": len(place), "voxels": len(keys)}
        yield line | {"seconds": best, "plait_times_as_fast": best / took[task, "plait"]}


def our_ways(given: Given, keys: Tensor) -> Ways:
    """Our own, and numpy's voxels."""
    place, by = given["place"], neighbours(keys)
    one_sweep, numbers = torch.zeros(len(place), dtype=torch.int64), place.numpy()

    def np_unique() -> object:
        return np.unique(np.floor(numbers / np.float32(SIZE)).astype(np.int64), axis=0, return_inverse=True)

    return {
        (TRAIN, "plait"): lambda: seconds(lambda: convolved(given, neighbours(keys), train=True)),
        (TRAIN, "plait, kernel map given"): lambda: seconds(lambda: convolved(given, by, train=True)),
        (FORWARD, "plait"): lambda: seconds(lambda: convolved(given, neighbours(keys), train=False)),
        (FORWARD, "plait, kernel map given"): lambda: seconds(lambda: convolved(given, by, train=False)),
        ("voxelise", "plait"): lambda: seconds(lambda: voxelise(place, one_sweep, SIZE)),
        ("voxelise", "plait, with the mean place"): lambda: seconds(
            lambda: voxelise(place, one_sweep, SIZE).mean(place)
        ),
        ("voxelise", "np.unique(axis=0)"): lambda: seconds(np_unique),
    }


def convolved(given: Given, by: KernelMap, train: bool) -> dict[str, Tensor]:
    """What comes out of two layers, and the gradients of their weights."""
    first, second = (given[name].requires_grad_(train) for name in ("first", "second"))
    out = convolve(convolve(given["features"], first, by), second, by)
    if not train:
        return {"out": out}
    to_first, to_second = torch.autograd.grad(out, (first, second), given["push"])
    return {"out": out, "to_first": to_first, "to_second": to_second}


def spconv_way(spconv: Any, given: Given, keys: Tensor) -> Callable[[], float]:
    """A timed run of spconv, once its values are ours."""
    layers = [
        spconv.SubMConv3d(*given[name].shape[1:], 3, bias=False, indice_key="map") for name in ("first", "second")
    ]
    for layer, name in zip(layers, ("first", "second"), strict=True):
        layer.weight.data = given[name].detach().unflatten(0, (3, 3, 3)).permute(4, 0, 1, 2, 3).contiguous()
    cells = torch.cat([torch.zeros(len(keys), 1), given["centres"] - given["centres"].amin(dim=0)], dim=1).int()
    shape = (cells.amax(dim=0) + 1).tolist()[1:]

    def run() -> Tensor:
        with torch.no_grad():
            return layers[1](layers[0](spconv.SparseConvTensor(given["features"], cells, shape, 1))).features

    check("spconv's output", run(), convolved(given, neighbours(keys), train=False)["out"], 1e-6)
    return lambda: seconds(run)


def check_open3d(found: Found, given: Given, keys: Tensor) -> None:
    """Stop where Open3D's values are not ours."""
    for name, ours in convolved(given, neighbours(keys), train=True).items():
        check(f"Open3D's {name}", torch.from_numpy(found[name]), ours, 1e-5)
    place = given["place"]
    # The legacy grid begins half a voxel below the lowest point, whose cells we find by the same shift.
    shifted = place.double() - place.double().amin(dim=0) + SIZE / 2
    moved = voxelise(shifted, torch.zeros(len(place), dtype=torch.int64), SIZE)
    for name, wanted in (("legacy", moved.keys), ("tensor", keys), ("voxelize", keys)):
        if abs(len(found[name]) - len(wanted)) > 1e-3 * len(wanted):  # points on a voxel's wall may fall either way
            sys.exit(f"Open3D finds {len(found[name])} voxels ({name}) and we {len(wanted)}: no time of theirs counts.")


def check(what: str, theirs: Tensor, ours: Tensor, tolerance: float) -> None:
    """Stop where the largest difference is above the tolerance times the largest value."""
    error = float((theirs - ours).detach().abs().max() / ours.detach().abs().max())
    print(f"{what} is ours within {error:.1e} of the largest value")
    if error > tolerance:
        sys.exit(f"{what} differs by {error:.1e} of the largest value: no time of theirs counts.")


def made(place: Tensor) -> Given:
    """Points, their voxels in units of a voxel, features, two layers' weights, and a gradient to push back."""
    cells = voxelise(place, torch.zeros(len(place), dtype=torch.int64), SIZE).cells()[:, 1:]
    torch.manual_seed(0)
    given = {"place": place, "size": torch.tensor(SIZE), "lowest": (cells.amin(dim=0) - 1) * SIZE}
    given |= {"centres": cells + 0.5, "features": torch.randn(len(cells), 4), "push": torch.randn(len(cells), 32)}
    return given | {"first": torch.randn(27, 4, 32) / 10, "second": torch.randn(27, 32, 32) / 30}


def sweep(size: int) -> Tensor:
    """(size, 3) the real keyframe's points where they are as many, else 32 beams on a plane with boxes."""
    for path in (SHARED / "driving/nuscenes_keyframe").glob("*.pcd.bin"):
        points = np.fromfile(path, np.float32).reshape(-1, 5)[:, :3]
        if len(points) == size:
            return torch.from_numpy(points.copy())
    rng = np.random.default_rng(0)
    azimuth = np.sort(rng.uniform(-np.pi, np.pi, size))
    beam = np.radians(rng.integers(0, 32, size) * 1.3 - 30.5)
    distance = np.minimum(1.8 / np.maximum(-np.sin(beam), 0.02), 15 + 10 * np.sign(np.sin(7 * azimuth)))
    level = distance * np.cos(beam)
    points = [level * np.cos(azimuth), level * np.sin(azimuth), distance * np.sin(beam)]
    return torch.from_numpy(np.column_stack(points).astype(np.float32))


@contextmanager
def open3d(given: Given) -> Generator[tuple[Callable[[str], float], Found]]:
    """Open3D in its own environment: one timed run of a way by its name, and what it finds; nothing where it is not."""
    if not PYTHON.exists():
        yield lambda _: 0.0, {}
        return
    with tempfile.TemporaryDirectory() as folder:
        arrays: dict[str, Any] = {name: value.detach().numpy() for name, value in given.items()}
        np.savez(Path(folder) / "given.npz", **arrays)
        script = str(Path(__file__).parent / "peers/open3d_sparse_convolution.py")
        with peer([str(PYTHON), script, folder]) as answer, np.load(Path(folder) / "found.npz") as found:
            yield answer, dict(found)


if __name__ == "__main__":
    main()
