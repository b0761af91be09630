"""What half-precision features cost: error of the loss and of its gradient against float64 of the same features.

Each loss is given the features as they are, as a network under autocast gives them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from measure import DEVICE, Cell, emit, library, options, report
from torch import Tensor
from torch.nn import functional as F
from transformers.models.clip.modeling_clip import image_text_contrastive_loss

from plait.losses.contrastive import info_nce, sigmoid_contrastive

type Loss = Callable[[Tensor, Tensor, float], Tensor]

WIDTH, BIAS, SCALES = 256, -10.0, (1.0, 10.0, 100.0)


def exact_clip(a: Tensor, b: Tensor, scale: float) -> Tensor:
    """The symmetric loss by the formula."""
    logits = scale * a @ b.T
    partner = logits.diagonal().mean()
    return (logits.logsumexp(dim=1).mean() + logits.logsumexp(dim=0).mean()) / 2 - partner


def exact_sigmoid(a: Tensor, b: Tensor, scale: float) -> Tensor:
    """The sigmoid loss by the formula."""
    logits = scale * a @ b.T + BIAS
    return (F.softplus(logits, threshold=40).sum() - logits.diagonal().sum()) / len(a)


def implementations() -> list[tuple[str, Loss, Loss]]:
    """Name, implementation, formula."""
    found: list[tuple[str, Loss, Loss]] = [
        ("plait info_nce", info_nce, exact_clip),
        ("plait info_nce in blocks", lambda a, b, scale: info_nce(a, b, scale, chunk=512), exact_clip),
        (
            "transformers image_text_contrastive_loss",
            lambda a, b, scale: image_text_contrastive_loss(scale * a @ b.T),
            exact_clip,
        ),
        (
            "plait sigmoid_contrastive",
            lambda a, b, scale: sigmoid_contrastive(a, b, scale, BIAS),
            exact_sigmoid,
        ),
    ]
    if open_clip := library("open_clip.loss"):
        found += [
            ("open_clip ClipLoss", lambda a, b, scale: open_clip.ClipLoss()(a, b, scale), exact_clip),
            ("open_clip SigLipLoss", lambda a, b, scale: open_clip.SigLipLoss()(a, b, scale, BIAS), exact_sigmoid),
        ]
    return found


def step(loss: Loss, a: Tensor, b: Tensor, scale: float) -> tuple[float, Tensor]:
    """The loss and the gradient of ``a``."""
    a = a.detach().requires_grad_()
    value = loss(a, b, scale)
    (slope,) = torch.autograd.grad(value, a)
    return float(value.detach()), slope.double()


def main() -> None:
    chosen = options(__doc__, sizes=(4096,))
    lines: list[dict[str, Cell]] = []
    losses = implementations()
    for n in chosen.sizes:
        generator = torch.Generator().manual_seed(0)
        first, noise = (torch.randn(n, WIDTH, generator=generator).to(DEVICE) for _ in range(2))
        for dtype in (torch.bfloat16, torch.float16, torch.float32):
            a, b = (F.normalize(side, dim=1).to(dtype) for side in (first, first / 4 + noise))
            for scale in SCALES:
                formulas = {formula: step(formula, a.double(), b.double(), scale) for _, _, formula in losses}
                for name, loss, formula in losses:
                    (value, slope), (right, slope_right) = step(loss, a, b, scale), formulas[formula]
                    line: dict[str, Cell] = {"loss": name, "N": n, "features": str(dtype).removeprefix("torch.")}
                    line |= {"scale": scale, "loss_error": abs(value - right) / abs(right)}
                    line["gradient_error"] = float((slope - slope_right).norm() / slope_right.norm())
                    lines.append(emit(line))
    report(lines)


if __name__ == "__main__":
    main()
