"""Open3D's sparse convolution and voxels, for `sparse_convolution.py`: run in an environment of its own.

``python open3d_sparse_convolution.py FOLDER`` reads FOLDER/given.npz, writes what Open3D makes of it to
FOLDER/found.npz and says "ready". For every line of input, the name of one of its ways, it then goes that way once and
answers with the seconds that this took.
"""

from __future__ import annotations

import ctypes
import sys
import time
from pathlib import Path
from typing import Any

import libusb_package
import numpy as np
import torch

ctypes.CDLL(str(libusb_package.get_library_path()), mode=ctypes.RTLD_GLOBAL)  # a bare system has none

import open3d  # noqa: E402
import open3d.ml.torch as ml  # noqa: E402


def main() -> None:
    """Load, answer what is found, then be timed."""
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    with np.load(folder / "given.npz") as file:
        given = {name: torch.from_numpy(file[name]) for name in file}
    layers = [layer(given["first"]), layer(given["second"])]
    place, size = given["place"], float(given["size"])
    kept = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(place.double().numpy()))
    tensor = open3d.t.geometry.PointCloud(open3d.core.Tensor.from_numpy(place.numpy()))
    low, high = given["lowest"], given["lowest"] + size * 2**16
    batch = torch.tensor([0, len(place)])
    ways = {
        "convolve": lambda: convolved(layers, given, train=False),
        "train": lambda: convolved(layers, given, train=True),
        "legacy": lambda: np.asarray(kept.voxel_down_sample(size).points),
        "tensor": lambda: tensor.voxel_down_sample(size).point.positions.numpy(),
        "voxelize": lambda: ml.ops.voxelize(place, batch, torch.full((3,), size), low, high).voxel_coords,
    }
    found: dict[str, Any] = convolved(layers, given, train=True)
    found |= {name: np.asarray(ways[name]()) for name in ("legacy", "tensor", "voxelize")}
    np.savez(folder / "found.npz", **found)
    print("ready", flush=True)
    for line in sys.stdin:
        run, start = ways[line.strip()], time.perf_counter()
        run()
        print(time.perf_counter() - start, flush=True)


def layer(weight: torch.Tensor) -> ml.layers.SparseConv:
    """A layer of (27, C, D) weights, x slowest; Open3D has z slowest."""
    made = ml.layers.SparseConv(weight.shape[1], weight.shape[2], kernel_size=[3, 3, 3], use_bias=False)
    made.kernel.data = weight.unflatten(0, (3, 3, 3)).transpose(0, 2).contiguous()
    return made


def convolved(layers: list[ml.layers.SparseConv], given: dict[str, torch.Tensor], train: bool) -> dict[str, Any]:
    """What comes out of two layers, and the gradients of their weights."""
    centres, size = given["centres"], torch.tensor(1.0)
    with torch.set_grad_enabled(train):
        x = layers[0](given["features"], centres, centres, voxel_size=size)
        x = layers[1](x, centres, centres, voxel_size=size)
    found = {"out": x}
    if train:
        grads = torch.autograd.grad(x, [layer.kernel for layer in layers], given["push"])
        for name, grad in zip(("to_first", "to_second"), grads, strict=True):
            found[name] = grad.transpose(0, 2).flatten(0, 2)
    return {name: value.detach().numpy() for name, value in found.items()}


if __name__ == "__main__":
    main()
