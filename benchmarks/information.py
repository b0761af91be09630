"""What the bounds of mutual information say of Gaussians whose information is known, over many batches.

Nothing is trained: every bound has its best critic, in closed form, so what is seen is the estimator's own bias and
variance; a learnt critic adds its own. Two Gaussian vectors of D dimensions, correlated dimension by dimension with
rho, share I = -D/2 log(1 - rho^2) nats.

One line of JSON a bound and setting, then a table of mean and standard deviation. Takes well under a minute.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

from plait.losses import information

SEEDS = 200
INFORMATION, ROWS, DIMENSIONS = (0.5, 1.0, 2.0, 4.0), (64, 256), (4, 16)


class Gaussians:
    """A batch of x and y with a known information, and what the best critic says of it."""

    def __init__(self, rows: int, dimensions: int, nats: float, seed: int) -> None:
        self.rho = correlation(dimensions, nats)
        generator = torch.Generator().manual_seed(seed)
        self.x, noise = torch.randn(2, rows, dimensions, generator=generator, dtype=torch.float64)
        self.y = self.rho * self.x + math.sqrt(1 - self.rho**2) * noise

    @property
    def mean(self) -> Tensor:
        """Of p(y | x)."""
        return self.rho * self.x

    @property
    def log_variance(self) -> Tensor:
        """Of p(y | x)."""
        return torch.full_like(self.x, math.log(1 - self.rho**2))

    @property
    def log_ratio(self) -> Tensor:
        """(N, N) log p(y_j | x_i) / p(y_j)."""
        variance, (rows, dimensions) = 1 - self.rho**2, self.x.shape
        squares = self.y.square().sum(dim=1)
        distance = torch.cdist(self.mean, self.y, compute_mode="donot_use_mm_for_euclid_dist").square()
        assert distance.shape == (rows, rows)
        return -0.5 * (dimensions * math.log(variance) + distance / variance - squares)


def correlation(dimensions: int, nats: float) -> float:
    """The rho of each dimension with which they share so many nats."""
    return math.sqrt(1 - math.exp(-2 * nats / dimensions))


BOUNDS: dict[str, Callable[[Gaussians], Tensor]] = {
    "info_nce": lambda g: information.info_nce_bound(g.log_ratio),
    "smile (clip 1)": lambda g: information.smile(g.log_ratio, 1.0),
    "smile (clip 5)": lambda g: information.smile(g.log_ratio, 5.0),
    "nwj": lambda g: information.nwj(g.log_ratio + 1.0),
    "donsker_varadhan": lambda g: information.donsker_varadhan(g.log_ratio),
    "barber_agakov": lambda g: information.barber_agakov(g.mean, g.log_variance, g.y, noise=1e-6),
    "club": lambda g: information.club(g.mean, g.log_variance, g.y),
}


def estimates(bound: str, rows: int, dimensions: int, nats: float, seeds: int = SEEDS) -> Tensor:
    """(seeds,) what a bound says of as many batches."""
    return torch.stack([BOUNDS[bound](Gaussians(rows, dimensions, nats, seed)) for seed in range(seeds)])


def main() -> None:
    """Print the figures, then the table."""
    table = [f"{'D, N, nats':12}" + "".join(f"{bound:>18}" for bound in BOUNDS)]
    for dimensions, rows, nats in product(DIMENSIONS, ROWS, INFORMATION):
        row = f"{f'{dimensions}, {rows}, {nats}':12}"
        for bound in BOUNDS:
            found = estimates(bound, rows, dimensions, nats)
            figures = {"bias": round(float(found.mean()) - nats, 4), "variance": round(float(found.var()), 4)}
            setting = {"bound": bound, "nats": nats, "rows": rows, "dimensions": dimensions, "seeds": SEEDS}
            print(json.dumps(setting | figures | {"critic": "optimal, not trained"}))
            row += f"{f'{found.mean():.2f} +- {found.std():.2f}':>18}"
        table.append(row)
    print("\n" + "\n".join(table))


if __name__ == "__main__":
    main()
