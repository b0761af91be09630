"""What a row says of lens, motion, classes and corruption reaches the sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from plait.errors import InputError
from plait.pairs.batch import Sample
from plait.pairs.layout import Row
from plait_driving import load
from plait_driving.geometry import Camera, Lens, resize_pixels
from plait_driving.load import Loader
from plait_driving.sensors.deskew import deskew

type MakeRow = Callable[..., Row]
ALL = ("image", "points", "point_pixels", "superpixels", "labels")
MATRIX = np.array([[40.0, 0.0, 79.5], [0.0, 40.0, 39.5], [0.0, 0.0, 1.0]])
"""That of `make_row`."""


def cloud(number: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.uniform([-15, -7, 8, 0.1], [15, 7, 20, 1], size=(number, 4)).astype(np.float32)


def test_points_go_through_the_lens(make_row: MakeRow, tmp_path: Path) -> None:
    lens = Lens("brown", (-0.1, 0.01, 0.002, -0.001))
    row = make_row(cloud(200), lens="brown", lens_coefficients=list(lens.coefficients))
    sample = Loader(occluded=True)(row, tmp_path)
    uv, _ = Camera(MATRIX, (80, 160), lens).project(sample["points"][:, :3].double().numpy())
    wanted = resize_pixels(uv, (80, 160), (128, 224))
    np.testing.assert_allclose(Loader(occluded=True)(row, tmp_path, ALL)["point_pixels"].numpy(), wanted, atol=1e-4)


def test_a_sweep_with_times_is_brought_to_its_stamp(make_row: MakeRow, tmp_path: Path) -> None:
    points, time = cloud(100), np.linspace(-0.1, 0, 100).astype(np.float32)
    ring = np.arange(100) % 32
    np.savez(tmp_path / "sweep.npz", xyz=points[:, :3], intensity=points[:, 3], time=time, ring=ring)
    twist = [3.0, 0.0, 12.0, 0.0, 0.4, 0.0]
    row = make_row(points, image=False, sweep="sweep.npz", sweep_format="npz time=time ring=ring", sweep_twist=twist)
    sample = Loader()(row, tmp_path)
    np.testing.assert_allclose(sample["points"].numpy(), deskew(points, time, twist), atol=1e-5)
    assert np.abs(sample["points"].numpy() - points).max() > 0.5
    assert sample["rings"].tolist() == ring.tolist()


def test_classes_beside_a_sweep_stay_with_their_points_when_some_are_dropped(make_row: MakeRow, tmp_path: Path) -> None:
    points = cloud(6)
    points[[1, 4], 0] = np.nan
    np.array([40, 10, 70, 254, 48, 0x70000 | 50], dtype="<u4").tofile(tmp_path / "sweep.label")
    row = make_row(points, image=False, semantics="semantickitti", sweep_labels="sweep.label")
    # road, vegetation, a moving person, a building whose upper bits name an instance
    assert Loader()(row, tmp_path, ("points", "labels"))["labels"].tolist() == [0, 2, 5, 3]
    (tmp_path / "short.label").write_bytes(b"\0" * 20)
    with pytest.raises(InputError, match=r"short\.label has 20 bytes for 6 points"):
        Loader()(row | {"sweep_labels": "short.label"}, tmp_path, ("points", "labels"))


def test_points_that_the_camera_cannot_see_are_left_out_unless_asked_for(
    make_row: MakeRow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def right_half(points: np.ndarray, *_: object) -> np.ndarray:
        return points[:, 0] > 0

    monkeypatch.setattr(load, "hidden", right_half)
    row = make_row(cloud(300))
    seen, all_ = (Loader(occluded=occluded)(row, tmp_path, ("points", "point_pixels")) for occluded in (False, True))
    assert bool((seen["points"][:, 0] <= 0).all())
    kept = all_["points"][:, 0] <= 0
    assert torch.equal(all_["points"][kept], seen["points"])
    assert torch.equal(all_["point_pixels"][kept], seen["point_pixels"])
    near = Loader(occluded=True, max_range=12.0)(row, tmp_path)["points"]
    assert 0 < len(near) < len(all_["points"])
    assert float(near[:, :3].norm(dim=1).max()) <= 12.0


def pairs(sample: Sample) -> Iterator[tuple[list[float], list[float]]]:
    return zip(sample["points"][:, :3].tolist(), sample["point_pixels"].tolist(), strict=True)


def test_the_nearest_and_the_farthest_points_that_are_asked_for_are_there(make_row: MakeRow, tmp_path: Path) -> None:
    depths = np.array([0.5, 0.995, 1.005, 1.2, 2.0, 90.0])
    points = np.column_stack([0 * depths, 0 * depths, depths, 0 * depths + 0.5]).astype(np.float32)
    assert Loader()(make_row(points), tmp_path)["points"][:, 2].tolist() == pytest.approx(depths[2:].tolist())
    assert len(Loader(min_depth=0.9)(make_row(points), tmp_path)["points"]) == 5


def test_points_move_to_the_lidar_and_keep_their_pixels(make_row: MakeRow, tmp_path: Path) -> None:
    loader, row = Loader(occluded=True), make_row(cloud(50))
    there = loader(row | {"lidar_origin": [0.0, 0.5, 2.0]}, tmp_path, ALL)
    here = loader(row, tmp_path, ALL)
    torch.testing.assert_close(there["points"][:, :3], here["points"][:, :3] - torch.tensor([0.0, 0.5, 2.0]))
    torch.testing.assert_close(there["point_pixels"], here["point_pixels"], atol=1e-3, rtol=0)


def test_a_corruption_leaves_the_pairs_of_what_survives(make_row: MakeRow, tmp_path: Path) -> None:
    row, clean = make_row(cloud(400)), Loader(occluded=True)
    foggy = Loader(occluded=True, corruption={"kind": "fog", "severity": 5, "seed": 1})
    before, after = clean(row, tmp_path, ALL), foggy(row, tmp_path, ALL)
    assert not torch.equal(before["image"], after["image"])
    pixel_of, left = ({tuple(xyz): uv for xyz, uv in pairs(sample)} for sample in (before, after))
    survivors = pixel_of.keys() & left.keys()
    assert 20 < len(survivors) < 400
    assert all(pixel_of[xyz] == left[xyz] for xyz in survivors)
    none = Loader(occluded=True, corruption={"kind": "fog", "severity": 0})
    assert all(
        torch.equal(none(row, tmp_path, ALL)[name], before[name]) for name in ("image", "points", "point_pixels")
    )


def test_superpixels_come_from_the_row_s_file_or_the_method_asked_for(make_row: MakeRow, tmp_path: Path) -> None:
    ids = np.repeat(np.arange(8, dtype=np.uint8), 20)[None].repeat(80, axis=0)
    Image.fromarray(ids * 30).save(tmp_path / "ids.png")
    own = Loader()(make_row(cloud(9), superpixels="ids.png"), tmp_path, ALL)["superpixels"]
    assert [own[0, column].item() for column in (0, 27, 29, 223)] == [0, 0, 1, 7]
    cut = Loader(superpixel_method="felzenszwalb")(make_row(cloud(9)), tmp_path, ALL)["superpixels"]
    assert cut.shape == (128, 224)
    assert int(cut.max()) > 0


@pytest.mark.parametrize("given", [{"kind": "fog"}, {"kind": "fog", "severity": 3, "sead": 1}])
def test_a_corruption_that_is_not_understood_is_one_sentence(given: dict[str, object]) -> None:
    with pytest.raises(InputError, match="is not understood: give kind, severity, and a seed"):
        Loader(corruption=given)
    with pytest.raises(InputError, match=r"'fog' has no severity 2\.0: choose from 0 to 5"):
        Loader(corruption={"kind": "fog", "severity": 2.0})
