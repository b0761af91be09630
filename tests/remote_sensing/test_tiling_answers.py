"""What a function answers, and what a user asks for, is checked: one sentence where it makes no map."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from plait.errors import InputError
from plait_remote_sensing.tiling import TileFunction, run_map
from tests.remote_sensing.tiling_world import ALONE, mapped, mean, numbers, optical, plan_of

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
        ({"halo": -1}, "A halo of -1 pixels"),
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
