"""Bounds of information on Gaussians whose information is known, with the best critic in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor
from torch.distributions import Normal

from plait.losses import info_nce
from plait.losses.information import (
    barber_agakov,
    club,
    cpc,
    cpc_ceiling,
    donsker_varadhan,
    gaussian_log_likelihood,
    info_nce_bound,
    jsd,
    nwj,
    smile,
)

type Bound = Callable[[Tensor], Tensor]

BOUNDS: dict[str, Bound] = {
    "info_nce": info_nce_bound,
    "nwj": nwj,
    "donsker_varadhan": donsker_varadhan,
    "jsd": jsd,
    "smile": smile,
}
every_bound = pytest.mark.parametrize("bound", BOUNDS.values(), ids=BOUNDS.keys())

NATS, DIMENSIONS = 1.5, 3
RHO = math.sqrt(1 - math.exp(-2 * NATS / DIMENSIONS))


def gaussians(rows: int, seed: int) -> tuple[Tensor, Tensor]:
    """x and y of three dimensions that share 1.5 nats."""
    generator = torch.Generator().manual_seed(seed)
    x, noise = torch.randn(2, rows, DIMENSIONS, generator=generator, dtype=torch.float64)
    return x, RHO * x + math.sqrt(1 - RHO**2) * noise


def log_ratio(x: Tensor, y: Tensor) -> Tensor:
    """(N, N) log p(y_j | x_i) - log p(y_j)."""
    given = Normal(RHO * x[:, None], math.sqrt(1 - RHO**2)).log_prob(y[None])
    return (given - Normal(0.0, 1.0).log_prob(y[None])).sum(dim=-1)


def over_batches(
    estimate: Callable[[Tensor, Tensor], Tensor], rows: int = 64, batches: int = 300
) -> tuple[float, float]:
    """Mean of an estimate over batches, and the standard error of that mean."""
    found = torch.stack([estimate(*gaussians(rows, seed)) for seed in range(batches)])
    return float(found.mean()), float(found.std()) / math.sqrt(batches)


def slow(scores: Tensor) -> dict[str, float]:
    """The five formulas in loops."""
    s, n = scores.tolist(), len(scores)
    true = [s[i][i] for i in range(n)]
    false = [s[i][j] for i in range(n) for j in range(n) if i != j]
    joint = sum(true) / n
    softplus = [math.log(1 + math.exp(-v)) for v in true], [math.log(1 + math.exp(v)) for v in false]
    return {
        "info_nce": math.log(n) + sum(s[i][i] - math.log(sum(math.exp(v) for v in s[i])) for i in range(n)) / n,
        "nwj": joint - sum(math.exp(v - 1) for v in false) / len(false),
        "donsker_varadhan": joint - math.log(sum(math.exp(v) for v in false) / len(false)),
        "jsd": -sum(softplus[0]) / n - sum(softplus[1]) / len(false),
        "smile": joint - math.log(sum(math.exp(min(max(v, -5.0), 5.0)) for v in false) / len(false)),
    }


@pytest.mark.parametrize("name", BOUNDS)
def test_the_formulas(name: str) -> None:
    scores = 4 * torch.randn(6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert float(BOUNDS[name](scores)) == pytest.approx(slow(scores)[name], rel=1e-12)


def test_by_hand() -> None:
    """A critic that knows nothing gives nothing, each in its own unit."""
    nothing = torch.zeros(5, 5, dtype=torch.float64)
    assert float(info_nce_bound(nothing)) == pytest.approx(0.0)
    assert float(nwj(nothing + 1.0)) == pytest.approx(0.0)
    assert float(donsker_varadhan(nothing + 3.0)) == pytest.approx(0.0)
    assert float(smile(nothing)) == pytest.approx(0.0)
    assert float(jsd(nothing)) == pytest.approx(-2 * math.log(2))


def test_with_the_best_critic_the_bounds_are_near_the_truth() -> None:
    for name, critic in {"nwj": 1.0, "donsker_varadhan": 0.0, "smile": 0.0}.items():
        mean, error = over_batches(lambda x, y, name=name, critic=critic: BOUNDS[name](log_ratio(x, y) + critic))
        assert mean == pytest.approx(NATS, abs=max(4 * error, 0.03)), name


def test_info_nce_stays_below_the_truth_and_nears_it_with_more_rows() -> None:
    few, some, many = (over_batches(lambda x, y: info_nce_bound(log_ratio(x, y)), rows)[0] for rows in (4, 16, 128))
    assert few < some < many < NATS + 0.02
    assert many == pytest.approx(NATS, abs=0.08)
    assert few < math.log(4)


def test_the_bounds_are_in_order() -> None:
    """Batch by batch on the same rows: InfoNCE below the truth, CLUB above it."""
    lower, lower_error = over_batches(lambda x, y: info_nce_bound(log_ratio(x, y)), 16)
    upper, upper_error = over_batches(lambda x, y: club(RHO * x, torch.full_like(x, math.log(1 - RHO**2)), y), 16)
    assert lower + 4 * lower_error < NATS < upper - 4 * upper_error


def test_club_of_gaussians_is_what_the_double_expectation_says() -> None:
    """E over the joint less E over independent pairs: D rho^2 / (1 - rho^2), of which (N - 1) / N remains."""
    found, error = over_batches(lambda x, y: club(RHO * x, torch.full_like(x, math.log(1 - RHO**2)), y))
    expected = DIMENSIONS * RHO**2 / (1 - RHO**2) * 63 / 64
    assert found == pytest.approx(expected, abs=4 * error)
    assert found > NATS


@pytest.mark.parametrize("critic", ["nwj", "jsd"])
def test_the_best_critic_is_the_best(critic: str) -> None:
    """Scores scaled or shifted away from the log ratio give a lower bound, over 300 batches."""
    shift = 1.0 if critic == "nwj" else 0.0
    best, error = over_batches(lambda x, y: BOUNDS[critic](log_ratio(x, y) + shift))
    for factor, more in ((0.7, 0.0), (1.3, 0.0), (1.0, 0.5), (1.0, -0.5)):
        other, _ = over_batches(lambda x, y, f=factor, m=more: BOUNDS[critic](f * log_ratio(x, y) + shift + m))
        assert other < best - 2 * error


def test_smiles_gradient_is_that_of_jsd_and_its_value_is_not() -> None:
    scores = 8 * torch.randn(6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    scores.requires_grad_()
    torch.testing.assert_close(torch.autograd.grad(smile(scores), scores), torch.autograd.grad(jsd(scores), scores))
    # The trap: raising the true scores above the clip raises the value for ever, and must not be learnt.
    high = 1000.0 * torch.eye(6, dtype=torch.float64)
    assert float(smile(high)) > 900
    high.requires_grad_()
    assert float(torch.autograd.grad(smile(high), high)[0].diagonal().abs().max()) < 1e-12


def test_a_small_clip_gives_more_bias_and_less_variance() -> None:
    tight, loose = (over_batches(lambda x, y, c=c: smile(4 * log_ratio(x, y), c), batches=100) for c in (1.0, 50.0))
    assert tight[1] < loose[1]


def test_cpc_is_one_direction_of_info_nce() -> None:
    generator = torch.Generator().manual_seed(0)
    z, x = (
        torch.nn.functional.normalize(torch.randn(7, 4, generator=generator, dtype=torch.float64), dim=1)
        for _ in range(2)
    )
    total = 0.0
    for i in range(7):
        scores = [3.0 * float(x[i] @ z[j]) for j in range(7)]
        total -= scores[i] - math.log(sum(math.exp(score) for score in scores))
    assert float(cpc(z, x, 3.0)) == pytest.approx(total / 7, rel=1e-12)
    assert float(cpc(z, x, 3.0)) == pytest.approx(float(info_nce(x, z, 3.0, a_to_b=1.0)))
    assert math.log(7) - float(cpc(z, x, 3.0)) == pytest.approx(float(info_nce_bound(3.0 * x @ z.T)))


@pytest.mark.parametrize(("rows", "nats"), [(16, 0.954), (32, 0.977), (64, 0.989), (256, 0.997)])
def test_without_a_temperature_cpc_never_says_one_nat(rows: int, nats: float) -> None:
    """MMIM's released code: scores of unit vectors are in [-1, 1], so its loss has a floor (2.4884 for 32 rows)."""
    assert cpc_ceiling(rows, 1.0) == pytest.approx(nats, abs=5e-4)
    if rows == 32:
        assert math.log(32) - cpc_ceiling(32, 1.0) == pytest.approx(2.4884, abs=5e-5)
    # The floor is reached: the corners of a simplex, each row and its prediction on one.
    corners = torch.eye(rows, dtype=torch.float64) - 1 / rows
    corners = torch.nn.functional.normalize(corners, dim=1)
    assert math.log(rows) - float(cpc(corners, corners, 1.0)) == pytest.approx(cpc_ceiling(rows, 1.0), abs=1e-9)
    assert cpc_ceiling(rows, 1 / 0.07) == pytest.approx(math.log(rows), abs=2e-4)


