"""Distillation: one view, or one set of views, teaches another where to look and what to say."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from plait.losses.precision import full_precision, upcast


def attention_map(tokens: Tensor, power: float = 2.0) -> Tensor:
    """How much each place matters: sum_c |A_c|^p, as a vector of unit length over the places.

    Zagoruyko and Komodakis, ICLR 2017, section 3.1. The absolute value makes odd powers what even ones are.

    Args:
        tokens: (B, T, D), one vector a place.
        power: p, at least 1.

    Returns:
        (B, T), not negative; zeros for a row without any activation.
    """
    with full_precision(tokens):
        tokens = upcast(tokens)
        # Relative to the largest, so that no power overflows; the unit length takes the scale away again.
        peak = tokens.detach().abs().amax(dim=(1, 2), keepdim=True).clamp(min=torch.finfo(tokens.dtype).tiny)
        return F.normalize((tokens / peak).abs().pow(power).sum(dim=-1), dim=-1)


def attention_alignment(student: Tensor, teachers: Sequence[Tensor], temperature: float = 0.1) -> Tensor:
    """KL divergence from the teachers' joint attention to the student's, one a row (MM-DistillNet's MTA).

    A place matters to the teachers together as the product of what it matters to each::

        p = prod_t softmax(Q_t / T), normalised = softmax(sum_t Q_t / T)        q = softmax(Q_s / T)
        L = sum p (log p - log q)

    Reconstructed from the description of the multi-teacher alignment loss of Valverde et al., CVPR 2021; their equation
    and temperature were not at hand. A divergence needs log q: given q in its place, as in a public implementation, it
    may be negative and is not least where the student agrees.

    Args:
        student: (B, T) of `attention_map`.
        teachers: one (B, T) each, on the same places; they take no gradient.
        temperature: T. Maps are of unit length, so at 1 and above all distributions are nearly even.

    Returns:
        (B,), not negative; zero where the student looks where all teachers do, with their joint sharpness.

    Raises:
        ValueError: where there is no teacher, or one on other places.
    """
    if not teachers or any(teacher.shape != student.shape for teacher in teachers):
        shapes = ", ".join(str(tuple(teacher.shape)) for teacher in teachers) or "none"
        raise ValueError(f"The teachers' maps ({shapes}) are not of the student's shape {tuple(student.shape)}.")
    with full_precision(student):
        joint = torch.stack([upcast(teacher.detach()) for teacher in teachers]).sum(dim=0)
        return _divergence(
            (joint / temperature).log_softmax(dim=-1), (upcast(student) / temperature).log_softmax(dim=-1)
        )


def distillation(student: Tensor, teacher: Tensor, temperature: float = 4.0) -> Tensor:
    """T^2 KL(softmax(teacher / T) || softmax(student / T)), one a row (Hinton et al., 2015, section 2).

    T^2 keeps the gradient's size as the temperature changes.

    Args:
        student: (..., K) logits.
        teacher: (..., K) logits; they take no gradient.
        temperature: T.

    Returns:
        (...,), not negative.
    """
    with full_precision(student):
        said, meant = (upcast(x) / temperature for x in (student, teacher.detach()))
        return temperature**2 * _divergence(meant.log_softmax(dim=-1), said.log_softmax(dim=-1))


def similarity_smoothing(similarities: Tensor, alpha: float = 0.4, temperature: float = 0.1) -> Tensor:
    """Targets that give some of the probability to rows which are alike: (1 - alpha) I + alpha softmax(s / T).

    ALBEF's form (Li et al., 2021, eq. 6), which has a momentum teacher's similarities; SoftCLIP (Gao et al., AAAI 2024)
    takes those within one modality. For `plait.losses.soft_targets`.

    Args:
        similarities: (N, N), such as cosines; they take no gradient. A similarity of -inf gets nothing.
        alpha: in [0, 1]; 0 gives the identity.
        temperature: T. Without one the softmax of cosines is nearly even.

    Returns:
        (N, N), each row sums to one.

    Raises:
        ValueError: where the similarities are not square, or alpha is not in [0, 1].
    """
    if similarities.ndim != 2 or similarities.shape[0] != similarities.shape[1] or not 0 <= alpha <= 1:
        raise ValueError(f"similarities {tuple(similarities.shape)} must be (N, N), and alpha = {alpha} in [0, 1].")
    with full_precision(similarities):
        alike = (upcast(similarities.detach()) / temperature).softmax(dim=1)
        return (1.0 - alpha) * torch.eye(len(alike), dtype=alike.dtype, device=alike.device) + alpha * alike


def on_grid(tokens: Tensor, grid: tuple[int, int], wanted: tuple[int, int]) -> Tensor:
    """Resample values on one image grid to another of the same extent, bilinearly; smoothed where it shrinks.

    Args:
        tokens: (B, H * W, D), row by row.
        grid: (H, W).
        wanted: (H', W').

    Returns:
        (B, H' * W', D).
    """
    if grid == wanted:
        return tokens
    image = tokens.transpose(1, 2).unflatten(2, grid)
    resampled = F.interpolate(image, size=wanted, mode="bilinear", align_corners=False, antialias=True)
    return resampled.flatten(2).transpose(1, 2)


def _divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    return F.kl_div(log_q, log_p, reduction="none", log_target=True).sum(dim=-1)
