"""Attention maps, their alignment, and soft targets, against loops and hand-made cases."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from plait.losses.distillation import attention_alignment, attention_map, distillation, on_grid, similarity_smoothing


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def softmax(logits: list[float]) -> list[float]:
    weights = [math.exp(value) for value in logits]
    return [weight / sum(weights) for weight in weights]


@pytest.mark.parametrize("power", [1.0, 2.0, 3.0])
def test_the_attention_map_is_a_loop(power: float) -> None:
    tokens = draw(2, 5, 3)
    found = attention_map(tokens, power)
    for b in range(2):
        raw = [sum(abs(v) ** power for v in tokens[b, t].tolist()) for t in range(5)]
        length = math.hypot(*raw)
        assert found[b].tolist() == pytest.approx([value / length for value in raw], rel=1e-9)


def test_no_scale_overflows_and_nothing_is_nan() -> None:
    tokens = draw(3, 4, 8).float()
    torch.testing.assert_close(attention_map(1e20 * tokens), attention_map(tokens), rtol=1e-5, atol=1e-6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.isfinite(attention_map((1e4 * tokens).half(), 4.0)).all()
    zeros = torch.zeros(2, 4, 3, requires_grad=True)
    attention_map(zeros).sum().backward()
    assert torch.isfinite(zeros.grad).all()


def test_the_alignment_is_the_divergence_from_the_teachers_product() -> None:
    student, *teachers = draw(4, 3, 5).abs()
    found = attention_alignment(student, teachers, 0.5)
    for b in range(3):
        product = [1.0] * 5
        for teacher in teachers:
            attention = softmax([value / 0.5 for value in teacher[b].tolist()])
            product = [p * a for p, a in zip(product, attention, strict=True)]
        joint = [p / sum(product) for p in product]
        said = softmax([value / 0.5 for value in student[b].tolist()])
        expected = sum(p * math.log(p / q) for p, q in zip(joint, said, strict=True))
        assert float(found[b]) == pytest.approx(expected, rel=1e-9)


def test_one_teacher_is_followed_to_zero_and_the_trap_is_not() -> None:
    """A public implementation gives a divergence probabilities where it wants their logarithms."""
    teacher = attention_map(draw(2, 6, 4))
    assert attention_alignment(teacher, [teacher]).tolist() == pytest.approx([0.0, 0.0], abs=1e-12)
    q, p = (teacher / 9.0).softmax(dim=1), (teacher / 9.0).softmax(dim=1)
    assert float(F.kl_div(q, p, reduction="batchmean")) < -1.0
    other = attention_map(draw(2, 6, 4, seed=1))
    assert (attention_alignment(other, [teacher]) > 0).all()


def test_a_place_must_matter_to_every_teacher() -> None:
    """Teachers who agree on place 0 only: together they look there, as neither does alone."""
    first = torch.tensor([[0.7, 0.7, 0.0]], dtype=torch.float64)
    second = torch.tensor([[0.7, 0.0, 0.7]], dtype=torch.float64)
    there, elsewhere = (torch.tensor([place], dtype=torch.float64) for place in ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0]))
    assert float(attention_alignment(there, [first, second])) < float(attention_alignment(elsewhere, [first, second]))
    alone = [float(attention_alignment(place, [first])) for place in (there, elsewhere)]
    assert alone[0] == pytest.approx(alone[1])


def test_teachers_take_no_gradient_and_the_students_is_right() -> None:
    student, teacher = (x.requires_grad_() for x in draw(2, 3, 4).abs())
    assert torch.autograd.gradcheck(lambda s: attention_alignment(s, [teacher.detach()]), (student,))
    attention_alignment(student, [teacher]).sum().backward()
    assert teacher.grad is None


def test_distillation_is_hintons_and_keeps_its_gradients_size() -> None:
    student, teacher = draw(2, 4, 6)
    found = distillation(student, teacher, 2.0)
    for i in range(4):
        p, q = (softmax([value / 2.0 for value in side[i].tolist()]) for side in (teacher, student))
        assert float(found[i]) == pytest.approx(
            4.0 * sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)), rel=1e-9
        )
    sizes: list[float] = []
    for temperature in (10.0, 100.0):
        logits = student.clone().requires_grad_()
        distillation(logits, teacher, temperature).sum().backward()
        assert logits.grad is not None
        sizes.append(float(logits.grad.norm()))
    assert sizes[0] == pytest.approx(sizes[1], rel=0.1)


def test_extreme_logits_under_autocast() -> None:
    student, teacher = (1e4 * draw(2, 4, 6)).to(torch.bfloat16)
    student.requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = distillation(student, teacher, 1.0)
    value.sum().backward()
    assert value.dtype == torch.float32
    assert torch.isfinite(value).all()
    assert torch.isfinite(student.grad).all()


def test_smoothed_targets_are_a_loop_and_sum_to_one() -> None:
    similarities = draw(5, 5)
    found = similarity_smoothing(similarities, 0.3, 0.5)
    for i in range(5):
        alike = softmax([value / 0.5 for value in similarities[i].tolist()])
        assert found[i].tolist() == pytest.approx([0.7 * (i == j) + 0.3 * alike[j] for j in range(5)], rel=1e-9)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(5, dtype=torch.float64))
    assert torch.equal(similarity_smoothing(similarities, 0.0), torch.eye(5, dtype=torch.float64))
    assert similarity_smoothing(similarities[:0, :0]).shape == (0, 0)


def test_twins_share_their_target() -> None:
    """Two rows that are the same: each gets half of what is smoothed, all others nothing."""
    rows = torch.eye(4, dtype=torch.float64)
    rows[1] = rows[0]
    found = similarity_smoothing(rows @ rows.T, 1.0, 0.01)
    assert found[0].tolist() == pytest.approx([0.5, 0.5, 0.0, 0.0], abs=1e-9)


def test_grids_are_resampled_where_they_lie() -> None:
    """A ramp stays a ramp; the mean of a map that is halved stays what it is."""
    ramp = torch.arange(8, dtype=torch.float64).repeat(8, 1).reshape(1, 64, 1)
    halved = on_grid(ramp, (8, 8), (4, 4)).reshape(4, 4)
    assert halved[0, 1:3].tolist() == pytest.approx([2.5, 4.5], abs=0.1)
    image = draw(2, 64, 3)
    torch.testing.assert_close(on_grid(image, (8, 8), (1, 1)).mean(), image.mean(), atol=0.1, rtol=0)
    assert on_grid(image, (8, 8), (8, 8)) is image
    # Rows stay rows: what differs from row to row only still does.
    stripes = torch.arange(2, dtype=torch.float64).repeat_interleave(3).reshape(1, 6, 1)
    assert on_grid(stripes, (2, 3), (2, 6)).reshape(2, 6)[:, 0].tolist() == pytest.approx([0.0, 1.0])


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="none"):
        attention_alignment(torch.zeros(2, 3), [])
    with pytest.raises(ValueError, match="shape"):
        attention_alignment(torch.zeros(2, 3), [torch.zeros(2, 4)])
    with pytest.raises(ValueError, match="alpha"):
        similarity_smoothing(torch.eye(3), 1.5)
