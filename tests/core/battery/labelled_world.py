"""The world of vectors with labels to tell: a number and a class, by heads of the fusion and of each modality."""

from __future__ import annotations

import numpy as np
import torch

from plait.fusion import FUSIONS
from plait.heads import Classes, Regression
from plait.model import Model
from tests.core.battery.worlds import INSTANCES, Vector, World, vectors

OF = ["fused", "a", "b", "c"]
VALUE = Regression(of=OF, low=-3, high=3, hidden=8, dropout=0.0)
KIND = Classes(of=OF, classes=3, hidden=8, dropout=0.0)


def labelled() -> World:
    """The modalities of `vectors`; ``label_value`` in [-3, 3] is told by the cause, ``label_kind`` is a third of it.

    Instance 2 has the value 0. No label is unknown.
    """
    world = vectors()
    shown = world.values["a"]
    assert isinstance(shown, torch.Tensor)
    along = shown.double().numpy() @ np.array([1.0, -0.5, 0.5])
    value = 3.0 * np.tanh(along - np.median(along))
    value[2] = 0.0
    kind = np.searchsorted(np.quantile(value, [1 / 3, 2 / 3]), value)

    def model() -> Model:
        torch.manual_seed(0)
        encoders = {"a": Vector(3), "b": Vector(4), "c": Vector(2)}
        fusion = FUSIONS["concat"](dict.fromkeys(encoders, 6), width=6)
        return Model(encoders, 8, fusion, targets={"label_value": VALUE, "label_kind": KIND})

    assert len(value) == INSTANCES
    labels = {"label_value": torch.tensor(value).float(), "label_kind": torch.tensor(kind).float()}
    return World(model, dict(world.values) | labels, world.missing)
