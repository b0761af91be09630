"""The memory, its normaliser and what is mined from it, against loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from plait.objectives import Step
from plait.objectives.agreement_mining import AgreementMining
from plait.objectives.memory_bank import Bank, MemoryBank, Partition
from plait.pairs.batch import Batch
from tests.core.battery.battery import some_rows
from tests.core.battery.worlds import INSTANCES, double, vectors

MODEL = vectors().model().double()


def batch(rows: list[int], missing: dict[str, list[int]] | None = None) -> Batch:
    return double(vectors().batch(rows, missing or {}))


def unit(*rows: list[float]) -> Tensor:
    return F.normalize(torch.tensor(rows), dim=1)


def test_a_bank_moves_towards_what_is_new_and_takes_the_first_as_it_is() -> None:
    bank = Bank(4, 2, momentum=0.25)
    east, north = [1.0, 0.0], [0.0, 1.0]
    bank.write(torch.tensor([2, 0]), unit(east, north))
    assert bank.places[2].tolist() == east
    assert bank.seen.tolist() == [True, False, True, False]
    bank.write(torch.tensor([2]), unit(north))
    expected = [0.25 / math.hypot(0.25, 0.75), 0.75 / math.hypot(0.25, 0.75)]
    assert bank.places[2].tolist() == pytest.approx(expected)
    assert bank.read(torch.tensor([1, 0]), unit(east, east)).tolist() == [east, north]


def test_of_a_row_that_comes_twice_the_first_counts() -> None:
    """Two writes to one place have no defined order on a GPU."""
    twice, once = Bank(4, 2, 0.5), Bank(4, 2, 0.5)
    places = unit([1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, -1.0])
    twice.write(torch.tensor([3, 1, 3, 1]), places)
    once.write(torch.tensor([3, 1]), places[:2])
    assert torch.equal(twice.places, once.places)
    assert torch.equal(twice.seen, once.seen)


def test_only_rows_that_were_seen_are_drawn_and_never_oneself() -> None:
    bank = Bank(9, 2, 0.5)
    draws = torch.rand(2, 4000, generator=torch.Generator().manual_seed(0))
    draws[0, :2] = torch.tensor([0.0, 1 - 2**-24])
    assert not bank.draw(draws, torch.tensor([0, 8]))[1].any()
    bank.write(torch.tensor([1, 4, 8]), torch.ones(3, 2))
    drawn, counted = bank.draw(draws, torch.tensor([0, 8]))
    assert torch.equal(counted, drawn != torch.tensor([[0], [8]]))
    shares = torch.bincount(drawn[0], minlength=9) / 4000
    # Four standard deviations of a share of 4,000 draws.
    assert torch.allclose(shares[[1, 4, 8]], torch.full((3,), 1 / 3), atol=0.03)
    assert float(shares.sum()) == pytest.approx(float(shares[[1, 4, 8]].sum()))


def test_z_is_the_mean_over_the_first_steps_and_not_what_the_first_batch_said() -> None:
    partition = Partition(over=3)
    means = [5.0, 1.0, 3.0, 100.0]
    partition.update(torch.tensor(-math.inf))  # a step without a negative says nothing
    for number, mean in enumerate(means, 1):
        now = float(partition(torch.tensor(math.log(mean))).exp())
        assert now == pytest.approx(sum(means[:number]) / number if number <= 3 else 3.0)
        partition.update(torch.tensor(math.log(mean)))
    assert partition.frozen
    assert float(partition(torch.tensor(7.0)).exp()) == pytest.approx(3.0)


def slow_row(anchor: Tensor, positives: list[Tensor], negatives: list[Tensor], scale: float, z: float | None) -> float:
    """NCE as the papers write it, or a softmax where there is no z."""
    if not negatives:
        return 0.0
    right = [math.exp(scale * float(anchor @ place)) for place in positives]
    wrong = [math.exp(scale * float(anchor @ place)) for place in negatives]
    if z is None:
        return -math.log(right[0] / (right[0] + sum(wrong)))
    noise = len(wrong) * z
    asked = -sum(math.log(p / (p + noise)) for p in right) / len(right)
    return asked - sum(math.log(noise / (n + noise)) for n in wrong)


class Memory:
    """A dictionary in a bank's place: (view, row) to the running mean."""

    def __init__(self) -> None:
        self.places: dict[tuple[str, int], Tensor] = {}

    def write(self, step: Step, rows: list[int], kept: list[int]) -> None:
        for view in "ab":
            for i in kept:
                old, new = self.places.get((view, rows[i])), step.embedding(view)[i].detach()
                self.places[view, rows[i]] = new if old is None else F.normalize(old + new, dim=0)

    def drawn(self, step: Step, salt: str, view: str, i: int, k: int, not_these: set[int]) -> list[Tensor]:
        """What the row's draws pick among the seen rows, in the order of the table."""
        seen = sorted(row for held, row in self.places if held == view)
        if not seen:
            return []
        picked = [seen[int(float(u) * len(seen))] for u in step.uniform(salt, k)[i]]
        return [self.places[view, row] for row in picked if row not in not_these]


