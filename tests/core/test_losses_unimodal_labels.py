"""Unimodal labels against loops, by hand, and where the literal form breaks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from plait.losses.unimodal_labels import (
    EPS,
    Bank,
    bounded_place,
    centres,
    class_labels,
    distances,
    literal_labels,
    literal_place,
    moving_labels,
    onto_simplex,
    polar_distances,
    soft_cross_entropy,
    stable_labels,
)

H = 3.0
type World = tuple[Tensor, Tensor, Tensor, Bank, Bank]


def world(seed: int = 0, rows: int = 7, classes: int = 0) -> World:
    """Labels and features of rows, and banks of 20: the modality's has 15 of the fusion's rows."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(classes, size=20) if classes else rng.uniform(-3, 3, size=20).round(1)
    if not classes:
        truth[4] = truth[9] = 0.0
    own, fused = rng.normal(size=(20, 5)), rng.normal(size=(20, 3))
    own[:, :2] += truth[:, None]
    fused[:, :2] -= 0.5 * truth[:, None]
    labels = torch.tensor(np.eye(classes)[truth.astype(int)] if classes else truth)
    banks = Bank(torch.tensor(own)[5:], labels[5:]), Bank(torch.tensor(fused), labels)
    return labels[:rows], torch.tensor(own)[:rows] + 0.1, torch.tensor(fused)[:rows] + 0.1, *banks


def middle(rows: list[list[float]]) -> list[float]:
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


def apart(one: list[float], other: list[float]) -> float:
    return math.dist(one, other) / math.sqrt(len(one))


def slow_poles(feature: Tensor, bank: Bank) -> tuple[float, float]:
    pairs = list(zip(bank.features.tolist(), bank.labels.tolist(), strict=True))
    negative, positive = [f for f, y in pairs if y < 0], [f for f, y in pairs if y > 0]
    return apart(feature.tolist(), middle(negative)), apart(feature.tolist(), middle(positive))


def clamp(value: float) -> float:
    return min(max(value, -H), H)


def slow_literal(y: float, own: Tensor, fused: Tensor, own_bank: Bank, fused_bank: Bank) -> float:
    (sn, sp), (mn, mp) = slow_poles(own, own_bank), slow_poles(fused, fused_bank)
    alpha_s, alpha_m = (sn - sp) / (sp + 1e-8), (mn - mp) / (mp + 1e-8)
    return clamp(y * alpha_s / (2 * (alpha_m + 1e-8)) + (y + alpha_s - alpha_m) / 2)


def slow_stable(y: float, own: Tensor, fused: Tensor, own_bank: Bank, fused_bank: Bank) -> float:
    (sn, sp), (mn, mp) = slow_poles(own, own_bank), slow_poles(fused, fused_bank)
    a_s, a_m = (sn - sp) / (sn + sp), (mn - mp) / (mn + mp)
    poles = [slow_poles(row, fused_bank) for row in fused_bank.features]
    sizes = [abs(n - p) / (n + p) for n, p in poles]
    k = sum(abs(y) for y in fused_bank.labels.tolist()) / sum(sizes)
    difference = clamp(y + k * a_s - k * a_m)
    return (clamp(y * a_s / a_m) + difference) / 2 if abs(k * a_m) >= 0.4 * H else difference


@pytest.mark.parametrize("seed", range(4))
def test_labels_are_what_a_loop_makes(seed: int) -> None:
    truth, own, fused, *banks = given = world(seed, rows=20)
    literal, stable = literal_labels(*given, H), stable_labels(*given, H, 0.4)
    for i, y in enumerate(truth.tolist()):
        assert float(literal[i]) == pytest.approx(slow_literal(y, own[i], fused[i], *banks), abs=1e-9)
        assert float(stable[i]) == pytest.approx(slow_stable(y, own[i], fused[i], *banks), abs=1e-9)


def line(*places: float) -> Tensor:
    return torch.tensor(places, dtype=torch.float64)[:, None]


def test_by_hand() -> None:
    """On a line with centres -1 and 1; a row at 0.5 in the fusion and at 0.2 in the modality, labelled 1.5.

    alpha_m = (1.5 - 0.5) / 0.5 = 2 and alpha_s = (1.2 - 0.8) / 0.8 = 0.5; a_m = 0.5, a_s = 0.2, and k = 2, as the
    labels of the bank are 2 and -2 and its rows lie on the centres.
    """
    bank = Bank(line(-1.0, 1.0), torch.tensor([-2.0, 2.0]).double())
    given = (torch.tensor([1.5]).double(), line(0.2), line(0.5), bank, bank, H)
    assert float(literal_labels(*given)) == pytest.approx((1.5 * 0.5 / 2 + 1.5 + 0.5 - 2) / 2)
    assert float(stable_labels(*given)) == pytest.approx((1.5 * 0.2 / 0.5 + 1.5 + 2 * 0.2 - 2 * 0.5) / 2)
    assert float(stable_labels(*given, delta=0.5)) == pytest.approx(1.5 + 2 * 0.2 - 2 * 0.5)


