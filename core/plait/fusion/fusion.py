"""How the features of several modalities become those of one instance."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from plait.encoders.features import Features
from plait.pairs.batch import Batch


class Fusion(nn.Module):
    """Joins modalities, whichever of them a row has.

    What a modality would have said of a row that lacks it is learnt, so that every subset of the modalities
    is a legal input. A row is fused alike whether it lacks a modality or the modality is withheld from it, and
    a row that has none at all comes out finite, with all its tokens masked.

    Attributes:
        width: D of the fused features.
    """

    width: int

    def forward(self, batch: Batch, features: Callable[[str], Features], present: Mapping[str, Tensor]) -> Features:
        """Fuse a batch.

        Args:
            batch: the rows.
            features: a modality's features, one row an instance; may be asked only of a modality that at
                least one row of the batch has.
            present: modality name to (B,) bool, the rows in which it may be used; all false where withheld.
        """
        raise NotImplementedError
