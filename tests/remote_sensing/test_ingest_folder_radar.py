"""A folder with radar scenes that are not what one wishes: raw geometry, and noise along the border."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rasterio.transform import Affine

from plait.pairs.layout import Remark
from plait_remote_sensing.backscatter import unscaled
from plait_remote_sensing.ingest.generic_folder import CHANGES
from plait_remote_sensing.load import Loader
from tests.remote_sensing.miniatures.sentinel1 import land, map_grid, write_safe
from tests.remote_sensing.pair_worlds import L2A, ORIGIN, coordinates, rows_of, sar_db, write, write_optical


def write_partner(root: Path) -> None:
    """An optical scene within the swath of the miniature of a raw product."""
    grid = map_grid()
    values = np.random.default_rng(0).integers(100, 3000, (12, grid.height, grid.width)).astype(np.uint16)
    write(root / "s2_20210402.tif", values, L2A, crs=grid.crs, transform=grid.transform)


def test_a_raw_radar_product_is_warped_by_its_points_and_its_error_told(tmp_path: Path) -> None:
    write_safe(tmp_path, {"VV": land(), "VH": land(50.0)})
    write_partner(tmp_path)
    rows, told = rows_of(tmp_path, "patch=16")
    assert len(rows) == 6
    assert (rows[0]["sar_unit"], rows[0]["sar_level"]) == ("sigma0", "GRD")
    assert any("not terrain corrected" in cause for cause in told.of(rows[0]["sar"][0].split("/")[0]))
    assert any("followed by a thin plate spline" in cause for cause in told.of("s2_20210402"))
    sar = Loader(context=0)(rows[0], tmp_path)["sar"]
    assert sar is not None
    # Digital numbers of 100 and 50 over a calibration of 500.
    assert unscaled(sar).mean(dim=(1, 2)).tolist() == pytest.approx([-13.98, -20.0], abs=0.05)


def test_a_raw_product_that_is_far_off_is_refused_unless_its_error_is_allowed(tmp_path: Path) -> None:
    write_safe(tmp_path, {"VV": land()}, terrain=300.0)
    write_partner(tmp_path)
    rows, told = rows_of(tmp_path, "patch=16")
    assert rows == []
    assert any("more than 50 m is refused" in cause for cause in told.refusals().values())
    assert len(rows_of(tmp_path, "patch=16", "geolocation_limit=1000")[0]) == 6
    assert len(rows_of(tmp_path, "patch=16", "geolocation_limit=inf", "days=0.5", "apart=1", layout=CHANGES)[0]) == 6
    assert rows_of(tmp_path, "patch=16", "geolocation_limit=nan")[0] == []


def test_an_archive_may_be_linked_into_the_folder(tmp_path: Path) -> None:
    safe = write_safe(tmp_path / "archive", {"VV": land()})
    root = tmp_path / "root"
    root.mkdir()
    (root / safe.name).symlink_to(safe)
    write_partner(root)
    rows, _ = rows_of(root, "patch=16")
    assert len(rows) == 6
    assert rows[0]["sar"][0].startswith(f"{safe.name}/measurement/")
    assert Loader(context=0)(rows[0], root)["sar"] is not None


def test_noise_along_the_border_is_told_with_its_share(tmp_path: Path) -> None:
    transform = Affine(10, 0, ORIGIN[0], 0, -10, ORIGIN[1])
    values = sar_db(*coordinates(transform, "EPSG:32632", 64, 64))
    write_optical(tmp_path / "optical" / "p.tif")
    place = {"crs": "EPSG:32632", "transform": transform, "tags": {"UNITS": "dB"}}
    write(tmp_path / "sar" / "p.tif", values, ("VV", "VH"), **place)
    assert not [cause for cause in rows_of(tmp_path)[1].of("optical/p") if "noise" in cause]
    values[:, :, :10] = -45
    write(tmp_path / "sar" / "p.tif", values, ("VV", "VH"), **place)
    rows, told = rows_of(tmp_path)
    (remark,) = [cause for cause in told.of("optical/p") if "noise" in cause]
    assert isinstance(remark, Remark)
    assert remark.startswith("sar: 12.50% of its observed pixels are noise along its border (darker than -35 dB)")
    assert len(rows) == 4
