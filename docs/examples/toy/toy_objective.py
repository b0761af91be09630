"""A new objective in one small file: true pairs agree (and, without negatives, nothing stops a collapse).

It joins with one line in ``core/plait/objectives/__init__.py`` (or in an app's ``objectives``)::

    "agreement": Agreement,
"""

from __future__ import annotations

from torch import Tensor

from plait.objectives import Objective, Step


class Agreement(Objective):
    """One minus the mean cosine of true pairs.

    Args:
        of: the two modalities.
    """

    def __init__(self, of: list[str]) -> None:
        super().__init__()
        self.modalities = tuple(of)

    def forward(self, step: Step) -> dict[str, Tensor]:
        pairs = step.pairs(*self.modalities)
        if pairs is None:
            return {"agreement": next(step.model.parameters()).sum() * 0.0}
        return {"agreement": 1.0 - (pairs[0] * pairs[1]).sum(dim=1).mean()}