def test_optimisation_does_not_get_below_the_ceiling() -> None:
    """Free unit vectors, fitted by scipy to 8 rows: they end at the ceiling, not beyond."""
    start = torch.randn(2 * 8 * 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64).numpy()

    def loss(flat) -> tuple[float, object]:
        free = torch.tensor(flat, requires_grad=True)
        z, x = (torch.nn.functional.normalize(side.reshape(8, 7), dim=1) for side in free.chunk(2))
        value = cpc(z, x, 2.0)
        return float(value.detach()), torch.autograd.grad(value, free)[0].numpy()

    found = minimize(loss, start, jac=True, options={"maxiter": 500}).fun
    assert found >= math.log(8) - cpc_ceiling(8, 2.0) - 1e-9
    assert found == pytest.approx(math.log(8) - cpc_ceiling(8, 2.0), abs=1e-4)


def test_one_row_shares_nothing() -> None:
    assert cpc_ceiling(1, 5.0) == cpc_ceiling(0, 5.0) == 0.0


def test_the_log_likelihood_is_torchs() -> None:
    mean, log_variance, target = torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = Normal(mean, (0.5 * log_variance).exp()).log_prob(target).sum(dim=1)
    torch.testing.assert_close(gaussian_log_likelihood(mean, log_variance, target), expected)


