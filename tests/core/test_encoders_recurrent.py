"""The LSTM encoder: what packed sequences give, whatever lies behind them, beside them or in between."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence

from plait.encoders import ENCODERS
from plait.encoders.recurrent import LSTM
from plait.errors import InputError
from plait.pairs.batch import Padded, pad

NAN = float("nan")


def encoder(layers: int = 1) -> LSTM:
    torch.manual_seed(0)
    made = LSTM(in_features=2, width=5, layers=layers)
    made.fit([torch.randn(20, 2) * 3 + 5])
    return made


def samples(*lengths: int) -> list[Tensor]:
    return [torch.randn(length, 2) * 3 + 5 for length in lengths]


@pytest.mark.parametrize("layers", [1, 2])
def test_it_is_an_lstm_over_packed_standardised_sequences(layers: int) -> None:
    lstm, drawn = encoder(layers), samples(4, 1, 7)
    drawn[0][1, 0] = NAN
    said = lstm(lstm.collate(drawn))
    network = nn.LSTM(4, 5, layers)
    network.load_state_dict(lstm.network.state_dict())
    packed = pack_sequence([lstm.standardise(sample) for sample in drawn], enforce_sorted=False)
    states, (last, _) = network(packed)
    unpacked, lengths = pad_packed_sequence(states, batch_first=True)
    assert lengths.tolist() == said.mask.sum(dim=1).tolist() == [4, 1, 7]
    torch.testing.assert_close(said.tokens[said.mask], unpacked[said.mask])
    torch.testing.assert_close(said.pooled, last[-1])


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=4), st.integers(0, 3))
def test_padding_says_nothing(lengths: list[int], more: int) -> None:
    lstm, drawn = encoder(), samples(*lengths)
    value = pad([*drawn, torch.zeros(max(lengths) + more, 2)])
    together = lstm(value)
    for row, sample in enumerate(drawn):
        alone = lstm(lstm.collate([sample]))
        torch.testing.assert_close(together.tokens[row, : len(sample)], alone.tokens[0])
        torch.testing.assert_close(together.pooled[row], alone.pooled[0])


@pytest.mark.parametrize("garbage", [NAN, float("inf"), 1e4])
def test_masked_steps_say_nothing_at_the_end_or_in_between(garbage: float) -> None:
    lstm, value = encoder(), pad(samples(9, 5))
    value.mask[0, 4] = False
    dirty = Padded(value.values.masked_fill(~value.mask.unsqueeze(-1), garbage), value.mask)
    clean, said = lstm(value), lstm(dirty)
    assert torch.equal(clean.pooled, said.pooled)
    assert torch.equal(clean.tokens[value.mask], said.tokens[value.mask])
    assert torch.equal(said.pooled, torch.stack([said.tokens[0, 8], said.tokens[1, 4]]))


def test_a_token_knows_what_came_before_and_nothing_of_what_comes_after() -> None:
    steps = torch.randn(1, 9, 2, requires_grad=True)
    encoder()(Padded(steps, torch.ones(1, 9, dtype=torch.bool))).tokens[0, 5, 0].backward()
    assert steps.grad is not None
    assert (steps.grad[0].abs().sum(dim=1) > 0).tolist() == [True] * 6 + [False] * 3


def test_a_row_without_a_real_step_is_zero_with_a_finite_gradient() -> None:
    lstm = encoder()
    said = lstm(Padded(torch.full((2, 3, 2), NAN), torch.zeros(2, 3, dtype=torch.bool)))
    assert said.pooled.tolist() == [[0.0] * 5] * 2
    (said.pooled.sum() + said.tokens.square().sum()).backward()
    assert torch.isfinite(said.tokens).all()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in lstm.parameters())


def test_what_it_was_fitted_to_is_what_it_sees() -> None:
    lstm, steps, whole = encoder(), samples(4)[0][None], torch.ones(1, 4, dtype=torch.bool)
    said = lstm(Padded(steps, whole)).pooled
    mean, scale = lstm.standardise.mean.clone(), lstm.standardise.scale.clone()
    lstm.fit([torch.tensor([[-1.0, -1.0], [1.0, 1.0]])])
    torch.testing.assert_close(lstm(Padded((steps - mean) / scale, whole)).pooled, said)
    assert not torch.allclose(lstm(Padded(steps, whole)).pooled, said)


def test_a_missing_value_is_told_apart_from_the_mean() -> None:
    lstm = encoder()
    mean = lstm.standardise.mean.expand(1, 3, 2)
    whole = torch.ones(1, 3, dtype=torch.bool)
    lacking = mean.clone()
    lacking[0, 1, 0] = NAN
    assert torch.isfinite(lstm(Padded(lacking, whole)).pooled).all()
    assert not torch.allclose(lstm(Padded(mean, whole)).pooled, lstm(Padded(lacking, whole)).pooled)


def test_the_order_of_the_rows_says_nothing() -> None:
    lstm, drawn = encoder(), samples(3, 8, 1, 6)
    said, turned = lstm(lstm.collate(drawn)), lstm(lstm.collate(drawn[::-1]))
    assert torch.equal(said.pooled, turned.pooled.flip(0))
    assert torch.equal(said.tokens, turned.tokens.flip(0))


def test_autocast_stays_near_full_precision() -> None:
    lstm = encoder(layers=2)
    value = lstm.collate(samples(6, 2))
    exact = lstm(value)
    with torch.autocast("cpu", torch.bfloat16):
        rough = lstm(value)
    torch.testing.assert_close(rough.pooled.float(), exact.pooled, atol=0.02, rtol=0.02)
    rough.pooled.sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in lstm.parameters())


def test_misuse_is_said_in_one_sentence() -> None:
    assert ENCODERS["lstm"] is LSTM
    with pytest.raises(InputError, match=r"something else than sequences \(T, C\): choose another kind"):
        encoder()(torch.zeros(1, 2))
    with pytest.raises(InputError, match="set the encoder's in_features to 3"):
        encoder()(pad([torch.zeros(4, 3)]))
