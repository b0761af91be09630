"""Images of three modalities with their features, as a model would hand them to a fusion."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from plait.encoders.features import Features
from plait.fusion import Fusion
from plait.pairs.batch import Batch, Value

WIDTHS = {"sar": 6, "optical": 8, "height": 4}
CHANNELS = {"sar": 2, "optical": 3, "height": 1}
GRID = (4, 4)


@dataclass
class World:
    batch: Batch
    said: dict[str, Features]

    def features(self, name: str) -> Features:
        assert self.batch.present[name].any(), "a fusion may not ask for what no row has"
        return self.said[name]

    def fuse(self, fusion: Fusion, withheld: tuple[str, ...] = ()) -> Features:
        flags = {name: there & (name not in withheld) for name, there in self.batch.present.items()}
        return fusion(self.batch, self.features, flags)

    def row(self, index: int) -> World:
        """What a batch of this row alone would be."""
        rows = torch.tensor([index])
        present = {name: flags[rows] for name, flags in self.batch.present.items()}
        values = {name: value[rows] for name, value in self.batch.values.items() if present[name].any()}
        return World(
            Batch(("0",), ("0",), values, present), {name: one_row(said, index) for name, said in self.said.items()}
        )

    def with_token(self, name: str, row: int, place: int) -> World:
        """The same, but for one real token of a modality: what the encoder says there, and what it embedded."""
        said = self.said[name]
        assert said.mask[row, place]
        assert said.embedded is not None
        tokens, embedded = said.tokens.clone(), said.embedded.clone()
        tokens[row, place] += torch.tensor([3.0, *[0.0] * (WIDTHS[name] - 1)])
        embedded[row, place] += torch.tensor([3.0, *[0.0] * (WIDTHS[name] - 1)])
        return World(self.batch, self.said | {name: replace(said, tokens=tokens, embedded=embedded)})


def one_row(features: Features, row: int) -> Features:
    one = slice(row, row + 1)
    embedded = None if features.embedded is None else features.embedded[one]
    return replace(
        features,
        tokens=features.tokens[one],
        mask=features.mask[one],
        pooled=features.pooled[one],
        embedded=embedded,
    )


def world(dtype: torch.dtype = torch.float32, **has: list[int]) -> World:
    """Row i has a modality where its list has a 1; everything a row lacks is zero, as `Model` makes it."""
    generator = torch.Generator().manual_seed(0)
    rows = len(next(iter(has.values())))

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    present = {name: torch.tensor(has.get(name, [0] * rows)).bool() for name in WIDTHS}
    values: dict[str, Value] = {}
    said: dict[str, Features] = {}
    for name, there in present.items():
        size, length = WIDTHS[name], GRID[0] * GRID[1]
        image, tokens, embedded = draw(rows, CHANNELS[name], 16, 16), draw(rows, length, size), draw(rows, length, size)
        mask = (torch.rand(rows, length, generator=generator) > 0.2) & there[:, None]
        real = mask.unsqueeze(-1)
        said[name] = Features(tokens * real, mask, draw(rows, size) * there[:, None], GRID, embedded * real)
        if there.any():
            values[name] = image * there[:, None, None, None]
    ids = tuple(str(row) for row in range(rows))
    return World(Batch(ids, ids, values, present), said)


def same(one: Features, other: Features) -> None:
    """Assert equal pooled features and equal real tokens, in order."""
    torch.testing.assert_close(one.pooled, other.pooled, atol=1e-5, rtol=1e-4)
    for row in range(len(one.pooled)):
        torch.testing.assert_close(
            one.tokens[row][one.mask[row]], other.tokens[row][other.mask[row]], atol=1e-5, rtol=1e-4
        )


def random_features(width: int, tokens: int = 4, grid: tuple[int, int] | None = None, rows: int = 3) -> Features:
    """Complete float64 features; the fusions that are tested against slow references are made double, too."""
    mask = torch.rand(rows, tokens) > 0.3
    mask[:, 0] = True
    drawn = torch.randn(rows, 2 * tokens + 1, width, dtype=torch.float64)
    said, embedded, pooled = drawn.split([tokens, tokens, 1], dim=1)
    return Features(said, mask, pooled.squeeze(1), grid, embedded)


def fuse(fusion: Fusion, said: dict[str, Features], present: dict[str, list[int]]) -> Features:
    """Fuse rows of which only the features are known."""
    flags = {name: torch.tensor(there).bool() for name, there in present.items()}
    ids = tuple(map(str, range(len(next(iter(flags.values()))))))
    return fusion(Batch(ids, ids, {}, flags), said.__getitem__, flags)
