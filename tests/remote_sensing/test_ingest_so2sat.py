"""So2Sat on a miniature: references into HDF5, linear power, reflectance as it is, groups by place where it is told."""

from __future__ import annotations

import tracemalloc
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from plait.errors import InputError
from plait.pairs.ingest import ingest
from plait.pairs.layout import Row
from plait.pairs.table import PairTable
from plait_remote_sensing.backscatter import unscaled as unscaled_db
from plait_remote_sensing.ingest import so2sat
from plait_remote_sensing.load import Loader
from plait_remote_sensing.reflectance import unscaled
from tests.remote_sensing.miniatures.so2sat import patches, places

BERLIN, BONN, CAPE_TOWN = (32633, 390_000.0, 5_820_000.0), (32632, 366_000.0, 5_620_000.0), (32734, 262e3, 6_243e3)


def read(root: Path) -> tuple[list[Row], list[tuple[str, str]]]:
    told: list[tuple[str, str]] = []
    return list(so2sat.LAYOUT.read(root, lambda what, cause: told.append((what, cause)))), told


@pytest.fixture
def root(tmp_path: Path) -> Path:
    patches(tmp_path, "training", 20)
    patches(tmp_path, "validation", 6)
    patches(tmp_path, "testing", 5)
    return tmp_path


def test_the_files_are_the_split(root: Path) -> None:
    rows, _ = read(root)
    assert [row["split"] for row in rows] == ["train"] * 20 + ["val"] * 6 + ["test"] * 5
    assert len({row["id"] for row in rows}) == 31


def test_that_validation_and_testing_share_their_cities_is_told(root: Path) -> None:
    assert read(root)[1][0][1].startswith("validation and testing are halves of the same cities")
    (root / "testing.h5").unlink()
    assert not any("halves" in cause for _, cause in read(root)[1])


def test_a_row_refers_to_the_filtered_intensities_and_to_all_optical_bands(root: Path) -> None:
    row = read(root)[0][7]
    assert row["sar"] == ["training.h5#sen1[7]@5,4"]
    assert row["optical"] == ["training.h5#sen2[7]"]
    assert (row["sar_bands"], row["sar_unit"]) == ("VV,VH", "power")
    assert row["optical_bands"] == "B02,B03,B04,B05,B06,B07,B08,B8A,B11,B12"
    assert row["optical_quantification"] == 1.0
    assert row["label_climate_zone"] == 7


def test_without_places_a_group_is_a_run_of_patches_of_one_file_and_that_is_told(root: Path) -> None:
    rows, told = read(root)
    assert {row["group"] for row in rows} == {"training/000", "validation/000", "testing/000"}
    assert ("training.h5", "has no *_geo.h5 beside it: groups are runs of patches, not places") in told


def test_with_places_a_group_is_about_a_city(root: Path) -> None:
    places(root, "training", [(*BERLIN, 7), (*CAPE_TOWN, 6), (*BONN, 7)])
    rows, told = read(root)
    groups = [row["group"] for row in rows[:20]]
    assert groups == [groups[0]] * 7 + [groups[7]] * 6 + [groups[13]] * 7
    assert len(set(groups)) == 3
    assert [what for what, _ in told[1:]] == ["validation.h5", "testing.h5"]


@pytest.mark.parametrize("lacking", ["coord", "epsg"])
def test_places_of_another_number_of_patches_are_not_used(root: Path, lacking: str) -> None:
    import h5py

    places(root, "training", [(*BERLIN, 20)])
    opened: Any = h5py.File(root / "training_geo.h5", "a")
    with opened as file:
        kept = file[lacking][:19]
        del file[lacking]
        file[lacking] = kept
    rows, told = read(root)
    assert rows[0]["group"] == "training/000"
    assert told[1][1] == "its coordinates cannot be used (training_geo.h5 has no coord and epsg for each of 20 patches)"


def test_labels_are_read_part_by_part(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(so2sat, "_READ_AT_ONCE", 7)
    assert [row["label_climate_zone"] for row in read(root)[0][:20]] == [number % 17 for number in range(20)]


def test_a_version_without_validation_is_measured_on_testing_and_a_random_one_is_told(tmp_path: Path) -> None:
    patches(tmp_path / "random", "training", 3)
    patches(tmp_path / "random", "testing", 2)
    rows, told = read(tmp_path / "random")
    assert [row["split"] for row in rows] == ["train"] * 3 + ["val"] * 2
    assert "both sides" in told[0][1]


def test_a_file_cut_short_or_of_other_shapes_is_told_and_the_others_are_read(root: Path) -> None:
    import h5py

    (root / "testing.h5").write_bytes((root / "testing.h5").read_bytes()[:500])
    with h5py.File(root / "validation.h5", "w") as file:
        file["sen1"] = np.zeros((4, 32, 32, 2))
    rows, told = read(root)
    assert len(rows) == 20
    causes = {what: cause for what, cause in told if "fetch the file again" in cause}
    assert set(causes) == {"validation.h5", "testing.h5"}
    assert "(4, 32, 32, 2) under 'sen1' where (N, 32, 32, 8) is wanted" in causes["validation.h5"]


def test_another_folder_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give the folder"):
        read(tmp_path)


def test_a_hundred_thousand_patches_are_read_one_after_the_other(tmp_path: Path) -> None:
    """The arrays are declared in full and never touched: HDF5 stores nothing of a chunk that was not written."""
    import h5py

    count = 100_000
    with h5py.File(tmp_path / "training.h5", "w") as file:
        for name, shape in so2sat.SHAPES.items():
            file.create_dataset(name, (count, *shape), dtype="f8", chunks=(4096, *shape))
    tracemalloc.start()
    rows = sum(1 for _ in islice(so2sat.LAYOUT.read(tmp_path, lambda _what, _cause: None), 5_000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rows == 5_000
    assert peak < 30 * 2**20


def test_end_to_end_power_becomes_decibels_and_reflectance_stays(root: Path, tmp_path: Path) -> None:
    import h5py

    opened: Any = h5py.File(root / "training.h5")
    with opened as file:
        stored = np.asarray(file["sen2"][:, 4, 9])
    ingest("remote-sensing", so2sat.LAYOUT, root, tmp_path / "out.parquet", Loader(), allow_leakage=True)
    table = PairTable.read(tmp_path / "out.parquet")
    assert len(table) == 31
    row = table.row(table.ids.index("training/000007"))
    sample = Loader(context=0)(row, root)
    sar, optical = sample["sar"], sample["optical"]
    assert isinstance(sar, torch.Tensor)
    assert isinstance(optical, torch.Tensor)
    # Bands 6 and 5 counted from 1, of patch 8: 0.48 and 0.40.
    assert unscaled_db(sar)[:, 4, 4].tolist() == pytest.approx([10 * np.log10(0.48), 10 * np.log10(0.40)], abs=1e-4)
    assert not sar[:, 0, 0].any()  # no power: not observed
    assert unscaled(optical)[:, 4, 9].tolist() == pytest.approx(stored[7].tolist(), abs=1e-6)
