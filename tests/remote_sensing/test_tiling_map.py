"""A map made tile by tile is the map made at once, whatever the tiles; it has no seams, and knows what it does not."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from numpy.typing import NDArray
from rasterio.transform import Affine

from plait.errors import InputError
from plait_remote_sensing import backscatter, reflectance
from plait_remote_sensing.output import info
from plait_remote_sensing.raster import grid_of
from plait_remote_sensing.reading import read_scene
from plait_remote_sensing.tiling import TileFunction, run_map
from plait_remote_sensing.tiling import plan as planning
from plait_remote_sensing.tiling.encoding import Encoding
from plait_remote_sensing.tiling.ledger import folder_of
from tests.remote_sensing.tiling_world import ALONE, Backwards, mapped, mean, numbers, optical, pixels, plan_of, sar

type Write = Callable[..., Path]
MEAN = TileFunction(mean)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 64 pixels, so that small scenes have several."""
    for module in (planning, info):
        monkeypatch.setattr(module, "BLOCK", 64)


@pytest.mark.parametrize(
    ("height", "width", "tile", "halo", "overlap"),
    [(100, 130, 32, 8, 8), (97, 61, 32, 0, 16), (64, 64, 32, 5, 0), (10, 7, 32, 8, 8), (1, 200, 16, 16, 5)],
)
def test_a_function_of_pixels_gives_the_same_map_with_any_tiles(
    tmp_path: Path, write_raster: Write, height: int, width: int, tile: int, halo: int, overlap: int
) -> None:
    stored = numbers(height, width)
    source = optical(write_raster(tmp_path / "scene.tif", stored))
    plan = plan_of({"optical": source}, MEAN, tile=tile, halo=halo, overlap=overlap)
    found = mapped(plan, tmp_path / "map.tif")
    np.testing.assert_allclose(found[0], stored.mean(axis=0) / 10_000, atol=1e-6)


def test_a_convolutional_network_sees_no_tiles_where_its_receptive_field_is_within_the_halo(
    tmp_path: Path, write_raster: Write
) -> None:
    layers = [torch.nn.Conv2d(2, 8, 5, padding=2), torch.nn.ReLU(), torch.nn.Conv2d(8, 3, 5, padding=2)]
    network = torch.nn.Sequential(*layers)

    @torch.inference_mode()
    def compute(images: Any, masks: Any) -> NDArray[Any]:
        return network(torch.from_numpy(images["optical"])[None])[0].numpy()

    stored = numbers(90, 120)
    plan = plan_of({"optical": optical(write_raster(tmp_path / "scene.tif", stored))}, TileFunction(compute), halo=4)
    # Beyond the scene lies its mirror image, as it does around the patches of training.
    wide = np.pad(stored.astype(np.float32) / 10_000, ((0, 0), (8, 8), (8, 8)), "symmetric")
    untiled = compute({"optical": wide}, {})[:, 8:-8, 8:-8]
    np.testing.assert_allclose(mapped(plan, tmp_path / "map.tif"), untiled, atol=1e-5)
    assert (
        np.abs(mapped(plan_of(plan.sources, TileFunction(compute), halo=0), tmp_path / "b.tif") - untiled).max() > 1e-3
    )


def vignetted(images: Any, masks: Any) -> NDArray[Any]:
    """What depends on where in its tile a pixel lies: brighter to the right and the bottom."""
    values = images["optical"][:1]
    down, along = np.meshgrid(*(np.linspace(-1, 1, side) for side in values.shape[1:]), indexing="ij")
    return values * (1 + 0.3 * (down + along)).astype(np.float32)


def test_a_function_that_depends_on_the_tile_leaves_no_seam(tmp_path: Path, write_raster: Write) -> None:
    source = {"optical": optical(write_raster(tmp_path / "scene.tif", numbers(300, 300)))}
    blended = run_map(plan_of(source, TileFunction(vignetted), tile=64, overlap=32), tmp_path / "a.tif", ALONE)
    assert blended.seam is not None
    assert abs(blended.seam - 1) < 0.02
    # The score can tell: without overlap the same function has seams.
    hard = run_map(plan_of(source, TileFunction(vignetted), tile=64, halo=0, overlap=0), tmp_path / "b.tif", ALONE)
    assert hard.seam is not None
    assert hard.seam > 1.1


