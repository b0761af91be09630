"""Superpixel and point-pixel InfoNCE against slow, obviously right versions of themselves."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.multiprocessing.spawn import start_processes

from plait.encoders.features import Encoder, Features
from plait.errors import InputError
from plait.model import Model
from plait.objectives import Objective, Step
from plait.pairs.batch import Batch, Padded, Sample, Value, collate, pad, stack
from plait_driving.objectives import PointPixelInfoNCE, SuperpixelInfoNCE

SIZE, GRID, WIDTH = (12, 16), (3, 4), 5


class Patches(Encoder):
    """One linear token a patch of 4 x 4 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.width = WIDTH
        self.layer = torch.nn.Conv2d(3, WIDTH, 4, 4)

    def forward(self, value: Value) -> Features:
        assert isinstance(value, Tensor)
        tokens = self.layer(value).flatten(2).transpose(1, 2)
        return Features(tokens, torch.ones(tokens.shape[:2], dtype=torch.bool), tokens.mean(1), GRID)


class EachPoint(Encoder):
    """One linear token a point."""

    def __init__(self) -> None:
        super().__init__()
        self.width = WIDTH
        self.layer = torch.nn.Linear(4, WIDTH)

    def forward(self, value: Value) -> Features:
        assert isinstance(value, Padded)
        tokens = self.layer(value.values)
        return Features(tokens, value.mask, tokens.mean(1))


def model() -> Model:
    torch.manual_seed(0)
    return Model({"image": Patches(), "points": EachPoint()}, 6).double()


def samples(rows: int, seed: int = 0) -> list[Sample]:
    """Rows of unequal numbers of points, with superpixel ids far above 255."""
    rng = np.random.default_rng(seed)
    made: list[Sample] = []
    for row in range(rows):
        number = 9 + 4 * row
        pixels = rng.uniform([-0.5, -0.5], [SIZE[1] - 0.5, SIZE[0] - 0.5], size=(number, 2))
        made.append(
            {
                "image": torch.from_numpy(rng.normal(size=(3, *SIZE))),
                "points": torch.from_numpy(rng.normal(size=(number, 4))),
                "point_pixels": torch.from_numpy(pixels).float(),
                "superpixels": torch.from_numpy(rng.integers(0, 7, size=SIZE) * 1000),
            }
        )
    return made


def joined(some: list[Sample]) -> Batch:
    collators = {"image": stack, "points": pad, "point_pixels": pad, "superpixels": stack}
    names = [str(row) for row in range(len(some))]
    return collate(some, names, names, collators)


def value(objective: Objective, some: list[Sample], net: Model | None = None) -> Tensor:
    (loss,) = objective(Step(net or model(), joined(some))).values()
    return loss


