"""An utterance encoder is the encoder of what its modality holds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from plait.encoders.recurrent import LSTM
from plait.encoders.tables import Table
from plait.encoders.text import Text
from plait.errors import InputError
from plait.pairs.batch import Padded
from plait_sentiment.encoders import Utterance

WORDS = ["it was a good film", "bad", "a really good one", "it was bad"]
VECTORS = [torch.randn(5, generator=torch.Generator().manual_seed(row)) * 100 + 7 for row in range(4)]
SEQUENCES = [torch.randn(3 + row, 5, generator=torch.Generator().manual_seed(row)) * 100 for row in range(4)]
SAMPLES = {"words": WORDS, "vector": VECTORS, "sequence": SEQUENCES}
INNER = {"words": Text, "vector": Table, "sequence": LSTM}


def encoder(holds: str) -> Utterance:
    torch.manual_seed(0)
    return Utterance(16, holds, None if holds == "words" else 5, layers=1, vocabulary=60).eval()


@pytest.mark.parametrize("holds", SAMPLES)
def test_it_says_what_the_inner_encoder_says(holds):
    whole = encoder(holds)
    whole.fit(SAMPLES[holds])
    torch.manual_seed(0)
    inner = {
        "words": lambda: Text(1, 16, 4, 60, 64),
        "vector": lambda: Table(5, 16),
        "sequence": lambda: LSTM(5, 16),
    }[holds]().eval()
    inner.fit(SAMPLES[holds])
    assert type(whole.inner) is INNER[holds] is type(inner)
    said, expected = whole(whole.collate(SAMPLES[holds])), inner(inner.collate(SAMPLES[holds]))
    torch.testing.assert_close(said.pooled, expected.pooled)
    torch.testing.assert_close(said.tokens, expected.tokens)
    assert whole.width == said.pooled.shape[1] == 16


@pytest.mark.parametrize("holds", SAMPLES)
def test_weights_and_what_was_fitted_go_through_a_file(holds, tmp_path: Path):
    first = encoder(holds)
    first.fit(SAMPLES[holds])
    save_file(first.state_dict(), tmp_path / "weights.safetensors")
    torch.manual_seed(1)
    second = Utterance(16, holds, None if holds == "words" else 5, layers=1, vocabulary=60).eval()
    second.load_state_dict(first.state_dict())
    collated = second.collate(SAMPLES[holds])
    values = collated.values if isinstance(collated, Padded) else collated
    assert isinstance(values, Tensor)
    torch.testing.assert_close(second(collated).pooled, first(first.collate(SAMPLES[holds])).pooled)


def test_fitting_is_the_inner_encoders():
    fitted, plain = encoder("vector"), encoder("vector")
    fitted.fit(VECTORS)
    assert isinstance(fitted.inner, Table)
    torch.testing.assert_close(fitted.inner.standardise.mean, torch.stack(VECTORS).mean(dim=0))
    value = fitted.collate(VECTORS)
    assert not torch.allclose(fitted(value).pooled, plain(value).pooled)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [({}, "is not settled"), ({"holds": "pictures"}, "'pictures' is none of"), ({"holds": "vector"}, "needs channels")],
)
def test_what_is_left_open_is_said(arguments, said):
    with pytest.raises(InputError, match=said):
        Utterance(16, **arguments)


def test_words_may_come_from_a_local_folder_and_a_missing_one_is_said(tmp_path: Path):
    with pytest.raises(InputError, match=r"lacks config\.json"):
        Utterance(16, "words", folder=str(tmp_path))
