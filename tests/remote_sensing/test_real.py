"""The real sets: counts, splits, units and traps, each as its README tells."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio

from plait.cli import main
from plait.pairs.ingest import IngestReport, ingest
from plait.pairs.table import PairTable, TableInfo
from plait.subjects import RawSubject
from plait_remote_sensing import backscatter, reflectance
from plait_remote_sensing.ingest import LAYOUTS
from plait_remote_sensing.load import Loader
from plait_remote_sensing.pair_report import pairs as report
from plait_remote_sensing.pairing.registration import estimate_shift
from plait_remote_sensing.probing import forest, probe_rows
from plait_remote_sensing.raster import Window, grid_of, read_window
from plait_remote_sensing.raw import RAW
from plait_remote_sensing.tasks import METRICS

pytestmark = pytest.mark.real

FOLDERS = {
    "terramesh": "terramesh_lulc",
    "oscd": "oscd_s1s2_change",
    "oscd-change": "oscd_s1s2_change",
    "ombria": "ombria_flood",
    "ombria-change": "ombria_flood",
    "sen1floods11": "sen1floods11_sample",
    "sen12mscr": "sen12mscr_sample",
    "worldcereal": "worldcereal_points",
}


@pytest.fixture(scope="module")
def rows_of(shared_data: Path) -> Any:
    """Read a layout once, without loading its rows."""
    held: dict[str, tuple[list[dict[str, Any]], list[tuple[str, str]]]] = {}

    def read(layout: str) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
        if layout not in held:
            told: list[tuple[str, str]] = []
            root = shared_data / "remote_sensing" / FOLDERS[layout]
            rows = list(LAYOUTS[layout].read(root, lambda what, cause: told.append((what, cause))))
            held[layout] = rows, told
        return held[layout]

    return read


@pytest.fixture(scope="module")
def terramesh(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[PairTable, IngestReport]:
    out = tmp_path_factory.mktemp("real") / "pairs.parquet"
    root = shared_data / "remote_sensing" / FOLDERS["terramesh"]
    report = ingest("remote-sensing", LAYOUTS["terramesh"], root, out, Loader())
    return PairTable.read(out), report


class TestTerraMesh:
    def test_counts_are_those_of_the_tasks(self, terramesh: tuple[PairTable, IngestReport]) -> None:
        table, _ = terramesh
        labels, splits = table.array("label_land_cover"), table.splits
        known = np.isfinite(labels)
        assert Counter(splits[known].tolist()) == {"train": 441, "gap": 63, "val": 124}
        assert Counter(labels[known].astype(int).tolist()) == {1: 51, 2: 100, 4: 197, 5: 28, 7: 140, 9: 112}
        assert len(table) == 700

    def test_one_scene_keeps_the_offset_and_it_is_the_one_of_the_readme(
        self, terramesh: tuple[PairTable, IngestReport]
    ) -> None:
        table, report = terramesh
        offsets = dict(zip(table.column("scene"), table.array("optical_offset"), strict=True))
        assert {scene for scene, offset in offsets.items() if offset} == {"433D_629L_3_1"}
        assert [entry["what"] for entry in report.remarks] == ["S2L2A/433D_629L_3_1.tif"]

    def test_grids_that_differ_by_a_billionth_are_one_grid(self, shared_data: Path) -> None:
        root = shared_data / "remote_sensing" / FOLDERS["terramesh"]
        for path in (root / "S1RTC").glob("*.tif"):
            radar, elevation = grid_of(path), grid_of(root / "DEM" / path.name)
            assert tuple(radar.transform) != tuple(elevation.transform), "the trap of the README is gone"
            assert radar.same_as(elevation)

    def test_nothing_leaks(self, terramesh: tuple[PairTable, IngestReport]) -> None:
        assert terramesh[1].leakage == "nothing leaks"

    def test_the_trivial_rows_of_the_tasks_come_out_to_the_digit(
        self, terramesh: tuple[PairTable, IngestReport]
    ) -> None:
        """With the offset left in, as whoever computed them left it; taking it out makes a stronger baseline."""
        expected = {
            "sar": (0.685, 0.606, 0.580),
            "optical": (0.702, 0.775, 0.622),
            "both": (0.726, 0.800, 0.651),
        }
        assert scores(with_offset_left_in(terramesh[0])) == expected

    def test_taking_the_offset_out_makes_the_baseline_stronger(self, terramesh: tuple[PairTable, IngestReport]) -> None:
        found = scores(terramesh[0])
        assert found["sar"] == (0.685, 0.606, 0.580)
        assert found["optical"][0] >= 0.73
        assert found["both"][0] >= 0.74


def with_offset_left_in(table: PairTable) -> PairTable:
    position = table.columns.index("optical_offset")
    zeros = np.zeros(len(table))
    return PairTable(table.data.set_column(position, "optical_offset", [zeros]), table.info)


def scores(table: PairTable) -> dict[str, tuple[float, float, float]]:
    """Overall accuracy, average accuracy and kappa of the forest on raw features."""
    raw = RawSubject(RAW, Loader(), table)
    found = {}
    features = {"sar": raw.features("sar"), "optical": raw.features("optical"), "both": raw.fused(("sar", "optical"))}
    for name, array in features.items():
        rows = probe_rows(table, "land_cover", array, array)
        assert rows is not None
        codes = forest(rows.x, rows.y, rows.x_test)
        found[name] = tuple(round(metric(rows.y_test, codes), 3) for metric in METRICS.values())
    return found


class TestOscd:
    def test_every_city_has_both_dates_of_every_whole_tile(self, rows_of: Any) -> None:
        rows, told = rows_of("oscd")
        assert Counter(row["group"] for row in rows) == {
            "aguasclaras": 2 * 7 * 8,
            "bercy": 2 * 6 * 5,
            "bordeaux": 2 * 8 * 7,
            "hongkong": 2 * 10 * 8,
            "pisa": 2 * 12 * 11,
            "rennes": 2 * 5 * 8,
        }
        assert {row["group"]: row["split"] for row in rows if row["split"] == "val"} == {"pisa": "val", "rennes": "val"}
        assert not told

    def test_dates_are_those_of_the_readme(self, rows_of: Any) -> None:
        times = {row["group"]: set() for row in rows_of("oscd")[0]}
        for row in rows_of("oscd")[0]:
            times[row["group"]].add(row["time"])
        assert times["pisa"] == {"2015-07-04", "2018-02-11"}

    def test_the_changed_share_of_all_pixels_is_that_of_the_readme(self, shared_data: Path, rows_of: Any) -> None:
        """Whole tiles leave out the right and lower edge, so the shares agree to a few tenths of a percent."""
        rows = [row for row in rows_of("oscd")[0] if row["moment"] == "t1"]
        share = {
            city: np.mean([row["changed_share"] for row in rows if row["group"] == city]) for city in ("pisa", "rennes")
        }
        assert share["pisa"] == pytest.approx(0.0164, abs=0.003)
        assert share["rennes"] == pytest.approx(0.0258, abs=0.005)

    def test_a_tile_has_one_radar_and_ten_optical_bands_on_one_grid(self, shared_data: Path, rows_of: Any) -> None:
        root = shared_data / "remote_sensing" / FOLDERS["oscd"]
        for row in (
            rows_of("oscd")[0][0],
            next(r for r in rows_of("oscd")[0] if r["id"].startswith("hongkong") and r["moment"] == "t2"),
        ):
            sample = Loader()(row, root)
            assert sample["sar"].shape == (1, 80, 80)
            assert sample["optical"].shape == (10, 80, 80)
            decibels = backscatter.unscaled(sample["sar"])
            assert -25.0 <= decibels.min() <= decibels.max() <= 5.0

    def test_hong_kong_at_the_second_date_is_put_on_the_grid_of_the_first(self, shared_data: Path) -> None:
        city = shared_data / "remote_sensing" / FOLDERS["oscd"] / "hongkong"
        first, second = (grid_of(city / f"s2_10m_{moment}.tif") for moment in ("t1", "t2"))
        assert ((first.width, first.height), (second.width, second.height)) == ((540, 695), (538, 693))
        found = read_window(city / "s2_10m_t2.tif", first.extent, first)
        assert found.shape == (4, 695, 540)
        with rasterio.open(city / "s2_10m_t2.tif") as source:
            assert np.nanmean(found) == pytest.approx(source.read().mean(), rel=0.01)

    def test_the_map_of_changes_says_one_and_two_and_not_where(self, shared_data: Path) -> None:
        for path in (shared_data / "remote_sensing" / FOLDERS["oscd"]).glob("*/change.tif"):
            grid = grid_of(path)
            assert grid.crs is None
            assert set(np.unique(read_window(path, grid.extent, grid))) == {1.0, 2.0}

    def test_a_tile_before_and_after_has_four_modalities_and_one_label(self, shared_data: Path, rows_of: Any) -> None:
        rows, told = rows_of("oscd-change")
        assert not told
        assert len(rows) == len(rows_of("oscd")[0]) / 2 == 394
        shares = {row["tile"]: row["changed_share"] for row in rows_of("oscd")[0]}
        assert {row["id"]: row["changed_share"] for row in rows} == shares
        assert Counter(row["label_changed"] for row in rows) == {0: 196, None: 153, 1: 45}
        sample = Loader()(rows[0], shared_data / "remote_sensing" / FOLDERS["oscd"])
        assert [sample[name].shape[0] for name in ("sar_before", "optical_before", "sar_after", "optical_after")] == [
            1,
            10,
            1,
            10,
        ]

    @pytest.mark.parametrize("city", ["bercy", "rennes"])
    def test_shifts_between_four_acquisitions_close(self, city: str, shared_data: Path) -> None:
        """Optical to optical, to radar, to radar, to optical: the way round ends where it began."""
        folder = shared_data / "remote_sensing" / FOLDERS["oscd"] / city
        grid = grid_of(folder / "s2_10m_t1.tif")
        images: dict[str, np.ndarray] = {}
        for moment in ("t1", "t2"):
            images[f"s1{moment}"] = read_window(folder / f"s1_vv_{moment}.tif", grid.extent, grid, 0.0)
            images[f"s2{moment}"] = np.sqrt(read_window(folder / f"s2_10m_{moment}.tif", grid.extent, grid))
        legs = (("s2t1", "s2t2"), ("s2t2", "s1t2"), ("s1t2", "s1t1"), ("s1t1", "s2t1"))
        shifts = [estimate_shift(images[one], images[other]) for one, other in legs]
        assert all(shift.confident for shift in shifts)
        assert np.hypot(sum(s.rows for s in shifts), sum(s.columns for s in shifts)) < 1.0
        assert shifts[0].length < 1.5, "the README: up to about a pixel between the dates"

    def test_radar_is_warped_onto_the_optical_grid_as_slow_interpolation_says(self, shared_data: Path) -> None:
        city = shared_data / "remote_sensing" / FOLDERS["oscd"] / "pisa"
        grid, window = grid_of(city / "s2_10m_t1.tif"), Window(300, 200, 6, 5)
        found = read_window(city / "s1_vv_t1.tif", window, grid, 0.0)[0]
        with rasterio.open(city / "s1_vv_t1.tif") as source:
            values, own = source.read(1), source.transform
        for row in range(window.height):
            for column in range(window.width):
                longitude = grid.transform.c + grid.transform.a * (window.column + column + 0.5)
                latitude = grid.transform.f + grid.transform.e * (window.row + row + 0.5)
                x, y = (longitude - own.c) / own.a, (latitude - own.f) / own.e
                spans = grid.transform.a / own.a, grid.transform.e / own.e
                assert found[row, column] == pytest.approx(interpolated(values, x, y, spans), abs=1e-4)


def interpolated(values: np.ndarray, x: float, y: float, spans: tuple[float, float]) -> float:
    """Weights that fall linearly to zero one target pixel away; ``spans`` are its sides in source pixels, above 1."""
    total = weight = 0.0
    for row in range(int(y) - 3, int(y) + 4):
        for column in range(int(x) - 3, int(x) + 4):
            w = max(0.0, 1 - abs(column + 0.5 - x) / spans[0]) * max(0.0, 1 - abs(row + 0.5 - y) / spans[1])
            total, weight = total + w * values[row, column], weight + w
    return total / weight


class TestOmbria:
    def test_counts_and_splits(self, rows_of: Any) -> None:
        rows, told = rows_of("ombria")
        assert Counter({row["group"]: row["split"] for row in rows}.values()) == {"train": 45, "gap": 3, "val": 15}
        assert len(told) == 8, "eight optical tiles are black by half"
        assert sum(row["sar"] is None for row in rows) + sum(row["optical"] is None for row in rows) < 20

    def test_a_third_of_the_ground_is_flooded(self, rows_of: Any) -> None:
        rows = [row for row in rows_of("ombria")[0] if row["moment"] == "after"]
        assert np.mean([row["flooded_share"] for row in rows]) == pytest.approx(0.31, abs=0.01)
        assert np.mean([row["flooded_share"] for row in rows if row["split"] == "val"]) == pytest.approx(0.46, abs=0.01)

    def test_a_tile_before_and_after_has_the_label_of_the_moment_after(self, rows_of: Any) -> None:
        rows, told = rows_of("ombria-change")
        assert len(told) == 8, "eight optical tiles are black by half"
        assert len(rows) == 63 * 16 - 8
        after = {row["id"].removesuffix("/after"): row for row in rows_of("ombria")[0] if row["moment"] == "after"}
        same = [row for row in rows if row["id"] in after]
        assert all(row["label_flooded"] == after[row["id"]]["label_flooded"] for row in same)
        assert all(row["sar_after"] == after[row["id"]]["sar"] for row in same)

    def test_a_tile_is_one_grey_and_three_colour_bands(self, shared_data: Path, rows_of: Any) -> None:
        sample = Loader()(rows_of("ombria")[0][0], shared_data / "remote_sensing" / FOLDERS["ombria"])
        assert sample["sar"].shape == (1, 80, 80)
        assert sample["optical"].shape == (3, 80, 80)


class TestSen1Floods11:
    def test_patches_and_blocks(self, rows_of: Any) -> None:
        rows, told = rows_of("sen1floods11")
        assert Counter(row["split"] for row in rows) == {"train": 144, "gap": 32, "val": 80}
        assert not told
        assert {row["label_water"] for row in rows} == {None, 0, 1}

    def test_hard_targets_above_zero_decibels_are_kept(self, shared_data: Path, rows_of: Any) -> None:
        root = shared_data / "remote_sensing" / FOLDERS["sen1floods11"]
        brightest = max(
            float(backscatter.unscaled(Loader()(row, root, ("sar",))["sar"]).max())
            for row in rows_of("sen1floods11")[0]
        )
        assert brightest > 10.0

    def test_what_is_not_observed_is_nan_in_the_one_file_and_zero_in_the_other(self, shared_data: Path) -> None:
        root = shared_data / "remote_sensing" / FOLDERS["sen1floods11"]
        nodata = {}
        for kind in ("S1Hand", "S2Hand", "LabelHand"):
            with rasterio.open(root / f"Spain_7370579_{kind}.tif") as source:
                nodata[kind] = source.nodata
        assert np.isnan(nodata["S1Hand"])
        assert nodata["S2Hand"] == 0

    def test_minus_one_in_the_label_is_neither_water_nor_land(self, shared_data: Path, rows_of: Any) -> None:
        path = shared_data / "remote_sensing" / FOLDERS["sen1floods11"] / "Spain_7370579_LabelHand.tif"
        with rasterio.open(path) as source:
            codes = source.read(1)
        assert set(np.unique(codes)) == {-1, 0, 1}
        for row in rows_of("sen1floods11")[0]:
            window = Window.parse(row["window"])
            patch = codes[window.row : window.bottom, window.column : window.right]
            if row["label_water"] is not None:
                assert (patch == row["label_water"]).mean() >= 0.6


class TestSen12mscr:
    def test_each_place_has_a_clear_and_a_cloudy_row_in_one_group(self, rows_of: Any) -> None:
        rows, told = rows_of("sen12mscr")
        assert Counter((row["split"], row["sky"]) for row in rows)["train", "clear"] == 40
        assert len(rows) == 128
        assert not told
        by_window: dict[str, set[str]] = {}
        for row in rows:
            by_window.setdefault(row["window"], set()).add(row["group"])
        assert all(len(groups) == 1 for groups in by_window.values())

    def test_clouds_are_brighter_than_the_ground(self, shared_data: Path, rows_of: Any) -> None:
        root = shared_data / "remote_sensing" / FOLDERS["sen12mscr"]
        blue = {"clear": 0.0, "cloudy": 0.0}
        for row in rows_of("sen12mscr")[0]:
            blue[row["sky"]] += float(reflectance.unscaled(Loader()(row, root, ("optical",))["optical"][1]).mean())
        assert blue["cloudy"] > 1.2 * blue["clear"]

    def test_exact_zeros_of_the_radar_are_not_observed(self, shared_data: Path) -> None:
        path = next((shared_data / "remote_sensing" / FOLDERS["sen12mscr"] / "s1").glob("*.tif"))
        grid = grid_of(path)
        decibels = backscatter.backscatter_db(read_window(path, grid.extent, grid), "db")
        assert np.isnan(decibels).sum() == 58
        assert not np.isinf(decibels).any()


class TestWorldCereal:
    def test_points_cells_and_labels(self, rows_of: Any) -> None:
        rows, told = rows_of("worldcereal")
        assert len(rows) == 385
        assert not told
        assert Counter(row["label_land_cover"] for row in rows)[30] == 120
        assert all("split" not in row for row in rows)

    def test_a_point_is_twelve_months_in_scaled_units_with_gaps(self, shared_data: Path, rows_of: Any) -> None:
        root = shared_data / "remote_sensing" / FOLDERS["worldcereal"]
        missing = months = 0
        for row in rows_of("worldcereal")[0]:
            sample = Loader()(row, root)
            assert sample["sar"].shape == (12, 2)
            assert sample["optical"].shape == (12, 10)
            missing, months = missing + int(sample["optical"].isnan().sum()), months + 120
        stored = pq.read_table(root / "worldcereal_points.parquet").to_pandas().filter(regex="^OPTICAL-B.*-ts")
        assert missing == int((stored == 65535).to_numpy().sum())
        assert stored.size == months

    def test_decibels_follow_the_formula_of_the_readme(self, shared_data: Path, rows_of: Any) -> None:
        root = shared_data / "remote_sensing" / FOLDERS["worldcereal"]
        stored = pq.read_table(root / "worldcereal_points.parquet")["SAR-VH-ts3-20m"].to_numpy()
        row = rows_of("worldcereal")[0][7]
        found = backscatter.unscaled(Loader()(row, root, ("sar",))["sar"])[3, 1].item()
        assert found == pytest.approx(20 * np.log10(stored[7]) - 83, abs=1e-3)


@pytest.mark.parametrize(
    ("layout", "pairs", "confident", "apart"),
    [("terramesh", 5, 3, 140.0), ("sen1floods11", 1, 1, 490.0), ("sen12mscr", 2, 1, 300.0)],
)
def test_the_pair_report_says_what_lies_right(
    layout: str, pairs: int, confident: int, apart: float, rows_of: Any, shared_data: Path, tmp_path: Path
) -> None:
    """Under clouds no shift is believed; no believed shift is larger than Sentinel's few pixels."""
    info = TableInfo.of("remote-sensing", LAYOUTS[layout], shared_data / "remote_sensing" / FOLDERS[layout])
    PairTable.from_rows(rows_of(layout)[0], info).write(tmp_path / "pairs.parquet")
    assert report(tmp_path / "pairs.parquet", tmp_path / "out") == 0
    figures = {(r["metric"], r["split"]): r for r in json.loads((tmp_path / "out" / "results.json").read_text())}
    assert figures["confident_share", "all"]["n"] == pairs
    assert figures["confident_share", "all"]["value"] == confident / pairs
    assert figures["shift_pixels", "all"]["value"] < 3
    assert figures["least_distance_m", "val"]["value"] > apart
    assert figures["touching_train", "val"]["value"] == 0
    assert figures["straddling_groups", "val"]["value"] == 0
    assert len(list((tmp_path / "out" / "pictures").glob("*.png"))) == pairs


def test_the_commands_of_the_docs_for_other_layouts_run(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Word for word, but for two steps; the commands on TerraMesh run in the tests of the docs."""
    page = Path(__file__).parents[2] / "docs" / "remote_sensing.md"
    blocks = re.findall(r"^```console\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "data").symlink_to(shared_data)
    (tmp_path / "plait").mkdir()
    monkeypatch.chdir(tmp_path / "plait")
    # What is about files of the reader's own is run in the tests of its parts.
    lines = [line for block in blocks for line in block.splitlines() if " my" not in line]
    assert len(lines) >= 6
    for line in lines:
        words = shlex.split(line)[1:]
        assert main([*words, *(["--max-steps", "2"] if "pretrain" in words else [])]) == 0, line
