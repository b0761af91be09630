"""Hyperspectral scenes in MATLAB files: scales, units, and a split between which no patch touches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from plait.errors import InputError
from plait.pairs.ingest import ingest
from plait.pairs.layout import Remark
from plait.pairs.table import PairTable
from plait_remote_sensing.backscatter import unscaled as unscaled_db
from plait_remote_sensing.ingest import hyperspectral
from plait_remote_sensing.load import Loader
from plait_remote_sensing.raster import Window
from plait_remote_sensing.reflectance import unscaled as unscaled_reflectance

BERLIN, AUGSBURG, HOUSTON = (
    next(layout for layout in hyperspectral.LAYOUTS if layout.name == name)
    for name in ("berlin", "augsburg", "houston")
)
ROWS, COLUMNS, PATCH = 7, 6, 16
HEIGHT, WIDTH = ROWS * PATCH + 5, COLUMNS * PATCH + 3


def scene(folder: Path, second: str = "SAR") -> Path:
    """A scene of 7 x 6 patches and a rest: training pixels in the upper left patch, test pixels in three others."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    spectra = rng.uniform(100, 900, (HEIGHT, WIDTH, 12)).astype(np.float32)
    savemat(folder / "data_HS_LR.mat", {"data_HS_LR": spectra})
    if second == "SAR":
        power = rng.gamma(4, 1 / 4, (HEIGHT, WIDTH, 4)) * np.asarray([0.01, 0.002, 0.0, 0.0]) + [0, 0, -0.001, 0.002]
        savemat(folder / "data_SAR_HR.mat", {"data_SAR_HR": power.astype(np.float32)})
    else:
        savemat(folder / "data_MS_HR.mat", {"data_MS_HR": spectra[..., ::3]})
    savemat(folder / "data_DSM.mat", {"data_DSM": spectra[..., 0]})
    train, test = (np.zeros((HEIGHT, WIDTH), np.uint8) for _ in range(2))
    train[2:5, 3:6] = 1
    test[0:4, 20:24] = 2  # in the patch beside the training one
    test[3 * PATCH + 1, 3 * PATCH + 1] = 3  # alone, away from it
    test[6 * PATCH : 6 * PATCH + 4, 0:8], test[6 * PATCH : 6 * PATCH + 4, 8:12] = 1, 4
    savemat(folder / "TrainImage.mat", {"TrainImage": train})
    savemat(folder / "TestImage.mat", {"TestImage": test})
    return folder


def read(layout: Any, root: Path, *given: str) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    told: list[tuple[str, str]] = []
    rows = list(layout.with_options(given).read(root, lambda what, cause: told.append((what, cause))))
    return rows, told


@pytest.fixture
def berlin(tmp_path: Path) -> Path:
    return scene(tmp_path / "HS-SAR Berlin")


def test_training_patches_stand_and_test_patches_yield_to_them(berlin: Path) -> None:
    rows, _ = read(BERLIN, berlin)
    splits = {row["id"]: row["split"] for row in rows}
    assert len(splits) == ROWS * COLUMNS
    assert splits["r0000c0000"] == "train"
    assert splits["r0000c0016"] == "gap", "it holds test pixels and touches a training patch"
    assert splits["r0048c0048"] == "val"
    assert splits["r0096c0000"] == "val"
    assert {splits[name] for name in ("r0032c0032", "r0032c0064", "r0064c0048")} == {"gap"}, "they touch val"


@pytest.mark.parametrize("patch", [8, 16, 20])
def test_no_context_of_a_validation_patch_reaches_that_of_a_training_patch(berlin: Path, patch: int) -> None:
    rows, _ = read(BERLIN, berlin, f"patch={patch}")
    windows = {split: [Window.parse(r["window"]) for r in rows if r["split"] == split] for split in ("train", "val")}
    assert windows["val"]
    for one in windows["train"]:
        for other in windows["val"]:
            beside = max(one.column - other.right, other.column - one.right)
            assert max(beside, one.row - other.bottom, other.row - one.bottom) >= 16
    groups = {split: {row["group"] for row in rows if row["split"] == split} for split in windows}
    assert not groups["train"] & groups["val"]


def test_a_label_is_the_class_of_most_labelled_pixels(berlin: Path) -> None:
    labels = {row["id"]: row["label_land_cover"] for row in read(BERLIN, berlin)[0]}
    assert labels["r0000c0000"] == 1
    assert labels["r0048c0048"] == 3
    assert labels["r0096c0000"] == 1, "two thirds of its pixels"
    assert labels["r0048c0000"] is None, "nothing is labelled there"


