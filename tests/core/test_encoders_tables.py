"""Numeric columns and series: missing is not zero, constant is not infinite, padding says nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.torch import load_file, save_file
from torch import Tensor

from plait.encoders.pooling import masked_mean
from plait.encoders.standardise import Standardise
from plait.encoders.tables import Series, Table
from plait.errors import InputError
from plait.pairs.batch import Padded, pad

NAN = float("nan")

NUMBERS = arrays.arrays(
    np.float64,
    st.tuples(st.integers(1, 12), st.just(3)),
    elements=st.one_of(st.floats(-1e4, 1e4, allow_subnormal=False), st.just(NAN)),
)


@settings(max_examples=60, deadline=None)
@given(NUMBERS)
def test_fit_gives_the_moments_of_the_observed_values(rows: np.ndarray) -> None:
    layer = Standardise(3)
    layer.fit(torch.from_numpy(row) for row in rows)
    for column in range(3):
        seen = rows[~np.isnan(rows[:, column]), column]
        mean, deviation = (seen.mean(), seen.std()) if len(seen) else (0.0, 1.0)
        assert layer.mean[column].item() == pytest.approx(mean, rel=1e-5, abs=1e-4)
        if deviation > 1e-6 * max(1.0, abs(mean)):
            assert layer.scale[column].item() == pytest.approx(deviation, rel=1e-4)


def test_moments_do_not_depend_on_how_the_rows_are_cut_into_samples() -> None:
    rows = torch.randn(50, 2, dtype=torch.float64) * 3 + 1e6
    one, many = Standardise(2), Standardise(2)
    one.fit([rows])
    many.fit([*rows[:20], rows[20:45], rows[45:]])
    torch.testing.assert_close(one.mean, many.mean)
    torch.testing.assert_close(one.scale, many.scale)
    torch.testing.assert_close(one.scale.double(), rows.std(dim=0, correction=0), rtol=1e-5, atol=0)


def test_values_are_standardised_by_hand_and_missing_ones_flagged() -> None:
    layer = Standardise(3)
    layer.fit([torch.tensor([1.0, 7.0, NAN]), torch.tensor([3.0, 7.0, NAN]), torch.tensor([NAN, 7.0, NAN])])
    out = layer(torch.tensor([[4.0, 7.0, NAN], [NAN, 9.0, 2.0], [float("inf"), 7.0, 0.0]]))
    expected = [[2.0, 0.0, 0.0, 0, 0, 1], [0.0, 2.0, 2.0, 1, 0, 0], [0.0, 0.0, 0.0, 1, 0, 0]]
    assert out.tolist() == expected


def test_a_large_constant_column_does_not_blow_up() -> None:
    layer = Standardise(1)
    layer.fit([torch.tensor([0.1 * 3e7])] * 7)
    assert layer.scale.item() == 1.0


def test_a_missing_value_is_told_apart_from_the_mean() -> None:
    torch.manual_seed(0)
    encoder = Table(in_features=2, width=8)
    encoder.fit([torch.tensor([0.0, 1.0]), torch.tensor([2.0, 3.0])])
    mean, missing = encoder(torch.tensor([[1.0, 2.0], [NAN, 2.0]])).pooled
    assert not torch.allclose(mean, missing)


def test_a_table_of_nothing_but_missing_values_is_finite_with_its_gradient() -> None:
    encoder = Table(in_features=4, width=8)
    encoder(torch.full((1, 4), NAN)).pooled.square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in encoder.parameters())


def test_what_was_fitted_travels_with_the_weights(tmp_path: Path) -> None:
    first, second = Table(in_features=2, width=8), Table(in_features=2, width=8)
    first.fit([torch.tensor([5.0, 1.0]), torch.tensor([9.0, 2.0])])
    save_file(first.state_dict(), tmp_path / "model.safetensors")
    second.load_state_dict(load_file(tmp_path / "model.safetensors"))
    rows = torch.randn(3, 2)
    assert torch.equal(first(rows).pooled, second(rows).pooled)


def series_encoder() -> Series:
    torch.manual_seed(0)
    encoder = Series(in_features=2, width=8, layers=3)
    encoder.fit([torch.randn(20, 2) * 3 + 5])
    return encoder.eval()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 20), min_size=1, max_size=4))
def test_padding_of_series_says_nothing(lengths: list[int]) -> None:
    encoder = series_encoder()
    samples = [torch.randn(length, 2) for length in lengths]
    together = encoder(encoder.collate(samples))
    for row, sample in enumerate(samples):
        alone = encoder(encoder.collate([sample]))
        torch.testing.assert_close(together.tokens[row, : len(sample)], alone.tokens[0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(together.pooled[row], alone.pooled[0], atol=1e-5, rtol=1e-5)


def test_masked_values_of_series_say_nothing() -> None:
    encoder, value = series_encoder(), pad([torch.randn(9, 2), torch.randn(5, 2)])
    garbage = value.values.masked_fill(~value.mask.unsqueeze(-1), NAN)
    assert torch.equal(encoder(value).pooled, encoder(Padded(garbage, value.mask)).pooled)


def test_a_token_of_a_series_sees_as_far_as_said() -> None:
    encoder, steps = series_encoder(), torch.randn(1, 41, 2, requires_grad=True)
    encoder(Padded(steps, torch.ones(1, 41, dtype=torch.bool))).tokens[0, 20, 0].backward()
    assert steps.grad is not None
    reached = steps.grad[0].abs().sum(dim=1).nonzero().squeeze(1)
    assert (reached.min(), reached.max()) == (20 - 7, 20 + 7)  # 2^(3 + 1) - 1 = 15 steps


def test_masked_mean_equals_a_loop_and_is_zero_of_nothing() -> None:
    tokens, mask = torch.randn(4, 6, 3), torch.rand(4, 6) > 0.5
    mask[2] = False
    tokens[~mask] = NAN
    rows: list[Tensor] = [t[m].mean(dim=0) if m.any() else torch.zeros(3) for t, m in zip(tokens, mask, strict=True)]
    torch.testing.assert_close(masked_mean(tokens, mask), torch.stack(rows))
    assert masked_mean(tokens.bfloat16(), mask).dtype == torch.float32


def test_misuse_is_said_in_one_sentence() -> None:
    with pytest.raises(InputError, match="set the encoder's in_features to 3"):
        Table(in_features=2)(torch.zeros(1, 3))
    with pytest.raises(InputError, match="set the encoder's in_features to 3"):
        Table(in_features=2).fit([torch.zeros(3)])
    with pytest.raises(InputError, match="choose the kind series"):
        Table(in_features=2)(pad([torch.zeros(1, 2)]))
    with pytest.raises(InputError, match="something else than series"):
        Series(in_features=2)(torch.zeros(1, 2))
