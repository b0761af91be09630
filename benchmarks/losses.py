"""Our InfoNCE beside the CLIP loss of transformers: the same value, and how long forward and backward take.

Each round times both, one after the other, so that what else the machine does falls on both; read the ratio.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers.models.clip.modeling_clip import image_text_contrastive_loss

from plait.losses import info_nce

ROUNDS, WIDTH, SCALE = 7, 512, 100.0


def theirs(a: Tensor, b: Tensor) -> Tensor:
    """The CLIP loss of transformers on our inputs."""
    return image_text_contrastive_loss(SCALE * a @ b.T)


def ours(a: Tensor, b: Tensor) -> Tensor:
    """Plait's."""
    return info_nce(a, b, SCALE)


def seconds(loss: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor) -> float:
    """Forward and backward, once."""
    start = time.perf_counter()
    loss(a, b).backward()
    return time.perf_counter() - start


def main() -> None:
    """Print a line of JSON a batch size."""
    for rows in (256, 1024, 4096):
        torch.manual_seed(0)
        a, b = (F.normalize(torch.randn(rows, WIDTH), dim=1).requires_grad_() for _ in range(2))
        torch.testing.assert_close(ours(a, b), theirs(a, b), rtol=1e-5, atol=1e-5)
        times = [(seconds(ours, a, b), seconds(theirs, a, b)) for _ in range(ROUNDS + 2)][2:]
        ratio = median(their / our for our, their in times)
        line = {
            "loss": "info_nce",
            "against": "transformers image_text_contrastive_loss",
            "rows": rows,
            "times_as_fast": round(ratio, 2),
        }
        print(json.dumps(line | {"milliseconds": round(1000 * median(our for our, _ in times), 1)}))


if __name__ == "__main__":
    main()
