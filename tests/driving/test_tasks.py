"""The tasks against what can be said of them by hand, and the baselines of shared/data/TASKS.md."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from plait.encoders.features import Encoder, Features
from plait.model import Model
from plait.pairs.batch import Padded, Value, pad
from plait.pairs.table import PairTable, TableInfo
from plait_driving.frames import frames_of
from plait_driving.ingest import LAYOUTS
from plait_driving.load import Loader
from plait_driving.raw import RAW, colours, geometry
from plait_driving.tasks import mean_iou_of_groups, point_pixel_retrieval, point_semantics


def raw(table: PairTable) -> SimpleNamespace:
    return SimpleNamespace(name="raw features", table=table, loader=Loader(), model=None)


def figures(measurements: object) -> dict[tuple[str, str], float]:
    return {(m.task.removeprefix("driving/"), m.metric): m.value for m in measurements}  # type: ignore[attr-defined]


def test_mean_iou_counts_all_seven_groups() -> None:
    truth, predicted = np.array([0, 0, 1, 1, 4]), np.array([0, 1, 1, 1, 0])
    # Road 1 of 3, sidewalk 2 of 3, vehicle 0 of 1, and four groups that are nowhere.
    assert mean_iou_of_groups(truth, predicted) == pytest.approx((1 / 3 + 2 / 3) / 7)
    assert mean_iou_of_groups(np.arange(7), np.arange(7)) == 1


def test_geometry_tells_ground_wall_and_post_apart() -> None:
    rng = np.random.default_rng(0)
    shapes = {"ground": [2.0, 2.0, 0.0], "wall": [2.0, 0.0, 2.0], "post": [0.0, 0.0, 5.0]}
    told = {}
    for name, reach in shapes.items():
        place = rng.uniform(-1, 1, (600, 3)) * reach + 8
        points = torch.from_numpy(np.column_stack([place, np.full(600, 0.4)])).float()
        told[name] = geometry(points[:50], points).mean(axis=0)
    height, distance, intensity, level, linear, planar, scattered = told["ground"]
    assert (height, intensity) == pytest.approx((8.0, 0.4))
    assert distance == pytest.approx(8 * 3**0.5, rel=0.1)
    assert level > 0.99
    assert linear + planar + scattered == pytest.approx(1, abs=1e-5)
    assert told["wall"][3] < 0.01
    assert told["wall"][5] > 0.3
    assert told["wall"][6] < 1e-5
    assert told["post"][4] > 0.99


def test_a_pixel_s_colour_is_that_of_the_pixel_it_lies_in() -> None:
    image = torch.arange(24.0).reshape(1, 4, 6).expand(3, 4, 6)
    at = colours(image, torch.tensor([[-0.4, -0.4], [2.4, 1.4], [2.6, 1.6], [5.4, 3.4]]))
    assert at[:, 0].tolist() == [0, 8, 15, 23]


def test_frames_are_the_paired_rows_of_train_and_val_with_labelled_points(table: PairTable) -> None:
    frames = {frame.id: frame for frame in frames_of(table, Loader())}
    # Of 35 rows in train and val, one lost its sweep.
    assert len(frames) == 34
    assert "37-front" not in frames
    assert "24-left" not in frames
    frame = frames["60-left"]
    assert (frame.labels >= 0).all()
    assert len(frame.labels) == len(frame.chosen) == len(frame.geometry)
    torch.testing.assert_close(torch.from_numpy(frame.geometry[:, 0]), frame.sample["points"][frame.chosen, 2])


def test_the_raw_baseline_measures_both_tests(table: PairTable) -> None:
    found = figures(point_semantics(raw(table)))
    assert {task for task, _ in found} == {
        f"point_semantics/{test}/{kind}" for test in "AB" for kind in ("image", "points", "both", "with_raw")
    }
    assert found["point_semantics/A/both", "accuracy"] > 0.7
    assert found["point_semantics/A/both", "accuracy"] == found["point_semantics/A/with_raw", "accuracy"]


def test_the_raw_baseline_finds_pixels_a_little_better_than_chance(table: PairTable) -> None:
    found = figures(point_pixel_retrieval(raw(table)))
    assert 10 / 256 < found["point_pixel_retrieval", "recall@10"] < 0.5


class Place(Encoder):
    """Says of each patch, or of each point, where in the image it lies: what perfect pairs would agree on."""

    def __init__(self, frame_of: dict[bytes, torch.Tensor] | None) -> None:
        super().__init__()
        self.frame_of, self.width = frame_of, 2
        self.scale = torch.nn.Parameter(torch.ones(()))

    def forward(self, value: Value) -> Features:
        if isinstance(value, Padded):
            assert self.frame_of is not None
            sweeps = [row[mask] for row, mask in zip(value.values, value.mask, strict=True)]
            pixels = pad([self.frame_of[sweep.numpy().tobytes()] for sweep in sweeps]).values
            tokens = torch.floor((pixels + 0.5) / 4)
            return Features(tokens, value.mask, tokens.mean(1))
        height, width = value.shape[-2] // 4, value.shape[-1] // 4
        v, u = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        tokens = torch.stack([u, v], dim=-1).flatten(0, 1).float().expand(len(value), -1, 2)
        return Features(tokens, torch.ones(tokens.shape[:2], dtype=torch.bool), tokens.mean(1), (height, width))

    def collate(self, samples: object) -> Value:
        return super().collate(samples) if self.frame_of is None else pad(samples)


class OnSphere(Model):
    def project(self, name: str, features: torch.Tensor) -> torch.Tensor:
        """Lift (u, v) to the unit sphere, so that the nearest is the equal."""
        angles = features * torch.tensor([0.05, 0.08])
        u, v = angles.unbind(-1)
        return torch.stack([u.cos() * v.cos(), u.sin() * v.cos(), v.sin()], dim=-1)


def test_a_model_whose_pairs_agree_finds_every_pixel(table: PairTable) -> None:
    frames = frames_of(table, Loader())
    known = {frame.sample["points"].numpy().tobytes(): frame.sample["point_pixels"] for frame in frames}
    perfect = OnSphere({"image": Place(None), "points": Place(known)}, 3)
    subject = SimpleNamespace(name="perfect", table=table, loader=Loader(), model=perfect)
    found = figures(point_pixel_retrieval(subject))
    assert found["point_pixel_retrieval", "recall@1"] == 1
    assert found["point_pixel_retrieval", "median_rank"] == 1


def test_a_table_without_labels_or_validation_rows_yields_nothing(table: PairTable) -> None:
    without = table.take(np.flatnonzero(table.splits == "train"))
    assert list(point_semantics(raw(without))) == []
    assert list(point_pixel_retrieval(raw(without))) == []
    kept = table.data.set_column(table.columns.index("semantics"), "semantics", [[None] * len(table)])
    unlabelled = PairTable(kept, table.info)
    assert list(point_semantics(raw(unlabelled))) == []
    assert figures(point_pixel_retrieval(raw(unlabelled)))


def test_raw_features_are_plain_summaries() -> None:
    image = torch.zeros(3, 16, 32)
    image[0, :4, :4] = 1.0
    (grid,) = RAW["image"]().transform([image])
    assert grid.reshape(3, 4, 8)[0, 0, 0] == 1
    assert grid.sum() == 1
    points = torch.tensor([[3.0, 0.0, -1.7, 0.5], [3.0, 0.0, -1.7, 0.3], [30.0, 0.0, 0.5, 1.0]])
    (histogram,) = RAW["points"]().transform([points])
    counts, bright = histogram.reshape(2, 8, 6)
    assert counts[0, 0] == pytest.approx(2 / 3)
    assert counts[4, 3] == pytest.approx(1 / 3)
    assert bright[0, 0] == pytest.approx(0.4)
    assert bright[4, 3] == 1


@pytest.mark.real
def test_the_baselines_of_tasks_md_are_reproduced(shared_data: Path) -> None:
    """Its words leave the image's resolution and the geometry open; test B then differs by up to 0.08."""
    root, layout = shared_data / "driving" / "pandaset_002", LAYOUTS["pandaset"]
    table = PairTable.from_rows(layout.read(root, pytest.fail), TableInfo.of("driving", layout, root))
    found = figures(point_semantics(raw(table)))
    told = {
        "image": ((0.637, 0.300), (0.312, 0.127)),
        "points": ((0.829, 0.443), (0.485, 0.258)),
        "both": ((0.866, 0.500), (0.539, 0.292)),
    }
    for kind, (a, b) in told.items():
        assert found[f"point_semantics/A/{kind}", "accuracy"] == pytest.approx(a[0], abs=0.04)
        assert found[f"point_semantics/A/{kind}", "mean_iou"] == pytest.approx(a[1], abs=0.04)
        assert found[f"point_semantics/B/{kind}", "accuracy"] == pytest.approx(b[0], abs=0.08)
        assert found[f"point_semantics/B/{kind}", "mean_iou"] == pytest.approx(b[1], abs=0.06)
