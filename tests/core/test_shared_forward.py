"""Hybrid objectives, lists of several, pay for one clean forward pass of each modality."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from plait.encoders.features import Features
from plait.model import Model
from plait.objectives import Objective, Step
from plait.objectives.captioning import Captioning
from plait.objectives.instance_discrimination import InfoNCE
from plait.objectives.local import WordPatchTransport
from plait.objectives.masked_feature import MaskedFeature
from plait.objectives.masked_image import MaskedImage
from plait.objectives.masked_language import DistilledMaskedLanguage, MaskedLanguage
from plait.objectives.matching import Matching
from plait.objectives.momentum_contrast import MomentumContrast
from plait.objectives.negatives import NTXent
from plait.pairs.batch import Padded, Value
from tests.core.battery.worlds import scenes

PAIR = ["image", "text"]
HYBRIDS: dict[str, Callable[[], list[Objective]]] = {
    "albef": lambda: [MomentumContrast(PAIR, alpha=0.4), Matching(PAIR), DistilledMaskedLanguage(["text", "image"])],
    "blip": lambda: [MomentumContrast(PAIR, alpha=0.4), Matching(PAIR), Captioning(["text", "image"])],
    "coca": lambda: [InfoNCE(["image", "text"]), Captioning(["text", "image"])],
    "flava": lambda: [
        InfoNCE(["image", "text"]),
        Matching(PAIR),
        MaskedImage(["image"]),
        MaskedLanguage(["text"]),
        MaskedImage(["image", "text"]),
        MaskedLanguage(["text", "image"]),
    ],
    "slip": lambda: [InfoNCE(["image", "text"]), NTXent(["image", "image:2"])],
    "uniter": lambda: [
        MaskedLanguage(["text", "image"]),
        MaskedFeature(["image", "text"]),
        Matching(PAIR),
        WordPatchTransport(("text", "image")),
    ],
}


def numbers(value: Value) -> Tensor:
    return value.values if isinstance(value, Padded) else value


def count_clean(model: Model, clean: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each view is encoded as it is in the batch; filled as the model is used."""
    counts: Counter[str] = Counter()
    encode = model.encode

    def counted(name: str, value: Value) -> Features:
        counts[name] += numbers(value).equal(clean[name])
        return encode(name, value)

    monkeypatch.setattr(model, "encode", counted)
    return counts


@pytest.mark.parametrize("name", HYBRIDS)
def test_a_hybrid_encodes_each_view_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = scenes()
    model, teacher, batch = world.model(), world.model().requires_grad_(False), world.batch(missing={})
    clean = {view: numbers(batch.values[view]) for view in ("image", "image:2", "text")}
    of_model, of_teacher = count_clean(model, clean, monkeypatch), count_clean(teacher, clean, monkeypatch)
    objectives = HYBRIDS[name]()
    step = Step(model, batch, teacher, seed=(0, 1))
    for objective in objectives:
        objective.prepare(model, 32)
    losses = [loss for objective in objectives for loss in objective(step).values()]
    torch.stack(losses).sum().backward()
    assert {view: of_model[view] for view in PAIR} == {"image": 1, "text": 1}
    assert max([*of_model.values(), *of_teacher.values()]) == 1