def slow_superpixel_info_nce(some: list[Sample], temperature: float) -> Tensor:
    """Pixel by pixel and point by point, in Python."""
    net = model()
    image_means, point_means = [], []
    for sample in some:
        image, points, pixels, ids = (sample[name] for name in ("image", "points", "point_pixels", "superpixels"))
        if image is None or points is None or pixels is None or ids is None:
            continue
        patches = net.project("image", net.encode("image", image[None]).tokens[0])
        rows = net.project("points", net.encode("points", pad([points])).tokens[0])
        at = [(int(np.floor(v + 0.5)), int(np.floor(u + 0.5))) for u, v in pixels.tolist()]
        for superpixel in sorted({int(ids[place]) for place in at}):
            members = [rows[point] for point, place in enumerate(at) if int(ids[place]) == superpixel]
            under = [
                patches[(v // 4) * GRID[1] + u // 4]
                for v in range(SIZE[0])
                for u in range(SIZE[1])
                if int(ids[v, u]) == superpixel
            ]
            point_means.append(torch.stack(members).mean(0))
            image_means.append(torch.stack(under).mean(0))
    logits = torch.stack(image_means) @ torch.stack(point_means).T / temperature
    diagonal = torch.arange(len(logits))
    there, back = (torch.nn.functional.cross_entropy(part, diagonal) for part in (logits, logits.T))
    return (there + back) / 2


OBJECTIVES = [SuperpixelInfoNCE(), PointPixelInfoNCE()]


def test_it_is_the_slow_version() -> None:
    some = samples(3)
    torch.testing.assert_close(value(SuperpixelInfoNCE(temperature=0.2), some), slow_superpixel_info_nce(some, 0.2))


def test_it_is_the_slow_version_where_modalities_are_missing() -> None:
    some = samples(4)
    some[1]["image"] = some[1]["superpixels"] = some[1]["point_pixels"] = None
    some[2]["points"] = some[2]["point_pixels"] = None
    torch.testing.assert_close(value(SuperpixelInfoNCE(), some), slow_superpixel_info_nce(some, 0.07))


def test_a_point_is_contrasted_with_the_patch_it_lies_on() -> None:
    some = samples(1)
    some[0]["point_pixels"] = torch.tensor([[1.0, 1.0], [14.9, 10.2], [6.0, 5.0]])
    some[0]["points"] = points = some[0]["points"][:3]
    net = model()
    patches = net.project("image", net.encode("image", some[0]["image"][None]).tokens[0])[[0, 11, 5]]
    rows = net.project("points", net.encode("points", pad([points])).tokens[0])
    logits, diagonal = patches @ rows.T / 0.07, torch.arange(3)
    expected = sum(torch.nn.functional.cross_entropy(part, diagonal) for part in (logits, logits.T)) / 2
    torch.testing.assert_close(value(PointPixelInfoNCE(), some), expected)


def test_of_points_on_one_patch_one_is_taken_and_of_many_a_few() -> None:
    some = samples(1)
    some[0]["point_pixels"] = torch.zeros_like(some[0]["point_pixels"])
    assert value(PointPixelInfoNCE(), some).item() == pytest.approx(0, abs=1e-12)  # one pair has no negatives
    spread = samples(1, seed=3)
    assert value(PointPixelInfoNCE(pairs=1), spread).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_order_of_rows_and_of_points_does_not_matter(objective: Objective) -> None:
    some = samples(3)
    if isinstance(objective, PointPixelInfoNCE):  # of a patch's points it takes one, so give each patch one
        for sample in some:
            centres = torch.tensor([[4 * c + 1.5, 4 * r + 1.5] for r in range(3) for c in range(4)])
            sample["point_pixels"] = centres[: len(sample["points"])]
            sample["points"] = sample["points"][: len(centres)]
    turned = [dict(sample) for sample in reversed(some)]
    for sample in turned:
        order = torch.randperm(len(sample["points"]), generator=torch.Generator().manual_seed(1))
        sample["points"], sample["point_pixels"] = sample["points"][order], sample["point_pixels"][order]
    torch.testing.assert_close(value(objective, turned), value(objective, some))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_gradient_is_that_of_the_loss(objective: Objective) -> None:
    some, net = samples(2), model()
    names, parameters = zip(*net.named_parameters(), strict=True)

    def loss(*tensors: Tensor) -> Tensor:
        class Patched(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.net = net

            def forward(self) -> Tensor:
                return value(objective, some, net)

        state = {f"net.{name}": tensor for name, tensor in zip(names, tensors, strict=True)}
        return torch.func.functional_call(Patched(), state, ())

    assert torch.autograd.gradcheck(loss, [p.detach().requires_grad_() for p in parameters], fast_mode=True)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize(
    "missing", [("points", "point_pixels"), ("image", "superpixels", "point_pixels"), ("point_pixels",)]
)
def test_nothing_paired_is_zero_with_a_finite_gradient(objective: Objective, missing: tuple[str, ...]) -> None:
    some = [sample | dict.fromkeys(missing) for sample in samples(2)]
    net = model()
    loss = value(objective, some, net)
    loss.backward()
    assert loss.item() == 0
    assert all(p.grad is None or bool(torch.isfinite(p.grad).all()) for p in net.parameters())


def test_a_batch_of_one_superpixel_is_zero_and_finite() -> None:
    some = samples(1)
    some[0]["superpixels"] = torch.zeros(SIZE, dtype=torch.int64)
    net = model()
    loss = value(SuperpixelInfoNCE(), some, net)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert all(p.grad is None or bool(torch.isfinite(p.grad).all()) for p in net.parameters())


def test_ids_of_different_images_never_meet() -> None:
    # SLidR offsets by a fixed 150 ids an image, and SLIC may give more: here ids reach 6,000 in each image.
    one, other = samples(2)
    both = value(SuperpixelInfoNCE(), [one, other])
    renamed = other | {"superpixels": other["superpixels"] * 37 + 5}
    torch.testing.assert_close(value(SuperpixelInfoNCE(), [one, renamed]), both)


def test_half_precision_features_are_contrasted_in_float32() -> None:
    some = samples(2)
    for sample in some:
        sample |= {name: sample[name].float() for name in ("image", "points")}
    net = Model({"image": Patches(), "points": EachPoint()}, 6)
    exact = value(SuperpixelInfoNCE(), some, net)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = value(SuperpixelInfoNCE(), some, net)
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(exact.item(), rel=0.05)


def test_an_encoder_without_patches_is_one_sentence() -> None:
    class Pooled(Patches):
        def forward(self, value: Value) -> Features:
            features = super().forward(value)
            return Features(features.tokens, features.mask, features.pooled)

    net = Model({"image": Pooled(), "points": EachPoint()}, 6).double()
    with pytest.raises(InputError, match="'image' gives no grid of patches: choose a dense kind"):
        value(SuperpixelInfoNCE(), samples(2), net)


SPLITS = {"even": [[0, 1], [2, 3]], "one process has no pair": [[0, 1, 2], [3]]}


def of_several(rows: list[int]) -> Batch:
    some = samples(4)
    some[3] |= {"points": None, "point_pixels": None}
    return joined([some[row] for row in rows])


def loss_and_gradients(objective: Objective, rows: list[int]) -> list[Tensor]:
    net = model()
    (loss,) = objective(Step(net, of_several(rows))).values()
    loss.backward()
    return [loss.detach(), *(torch.zeros_like(p) if p.grad is None else p.grad for p in net.parameters())]


def work(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    torch.set_num_threads(1)
    for split, rows in SPLITS.items():
        for index, objective in enumerate(OBJECTIVES):
            loss, *gradients = loss_and_gradients(objective, rows[rank])
            for gradient in gradients:
                dist.all_reduce(gradient)
                gradient /= 2
            if rank == 0:
                torch.save([loss, *gradients], f"{folder}/{split}-{index}.pt")
    dist.destroy_process_group()


def test_two_processes_have_the_loss_and_gradient_of_one(tmp_path: Path) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    # The server has torch: two processes started from nothing would each import it.
    start_processes(work, args=(str(tmp_path),), nprocs=2, start_method="forkserver")
    for split in SPLITS:
        for index, objective in enumerate(OBJECTIVES):
            several = torch.load(tmp_path / f"{split}-{index}.pt", weights_only=True)
            for one, other in zip(loss_and_gradients(objective, [0, 1, 2, 3]), several, strict=True):
                torch.testing.assert_close(other, one, rtol=1e-9, atol=1e-12)
