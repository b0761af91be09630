"""Reconstruct what was dropped of several images from what was kept of all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast, override

import torch
from torch import Tensor, nn

from plait.encoders.features import Features
from plait.encoders.patches import Patches, grid_places
from plait.encoders.transformer import Transformer
from plait.errors import InputError
from plait.losses.masked import masked_regression, normalised_patches
from plait.model import Model
from plait.objectives.masking import check_patches, encode_visible, joined, patches_of, ranks, share_out, width_of
from plait.objectives.objective import Objective
from plait.objectives.step import Step


class MaskedAutoencoding(Objective):
    """MultiMAE (Bachmann et al., 2022); MAE (He et al., 2022) of one modality alone.

    Encoders see the visible patches only, the fusion joins them, and a light decoder for each modality tells its hidden
    patches from all that is fused. A row takes part with what it has. Co-registered modalities reveal each other's
    hidden patches where their masks differ: that is what teaches how they belong together. Where it is too easy, as
    when one is nearly a copy of the other, ``same_places`` hides the same patches in all.

    Args:
        of: the images, whose encoders are of kind ``patches``.
        visible: the share of all patches of a row that is seen; MAE and MultiMAE see 1/4 and 1/6.
        budgets: modality name to its share of what is seen; drawn anew for each row from the symmetric Dirichlet
            distribution with concentration 1 where ``None``, as in MultiMAE.
        same_places: whether the same patches are seen in all, which must then have one grid.
        width: of the decoders.
        layers: of the decoders.
        heads: of the decoders.

    Raises:
        InputError: where a budget is given and the same places are asked for, which leaves nothing to share out, or
            where the budgets are not of these modalities.
    """

    def __init__(
        self,
        of: list[str],
        visible: float = 0.25,
        budgets: dict[str, float] | None = None,
        same_places: bool = False,
        width: int = 64,
        layers: int = 1,
        heads: int = 4,
    ) -> None:
        super().__init__()
        if budgets is not None and (same_places or {*budgets} != {*of} or min(budgets.values()) < 0.0):
            raise InputError(
                f"masked_autoencoding shares out what is seen among {', '.join(of)}: give each a budget of 0 or more "
                "and leave same_places false, or give none."
            )
        if width % 4:
            raise InputError(f"The width {width} of masked_autoencoding's decoders is no multiple of 4: change it.")
        self.modalities = tuple(of)
        self.visible, self.budgets, self.same_places = visible, budgets, same_places
        self.width, self.layers, self.heads = width, layers, heads

    @override
    def prepare(self, model: Model, rows: int) -> None:
        width = width_of(model, self.modalities, "masked_autoencoding")
        encoders = {name: check_patches(model, name, "masked_autoencoding") for name in self.modalities}
        self.decoders = nn.ModuleDict(
            {name: PatchDecoder(e, width, self.width, self.layers, self.heads) for name, e in encoders.items()}
        )

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        patches = {name: patches_of(step, name) for name in self.modalities}
        visible = self.seen(step, {name: patch.mask for name, patch in patches.items()})
        said = {name: encode_visible(step, name, seen) for name, seen in visible.items()}
        fused = joined(step, said, self.modalities)
        losses: dict[str, Tensor] = {}
        for name, patch in patches.items():
            hidden = patch.mask & ~visible[name]
            decoded = self.decoders[name](hidden, _grid(step, name), fused)[hidden]
            targets = normalised_patches(patch.values[hidden])
            errors = masked_regression(decoded, targets, hidden)
            losses[f"masked_autoencoding/{name}"] = step.mean(errors, hidden.any(dim=1))
        return losses

    def seen(self, step: Step, masks: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Modality name to (B, T) bool, the visible ones among its real patches (B, T)."""
        if self.same_places:
            return self._same(step, masks)
        draws = [step.uniform(f"visible/{name}", mask.shape[1]) for name, mask in masks.items()]
        if self.budgets is None:
            # Exponential draws, divided by their sum, are Dirichlet(1, ..., 1); only their proportions count.
            weights = -torch.log1p(-step.uniform("visible", len(masks)))
        else:
            weights = torch.tensor([self.budgets[name] for name in masks], device=draws[0].device)
            weights = weights.expand(len(draws[0]), -1)
        return dict(zip(masks, share_out(list(masks.values()), weights, draws, self.visible), strict=True))

    def _same(self, step: Step, masks: Mapping[str, Tensor]) -> dict[str, Tensor]:
        grids = {name: _grid(step, name) for name, mask in masks.items() if bool(mask.any())}
        if len(set(grids.values())) > 1:
            raise InputError(
                f"The same places are to be hidden in grids that differ, {grids}: set same_places to false."
            )
        places = max(mask.shape[1] for mask in masks.values())
        everywhere = torch.ones(len(step.batch), places, dtype=torch.bool, device=step.rows.device)
        count = min(max(round(self.visible * places), 1), max(places - 1, 1))
        chosen = ranks(everywhere, step.uniform("visible", places)) < count
        return {name: mask & chosen[:, : mask.shape[1]] for name, mask in masks.items()}


class PatchDecoder(nn.Module):
    """Hidden places look at each other and at all that is fused, and say their pixels.

    Args:
        encoder: whose patches it tells.
        context: C, the width of what is fused.
        width: D.
        layers: transformer blocks.
        heads: attention heads.
    """

    def __init__(self, encoder: Patches, context: int, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.query = nn.Parameter(0.02 * torch.randn(width))
        self.trunk = Transformer(width, layers, heads, context_width=context)
        self.pixels = nn.Linear(width, encoder.in_channels * encoder.patch**2)

    @override
    def forward(self, hidden: Tensor, grid: tuple[int, int], fused: Features) -> Tensor:
        """(B, T, P) from ``hidden`` (B, T) bool; where it is false they mean nothing."""
        places = self.query + grid_places(grid, len(self.query), self.query)
        tokens = places.expand(len(hidden), -1, -1)
        return self.pixels(self.trunk(tokens, hidden, fused.tokens, fused.mask))


def _grid(step: Step, name: str) -> tuple[int, int]:
    """(H, W) of a modality's patches; (1, 1) where no row of this process has it."""
    value = step.batch.values.get(name)
    return (1, 1) if value is None else cast(Patches, step.model.encoder(name)).grid_of(value)