def test_barber_agakov_of_the_right_q_is_near_the_truth() -> None:
    """Less what the entropy of few rows is too small by, about D (D + 3) / 4 N."""
    found, error = over_batches(
        lambda x, y: barber_agakov(RHO * x, torch.full_like(x, math.log(1 - RHO**2)), y, 1e-9), 256
    )
    assert found == pytest.approx(NATS - DIMENSIONS * (DIMENSIONS + 3) / (4 * 256), abs=4 * error)


def test_barber_agakov_is_that_of_a_target_with_noise() -> None:
    """The closed form against a target to which noise was really added, many times."""
    x, y = gaussians(40, 0)
    mean, log_variance, noise = 0.5 * x, torch.full_like(x, 0.3), 0.2
    found = []
    generator = torch.Generator().manual_seed(1)
    for _ in range(2000):
        noisy = y + math.sqrt(noise) * torch.randn(y.shape, generator=generator, dtype=torch.float64)
        found.append(Normal(mean, (0.5 * log_variance).exp()).log_prob(noisy).sum(dim=1).mean())
    centred = y - y.mean(dim=0)
    covariance = centred.T @ centred / 40 + noise * torch.eye(DIMENSIONS, dtype=torch.float64)
    entropy = 0.5 * torch.logdet(2 * math.pi * math.e * covariance)
    assert float(barber_agakov(mean, log_variance, y, noise)) == pytest.approx(
        float(torch.stack(found).mean() + entropy), abs=0.02
    )