def test_the_seam_score_is_that_of_the_whole_map(tmp_path: Path, write_raster: Write) -> None:
    plan = plan_of(
        {"optical": optical(write_raster(tmp_path / "scene.tif", numbers(150, 140)))}, TileFunction(vignetted)
    )
    summary = run_map(plan, tmp_path / "map.tif", ALONE)
    image = pixels(tmp_path / "map.tif")[0].astype(np.float64)
    at, elsewhere = [], []
    for steps, length in ((np.abs(np.diff(image, axis=1)), 140), (np.abs(np.diff(image, axis=0)).T, 150)):
        starts = range(24, length - 8, 24)
        edges = {*starts, *(start + 8 for start in starts)}
        for number in range(length - 1):
            (at if number + 1 in edges else elsewhere).append(steps[:, number])
    assert summary.seam == pytest.approx(np.concatenate(at).mean() / np.concatenate(elsewhere).mean(), rel=1e-6)


def test_where_nothing_was_observed_the_map_says_so_and_nothing_beside_it_changes(
    tmp_path: Path, write_raster: Write
) -> None:
    stored = numbers(100, 130)
    stored[:, 20:70, :90] = 0
    seen: list[float] = []

    def compute(images: Any, masks: Any) -> NDArray[Any]:
        hidden = ~masks["optical"]
        seen.extend(reflectance.scaled(torch.from_numpy(images["optical"][:, hidden])).flatten().tolist())
        return mean(images, masks)

    plan = plan_of({"optical": optical(write_raster(tmp_path / "scene.tif", stored, nodata=0))}, TileFunction(compute))
    found = mapped(plan, tmp_path / "map.tif")[0]
    wanted = np.where(stored[0] == 0, np.nan, stored.mean(axis=0) / 10_000)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    np.testing.assert_allclose(seen, 0, atol=1e-5)


def test_a_tile_without_an_observed_pixel_is_not_computed(tmp_path: Path, write_raster: Write) -> None:
    stored = numbers(96, 96)
    stored[:, :, 40:] = 0
    calls: list[int] = []

    def compute(images: Any, masks: Any) -> NDArray[Any]:
        calls.append(1)
        return mean(images, masks)

    source = {"optical": optical(write_raster(tmp_path / "scene.tif", stored, nodata=0))}
    mapped(plan_of(source, TileFunction(compute), halo=0, overlap=0), tmp_path / "map.tif")
    assert len(calls) == 6


def test_a_scene_without_an_observed_pixel_is_refused(tmp_path: Path, write_raster: Write) -> None:
    path = write_raster(tmp_path / "scene.tif", np.zeros((2, 80, 80), np.uint16), nodata=0)
    with pytest.raises(InputError, match=r"No pixel of scene\.tif was observed"):
        run_map(plan_of({"optical": optical(path)}, MEAN), tmp_path / "map.tif", ALONE)


def test_one_sensor_is_enough_for_an_answer_and_masks_say_which(tmp_path: Path, write_raster: Write) -> None:
    dark, light = np.full((1, 70, 70), -12.0, np.float32), numbers(70, 70)
    dark[:, :30] = np.nan
    light[:, :, :20] = 0
    sources = {
        "sar": sar(write_raster(tmp_path / "sar.tif", dark)),
        "optical": optical(write_raster(tmp_path / "optical.tif", light, nodata=0)),
    }

    def compute(images: Any, masks: Any) -> NDArray[Any]:
        assert (images["sar"][:, ~masks["sar"]] == backscatter.CENTRE_DB).all()
        return np.stack([masks["sar"], masks["optical"]]).astype(np.float32)

    found = mapped(plan_of(sources, TileFunction(compute)), tmp_path / "map.tif")
    np.testing.assert_allclose(found[0, 30:, :], 1, atol=1e-6)
    np.testing.assert_allclose(found[1, :, 20:], 1, atol=1e-6)
    np.testing.assert_array_equal(found[0, :30, 20:], 0)
    assert np.isnan(found[:, :30, :20]).all()