def test_centres_leave_out_neutral_rows_and_distances_are_per_root_of_width() -> None:
    features = torch.tensor([[0.0, 0.0], [2.0, 0.0], [4.0, 4.0], [100.0, 100.0]])
    bank = Bank(features, torch.tensor([-1.0, 0.5, 2.0, 0.0]))
    negative, positive = polar_distances(torch.tensor([[0.0, 1.0]]), bank)
    assert float(negative) == pytest.approx(1 / math.sqrt(2))
    assert float(positive) == pytest.approx(math.sqrt(3**2 + 1) / math.sqrt(2))


def test_the_mean_of_a_constant_is_that_constant() -> None:
    """Else a modality that says nothing would be placed by rounding errors."""
    features = torch.full((1001, 3), 0.1)
    assert torch.equal(distances(features, centres(features, torch.ones(1001, 1).bool())), torch.zeros(1001, 1))
    assert torch.equal(bounded_place(torch.zeros(2), torch.zeros(2)), torch.zeros(2))


def test_the_literal_form_is_not_finite_where_a_class_is_empty_and_the_stable_one_is_the_multimodal_label() -> None:
    truth, own, fused, own_bank, fused_bank = world()
    kept = own_bank.labels >= 0
    lacking = Bank(own_bank.features[kept], own_bank.labels[kept])
    none, nothing = (Bank(bank.features[:0], bank.labels[:0]) for bank in (own_bank, fused_bank))
    for banks in ((lacking, fused_bank), (none, fused_bank), (own_bank, nothing), (none, nothing)):
        assert literal_labels(truth, own, fused, *banks, H).isnan().all()
        assert torch.equal(stable_labels(truth, own, fused, *banks, H), truth)


def test_a_neutral_label_breaks_the_literal_form_where_alpha_is_minus_eps_and_not_the_stable_one() -> None:
    """A row on the negative centre, with the positive one at 1e-16: the ratio is 0 / 0. Some such place is exact."""
    places = EPS**2 / (1 - EPS) * (1 + 1e-16 * torch.arange(-50, 50).double())
    exact = places[literal_place(torch.zeros(()), places) + EPS == 0][0]
    bank = Bank(line(0.0, float(exact)), torch.tensor([-1.0, 1.0]).double())
    given = (torch.zeros(1).double(), line(0.3), line(0.0), bank, bank, H)
    assert literal_labels(*given).isnan().all()
    assert stable_labels(*given).isfinite().all()


def test_where_alpha_changes_its_sign_the_literal_form_saturates_and_the_stable_one_does_not() -> None:
    """A row between the fusion's centres that its modality finds a little positive."""
    bank = Bank(line(-1.0, 1.0), torch.tensor([-2.0, 2.0]).double())
    near = line(*np.linspace(-0.02, 0.02, 10))
    truth, own = torch.ones(10).double(), line(*[0.3] * 10)
    literal, stable = (made(truth, own, near, bank, bank, H) for made in (literal_labels, stable_labels))
    assert literal.tolist() == [-3.0] * 5 + [3.0] * 5
    assert float(stable.max() - stable.min()) < 0.1
    assert stable.tolist() == pytest.approx([1.6] * 10, abs=0.05)


def turned(features: Tensor) -> Tensor:
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(features.shape[1],) * 2))[0]
    return 1e4 * features @ torch.tensor(rotation) + 7.0


@pytest.mark.parametrize(("made", "classes"), [(stable_labels, 0), (class_labels, 4)])
def test_scaling_turning_and_moving_the_features_changes_nothing(made: Callable[..., Tensor], classes: int) -> None:
    truth, own, fused, own_bank, fused_bank = world(classes=classes)
    more: tuple[Any, ...] = () if classes else (H,)
    plain = made(truth, own, fused, own_bank, fused_bank, *more)
    moved = Bank(turned(own_bank.features), own_bank.labels)
    torch.testing.assert_close(made(truth, turned(own), fused, moved, fused_bank, *more), plain)
    moved = Bank(turned(fused_bank.features), fused_bank.labels)
    torch.testing.assert_close(made(truth, own, turned(fused), own_bank, moved, *more), plain)


@pytest.mark.parametrize("made", [literal_labels, stable_labels])
def test_the_order_of_rows_says_nothing(made: Callable[..., Tensor]) -> None:
    truth, own, fused, own_bank, fused_bank = world()
    order, places = torch.tensor([3, 0, 6, 1, 5, 2, 4]), torch.randperm(15, generator=torch.Generator().manual_seed(0))
    shuffled = Bank(own_bank.features[places], own_bank.labels[places])
    plain, other = (
        made(truth, own, fused, own_bank, fused_bank, H),
        made(truth[order], own[order], fused[order], shuffled, fused_bank, H),
    )
    torch.testing.assert_close(other, plain[order])


