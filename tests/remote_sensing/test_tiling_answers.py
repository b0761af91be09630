"""What a function answers, and what a user asks for, is checked: one sentence where it makes no map."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from plait.errors import InputError
from plait_remote_sensing.tiling import TileFunction, run_map
from tests.remote_sensing.tiling_world import ALONE, mapped, mean, numbers, optical, pixels, plan_of

type Write = Callable[..., Path]
MEAN = TileFunction(mean)
CLASSES = {3: ("first", "#ff0000"), 7: ("second", "#0000ff")}


@pytest.mark.parametrize(
    ("answer", "options", "cause"),
    [
        (lambda image: image[0], {}, r"shape \(48, 48\) where \(C, 48, 48\) is wanted"),
        (lambda image: image[:, 1:], {}, r"shape \(2, 47, 48\) where \(C, 48, 48\)"),
        (lambda image: image.astype(np.complex64), {}, "answers complex64"),
        (lambda image: np.full_like(image, np.inf), {}, "answers infinity"),
        (lambda image: image.astype(np.int32), {}, "whole numbers .* give --overlap 0"),
        (lambda image: image, {"bands": ("one",)}, "answers 2 bands and names 1"),
        (lambda image: image[:1], {"classes": CLASSES}, "answers 1 bands where its 2 classes want 2"),
        (lambda image: None, {}, r"shape \(\) where"),
        (lambda image: image[:0], {}, "answers 0 bands"),
        (lambda image: image * 1e4, {"dtype": "uint8"}, r"answers \d+, which does not fit in uint8: set dtype"),
        (lambda image: image - 9, {"dtype": "uint16"}, r"answers -9, which does not fit in uint16"),
        (lambda image: image * 0 + 255, {"dtype": "uint8"}, "answers 255, which is the map's nodata, .* set nodata"),
        (lambda image: image * 0 - 9, {"nodata": -9.0}, "answers -9, which is the map's nodata"),
        (lambda image: image, {"dtype": "int16", "nodata": 0.5}, "nodata 0.5 is no whole number"),
        (lambda image: image, {"dtype": "uint8", "nodata": -1}, "nodata -1 does not fit in uint8"),
        (lambda image: image, {"dtype": "int64", "nodata": -(2**63)}, "no whole number that a file keeps exactly"),
        (lambda image: image, {"classes": CLASSES, "nodata": 7}, "nodata 7 is one of its classes"),
        (
            lambda image: image,
            {"classes": {3: CLASSES[3], 70_000: CLASSES[7]}},
            "code 70000 of its classes does not fit",
        ),
        (lambda image: sys.exit(3), {}, r"the function ended its process \(sys\.exit\(3\)\)"),
        (lambda image: image[:, ::0], {}, r"the function failed \(ValueError: slice step cannot be zero\)"),
    ],
)
def test_an_answer_that_is_no_map_of_the_tile_is_a_sentence_and_no_map(
    tmp_path: Path, write_raster: Write, answer: Any, options: dict[str, Any], cause: str
) -> None:
    source = {"optical": optical(write_raster(tmp_path / "scene.tif", numbers(40, 40)))}
    function = TileFunction(lambda images, masks: answer(images["optical"]), **options)
    summary = run_map(plan_of(source, function), tmp_path / "map.tif", ALONE)
    assert list(summary.failures) == ["part 0,0"]
    with pytest.raises(AssertionError, match=cause):
        raise AssertionError(summary.failures["part 0,0"])
    assert not (tmp_path / "map.tif").exists()


def counts(scale: int, to: Any) -> Any:
    """Digital numbers as whole numbers, of pixels with one and of others alike."""
    return lambda images, masks: (images["optical"][:1] * 10_000 * scale).round().astype(to)


@pytest.mark.parametrize(
    ("compute", "options", "cause"),
    [
        (counts(1, np.int64), {"dtype": "uint8"}, r"answers \d+, which does not fit in uint8"),
        (counts(1, np.uint64), {"dtype": "int8"}, r"answers \d+, which does not fit in int8"),
        (lambda images, masks: images["optical"][:1] > 0.2, {"nodata": 0}, None),
        (lambda images, masks: np.full((1, 48, 48), 255, np.uint8), {}, "answers 255, which is the map's nodata"),
    ],
)
def test_a_whole_number_that_would_be_another_in_the_map_is_refused(
    tmp_path: Path, write_raster: Write, compute: Any, options: dict[str, Any], cause: str | None
) -> None:
    source = {"optical": optical(write_raster(tmp_path / "scene.tif", numbers(40, 40)))}
    summary = run_map(plan_of(source, TileFunction(compute, **options), overlap=0), tmp_path / "map.tif", ALONE)
    if cause is None:
        # A function that sets nodata says with it, too, that it has no answer.
        assert summary.observed == pytest.approx((numbers(40, 40)[0] > 2000).mean())
    else:
        with pytest.raises(AssertionError, match=cause):
            raise AssertionError(next(iter(summary.failures.values())))


@pytest.mark.parametrize("to", ["int64", "uint64", "int32", "uint32", "int16", "uint16"])
def test_every_whole_number_is_the_same_in_the_map_and_what_was_not_observed_is_nodata(
    tmp_path: Path, write_raster: Write, to: str
) -> None:
    stored = numbers(40, 40)
    stored[:, :9] = 0
    source = {"optical": optical(write_raster(tmp_path / "scene.tif", stored, nodata=0))}
    function = TileFunction(counts(10**6 if to.endswith("64") else 1, to))
    assert run_map(plan_of(source, function, overlap=0), tmp_path / "map.tif", ALONE).failures == {}
    with rasterio.open(tmp_path / "map.tif") as target:
        found, nodata = target.read(1), target.nodata
    assert (found[:9] == nodata).all()
    np.testing.assert_allclose(found[9:].astype(float) / (10**6 if to.endswith("64") else 1), stored[0, 9:], rtol=1e-6)


def test_a_code_for_every_number_of_a_byte_is_kept(tmp_path: Path, write_raster: Write) -> None:
    stored = numbers(40, 40)
    stored[:, :9] = 0
    function = TileFunction(
        lambda images, masks: (images["optical"][:1] * 10_000).round().astype(np.int64) % 256,
        classes={code: (f"class {code}", "#000000") for code in range(256)},
    )
    source = {"optical": optical(write_raster(tmp_path / "scene.tif", stored, nodata=0))}
    found = mapped(plan_of(source, function, overlap=0), tmp_path / "map.tif")[0]
    np.testing.assert_array_equal(found[9:], stored[0, 9:] % 256)
    assert (found[:9] == 256).all()


def test_a_band_without_an_answer_costs_no_other_its_own(tmp_path: Path, write_raster: Write) -> None:
    def compute(images: Any, masks: Any) -> NDArray[Any]:
        first = images["optical"][:1]
        return np.concatenate([first, np.full_like(first, np.nan)])

    stored = numbers(80, 80)
    source = {"optical": optical(write_raster(tmp_path / "scene.tif", stored))}
    summary = run_map(plan_of(source, TileFunction(compute)), tmp_path / "map.tif", ALONE)
    found = pixels(tmp_path / "map.tif")
    np.testing.assert_allclose(found[0], stored[0] / 10_000, atol=1e-6)
    assert np.isnan(found[1]).all()
    assert summary.observed == 1


def test_an_answer_of_other_bands_than_before_is_named(tmp_path: Path, write_raster: Write) -> None:
    def compute(images: Any, masks: Any) -> NDArray[Any]:
        dark = images["optical"].mean() < 0.1
        return images["optical"][:1] if dark else images["optical"]

    stored = numbers(40, 120)
    stored[:, :, 64:] = 300
    source = {"optical": optical(write_raster(tmp_path / "scene.tif", stored))}
    summary = run_map(plan_of(source, TileFunction(compute)), tmp_path / "map.tif", ALONE)
    assert "the function answers 1 bands of values here and 2 bands of values elsewhere" in summary.failures.values()


def test_a_function_may_change_what_it_is_given(tmp_path: Path, write_raster: Write) -> None:
    def compute(images: Any, masks: Any) -> NDArray[Any]:
        answer = mean(images, masks)
        images["optical"][...] = -1
        masks["optical"][...] = False
        return answer

    stored = numbers(80, 80)
    plan = plan_of({"optical": optical(write_raster(tmp_path / "scene.tif", stored))}, TileFunction(compute))
    np.testing.assert_allclose(mapped(plan, tmp_path / "map.tif")[0], stored.mean(axis=0) / 10_000, atol=1e-6)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"halo": 33}, "A halo of 33 pixels does not suit tiles of 32"),
        ({"halo": -1}, "--halo -1: a number of pixels is wanted"),
        ({"overlap": 17}, "cannot overlap by 17: give --overlap 0 to 16"),
        ({"overlap": 32}, "cannot overlap by 32"),
        ({"tile": 0, "halo": 0, "overlap": 0}, "cover nothing"),
    ],
)
def test_sizes_that_do_not_go_together_are_refused(
    tmp_path: Path, write_raster: Write, sizes: dict[str, int], message: str
) -> None:
    source = {"optical": optical(write_raster(tmp_path / "scene.tif", numbers(40, 40)))}
    with pytest.raises(InputError, match=message):
        plan_of(source, MEAN, **sizes)


def test_a_band_that_the_scene_lacks_is_named(tmp_path: Path, write_raster: Write) -> None:
    source = optical(write_raster(tmp_path / "scene.tif", numbers(40, 40)))
    wanting = type(source)(source.scene, source.root, ("B02", "B99"))
    with pytest.raises(InputError, match=r"scene\.tif has no band B99 \(it has B01, B02\)"):
        plan_of({"optical": wanting}, MEAN)


def test_bands_are_given_by_name_and_in_the_order_asked_for(tmp_path: Path, write_raster: Write) -> None:
    source = optical(write_raster(tmp_path / "scene.tif", numbers(40, 40)))
    plan = plan_of(
        {"optical": type(source)(source.scene, source.root, ("B02", "B01"))},
        TileFunction(lambda images, masks: images["optical"]),
    )
    np.testing.assert_allclose(mapped(plan, tmp_path / "map.tif"), numbers(40, 40)[::-1] / 10_000, atol=1e-6)