def test_a_scene_in_another_zone_is_warped_tile_by_tile_as_it_is_at_once(tmp_path: Path, write_raster: Write) -> None:
    light = write_raster(
        tmp_path / "optical.tif", numbers(80, 100), transform=Affine(10, 0, 760_000, 0, -10, 5_500_000)
    )
    # The same place in the next zone, turned by some degrees and wider than the optical scene.
    db = np.random.default_rng(1).normal(-12, 3, (1, 300, 300)).astype(np.float32)
    dark = write_raster(tmp_path / "sar.tif", db, crs="EPSG:32634", transform=Affine(12, 0, 325_900, 0, -12, 5_496_900))
    sources = {"sar": sar(dark), "optical": optical(light)}

    def compute(images: Any, masks: Any) -> NDArray[Any]:
        return np.where(masks["sar"], images["sar"], np.nan)

    plan = plan_of(sources, TileFunction(compute))
    grid = grid_of(light)
    at_once = read_scene(sources["sar"].scene, tmp_path, grid.extent, grid)
    assert np.isfinite(at_once).mean() > 0.5
    # The warper is allowed a thousandth of a pixel.
    np.testing.assert_allclose(mapped(plan, tmp_path / "map.tif"), at_once, atol=0.01)


def test_a_coarse_function_gives_a_coarse_map_on_the_same_ground(tmp_path: Path, write_raster: Write) -> None:
    stored = numbers(70, 90)

    def compute(images: Any, masks: Any) -> NDArray[Any]:
        inner = images["optical"][:1, 4:-4, 4:-4]
        return inner.reshape(1, inner.shape[1] // 8, 8, inner.shape[2] // 8, 8).mean(axis=(2, 4))

    plan = plan_of(
        {"optical": optical(write_raster(tmp_path / "scene.tif", stored))},
        TileFunction(compute, step=8, margin=4), tile=32, halo=4, overlap=0,
    )  # fmt: skip
    found = mapped(plan, tmp_path / "map.tif")
    wide = np.pad(stored[0] / 10_000, ((0, 2), (0, 6)), "symmetric")
    np.testing.assert_allclose(found[0], wide.reshape(9, 8, 12, 8).mean(axis=(1, 3)), atol=1e-6)
    with rasterio.open(tmp_path / "map.tif") as source:
        assert source.transform == Affine(80, 0, 500_000, 0, -80, 5_000_000)


def scores(images: Any, masks: Any) -> NDArray[Any]:
    return np.stack([images["optical"][0], images["optical"][1]])


CLASSES = {3: ("first", "#ff0000"), 7: ("second", "#0000ff")}


def test_scores_are_blended_before_the_highest_decides(tmp_path: Path, write_raster: Write) -> None:
    stored = numbers(100, 90)
    stored[:, :10] = 0
    source = {"optical": optical(write_raster(tmp_path / "scene.tif", stored, nodata=0))}
    found = mapped(plan_of(source, TileFunction(scores, classes=CLASSES)), tmp_path / "map.tif")
    assert found.dtype == np.uint8
    wanted = np.where(stored[0] >= stored[1], 3, 7)
    wanted[:10] = 0
    np.testing.assert_array_equal(found[0], wanted)


def test_the_probability_of_the_winner_is_a_band_where_it_is_asked_for(tmp_path: Path, write_raster: Write) -> None:
    def compute(images: Any, masks: Any) -> NDArray[Any]:
        first = np.clip(images["optical"][:1] * 2, 0, 1)
        return np.concatenate([first, 1 - first])

    stored = numbers(40, 40)
    function = TileFunction(compute, classes=CLASSES, bands=("class", "probability"))
    found = mapped(
        plan_of({"optical": optical(write_raster(tmp_path / "s.tif", stored))}, function), tmp_path / "m.tif"
    )
    first = stored[0] / 5000
    np.testing.assert_array_equal(found[0], np.where(first >= 0.5, 3, 7))
    np.testing.assert_allclose(found[1], 100 * np.maximum(first, 1 - first), atol=0.51)


def test_codes_are_laid_side_by_side(tmp_path: Path, write_raster: Write) -> None:
    def compute(images: Any, masks: Any) -> NDArray[Any]:
        return np.where(images["optical"][:1] > 0.2, 7, 3).astype(np.int64)

    stored = numbers(70, 50)
    source = {"optical": optical(write_raster(tmp_path / "scene.tif", stored))}
    found = mapped(plan_of(source, TileFunction(compute, classes=CLASSES), overlap=0), tmp_path / "map.tif")
    np.testing.assert_array_equal(found[0], np.where(stored[0] > 2000, 7, 3))


def test_the_bytes_of_a_map_do_not_depend_on_the_order_of_jobs(tmp_path: Path, write_raster: Write) -> None:
    plan = plan_of(
        {"optical": optical(write_raster(tmp_path / "scene.tif", numbers(150, 170)))}, TileFunction(vignetted)
    )
    mapped(plan, tmp_path / "forwards.tif")
    backwards = Backwards()
    mapped(plan, tmp_path / "backwards.tif", backwards)
    assert (tmp_path / "forwards.tif").read_bytes() == (tmp_path / "backwards.tif").read_bytes()
    items = [(tmp_path / name).read_text() for name in ("forwards.json", "backwards.json")]
    assert items[0].replace("forwards", "backwards") == items[1]


def test_neither_memory_nor_waiting_parts_grow_with_the_length_of_a_scene(tmp_path: Path, write_raster: Write) -> None:
    def held(height: int) -> tuple[int, int]:
        """The most bytes of memory, and of parts on disk, before the last part of a scene of that height."""
        path = write_raster(tmp_path / f"{height}.tif", numbers(height, 120), tiled=True, blockxsize=64, blockysize=64)
        out, waiting, memory = tmp_path / f"map-{height}.tif", [0], [0]

        def compute(images: Any, masks: Any) -> NDArray[Any]:
            waiting.append(sum(file.stat().st_size for file in folder_of(out).glob("part-*.npy")))
            memory.append(tracemalloc.get_traced_memory()[1])
            return np.repeat(mean(images, masks), 6, axis=0)

        plan = plan_of({"optical": optical(path)}, TileFunction(compute))
        tracemalloc.start()
        mapped(plan, out)
        tracemalloc.stop()
        assert not list(folder_of(out).glob("*.npy"))
        return max(memory), max(waiting)

    held(64)  # what is imported and kept for ever
    (short, few), (long, many) = held(400), held(800)
    assert long < 1.3 * short
    assert many <= few


def test_the_bounds_are_said_and_hold(tmp_path: Path, write_raster: Write, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_raster(tmp_path / "scene.tif", numbers(300, 500))
    out, most = tmp_path / "map.tif", [0]

    def compute(images: Any, masks: Any) -> NDArray[Any]:
        most.append(sum(file.stat().st_size for file in folder_of(out).glob("*.npy")))
        return np.repeat(mean(images, masks), 5, axis=0)

    plan = plan_of({"optical": optical(path)}, TileFunction(compute))
    mapped(plan, out)
    rows = (folder_of(out) / "ledger.jsonl").read_text().splitlines()
    encoding = Encoding.from_text(next(json.loads(row)["encoding"] for row in rows if "encoding" in row))
    assert max(most) < plan.disk(encoding)
    assert f"map.tif: {plan.describe(encoding)}" in capsys.readouterr().err
    assert "273 tiles of 32 pixels in 77 parts" in plan.describe(encoding)