def test_labels_are_within_the_range_whatever_the_features() -> None:
    truth, own, fused, own_bank, fused_bank = world(rows=20)
    for scale in (0.0, 1e-12, 1e12):
        given = (truth, own * scale, fused * scale, own_bank, fused_bank, H)
        for labels in (literal_labels(*given), stable_labels(*given)):
            assert labels.isfinite().all()
            assert float(labels.abs().max()) <= H


def slow_classes(y: list[float], own: Tensor, fused: Tensor, own_bank: Bank, fused_bank: Bank) -> list[float]:
    """By loops, and the projection by a general minimiser."""
    both = [c for c in range(len(y)) if (own_bank.labels[:, c] > 0).any() and (fused_bank.labels[:, c] > 0).any()]

    def near(feature: Tensor, bank: Bank) -> list[float]:
        rows = list(zip(bank.features.tolist(), bank.labels.argmax(dim=1).tolist(), strict=True))
        found = [apart(feature.tolist(), middle([f for f, k in rows if k == c])) for c in both]
        return [1 - d * len(found) / sum(found) for d in found]

    sizes = [abs(value) for row in fused_bank.features for value in near(row, fused_bank)]
    k = len(sizes) / sum(sizes)
    wanted = list(y)
    for sign, feature, bank in ((1, own, own_bank), (-1, fused, fused_bank)):
        exponentials = [math.exp(k * value) for value in near(feature, bank)]
        for c, value in zip(both, exponentials, strict=True):
            wanted[c] += sign * value / sum(exponentials)
    answer = minimize(
        lambda x: float(((x - np.array(wanted)) ** 2).sum()),
        np.full(len(y), 1 / len(y)),
        bounds=[(0, 1)] * len(y),
        constraints={"type": "eq", "fun": lambda x: float(x.sum()) - 1},
        options={"ftol": 1e-14},
    )
    return answer.x.tolist()


def test_class_labels_are_what_a_loop_makes() -> None:
    truth, own, fused, own_bank, fused_bank = world(classes=4)
    kept = own_bank.labels[:, 2] == 0
    for bank in (own_bank, Bank(own_bank.features[kept], own_bank.labels[kept])):
        labels = class_labels(truth, own, fused, bank, fused_bank)
        assert labels.sum(dim=1).tolist() == pytest.approx([1.0] * 7)
        for i in range(7):
            slow = slow_classes(truth[i].tolist(), own[i], fused[i], bank, fused_bank)
            assert labels[i].tolist() == pytest.approx(slow, abs=1e-5)
    assert float((class_labels(truth, own, fused, own_bank, fused_bank) - truth).abs().max()) > 0.1


def test_class_labels_stay_where_the_modality_is_placed_as_the_fusion_is_or_nothing_is_known() -> None:
    truth, _, fused, own_bank, fused_bank = world(classes=4)
    torch.testing.assert_close(class_labels(truth, fused, fused, fused_bank, fused_bank), truth)
    empty = Bank(own_bank.features[:0], own_bank.labels[:0])
    assert torch.equal(class_labels(truth, fused, fused, empty, fused_bank), truth)
    one = Bank(fused_bank.features[:1], fused_bank.labels[:1])
    torch.testing.assert_close(class_labels(truth, fused, fused + 1.0, one, one), truth)


def test_onto_the_simplex() -> None:
    points = torch.tensor([[0.2, 0.3, 0.5], [1.2, 0.1, -0.3], [0.9, 0.5, -0.4], [0.0, 0.0, 0.0]])
    expected = torch.tensor([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.7, 0.3, 0.0], [1 / 3, 1 / 3, 1 / 3]])
    torch.testing.assert_close(onto_simplex(points), expected)


def test_the_moving_mean_weighs_the_ith_label_by_i() -> None:
    made = [2.0, -1.0, 0.5, 3.0]
    label = torch.zeros(1)
    for visit, value in enumerate(made, start=1):
        label = moving_labels(label, torch.tensor([value]), torch.tensor([visit]))
        expected = sum(i * y for i, y in enumerate(made[:visit], start=1)) / (visit * (visit + 1) / 2)
        assert float(label) == pytest.approx(expected)
    rows = moving_labels(torch.zeros(2, 3), torch.ones(2, 3), torch.tensor([1, 3]))
    assert rows.tolist() == [[1.0] * 3, [0.5] * 3]


def test_soft_cross_entropy_is_in_full_precision() -> None:
    logits, labels = torch.tensor([[2.0, -1.0, 0.5]]), torch.tensor([[0.7, 0.3, 0.0]])
    with torch.autocast("cpu", torch.bfloat16):
        found = soft_cross_entropy(logits.bfloat16(), labels)
    total = math.log(math.exp(2) + math.exp(-1) + math.exp(0.5))
    assert float(found) == pytest.approx(0.7 * (total - 2) + 0.3 * (total + 1), rel=1e-6)
