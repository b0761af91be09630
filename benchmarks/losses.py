"""Contrastive losses, forward and backward: time and peak memory beside the libraries people use today.

On a GPU also how many pairs a second, at which share of the speed of a large matrix product, up to N = 262,144.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from measure import DEVICE, Cell, alone, emit, library, medians, options, peak_megabytes, report, seconds
from torch import Tensor
from torch.nn import functional as F
from transformers.models.clip.modeling_clip import image_text_contrastive_loss

from plait.losses.contrastive import info_nce, sigmoid_contrastive
from plait.losses.negatives import nt_xent

type Loss = Callable[[Tensor, Tensor], Tensor]

WIDTH, SCALE, BIAS = 512, 1 / 0.07, -10.0
LARGEST = {
    "transformers image_text_contrastive_loss": 8192,
    "lightly NTXentLoss": 4096,
    "pytorch-metric-learning NTXentLoss": 256,
}
"""Rows beyond which a library takes too much time or memory to wait for."""
GPU_SIZES = (8_192, 32_768, 65_536, 131_072, 262_144)


def formulas() -> dict[str, dict[str, Loss]]:
    """For each formula the implementations that are there, ours first."""
    scale, bias = torch.tensor(SCALE, device=DEVICE), torch.tensor(BIAS, device=DEVICE)
    symmetric: dict[str, Loss] = {
        "plait info_nce": lambda a, b: info_nce(a, b, scale),
        "transformers image_text_contrastive_loss": lambda a, b: image_text_contrastive_loss(scale * a @ b.T),
    }
    one_way: dict[str, Loss] = {"plait info_nce, a asks": lambda a, b: info_nce(a, b, scale, a_to_b=1.0)}
    within: dict[str, Loss] = {"plait nt_xent": lambda a, b: nt_xent(a, b, scale)}
    sigmoid: dict[str, Loss] = {"plait sigmoid_contrastive": lambda a, b: sigmoid_contrastive(a, b, scale, bias)}
    if open_clip := library("open_clip.loss"):
        symmetric["open_clip ClipLoss"] = lambda a, b: open_clip.ClipLoss()(a, b, scale)
        sigmoid["open_clip SigLipLoss"] = lambda a, b: open_clip.SigLipLoss()(a, b, scale, bias)
    if lightly := library("lightly.loss"):
        within["lightly NTXentLoss"] = lightly.NTXentLoss(temperature=1 / SCALE)
    if metric := library("pytorch_metric_learning.losses"):
        one_way["pytorch-metric-learning NTXentLoss"] = lambda a, b: metric.NTXentLoss(temperature=1 / SCALE)(
            a, torch.arange(len(a)), ref_emb=b, ref_labels=torch.arange(len(b))
        )
    return {"symmetric": symmetric, "one way": one_way, "within": within, "sigmoid": sigmoid}


def rows(n: int) -> tuple[Tensor, Tensor]:
    """Two views of n instances, of length about one."""
    generator = torch.Generator().manual_seed(0)
    a, noise = (torch.randn(n, WIDTH, generator=generator).to(DEVICE) / WIDTH**0.5 for _ in range(2))
    return a.requires_grad_(), ((a.detach() + noise) / 2**0.5).requires_grad_()


def step(loss: Loss, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Forward and backward, once: the loss and both gradients.

    Normalised here for all, as some libraries normalise again: their gradients are then the same.
    """
    value = loss(F.normalize(a, dim=1), F.normalize(b, dim=1))
    of_a, of_b = torch.autograd.grad(value, (a, b))
    return value.detach(), of_a, of_b


def peak(formula: str, name: str, n: int) -> float | None:
    """Peak memory of one implementation, for a fresh process."""
    loss, (a, b) = formulas()[formula][name], rows(n)
    step(loss, *(side[:8].detach().requires_grad_() for side in (a, b)))  # what is loaded once, at first use
    return peak_megabytes(lambda: step(loss, a, b))


def compare(formula: str, n: int, rounds: int) -> list[dict[str, Cell]]:
    """A line for each implementation of a formula at N rows, ours first."""
    losses = {name: loss for name, loss in formulas()[formula].items() if n <= LARGEST.get(name, n)}
    if len(losses) == 1:
        return []
    a, b = rows(n)
    ours, *others = losses
    expected = step(losses[ours], a, b)
    for name in others:
        for theirs, own in zip(step(losses[name], a, b), expected, strict=True):
            off = float((theirs - own).norm() / own.norm())
            if not off < 1e-4:
                raise SystemExit(f"{name} and {ours} differ by {off:.1e} of the answer: no time of theirs counts.")
    times = medians({name: partial(step, loss, a, b) for name, loss in losses.items()}, rounds)
    lines: list[dict[str, Cell]] = []
    for name in losses:
        memory = alone(peak, formula, name, n)
        line: dict[str, Cell] = {"loss": name, "N": n, "ms": 1000 * times[name], "peak_MB": memory}
        lines.append(line | {"plait_times_as_fast": times[name] / times[ours]})
        own = lines[0]["peak_MB"]
        if isinstance(memory, float) and isinstance(own, float) and own > 0:
            lines[-1]["times_plaits_memory"] = memory / own
    return lines


def on_gpu() -> list[dict[str, Cell]]:
    """Pairs a second, share of the speed of a large matrix product, and memory, of ours and of open_clip's."""
    lines: list[dict[str, Cell]] = []
    for precision in ("highest", "high"):
        torch.set_float32_matmul_precision(precision)
        square = torch.randn(16_384, 16_384, device=DEVICE)
        attainable = 2 * len(square) ** 3 / medians({"": partial(torch.mm, square, square)}, 5)[""]
        for n in GPU_SIZES:
            a, b = rows(n)
            for formula in ("symmetric", "sigmoid"):
                for name, loss in formulas()[formula].items():
                    line: dict[str, Cell] = {"loss": name, "N": n, "matmul": precision}
                    try:
                        step(loss, a, b)
                        memory, taken = peak_megabytes(partial(step, loss, a, b)), seconds(partial(step, loss, a, b))
                    except torch.OutOfMemoryError:
                        lines.append(emit(line | {"peak_MB": "out of memory"}))
                        torch.cuda.empty_cache()
                        continue
                    # Three products of N^2 D are what the formula needs; made twice, logits do not count twice.
                    utilisation = 3 * 2 * n * n * WIDTH / taken / attainable
                    line |= {"ms": 1000 * taken, "pairs_per_s": n / taken, "utilisation": utilisation}
                    lines.append(emit(line | {"peak_MB": memory}))
    return lines


def main() -> None:
    chosen = options(__doc__, sizes=(256, 1024, 4096, 8192), large=(32_768,))
    lines = [
        emit(line)
        for n in chosen.sizes
        for formula in formulas()
        for line in compare(formula, n, chosen.rounds if n <= 8192 else 1)
    ]
    report(lines)
    if DEVICE.type == "cuda":
        report(on_gpu())
    else:
        print("\nNo GPU here: pairs a second and utilisation up to N = 262,144 are not measured.")


if __name__ == "__main__":
    main()