def test_a_constant_target_does_not_pay() -> None:
    """Without the noise q would be rewarded without end for knowing a constant."""
    target = torch.full((16, 4), 2.0, dtype=torch.float64)
    found = [
        float(barber_agakov(target, torch.full_like(target, math.log(v)), target, 0.01))
        for v in (1e-6, 1e-3, 1e-2, 0.1)
    ]
    assert max(found) == found[2] == pytest.approx(0.0, abs=1e-9)


def test_a_q_that_does_not_look_at_x_gets_nothing() -> None:
    _, y = gaussians(50, 0)
    mean = y.mean(dim=0).expand_as(y)
    variances = (y.var(dim=0, correction=0) + 0.01).log().expand_as(y)
    assert float(barber_agakov(mean, variances, y, 0.01)) <= 1e-9


def test_fewer_rows_than_dimensions_have_an_entropy() -> None:
    """The NaN of the released code: the covariance of 4 rows in 16 dimensions has no logarithm of its determinant."""
    target = torch.randn(4, 16, generator=torch.Generator().manual_seed(0), requires_grad=True)
    value = barber_agakov(torch.zeros_like(target), torch.zeros_like(target), target)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(target.grad).all()


def test_club_is_its_double_sum() -> None:
    """And the target is in both sums; the published CLUB of MMIM tiles the mean in its place."""
    mean, log_variance, target = torch.randn(3, 7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    total = 0.0
    for i in range(7):
        q = Normal(mean[i], (0.5 * log_variance[i]).exp())
        true = float(q.log_prob(target[i]).sum())
        false = [float(q.log_prob(target[j]).sum()) for j in range(7)]
        total += true - sum(false) / 7
    assert float(club(mean, log_variance, target)) == pytest.approx(total / 7, rel=1e-12)


@pytest.mark.parametrize("bound", [info_nce_bound, nwj, donsker_varadhan, jsd])
def test_gradient(bound: Bound) -> None:
    scores = torch.randn(5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(bound, (scores,))


@pytest.mark.parametrize("loss", [barber_agakov, club, gaussian_log_likelihood])
def test_gradient_of_the_gaussian_ones(loss) -> None:
    inputs = torch.randn(3, 5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.autograd.gradcheck(loss, tuple(side.clone().requires_grad_() for side in inputs))


@every_bound
@pytest.mark.parametrize("n", [0, 1])
def test_no_row_and_one_row(bound: Bound, n: int) -> None:
    scores = torch.full((n, n), 3.0, requires_grad=True)
    value = bound(scores)
    value.backward()
    assert float(value.detach()) == 0.0
    assert torch.isfinite(scores.grad).all()
    rows = torch.ones(n, 2, requires_grad=True)
    for found in (cpc(rows, rows, 2.0), club(rows, rows, rows), barber_agakov(rows, rows, rows)):
        assert torch.isfinite(found)


@every_bound
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_extreme_scores_under_autocast_are_finite(bound: Bound, size: float) -> None:
    scores = (size * torch.eye(6)).to(torch.bfloat16).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = bound(scores)
    value.backward()
    assert value.dtype == torch.float32
    assert torch.isfinite(value)
    assert torch.isfinite(scores.grad).all()


@every_bound
def test_half_precision_scores_cost_nothing(bound: Bound) -> None:
    scores = torch.randn(32, 32, generator=torch.Generator().manual_seed(0)).mul(5).to(torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert float(bound(scores)) == pytest.approx(float(bound(scores.double())), rel=1e-4, abs=1e-4)


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(N, N\)"):
        nwj(torch.zeros(3, 4))
    with pytest.raises(ValueError, match="clip"):
        smile(torch.zeros(3, 3), 0.0)
    with pytest.raises(ValueError, match="noise"):
        barber_agakov(torch.zeros(3, 2), torch.zeros(3, 2), torch.zeros(3, 2), 0.0)
