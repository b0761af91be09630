"""Learning from dense maps of two modalities that show the same place: what lies where is the only supervision."""

from __future__ import annotations

from typing import Literal, cast

from torch import Tensor

from plait.encoders.features import Features
from plait.errors import InputError
from plait.losses.contrastive import info_nce
from plait.losses.dense import Critic, cosine_critic, dense_info_nce, mse_critic, patches_at, pooled_regions
from plait.objectives.objective import Objective
from plait.objectives.step import Step
from plait.objectives.temperature import fixed_scale
from plait.pairs.batch import stack

CRITICS: dict[str, Critic] = {"cosine": cosine_critic, "mse": mse_critic}


class DenseInfoNCE(Objective):
    """Patches of two maps agree where they show the same place (CoMIR, Pielawski et al., 2020).

    The maps are the projected tokens, on grids of one size. All other patches of the whole batch are negatives, of
    both modalities. The patches lie at random, at the same places in both.

    Args:
        of: two modalities that are registered to each other, each of an encoder that keeps a grid.
        critic: how alike two patches are.
        temperature: fixed; the authors have 0.5 and 0.1 for ``mse``.
        patches: of each row, a step.
        side: of a patch [places of the grid]; 1 contrasts single places.
    """

    def __init__(
        self,
        of: tuple[str, str],
        critic: Literal["cosine", "mse"] = "mse",
        temperature: float = 0.5,
        patches: int = 8,
        side: int = 2,
    ) -> None:
        super().__init__()
        self.modalities = (of[0], of[1])
        self.critic, self.temperature = critic, 1.0 / fixed_scale(temperature)
        self.patches, self.side = patches, side

    def forward(self, step: Step) -> dict[str, Tensor]:
        both = step.present(self.modalities)
        a, b = (step.gather(self._patches(step, name, both)) for name in self.modalities)
        loss = dense_info_nce(a, b, self.temperature, CRITICS[self.critic])
        return {f"dense_info_nce/{'~'.join(self.modalities)}": loss}

    def _patches(self, step: Step, name: str, rows: Tensor) -> Tensor:
        """(P, side^2, E) of the rows of this process."""
        if not bool(rows.any()):
            return step.nothing().expand(0, self.side**2, step.model.embedding)
        maps, grid = _map(step, name)
        if min(grid) < self.side:
            raise InputError(
                f"dense_info_nce: '{name}' has {grid[0]} x {grid[1]} places, fewer than a patch of side {self.side}: "
                "lower side, or give the encoder a smaller stride."
            )
        _same_grids(step, self.modalities)
        corners = step.uniform("dense_info_nce", self.patches, 2)
        return patches_at(maps[rows], grid, corners[rows], self.side)


class RegionInfoNCE(Objective):
    """Regions of two maps agree where they are the same region (SLidR, Sautier et al., 2022; for two images).

    Reads the batch entry ``regions``: (B, Y, X) ids, -1 for none, of superpixels that both modalities share. Unit
    features are averaged over the pixels of each region and not normalised again; the regions of the whole batch are
    each other's negatives. Both encoders learn and both ask, where SLidR distils one way from a frozen encoder.

    Args:
        of: two modalities that are registered to each other, each of an encoder that keeps a grid.
        temperature: fixed, as in SLidR.
    """

    def __init__(self, of: tuple[str, str], temperature: float = 0.07) -> None:
        super().__init__()
        self.modalities = (of[0], of[1])
        self.collators = {"regions": stack}
        self.scale = fixed_scale(temperature)

    def forward(self, step: Step) -> dict[str, Tensor]:
        rows = step.present((*self.modalities, "regions"))
        a, b = (step.gather(self._means(step, name, rows)) for name in self.modalities)
        return {f"region_info_nce/{'~'.join(self.modalities)}": info_nce(a, b, self.scale)}

    def _means(self, step: Step, name: str, rows: Tensor) -> Tensor:
        """(S, E) of the regions of this process, in the same order for both modalities."""
        if not bool(rows.any()):
            return step.nothing().expand(0, step.model.embedding)
        maps, grid = _map(step, name)
        regions = cast(Tensor, step.batch.values["regions"])
        return pooled_regions(maps[rows], grid, regions[rows])[0]


def _map(step: Step, name: str) -> tuple[Tensor, tuple[int, int]]:
    """A modality's (B, T, E) tokens in the shared space, and their grid."""
    features = step.features(name)
    return step.model.projection(name, features.tokens), _grid(name, features)


def _grid(name: str, features: Features) -> tuple[int, int]:
    if features.grid is None:
        raise InputError(f"The encoder of '{name}' keeps no grid of places: choose a dense kind, such as conv_dense.")
    return features.grid


def _same_grids(step: Step, names: tuple[str, ...]) -> None:
    grids = {name: _grid(name, step.features(name)) for name in names}
    if len(set(grids.values())) > 1:
        said = " and ".join(f"'{name}' {height} x {width}" for name, (height, width) in grids.items())
        raise InputError(f"dense_info_nce: the grids differ, {said}: give the encoders the same stride.")
