"""The stream of patches: what the loader reads, each superblock once, any workers, any start, well mixed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rasterio.transform import Affine
from torch.utils.data import DataLoader

from plait.errors import InputError
from plait.pairs.dataset import Item
from plait.pairs.layout import Row
from plait.pairs.samplers import Draw
from plait_remote_sensing.augment import Augment
from plait_remote_sensing.load import Fetch, Loader
from plait_remote_sensing.raster import Grid, Window, grid_of, read
from plait_remote_sensing.raster.warp import warp
from plait_remote_sensing.reading import read_scene
from plait_remote_sensing.sampling import PatchStream, Place, balanced_frames, frames_of
from plait_remote_sensing.sampling.part import Part
from plait_remote_sensing.sampling.quality import shuffle_quality
from plait_remote_sensing.scene import Scene

type Write = Callable[..., Path]

NAMES = ("sar", "optical")
HEIGHT, WIDTH, TILE = 192, 256, 32


@pytest.fixture
def place(tmp_path: Path, write_raster: Write) -> Place:
    """Optical in tiles of 32 on UTM 33; SAR over its right part only, in the next zone, so that it is warped."""
    rng = np.random.default_rng(0)
    tiled = {"tiled": True, "blockxsize": TILE, "blockysize": TILE, "compress": "deflate"}
    write_raster(tmp_path / "s2.tif", rng.integers(1, 4000, (3, HEIGHT, WIDTH)).astype(np.uint16), **tiled)
    turned = Affine(10, 0, 29_200, 0, -10, 5_017_900)
    write_raster(
        tmp_path / "s1.tif", rng.normal(-12, 3, (2, 300, 200)).astype(np.float32), crs="EPSG:32634", transform=turned
    )
    scenes = {
        "sar": Scene("sar", ("s1.tif",), ("VV", "VH"), "db"),
        "optical": Scene("optical", ("s2.tif",), ("B02", "B03", "B04"), "dn"),
    }
    return Place("a", tmp_path, scenes, "s2.tif", Window(0, 0, WIDTH, HEIGHT))


def stream(place: Place, steps: int = 6, observed: float = 0.0, **more: Any) -> PatchStream:
    draw = Draw(batch_size=more.pop("batch_size", 8), steps=steps, start=more.pop("start", 0), seed=1)
    defaults: dict[str, Any] = {"buffer": 8, "block": 2 * TILE}
    loader = more.pop("loader", Loader(context=0))
    return PatchStream(frames_of([place], 16, observed), loader, NAMES, draw, **(defaults | more))


def ids(batches: Iterable[list[Item]]) -> list[list[str]]:
    return [[item.id for item in batch] for batch in batches]


@dataclass(frozen=True)
class Counting(Loader):
    """A loader that remembers which windows it was asked for."""

    context: int = 0
    windows: list[str] = field(default_factory=list[str])

    def load(self, row: Row, root: Path, names: Iterable[str] | None, fetch: Fetch) -> Any:
        self.windows.append(row["window"])
        return super().load(row, root, names, fetch)


@pytest.mark.parametrize("context", [0, 5])
def test_every_patch_is_what_the_loader_reads_for_it_alone(place: Place, context: int) -> None:
    """To the bit on the grid of the place; what is warped is warped with its superblock, and as the warper promises."""
    patches = stream(place, observed=0.6, loader=Loader(context=context))
    items = list(islice(patches.items(), 120))
    assert sum(item.refused is None for item in items) > 100
    for item, patch in zip(items, patches.patches(0), strict=False):
        alone = Loader(context=context)(place.row(patch.window), place.root, NAMES)
        assert item.id == place.row(patch.window)["id"]
        for name in NAMES:
            assert item.sample[name].shape[1:] == (16 + 2 * context, 16 + 2 * context)
        assert item.sample["optical"].equal(alone["optical"])
        # The values of neighbouring pixels differ by about 1: by a thousandth in a thousandth of a pixel.
        torch.testing.assert_close(item.sample["sar"], alone["sar"], atol=5e-3, rtol=0)
        assert (item.sample["sar"] == 0).equal(alone["sar"] == 0)


def test_what_lies_on_another_grid_is_warped_once_a_superblock(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    warped: list[Window] = []

    def counted(source: Any, window: Window, *more: Any) -> Any:
        warped.append(window)
        return warp(source, window, *more)

    monkeypatch.setattr(read, "warp", counted)
    patches = stream(place, observed=0.6, per_block=30)
    whole = len(patches.patches(0))
    warped.clear()  # what the frames looked at
    list(islice(patches.items(), whole))
    assert len(warped) == len(patches.superblocks(0)) < whole / 10


def test_a_superblock_with_a_bad_tile_costs_only_the_patches_on_it(place: Place) -> None:
    def read_small(scene: Scene, root: Path, window: Window, grid: Grid, resampling: str) -> Any:
        if window.width > 16:
            raise InputError("s1.tif cannot be read as a raster: fetch the file again.")
        return read_scene(scene, root, window, grid, resampling)

    grid, window = grid_of(place.root / place.grid), Window(40, 16, 16, 16)
    alone = read_scene(place.scenes["sar"], place.root, window, grid, "bilinear")
    found = Part(Window(0, 0, 64, 64)).fetch(read_small, place.scenes["sar"], place.root, window, grid, "bilinear")
    np.testing.assert_array_equal(found, alone)


def test_a_patch_that_the_loader_would_refuse_is_refused_and_the_others_are_not(place: Place) -> None:
    """SAR reaches over a part of the optical scene: outside it there is nothing to pair."""
    items = list(islice(stream(place).items(), 150))
    refused = [item for item in items if item.refused]
    assert 0 < len(refused) < len(items)
    for item in refused:
        assert item.sample == {}
        assert "no pixel of sar was observed" in (item.refused or "")
        row, column = int(item.id[3:8]), int(item.id[9:14])
        with pytest.raises(InputError):
            Loader(context=0)(place.row(Window(column, row, 16, 16)), place.root, NAMES)


def test_a_patch_that_cannot_be_read_costs_no_other(place: Place) -> None:
    class Failing(Loader):
        def load(self, row: Row, root: Path, names: Iterable[str] | None, fetch: Fetch) -> Any:
            if Window.parse(row["window"]).right > WIDTH - 32:
                raise InputError("s2.tif cannot be read as a raster: fetch the file again.")
            return super().load(row, root, names, fetch)

    patches = stream(place, loader=Failing(context=0), observed=0.6)
    windows = [patch.window for patch in patches.patches(0)]
    for item, window in zip(islice(patches.items(), len(windows)), windows, strict=True):
        assert (window.right > WIDTH - 32) == ("s2.tif cannot be read" in (item.refused or ""))


def test_patches_are_read_superblock_by_superblock_each_once_an_epoch(place: Place) -> None:
    """So that each tile is decoded once: its patches follow each other."""
    counting = Counting()
    patches = stream(place, loader=counting)
    for epoch in range(3):
        counting.windows.clear()
        blocks = patches.superblocks(epoch)
        list(
            islice(patches.items(skip=sum(len(patches.patches(e)) for e in range(epoch))), len(patches.patches(epoch)))
        )
        read = [Window.parse(text) for text in counting.windows]
        assert Counter(read) == Counter(patch.window for patch in patches.patches(epoch))
        inside = [next(n for n, b in enumerate(blocks) if w.clipped(b.window) == w) for w in read]
        assert sum(one != other for one, other in pairwise(inside)) == len(set(inside)) - 1


def test_superblocks_are_whole_tiles_and_cover_the_place_once(place: Place) -> None:
    patches = stream(place)
    for epoch in range(4):
        covered = np.zeros((HEIGHT, WIDTH), int)
        for window in patches.lattices[0].windows(np.random.default_rng(epoch)):
            assert not {window.column % TILE, window.row % TILE, window.right % TILE, window.bottom % TILE} - {0}
            covered[window.row : window.bottom, window.column : window.right] += 1
        assert (covered == 1).all()


def test_over_many_epochs_every_position_comes_equally_often(place: Place) -> None:
    """Also those across a border of tiles, which every other epoch is one of superblocks and tears them apart."""
    patches = stream(place, per_block=64)
    drawn = [patch.window for epoch in range(60) for patch in patches.patches(epoch)]
    positions = (WIDTH - 16 + 1) * (HEIGHT - 16 + 1)
    assert len(drawn) / 60 == pytest.approx(64 * positions / (2 * TILE) ** 2, rel=0.05)
    for starts, length in (([w.column for w in drawn], WIDTH), ([w.row for w in drawn], HEIGHT)):
        found = np.bincount(np.asarray(starts), minlength=length - 15)
        expected = len(drawn) / (length - 15)
        crosses = (np.arange(length - 15) % TILE) > TILE - 16
        assert found[crosses].mean() == pytest.approx(expected, rel=0.08)
        assert found[~crosses].mean() == pytest.approx(expected, rel=0.08)
        assert found.min() > 0.7 * expected
        assert found.max() < 1.35 * expected


@pytest.mark.parametrize("shares", [2, 3, 5])
def test_the_shares_of_an_epoch_are_the_whole_of_it_and_no_patch_is_in_two(place: Place, shares: int) -> None:
    patches = stream(place)
    parts = [patches.patches(1, share, shares) for share in range(shares)]
    whole = patches.patches(1)
    assert Counter(patch for part in parts for patch in part) == Counter(whole)
    assert all(parts)


def test_workers_and_processes_take_different_patches(place: Place) -> None:
    """Two processes with two workers each: the first steps of all of them have no patch in common."""
    found: list[str] = []
    for rank in range(2):
        draw = Draw(batch_size=8, steps=4, seed=1, rank=rank, world=2)
        patches = PatchStream(frames_of([place], 16, 0.0), Loader(context=0), NAMES, draw, buffer=8, block=2 * TILE)
        loader = DataLoader(patches, batch_size=None, num_workers=2, multiprocessing_context="fork")
        batches = ids(loader)
        assert [len(batch) for batch in batches] == [4, 4, 4, 4]
        found += [identity for batch in batches for identity in batch]
    assert len(set(found)) == 32


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_that_starts_later_goes_on_as_the_unbroken_one(place: Place, workers: int) -> None:
    """Over the end of an epoch, to the bit, augmentation included."""
    changing = Augment(crop=8)
    alone = Place("b", place.root, {"optical": place.scenes["optical"]}, place.grid, place.area)

    def batches(start: int) -> list[list[Item]]:
        patches = stream(alone, steps=29, start=start, augment=changing)
        context = "fork" if workers else None
        return list(DataLoader(patches, batch_size=None, num_workers=workers, multiprocessing_context=context))

    unbroken = batches(0)
    for start in (1, 26):
        resumed = batches(start)
        assert ids(resumed) == ids(unbroken[start:])
        for again, was in zip(resumed, unbroken[start:], strict=True):
            for one, other in zip(again, was, strict=True):
                assert one.sample["optical"].equal(other.sample["optical"])


def test_each_patch_of_each_epoch_has_draws_of_its_own(place: Place) -> None:
    drawn: list[float] = []

    def remember(sample: Any, rng: np.random.Generator) -> Any:
        drawn.append(rng.random())
        return sample

    patches = stream(place, augment=remember, observed=0.6)
    items = list(islice(patches.items(), len(patches.patches(0)) + len(patches.patches(1))))
    assert len(set(drawn)) == len(drawn) == sum(item.refused is None for item in items)


def test_resuming_reads_only_what_is_still_waiting(place: Place) -> None:
    counting = Counting()
    resumed = stream(place, loader=counting, start=10, steps=11)
    next(iter(resumed))
    left = resumed.order(resumed.superblocks(0), 0)[80:]
    met = {planned.block for planned in left[:8]}
    assert len(counting.windows) == sum(planned.block in met for planned in left) < len(left)


def test_one_seed_and_epoch_give_one_order_and_no_other(place: Place) -> None:
    patches = stream(place)
    assert patches.patches(2) == stream(place).patches(2)
    assert patches.patches(2) != patches.patches(3)
    assert len(patches) == 6
    assert ids(patches) == ids(patches)


def test_more_waiting_patches_mix_better_and_independent_draws_measure_as_such(place: Place) -> None:
    """A value that changes slowly over the scene is what a poor shuffle spoils."""

    def measured(buffer: int) -> tuple[float, float, float]:
        patches = stream(place, buffer=buffer, per_block=16)
        found = []
        for epoch in range(8):
            order = patches.order(patches.superblocks(epoch), epoch)
            windows = [patch.window for patch in patches.patches(epoch)]
            values = np.asarray([window.column + 2.0 * window.row for window in windows])
            found.append(shuffle_quality(windows, [planned.block for planned in order], values, 8))
        return np.mean([(each.distance, each.design_effect, each.superblocks) for each in found], axis=0).tolist()

    none, some, all_of_it = measured(0), measured(48), measured(10_000)
    assert none[0] < 0.5 < some[0] < 0.95 < all_of_it[0] < 1.1  # superblocks are strata: better than independent
    assert none[1] > 4 > some[1] > 1.2 > all_of_it[1] > 0.2
    assert none[2] < 2 < some[2] < all_of_it[2]

    rng = np.random.default_rng(0)
    places = [Window(int(c), int(r), 16, 16) for c, r in zip(*rng.integers(0, 500, (2, 4000)), strict=True)]
    values = np.asarray([window.column for window in places])
    free = shuffle_quality(places, [window.column // 50 for window in places], values, 8)
    assert free.distance == pytest.approx(1, abs=0.02)
    assert free.design_effect == pytest.approx(1, abs=0.15)
    assert free.superblocks == pytest.approx(free.independent, rel=0.03)


def test_what_is_rare_comes_often_from_balanced_frames(place: Place, write_raster: Write) -> None:
    codes = np.ones((1, HEIGHT, WIDTH), np.uint8)
    codes[0, 64:96, 64:96] = 2
    write_raster(place.root / "classes.tif", codes)
    frames = balanced_frames(frames_of([place], 16, 0.0), ["classes.tif"])
    draw = Draw(batch_size=8, steps=1)
    patches = PatchStream(frames, Loader(context=0), NAMES, draw, block=2 * TILE)
    drawn = [patch for epoch in range(10) for patch in patches.patches(epoch)]
    inside = [p for p in drawn if 48 < p.window.column < 96 and 48 < p.window.row < 96]
    assert 0.4 < len(inside) / len(drawn) < 0.65
    assert max(p.weight for p in inside if 64 <= p.window.column <= 80 and 64 <= p.window.row <= 80) < 0.1
    assert min(p.weight for p in drawn if p.window.column > 96) > 1


def test_strips_are_read_whole_and_an_untiled_area_too(tmp_path: Path, write_raster: Write) -> None:
    """A file in strips has superblocks as wide as the scene, and as much lower."""
    write_raster(tmp_path / "strips.tif", np.ones((1, 400, 300), np.uint16), blockysize=8)
    optical = Scene("optical", ("strips.tif",), ("B04",), "dn")
    strips = Place("s", tmp_path, {"optical": optical}, "strips.tif", Window(10, 30, 280, 350))
    blocks = stream(strips).superblocks(0)
    assert {(block.window.column, block.window.width) for block in blocks} == {(10, 280)}
    assert sum(block.window.height for block in blocks) == 350
    assert all(16 <= block.window.height <= 40 for block in blocks)


def test_patches_larger_than_a_tile_reach_every_position_too(place: Place) -> None:
    """A superblock is a tile longer than a patch, or some positions would be torn apart in every epoch."""
    patches = PatchStream(frames_of([place], 40, 0.0), Loader(), NAMES, Draw(batch_size=8, steps=1), block=2 * TILE)
    columns = [patch.window.column for epoch in range(60) for patch in patches.patches(epoch)]
    found, _ = np.histogram(columns, bins=np.arange(0, WIDTH - 40 + 2, 7))
    assert found.min() > 0.5 * found.mean()


def test_more_workers_than_superblocks_is_a_sentence_and_no_endless_wait(place: Place) -> None:
    patches = stream(place, block=1024)
    with pytest.raises(InputError, match="4 workers cannot share an epoch of 1 superblocks"):
        next(patches.items(share=3, shares=4))


def test_a_missing_partner_is_none(place: Place) -> None:
    alone = Place("b", place.root, {"optical": place.scenes["optical"]}, place.grid, place.area)
    item = next(stream(alone).items())
    assert item.sample["sar"] is None
    assert isinstance(item.sample["optical"], torch.Tensor)
