"""The pair report: what it measures is what is there, and nothing in it can break the page or stop the work."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio.transform import Affine

from plait.errors import InputError
from plait.pairs.layout import Row
from plait.pairs.table import PairTable, TableInfo
from plait_remote_sensing.ingest.scenes import patch_row
from plait_remote_sensing.pair_report import pairs as report
from plait_remote_sensing.pair_report.measure import days_apart
from plait_remote_sensing.pair_report.scene_pairs import ScenePair, kinds, sampled, scene_pairs, views
from plait_remote_sensing.pair_report.separation import separations
from plait_remote_sensing.raster import Grid, Window
from plait_remote_sensing.scene import Scene
from plait_remote_sensing.synthetic import SCENES, WITHOUT_SAR
from plait_remote_sensing.synthetic.land import make_land
from plait_remote_sensing.synthetic.optical import reflectance_of
from plait_remote_sensing.synthetic.radar import LOOKS, backscatter_power, decibels, speckled

type Write = Callable[..., Path]

SIDE = 128
BANDS = ("B02", "B03", "B04", "B08", "B11")
PAIR = {"sar": ("sar",), "optical": ("optical",)}


def table(root: Path, rows: list[Row], modalities: dict[str, tuple[str, ...]] | None = None, source: str = "x") -> Path:
    """Write rows as a pair table of a layout called ``test``."""
    info = TableInfo("remote-sensing", "test", str(root), modalities or PAIR, source, "none")
    path = root / "pairs.parquet"
    PairTable.from_rows(rows, info).write(path)
    return path


def row(name: str, scenes: dict[str, Scene | None], window: Window, split: str = "train", **more: Any) -> Row:
    grid = next(scene.paths[0] for scene in reversed(scenes.values()) if scene is not None)
    return patch_row(name, name, scenes, grid, window, window) | {"split": split} | more


def measured(out: Path) -> list[dict[str, str]]:
    with (out / "pairs.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


def results(out: Path) -> dict[tuple[str, str, str], float]:
    return {(r["task"], r["metric"], r["split"]): r["value"] for r in json.loads((out / "results.json").read_text())}


@pytest.fixture
def place(tmp_path: Path, write_raster: Write) -> Path:
    """A land whose radar lies three pixels too far down and two too far left, on a grid of its own."""
    rng = np.random.default_rng(5)
    land = make_land(rng, SIDE + 16, SIDE + 16)
    numbers = np.round(10_000 * np.maximum(reflectance_of(land, 170.0)[[1, 2, 3, 7, 10]], 0)).astype(np.uint16)
    power = speckled(backscatter_power(land, 170.0), LOOKS, rng)
    grid = Affine(10, 0, 500_000, 0, -10, 5_000_000)
    write_raster(tmp_path / "optical.tif", numbers[:, 8:-8, 8:-8], transform=grid)
    radar = decibels(power).astype(np.float32)[:, 5 : 5 + SIDE, 10 : 10 + SIDE]
    write_raster(tmp_path / "sar.tif", radar, transform=grid)
    return tmp_path


def scenes(time: str | None = None) -> dict[str, Scene | None]:
    return {
        "sar": Scene("sar", ("sar.tif",), ("VV", "VH"), "db", time=time, orbit="ascending", relative_orbit=44),
        "optical": Scene("optical", ("optical.tif",), BANDS, "dn", time="2021-04-03"),
    }


def test_a_pair_is_measured(place: Path) -> None:
    whole = Window(0, 0, SIDE, SIDE)
    path = table(place, [row("here/r000c000", scenes("2021-04-01T05:26:23Z"), whole)])
    assert report(path, place / "out") == 0
    (found,) = measured(place / "out")
    assert found["place"] == "here"
    assert found["pair"] == "sar / optical"
    assert float(found["shift rows"]) == pytest.approx(3, abs=0.5)
    assert float(found["shift columns"]) == pytest.approx(-2, abs=0.5)
    length = 10 * np.hypot(float(found["shift rows"]), float(found["shift columns"]))
    assert float(found["shift m"]) == pytest.approx(length, rel=0.01)
    assert found["confident"] == "yes"
    assert found["days"] == "-1.8"
    assert found["placed"] == "EPSG:32633: aligned"
    assert found["observed"] == "1.000 / 1.000"
    assert "crude" in found["clouds"]
    assert found["orbit"] == "ascending, track 44"
    figures = results(place / "out")
    assert figures["remote-sensing/pairs/sar_optical", "days_apart", "all"] == pytest.approx(1.7733, abs=1e-3)
    assert figures["remote-sensing/pairs/sar_optical", "confident_share", "all"] == 1.0


def test_what_is_warped_and_what_is_covered_is_said(place: Path, write_raster: Write) -> None:
    half = np.full((2, 64, 128), -10, np.float32) + np.random.default_rng(0).normal(0, 1, (2, 64, 128))
    write_raster(place / "sar.tif", half.astype(np.float32), transform=Affine(5, 0, 500_000, 0, -10, 5_000_000))
    report(table(place, [row("here", scenes(), Window(0, 0, SIDE, SIDE))]), place / "out")
    (found,) = measured(place / "out")
    assert found["placed"] == "EPSG:32633: 1 of 2 rasters warped, bilinear"
    assert float(found["overlap"]) == pytest.approx(0.25, abs=0.02)
    assert float(found["observed"].split(" / ")[0]) == pytest.approx(0.25, abs=0.02)


def test_a_broken_file_costs_its_pair_alone(place: Path) -> None:
    (place / "lost.tif").write_bytes(b"II*\0 cut short")
    lost = scenes() | {"sar": Scene("sar", ("lost.tif",), ("VV", "VH"), "db")}
    whole = Window(0, 0, SIDE, SIDE)
    assert report(table(place, [row("lost", lost, whole), row("here", scenes(), whole)]), place / "out") == 0
    broken, whole_one = measured(place / "out")
    assert "cannot be read" in broken["problem"]
    assert whole_one["problem"] == ""
    assert results(place / "out")["remote-sensing/pairs/sar_optical", "not_measured", "all"] == 1.0


def test_the_page_needs_no_network_and_no_name_breaks_it(place: Path) -> None:
    name = "<script>alert('x')</script> & \"co\""
    path = table(place, [row(name, scenes(), Window(0, 0, SIDE, SIDE))], source="<b>source</b>")
    path.with_suffix(".ingest.json").write_text(
        json.dumps({"remarks": [{"what": "<i>a</i>", "cause": "1 < 2"}], "refusals": []})
    )
    report(path, place / "out")
    page = (place / "out" / "report.html").read_text()
    assert "<script" not in page
    assert "<b>source" not in page
    assert "&lt;i&gt;a&lt;/i&gt;: 1 &lt; 2" in page
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)
    assert page.count("data:image/png;base64,") == 1


def test_every_layout_of_terramesh_kind_is_told_whole(pairs: Path, tmp_path: Path) -> None:
    report(pairs, tmp_path / "out")
    found = measured(tmp_path / "out")
    assert len(found) == len(SCENES) - 2, "two scenes have no radar"
    assert WITHOUT_SAR not in {line["place"] for line in found}
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Synthetic data" in page
    assert "baseline 04.00" in page, "what ingest remarked"
    assert results(tmp_path / "out")["remote-sensing/pairs/separation", "touching_train", "val"] == 0.0
    assert results(tmp_path / "out")["remote-sensing/pairs/separation", "straddling_groups", "val"] == 0.0


def test_series_are_said_and_passed_over(tmp_path: Path) -> None:
    rows: list[Row] = [
        {"id": f"p{n}", "group": f"g{n}", "split": "train", "sar": ["t"], "optical": ["t"], "window": None}
        for n in range(3)
    ]
    assert report(table(tmp_path, rows), tmp_path / "out") == 0
    assert "3 of 3 rows are series" in (tmp_path / "out" / "report.html").read_text()


def test_another_app_s_table_is_refused(tmp_path: Path) -> None:
    info = TableInfo("driving", "x", str(tmp_path), {}, "x", "x")
    PairTable.from_rows([{"id": "a", "group": "b", "split": "train"}], info).write(tmp_path / "pairs.parquet")
    with pytest.raises(InputError, match="plait driving"):
        report(tmp_path / "pairs.parquet", tmp_path / "out")


def test_a_folder_that_cannot_be_written_is_refused(place: Path) -> None:
    path = table(place, [row("here", scenes(), Window(0, 0, SIDE, SIDE))])
    (place / "out").write_text("a file")
    with pytest.raises(InputError, match="cannot be written"):
        report(path, place / "out")


def test_modalities_of_a_moment_are_paired_and_moments_by_sensor() -> None:
    assert kinds(("sar", "optical")) == [("sar", "optical")]
    assert kinds(("optical", "sar")) == [("sar", "optical")]
    assert kinds(("optical_ms", "optical")) == [("optical", "optical_ms")]
    assert set(kinds(("sar_before", "optical_before", "sar_after", "optical_after"))) == {
        ("sar_before", "optical_before"),
        ("sar_after", "optical_after"),
        ("sar_after", "sar_before"),
        ("optical_after", "optical_before"),
    }


def test_rows_of_the_same_files_are_one_pair(place: Path) -> None:
    rows = [row(f"here/r{n}", scenes(), Window(n, 0, 32, 32), split) for n, split in enumerate(("train", "val", "val"))]
    rows.append(row("alone", scenes() | {"sar": None}, Window(0, 0, 32, 32)))
    (found,) = scene_pairs(PairTable.read(table(place, rows)))
    assert found.splits == Counter(train=1, val=2)
    assert [window.column for window in found.windows] == [0, 1, 2]


def test_a_draw_of_pairs_is_seeded_and_takes_from_every_split(place: Path) -> None:
    held = PairTable.read(table(place, [row("here", scenes(), Window(0, 0, 32, 32))]))
    splits = ["val" if number < 10 else "train" for number in range(100)]
    pairs = [ScenePair("sar", "optical", held, (n,), Counter([split])) for n, split in enumerate(splits)]
    one, again, other = (sampled(pairs, 20, seed) for seed in (0, 0, 1))
    assert one == again != other
    assert sum(pair.splits["val"] for pair in one) == 10
    assert sampled(pairs[:5], 20, 0) == pairs[:5]


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (Window(0, 0, 224, 168), [Window(0, 0, 224, 168)]),
        (Window(900, 10, 16, 16), [Window(844, 0, 128, 128)]),
        (Window(980, 980, 16, 16), [Window(872, 872, 128, 128)]),
    ],
)
def test_a_small_scene_is_seen_whole_and_a_patch_with_its_surroundings(window: Window, expected: list[Window]) -> None:
    grid = Grid(None, Affine.identity(), 1000, 1000)
    assert list(views([window], grid, 0)) == expected


def test_a_large_scene_is_seen_in_some_places() -> None:
    grid = Grid(None, Affine.identity(), 10_980, 10_980)
    found = list(views([Window(column, column, 256, 256) for column in range(0, 10_000, 256)], grid, 0))
    assert len(found) == 3
    assert all((view.width, view.height) == (512, 512) and view.clipped(grid.extent) == view for view in found)


def test_days_are_counted_from_the_reference() -> None:
    assert days_apart("2021-04-01", "2021-04-03") == -2.0
    assert days_apart("2021-04-03T12:00:00Z", "2021-04-03") == 0.5
    assert days_apart("2021-04-03T12:00:00+02:00", "2021-04-03T10:00:00") == 0.0
    assert days_apart(None, "2021-04-03") is None
    assert days_apart("spring", "2021-04-03") is None


class TestSeparation:
    """Two rasters of 10 m; the windows say how far their patches lie apart."""

    @pytest.fixture
    def root(self, tmp_path: Path, write_raster: Write) -> Path:
        values = np.ones((1, 64, 64), np.float32)
        write_raster(tmp_path / "a.tif", values)
        write_raster(tmp_path / "b.tif", values, transform=Affine(10, 0, 510_000, 0, -10, 5_000_000))
        write_raster(tmp_path / "plain.tif", values, crs=None)
        return tmp_path

    @staticmethod
    def table(root: Path, places: list[tuple[str, Window, str, str]]) -> PairTable:
        rows = [
            row(str(n), {"optical": Scene("optical", (path,), ("grey",), "grey")}, window, split) | {"group": group}
            for n, (path, window, split, group) in enumerate(places)
        ]
        return PairTable.read(table(root, rows, {"optical": ("optical",)}))

    @pytest.mark.parametrize(("column", "metres"), [(16, 0.0), (20, 40.0), (48, 320.0)])
    def test_the_least_distance_is_between_the_rims(self, root: Path, column: int, metres: float) -> None:
        places = [("a.tif", Window(0, 0, 16, 16), "train", "a"), ("a.tif", Window(column, 0, 16, 16), "val", "b")]
        (found,) = separations(self.table(root, places), 0)
        assert found.metres == pytest.approx(metres, rel=0.01, abs=0.5)
        assert found.touching == (metres == 0)

    def test_it_goes_across_rasters(self, root: Path) -> None:
        places = [("a.tif", Window(48, 0, 16, 16), "train", "a"), ("b.tif", Window(0, 0, 16, 16), "val", "b")]
        (found,) = separations(self.table(root, places), 0)
        assert found.metres == pytest.approx(10_000 - 640, rel=0.01)

    def test_without_coordinates_it_is_in_pixels_and_on_one_raster_alone(self, root: Path) -> None:
        places = [("plain.tif", Window(0, 0, 16, 16), "train", "a"), ("plain.tif", Window(19, 20, 16, 16), "val", "b")]
        (found,) = separations(self.table(root, places), 0)
        assert (found.metres, found.pixels) == (None, 5.0)
        (found,) = separations(self.table(root, [places[0], ("a.tif", *places[1][1:])]), 0)
        assert (found.metres, found.pixels) == (None, None)

    def test_groups_of_both_splits_are_named(self, root: Path) -> None:
        places = [("a.tif", Window(0, 0, 16, 16), "train", "a"), ("b.tif", Window(0, 0, 16, 16), "test", "a")]
        (found,) = separations(self.table(root, places), 0)
        assert (found.split, found.straddling) == ("test", ("a",))
