"""How the features of several modalities become those of one instance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn

from plait.encoders.features import Encoder, Features
from plait.errors import InputError
from plait.pairs.batch import Batch


class Fusion(nn.Module):
    """Joins modalities, whichever of them a row has.

    What a modality would have said of a row that lacks it is learnt (an average, a gate over those present and a
    product of experts leave it out instead), so that every subset of the modalities is a legal input. A row is fused
    alike whether it lacks a modality or the modality is withheld from it, and a row that has none at all comes out
    finite, with all its tokens masked.

    Attributes:
        width: D of the fused features.
        reads_features: false where it looks at the batch's values instead, and so cannot be shown other features.
    """

    width: int
    reads_features: bool = True

    def host(self, encoders: Mapping[str, Encoder]) -> None:
        """Take the encoder that it runs itself; called once, before any weight is trained or loaded.

        Raises:
            InputError: where that encoder cannot be run in this way.
        """
        del encoders

    def forward(self, batch: Batch, features: Callable[[str], Features], present: Mapping[str, Tensor]) -> Features:
        """Fuse a batch.

        Args:
            batch: the rows.
            features: a modality's features, one row an instance; may be asked only of a modality that at
                least one row of the batch has.
            present: modality name to (B,) bool, the rows in which it may be used; all false where withheld.
        """
        raise NotImplementedError


def any_present(present: Mapping[str, Tensor], names: Iterable[str]) -> Tensor:
    """(B,) bool: the rows that have at least one of the modalities."""
    return torch.stack([present[name] for name in names]).any(dim=0)


def all_but(modalities: Mapping[str, int], into: str) -> dict[str, int]:
    """The modalities that are fused into one of them; raises `InputError` where it is none of them, or the only one."""
    if into not in modalities or len(modalities) < 2:
        raise InputError(
            f"The fusion joins other modalities into '{into}' and there is {', '.join(modalities)}: "
            f"set into to one of at least two."
        )
    return {name: width for name, width in modalities.items() if name != into}
