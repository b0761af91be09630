"""The synthetic world is a real layout: same files, plausible units, one seed one world."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import rasterio

from plait.pairs.table import PairTable
from plait_remote_sensing.synthetic import COVERS, LOOKALIKE, SCENES, WITHOUT_SAR, synthetic


def digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_one_seed_gives_one_world_and_another_seed_another(world: Path, tmp_path: Path) -> None:
    synthetic(tmp_path / "same", 0)
    synthetic(tmp_path / "other", 1)
    assert digests(tmp_path / "same") == digests(world)
    assert digests(tmp_path / "other")[f"LULC/{SCENES[0]}.tif"] != digests(world)[f"LULC/{SCENES[0]}.tif"]


def test_it_says_that_it_is_synthetic(world: Path, table: PairTable) -> None:
    assert (world / "SYNTHETIC").is_file()
    assert table.info.synthetic


def test_files_are_those_of_the_real_layout(world: Path) -> None:
    for folder, kind, bands in (
        ("S1RTC", "float64", 2),
        ("S2L2A", "int16", 12),
        ("DEM", "int16", 1),
        ("LULC", "uint8", 1),
    ):
        with rasterio.open(world / folder / f"{SCENES[0]}.tif") as source:
            assert (source.shape, source.dtypes[0], source.count) == ((224, 168), kind, bands)
            assert source.crs.to_epsg() == 32633
            assert source.res == (10.0, 10.0)


def test_backscatter_lies_between_a_class_and_what_it_is_taken_for(world: Path) -> None:
    with rasterio.open(world / "LULC" / f"{SCENES[0]}.tif") as source:
        codes = source.read(1)
    with rasterio.open(world / "S1RTC" / f"{SCENES[0]}.tif") as source:
        power = 10 ** (source.read(1) / 10)
    assert set(np.unique(codes)) <= set(COVERS)
    means = {code: 10 * np.log10(power[codes == code].mean()) for code in np.unique(codes)}
    for code, mean in means.items():
        ends = [COVERS[int(one)].backscatter[0] for one in (code, LOOKALIKE[int(code)])]
        assert min(ends) - 3.0 < mean < max(ends) + 3.0
    assert min(means, key=lambda code: means[code]) == 1  # calm water is the darkest


def test_one_scene_has_no_radar_partner(world: Path) -> None:
    assert not (world / "S1RTC" / f"{WITHOUT_SAR}.tif").exists()
    assert (world / "S2L2A" / f"{WITHOUT_SAR}.tif").exists()