def test_a_patch_is_read_with_its_scale_and_its_unit(berlin: Path) -> None:
    rows, told = read(BERLIN, berlin)
    assert all(isinstance(cause, Remark) for _, cause in told)
    assert rows[0]["sar_unit"] == "power"
    assert rows[0]["sar_bands"] == "VV,VH"
    sample = Loader(context=0)(rows[7], berlin)
    window = Window.parse(rows[7]["window"])
    rng = np.random.default_rng(0)
    spectra = rng.uniform(100, 900, (HEIGHT, WIDTH, 12)).astype(np.float32)
    power = rng.gamma(4, 1 / 4, (HEIGHT, WIDTH, 4)) * np.asarray([0.01, 0.002, 0.0, 0.0])
    cut = np.s_[window.row : window.bottom, window.column : window.right]
    expected = spectra[cut].transpose(2, 0, 1) / rows[7]["optical_quantification"]
    assert unscaled_reflectance(sample["optical"]).numpy() == pytest.approx(expected, rel=1e-4)
    assert unscaled_db(sample["sar"]).numpy() == pytest.approx(
        10 * np.log10(power[cut].transpose(2, 0, 1)[:2]), abs=1e-3
    )


def test_the_scale_is_the_percentile_of_the_scene_and_said_to_be_none_of_reflectance(berlin: Path) -> None:
    rows, told = read(BERLIN, berlin)
    spectra = np.random.default_rng(0).uniform(100, 900, (HEIGHT, WIDTH, 12)).astype(np.float32)
    assert rows[0]["optical_quantification"] == pytest.approx(np.percentile(spectra, 99.9), rel=1e-3)
    assert any("not reflectance" in cause for _, cause in told)


def test_a_unit_that_the_values_do_not_tell_is_refused_and_may_be_given(berlin: Path) -> None:
    power = np.random.default_rng(0).uniform(0.1, 0.9, (HEIGHT, WIDTH, 4)).astype(np.float32)
    savemat(berlin / "data_SAR_HR.mat", {"data_SAR_HR": power})
    rows, told = read(BERLIN, berlin)
    assert {row["sar"] for row in rows} == {None}
    assert any("do not tell" in cause for _, cause in told)
    rows, _ = read(BERLIN, berlin, "sar_unit=amplitude")
    assert {row["sar_unit"] for row in rows} == {"amplitude"}


def test_houston_pairs_two_optical_sensors(tmp_path: Path) -> None:
    rows, _ = read(HOUSTON, scene(tmp_path / "HS-MS Houston2013", "MS"))
    assert "sar" not in rows[0]
    sample = Loader(context=0)(rows[0], tmp_path / "HS-MS Houston2013")
    assert (sample["optical"].shape, sample["optical_ms"].shape) == ((12, 16, 16), (4, 16, 16))


@pytest.mark.parametrize("name", ["data_SAR_HR.mat", "TestImage.mat"])
def test_a_broken_file_costs_what_is_in_it_alone(berlin: Path, name: str) -> None:
    (berlin / name).write_bytes(b"not a MATLAB file")
    rows, told = read(AUGSBURG, berlin)
    assert len(rows) == ROWS * COLUMNS
    assert next(what for what, cause in told if not isinstance(cause, Remark)).startswith(name)
    if name == "TestImage.mat":
        assert {row["split"] for row in rows} == {"train"}
    else:
        assert {row["sar"] for row in rows} == {None}


def test_an_array_of_another_size_is_refused(berlin: Path) -> None:
    savemat(berlin / "data_SAR_HR.mat", {"data_SAR_HR": np.ones((HEIGHT // 2, WIDTH // 2, 4), np.float32)})
    rows, told = read(BERLIN, berlin)
    assert {row["sar"] for row in rows} == {None}
    assert "is not on the" in told[-1][1]


def test_it_ingests_from_end_to_end(berlin: Path, tmp_path: Path) -> None:
    report = ingest("remote-sensing", BERLIN.with_options(["patch=16"]), berlin, tmp_path / "pairs.parquet", Loader())
    table = PairTable.read(tmp_path / "pairs.parquet")
    assert len(table) == ROWS * COLUMNS
    assert report.leakage == "nothing leaks"
    assert "patch=16" in table.info.options


def test_a_patch_of_no_pixels_is_refused(berlin: Path) -> None:
    with pytest.raises(InputError, match="patch"):
        read(BERLIN, berlin, "patch=0")
