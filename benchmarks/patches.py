"""Random patches from large scenes: how many a CPU-second, how well shuffled, and how near to what was measured.

A scene of 12 bands and one of a radar in the next UTM zone, in compressed tiles, six times what GDAL may keep (64 MB
for 4096 x 4096 pixels). Every reader gives float32 patches in a process of its own; ours are scaled reflectance and
decibels with missing pixels zero, torchgeo's are the stored values. Each runs twice: the first epoch also pays for
fresh memory, most of all for a stream's buffer, and the second tells the speed of all that follow. For it memory is not
given back to the system in between (MALLOC_TRIM_THRESHOLD_, for all readers). The radar scene was made on the
optical grid and then warped to its zone, so what comes back on the optical grid can be compared with what was there
before. How well patches are shuffled is told by their distance in a batch (1 where independent), and by the design
effect: a batch of 32 is worth 32 / design effect independent patches.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import rasterio
import torch
from measure import Cell, alone, emit, library, options, report
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import array_bounds, from_origin
from rasterio.warp import Resampling, calculate_default_transform, reproject
from scipy.ndimage import gaussian_filter
from torch.nn import functional as F

from plait.pairs.samplers import Draw
from plait_remote_sensing import backscatter, reflectance
from plait_remote_sensing.load import Loader
from plait_remote_sensing.raster import Window
from plait_remote_sensing.sampling import Frame, Patch, PatchStream, Place, random_patches
from plait_remote_sensing.sampling.quality import ShuffleQuality, shuffle_quality
from plait_remote_sensing.scene import Scene

type Array = NDArray[Any]

BANDS, ZONE, NEXT_ZONE, CORNER, BATCH, EPOCH = 12, 32632, 32633, (690_000.0, 5_300_000.0), 32, 128
OPTICAL, SAR, ORIGINAL = "optical.tif", "sar.tif", "original.npy"
STREAM, ONE_BY_ONE, RANDOM = "plait PatchStream", "plait random_patches", "torchgeo RandomPatchSampler"


class Given(NamedTuple):
    """A patch: (C, side, side), and the (column, row) on the optical grid where it begins, which may be a fraction."""

    pixels: Array
    corner: tuple[float, float]


type Read = Iterator[tuple[list[Array], tuple[float, float]]]
"""What a reader gives: the modalities of each patch, and where it begins."""


class Measured(NamedTuple):
    """What one reader did, in one process."""

    patches_a_second: float
    in_first_epoch: float
    wrong: float
    sar_error: float | None
    distance: float
    design_effect: float
    peak_megabytes: float


def main() -> None:
    chosen = options(__doc__, sizes=(4096,))
    os.environ["MALLOC_TRIM_THRESHOLD_"] = os.environ["MALLOC_MMAP_THRESHOLD_"] = str(2**31)
    lines: list[dict[str, Cell]] = []
    with tempfile.TemporaryDirectory() as name:
        for size in chosen.sizes:
            folder = Path(name) / str(size)
            os.environ["GDAL_CACHEMAX"] = str(max(1, 64 * size**2 // 4096**2))  # a sixth of the decoded scene
            alone(write_scenes, folder, size)
            for names in (("optical",), ("sar", "optical")):
                readers = [STREAM, ONE_BY_ONE] + ([RANDOM] if library("torchgeo") else [])
                lines += compared(folder, size, names, readers, chosen.rounds)
        mixings = [*((32, buffer) for buffer in (0, 64, 128, 256, 512)), (16, 128), (16, 256)]
        lines += [mixed(Path(name), *mixing) for mixing in mixings]
    report(lines)


def compared(folder: Path, size: int, names: tuple[str, ...], readers: list[str], rounds: int) -> list[dict[str, Cell]]:
    """A line for each reader; every round has all of them, one after the other."""
    found = {reader: list[Measured]() for reader in readers}
    for _ in range(rounds):
        for reader in readers:
            found[reader].append(alone(measured, reader, folder, size, names))
    speed = {reader: median(each.patches_a_second for each in found[reader]) for reader in readers}
    lines: list[dict[str, Cell]] = []
    for reader, (one, *_) in found.items():
        if one.wrong > 0.02:
            raise SystemExit(f"{reader} gives other optical values than the file has: no time of it counts.")
        line: dict[str, Cell] = {"task": f"{' + '.join(names)}, {size} x {size}", "reader": reader}
        line |= {"patches_a_CPU_second": speed[reader], "stream_times_as_fast": speed[STREAM] / speed[reader]}
        line |= {"in_first_epoch": median(each.in_first_epoch for each in found[reader])}
        line |= {"distance": one.distance, "design_effect": one.design_effect, "sar_error_dB": one.sar_error}
        line |= {"process_MB": one.peak_megabytes}
        lines.append(emit(line))
    return lines


def mixed(folder: Path, per_block: int, buffer: int) -> dict[str, Cell]:
    """How well a stream mixes a whole Sentinel-2 tile, of more superblocks than a buffer holds; nothing is read."""
    size, side = 10_980, 256
    form: dict[str, Any] = {"driver": "GTiff", "tiled": True, "blockxsize": 512, "blockysize": 512, "sparse_ok": True}
    here = {"width": size, "height": size, "crs": CRS.from_epsg(ZONE), "transform": from_origin(*CORNER, 10.0, 10.0)}
    rasterio.open(folder / OPTICAL, "w", count=1, dtype="uint8", **here, **form).close()
    frame = Frame.of(place(folder, size, ("optical",)), side, observed=0)
    draw = Draw(batch_size=BATCH, steps=1)
    stream = PatchStream([frame], Loader(), ("optical",), draw, per_block=per_block, buffer=buffer)
    field = smooth(size // 20, 17, np.random.default_rng(0))
    found: list[ShuffleQuality] = []
    for epoch in range(5):
        windows = [patch.window for patch in stream.patches(epoch)]
        blocks = [planned.block for planned in stream.order(stream.superblocks(epoch), epoch)]
        values = np.asarray([field[window.row // 20, window.column // 20] for window in windows])
        found.append(shuffle_quality(windows, blocks, values, BATCH))
    mean = ShuffleQuality(*np.mean(found, axis=0).tolist())
    line: dict[str, Cell] = {"task": f"mixing of {size} x {size}, batches of {BATCH}"}
    line["reader"] = f"plait PatchStream, {per_block} of {buffer}"
    return emit(line | {f"mixed_{name}": value for name, value in mean._asdict().items()})


def measured(reader: str, folder: Path, size: int, names: tuple[str, ...]) -> Measured:
    """Two epochs of one reader: their time once all is imported and opened, and what the second gave."""
    side = size // 16
    first, second = (taken(READERS[reader](folder, size, names, epoch), side // 4) for epoch in range(2))
    given = second[0]
    peak = getrusage(RUSAGE_SELF).ru_maxrss / 2**10
    physical = [as_physical(reader, one, names) for one in given]
    wrong = float(np.median([off_the_file(folder, one) for one in physical]))
    sar_error = None if "sar" not in names else float(np.median([off_the_original(folder, one) for one in physical]))
    windows = [Window(round(one.corner[0]), round(one.corner[1]), side, side) for one in given]
    squares = [window.row // (size // 4) * 4 + window.column // (size // 4) for window in windows]
    values = np.asarray([one.pixels[-BANDS:].mean() for one in physical])
    quality = shuffle_quality(windows, squares, values, BATCH)
    speed, at_first = (len(patches) / spent for patches, spent in (second, first))
    return Measured(speed, at_first, wrong, sar_error, quality.distance, quality.design_effect, peak)


def taken(patches: Read, margin: int) -> tuple[list[Given], float]:
    """What a reader gives, without margins, and the seconds that it took."""
    given: list[Given] = []
    spent = -time.process_time()
    for modalities, corner in patches:
        spent += time.process_time()
        # The centre of a patch is enough to judge it; all of them would not fit a small memory.
        inner = np.concatenate([values[:, margin:-margin, margin:-margin] for values in modalities])
        given.append(Given(inner, (corner[0] + margin, corner[1] + margin)))
        spent -= time.process_time()
    return given, spent + time.process_time()


# What is read.


def write_scenes(folder: Path, size: int) -> None:
    """An optical scene of 12 bands of uint16, a radar scene in the next zone, and the radar on the optical grid."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    texture = np.sum([smooth(size, knots, rng) / knots**0.3 for knots in (5, 17, 65, 257)], axis=0)
    form: dict[str, Any] = {"driver": "GTiff", "tiled": True, "blockxsize": size // 8, "blockysize": size // 8}
    form |= {"compress": "zstd", "predictor": 2, "interleave": "pixel", "nodata": 0}
    transform = from_origin(*CORNER, 10.0, 10.0)
    here = {"width": size, "height": size, "crs": CRS.from_epsg(ZONE), "transform": transform}
    # All bands at once: a tile holds them all, and would be written anew for each.
    optical = np.empty((BANDS, size, size), np.uint16)
    for band in range(BANDS):
        values = 2000 + (300 + 40 * band) * texture + rng.normal(0, 60, (size, size))
        optical[band] = values.clip(1, 10_000)
    with rasterio.open(folder / OPTICAL, "w", count=BANDS, dtype="uint16", **here, **form) as file:
        file.write(optical)
    # Speckle of a resolution of two pixels, as in ground-range detected products.
    speckle = gaussian_filter(rng.normal(0, 3, (2, size, size)).astype(np.float32), (0, 0.9, 0.9))
    original = np.float32(-12) + 2 * texture.astype(np.float32) + speckle
    np.save(folder / ORIGINAL, original)
    there, width, height = calculate_default_transform(
        CRS.from_epsg(ZONE),
        CRS.from_epsg(NEXT_ZONE),
        size,
        size,
        *array_bounds(size, size, transform),
        resolution=10.0,
    )
    warped = np.zeros((2, height, width), np.float32)
    reproject(
        original,
        warped,
        src_crs=CRS.from_epsg(ZONE),
        src_transform=transform,
        dst_crs=CRS.from_epsg(NEXT_ZONE),
        dst_transform=there,
        resampling=Resampling.cubic,
    )
    form |= {"count": 2, "dtype": "float32", "predictor": 3, "crs": CRS.from_epsg(NEXT_ZONE), "transform": there}
    with rasterio.open(folder / SAR, "w", width=width, height=height, **form) as file:
        file.write(warped)


def smooth(size: int, knots: int, rng: np.random.Generator) -> Array:
    noise = torch.from_numpy(rng.normal(size=(1, 1, knots, knots))).float()
    return F.interpolate(noise, size=(size, size), mode="bicubic", align_corners=True)[0, 0].numpy()


# Who reads it.


def place(folder: Path, size: int, names: tuple[str, ...]) -> Place:
    scenes = {
        "sar": Scene("sar", (SAR,), ("VV", "VH"), "db"),
        "optical": Scene("optical", (OPTICAL,), tuple(f"B{band:02}" for band in range(BANDS)), "dn"),
    }
    return Place("scene", folder, {name: scenes[name] for name in names}, OPTICAL, Window(0, 0, size, size))


def one_by_one(folder: Path, size: int, names: tuple[str, ...], epoch: int) -> Read:
    frame = Frame.of(place(folder, size, names), size // 16, observed=0)
    load = Loader(context=0)
    drawn = random_patches([frame], EPOCH, epoch=epoch)
    return (parts(load(frame.place.row(patch.window), folder, names), names, patch) for patch in drawn)


def streamed(folder: Path, size: int, names: tuple[str, ...], epoch: int) -> Read:
    frame, draw = Frame.of(place(folder, size, names), size // 16, observed=0), Draw(batch_size=BATCH, steps=1)
    stream = PatchStream([frame], Loader(context=0), names, draw, block=size // 4)
    items = stream.items(skip=sum(len(stream.patches(before)) for before in range(epoch)))
    return (parts(item.sample, names, patch) for patch, item in zip(stream.patches(epoch), items, strict=False))


def parts(sample: dict[str, Any], names: tuple[str, ...], patch: Patch) -> tuple[list[Array], tuple[int, int]]:
    return [sample[name].numpy() for name in names], (patch.window.column, patch.window.row)


def by_torchgeo(folder: Path, size: int, names: tuple[str, ...], epoch: int) -> Read:
    datasets, samplers = library("torchgeo.datasets"), library("torchgeo.samplers")
    assert datasets and samplers  # noqa: PT018
    optical = datasets.RasterDataset(folder / OPTICAL)
    with redirect_stdout(StringIO()):  # it tells of each change of reference system
        dataset = optical & datasets.RasterDataset(folder / SAR) if "sar" in names else optical
    queries = samplers.RandomPatchSampler(dataset, size=size // 16, length=EPOCH, generator=epoch)
    return (of_torchgeo(dataset[query]["image"].numpy(), query) for query in queries)


def of_torchgeo(pixels: Array, query: tuple[slice, ...]) -> tuple[list[Array], tuple[float, float]]:
    """The optical bands come first there; ours come last."""
    corner = (query[0].start - CORNER[0]) / 10.0, (CORNER[1] - query[1].stop) / 10.0
    return [pixels[BANDS:], pixels[:BANDS]], corner


READERS: dict[str, Callable[[Path, int, tuple[str, ...], int], Read]] = {
    STREAM: streamed,
    ONE_BY_ONE: one_by_one,
    RANDOM: by_torchgeo,
}


# Whether it is right.


def as_physical(reader: str, given: Given, names: tuple[str, ...]) -> Given:
    """A patch in decibels and digital numbers."""
    if reader == RANDOM:
        return given
    values = torch.from_numpy(given.pixels)
    optical = reflectance.unscaled(values[-BANDS:]) * reflectance.QUANTIFICATION
    sar = [backscatter.unscaled(values[:2])] if "sar" in names else []
    return Given(torch.cat([*sar, optical]).numpy(), given.corner)


def off_the_file(folder: Path, given: Given) -> float:
    """By how much of their deviation the optical values differ from the file's at the nearest pixels."""
    column, row = (round(at) for at in given.corner)
    height, width = given.pixels.shape[1:]
    with rasterio.open(folder / OPTICAL) as file:
        right = file.read(window=((row, row + height), (column, column + width))).astype(np.float32)
    return float(np.sqrt(np.mean((given.pixels[-BANDS:] - right) ** 2)) / right.std())


def off_the_original(folder: Path, given: Given) -> float:
    """By how many dB the radar's values differ from those there before they were stored in the next zone."""
    column, row = (round(at) for at in given.corner)
    height, width = given.pixels.shape[1:]
    right = np.load(folder / ORIGINAL, mmap_mode="r")[:, row : row + height, column : column + width]
    return float(np.sqrt(np.mean((given.pixels[:2] - right) ** 2)))


if __name__ == "__main__":
    main()