@pytest.mark.parametrize("estimator", ["nce", "softmax"])
def test_memory_bank_is_the_papers_loss(estimator: str) -> None:
    """Four steps with rows seen for the first time and again; one row lacks b. Z is frozen after two."""
    objective = MemoryBank(["a", "b"], temperature=0.5, negatives=6, estimator=estimator, z_steps=2)
    objective.prepare(MODEL, INSTANCES)
    objective.double()
    memory, means = Memory(), dict[str, list[float]](ab=[], ba=[])
    for number, rows in enumerate([[0, 1, 2, 3], [2, 3, 4, 5], [0, 5, 6, 7], [1, 2, 6, 9]]):
        step, kept = Step(MODEL, batch(rows, {"b": [1]}), seed=(0, number)), [0, 2, 3]
        (found,) = objective(step).values()
        slow = 0.0
        for asking, answering in ("ab", "ba"):
            anchors, partners = step.embedding(asking).detach(), step.embedding(answering).detach()
            salt = f"memory_bank/{asking}~{answering}"
            negatives = {i: memory.drawn(step, salt, answering, i, 6, {rows[i]}) for i in kept}
            scores = [math.exp(2 * float(anchors[i] @ place)) for i in kept for place in negatives[i]]
            seen = means[asking + answering]
            if scores and len(seen) < 2:
                seen.append(sum(scores) / len(scores))
            z = sum(seen) / max(len(seen), 1) if estimator == "nce" else None
            for i in kept:
                positive = memory.places.get((answering, rows[i]), partners[i])
                slow += slow_row(anchors[i], [positive], negatives[i], 2.0, z) / 6
        assert float(found.detach()) == pytest.approx(slow, rel=1e-9)
        assert slow > 0 or number == 0
        memory.write(step, rows, kept)
        objective.after_step()


def mining(warm_up_steps: int = 0, positives: int = 2) -> AgreementMining:
    objective = AgreementMining(["a", "b"], warm_up_steps, positives, temperature=0.5, negatives=6, z_steps=1)
    objective.prepare(MODEL, INSTANCES)
    return objective.double()


def test_agreement_is_the_least_over_the_modalities() -> None:
    """Row 1 is row 0's twin in a and its opposite in b; row 2 is fairly near in both; row 3 was only seen in a."""
    objective = mining(positives=3)
    a, b = objective.memory.bank("a"), objective.memory.bank("b")
    near = [math.cos(0.5), math.sin(0.5)]
    for bank, second in ((a, [1.0, 0.0]), (b, [-1.0, 0.0])):
        places = torch.zeros(4, 8, dtype=torch.float64)
        places[:, :2] = torch.tensor([[1.0, 0.0], second, near, [1.0, 0.0]])
        count = 4 if bank is a else 3
        bank.write(torch.arange(count), places[:count])
    found, right = objective.mine(torch.tensor([0, 3]))
    assert found[0, :2].tolist() == [2, 1]
    assert right.tolist() == [[True, True, False], [False] * 3]


def test_mining_is_a_sort_of_all_other_rows() -> None:
    objective = mining(positives=5)
    generator = torch.Generator().manual_seed(0)
    places = F.normalize(torch.randn(2, INSTANCES, 8, generator=generator, dtype=torch.float64), dim=2)
    for view, held in zip("ab", places, strict=True):
        objective.memory.bank(view).write(torch.arange(INSTANCES), held)
    found, right = objective.mine(torch.tensor([3, 17]))
    for row, best in zip([3, 17], found.tolist(), strict=True):
        agreement = {j: min(float(held[row] @ held[j]) for held in places) for j in range(INSTANCES) if j != row}
        assert best == sorted(agreement, key=lambda j, agreement=agreement: -agreement[j])[:5]
    assert right.all()


def test_until_the_warm_up_ends_it_is_the_memory_bank() -> None:
    objective, plain = mining(warm_up_steps=2), MemoryBank(["a", "b"], 0.5, 6, z_steps=1)
    plain.prepare(MODEL, INSTANCES)
    plain.double()
    for number in range(4):
        step = Step(MODEL, batch(some_rows(number)), seed=(0, number))
        mined, (alone,) = objective(step), plain(step).values()
        within = float((mined["agreement_mining/a"] + mined["agreement_mining/b"]).detach())
        if number < 2:
            assert torch.equal(mined["agreement_mining/a~b"], alone)
            assert within == 0.0
        else:
            assert within > 0.0
        objective.after_step()
        plain.after_step()


def test_agreement_mining_asks_for_its_positives_and_not_against_them() -> None:
    objective, memory = mining(), Memory()
    for number in range(3):
        step = Step(MODEL, batch(some_rows(number)), seed=(0, number))
        objective(step)
        objective.after_step()
        memory.write(step, some_rows(number), list(range(8)))
    rows = some_rows(3)
    step = Step(MODEL, batch(rows), seed=(0, 3))
    found = objective(step)
    seen = sorted(row for view, row in memory.places if view == "a")
    agreement = {
        (i, j): min(float(memory.places[view, i] @ memory.places[view, j]) for view in "ab") for i in seen for j in seen
    }
    top = {i: sorted((j for j in seen if j != i), key=lambda j, i=i: -agreement[i, j])[:2] for i in seen}
    asked = [i for i, row in enumerate(rows) if row in seen]

    def slow(i: int, asking: str, answering: str, positives: list[Tensor]) -> float:
        salt, aside = f"{asking}~{answering}", {rows[i], *top.get(rows[i], [])}
        z = float(objective.memory.partitions[salt].log_sum.exp())  # type: ignore[operator]
        negatives = memory.drawn(step, f"memory_bank/{salt}", answering, i, 6, aside)
        return slow_row(step.embedding(asking)[i].detach(), positives, negatives, 2.0, z)

    for view in "ab":
        costs = [slow(i, view, view, [memory.places[view, j] for j in top[rows[i]]]) for i in asked]
        assert float(found[f"agreement_mining/{view}"].detach()) == pytest.approx(sum(costs) / len(asked), rel=1e-9)
    costs = [
        slow(i, asking, answering, [memory.places.get((answering, row), step.embedding(answering)[i].detach())])
        for asking, answering in ("ab", "ba")
        for i, row in enumerate(rows)
    ]
    assert float(found["agreement_mining/a~b"].detach()) == pytest.approx(sum(costs) / 16, rel=1e-9)
