"""A stream of random patches that decodes each part of a file once an epoch, not once a patch.

A patch of 256 x 256 pixels at a random place meets 2.25 tiles of 512 x 512 in the mean, and a compressed tile is
decoded whole, so reading patches in random order decodes nine times what it uses. Here they are read superblock by
superblock: several tiles, which GDAL keeps decoded (`GDAL_CACHEMAX`) while many patches are cut from them, and what
lies on another grid is warped once for all of them. They would come in bunches, so they wait in a shuffle buffer;
`plait_remote_sensing.sampling.quality` measures how well it mixes them, and ``benchmarks/patches.py`` says it: of a
Sentinel-2 tile with 32 patches from a superblock, a batch of 32 is worth 7 independent patches where 64 wait, 13 where
128 do, 23 where 256 do, and 32 where 512 do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count, islice
from typing import NamedTuple

import numpy as np
from torch.utils.data import IterableDataset, get_worker_info

from plait.errors import InputError
from plait.pairs.batch import Sample
from plait.pairs.dataset import Augment, Item
from plait.pairs.samplers import Draw
from plait_remote_sensing.load import Loader
from plait_remote_sensing.raster import Window
from plait_remote_sensing.sampling.frame import Frame
from plait_remote_sensing.sampling.part import Part
from plait_remote_sensing.sampling.samplers import Patch
from plait_remote_sensing.sampling.superblocks import Lattice, Superblock, superblocks


class Planned(NamedTuple):
    """The ``number``-th patch of the ``block``-th superblock of an epoch."""

    block: int
    number: int


class PatchStream(IterableDataset[list[Item]]):
    """Batches of patches for steps ``draw.start`` to ``draw.steps``, for a `DataLoader` with ``batch_size=None``.

    An epoch visits every superblock once, in an order that depends on the seed and the epoch alone, and takes from it
    patches in proportion to its size and their chance, ``per_block`` from a whole one. Over many epochs every position
    comes as often as its frame says, also across the borders of tiles and superblocks. A *share* is what one worker
    of one process takes: every n-th superblock. The patches of each superblock are given one by one, evenly but for
    chance, while twice ``buffer`` patches of other superblocks are, so that ``buffer`` wait in the mean. Then the next
    epoch begins. The shares of an epoch together hold the same patches whatever their number, and none twice.

    A patch is what the loader reads for its row, and to a thousandth of a pixel where a sensor lies on another grid;
    one that it refuses is refused, and the others go on. Augmentation draws from (seed, epoch, superblock, patch).

    Which patch comes when is planned before anything is read: a stream that starts at a later step gives what one from
    the beginning gives there, after reading only the superblocks whose patches are still waiting. Only the number of
    workers and processes must be the same.

    Memory of each worker: the patches of the buffer and of one superblock, and GDAL's cache, which should hold a
    superblock as it is stored: 25 MB for 12 bands of 16 bits.

    Args:
        frames: of one patch size; from `frames_of`, or `balanced_frames`.
        loader: reads the row of a patch.
        names: the modalities to read.
        draw: batch size over all processes, seed, steps, and this process.
        augment: changes a patch while training; ``None`` for none.
        per_block: patches from a whole superblock; where ``None`` so many that each pixel is seen about twice an epoch.
        buffer: how many patches wait, in the mean; 256 of 12 x 256 x 256 are 800 MB.
        block: the side of a superblock, in pixels; it is rounded up to whole tiles.

    Raises:
        InputError: where a file cannot be opened to see its tiles; while iterating, where an epoch has fewer
            superblocks than there are shares.
    """

    def __init__(
        self,
        frames: Sequence[Frame],
        loader: Loader,
        names: Sequence[str],
        draw: Draw,
        *,
        augment: Augment | None = None,
        per_block: float | None = None,
        buffer: int = 256,
        block: int = 1024,
    ) -> None:
        self.frames, self.loader, self.names = list(frames), loader, tuple(names)
        self.draw, self.augment = draw, augment
        self.side, self.buffer = frames[0].side, buffer
        self.lattices = [Lattice.of(frame, block) for frame in frames]
        self.density = 2.0 / self.side**2 if per_block is None else per_block / block**2

    def __len__(self) -> int:
        return max(self.draw.steps - self.draw.start, 0)

    def __iter__(self) -> Iterator[list[Item]]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        draw, size = self.draw, self.draw.batch_size // self.draw.world
        # A DataLoader asks its workers in turn, so step s is for the share s modulo the number of workers.
        share = (draw.start + worker) % workers
        before = len(range(share, draw.start, workers))
        items = self.items(draw.rank * workers + share, draw.world * workers, skip=before * size)
        for _ in range(draw.start + worker, draw.steps, workers):
            yield list(islice(items, size))

    def items(self, share: int = 0, shares: int = 1, skip: int = 0) -> Iterator[Item]:
        """One share's patches, epoch after epoch without end, from the ``skip``-th on."""
        for epoch in count():
            blocks = self.superblocks(epoch)
            if len(blocks) < shares:
                raise InputError(
                    f"{shares} workers cannot share an epoch of {len(blocks)} superblocks: "
                    "use fewer workers, smaller superblocks, or more scenes."
                )
            order = self.order(blocks, epoch, share, shares)
            yield from self._read(blocks, epoch, order[skip:])
            skip = max(skip - len(order), 0)

    def superblocks(self, epoch: int) -> list[Superblock]:
        """The superblocks of an epoch, in the order of reading."""
        return superblocks(self.frames, self.lattices, self.density, self.draw.seed, epoch)

    def order(self, blocks: Sequence[Superblock], epoch: int, share: int = 0, shares: int = 1) -> list[Planned]:
        """The order in which one share gives its patches of an epoch.

        Even waits mix better than waits by lot, as strata do: fewer patches of one superblock meet in a batch.
        """
        rng = np.random.default_rng([self.draw.seed, epoch, 1, share, shares])
        planned: list[Planned] = []
        due: list[float] = []
        for block in range(share, len(blocks), shares):
            patches = blocks[block].patches
            waits = 2 * self.buffer * (np.arange(patches) + rng.random(patches)) / patches
            due += (len(planned) + waits).tolist()
            planned += [Planned(block, number) for number in range(patches)]
        return [planned[place] for place in np.argsort(due, kind="stable")]

    def _read(self, blocks: Sequence[Superblock], epoch: int, order: Sequence[Planned]) -> Iterator[Item]:
        """Give patches in their order; all of a superblock are read when the first of them is given."""
        coming: dict[int, list[int]] = {}
        for planned in order:
            coming.setdefault(planned.block, []).append(planned.number)
        held: dict[Planned, Item] = {}
        for planned in order:
            if planned not in held:
                block = blocks[planned.block]
                windows, part = self._windows(block, epoch, planned.block), self._part(block)
                for number in coming.pop(planned.block):
                    held[Planned(planned.block, number)] = self._item(block.source, windows[number], part)
            item = held.pop(planned)
            if self.augment is not None and item.refused is None:
                rng = np.random.default_rng([self.draw.seed, epoch, 3, *planned])
                item = item._replace(sample=self.augment(item.sample, rng))
            yield item

    def patches(self, epoch: int, share: int = 0, shares: int = 1) -> list[Patch]:
        """What one share gives in an epoch, in its order, without reading anything."""
        blocks = self.superblocks(epoch)
        windows = {index: self._windows(blocks[index], epoch, index) for index in range(share, len(blocks), shares)}
        order = self.order(blocks, epoch, share, shares)
        drawn = [(blocks[block].source, windows[block][number]) for block, number in order]
        return [Patch(source, window, 1.0 / self.frames[source].chance_at(window)) for source, window in drawn]

    def _windows(self, block: Superblock, epoch: int, index: int) -> list[Window]:
        rng = np.random.default_rng([self.draw.seed, epoch, 2, index])
        region = self.lattices[block.source].region(block.window)
        return self.frames[block.source].draw(rng, block.patches, region)

    def _part(self, block: Superblock) -> Part:
        return Part(block.window.grown(self.loader.context).clipped(self.frames[block.source].place.area))

    def _item(self, source: int, window: Window, part: Part) -> Item:
        place = self.frames[source].place
        row = place.row(window)
        sample: Sample = dict.fromkeys(self.names)
        try:
            names = [name for name in self.names if name in place.scenes]
            sample |= self.loader.load(row, place.root, names, part.fetch)
        except InputError as error:
            return Item({}, row["id"], row["group"], source, str(error))
        return Item(sample, row["id"], row["group"], source, None)
