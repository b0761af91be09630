"""Raw Sentinel-1 products: format-exact miniatures, whole and damaged, described and read."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import fsolve

from plait.errors import InputError
from plait_remote_sensing.products.sentinel1 import describe_sentinel1
from plait_remote_sensing.radar.calibration import FLOOR_DB, read_grd
from plait_remote_sensing.radar.safe import Annotation, Table, relative_orbit
from plait_remote_sensing.raster import Grid, Window, grid_of
from plait_remote_sensing.reading import read_scene
from plait_remote_sensing.scene import Scene
from tests.remote_sensing.miniatures.sentinel1 import LINES, NAME, PIXELS, TO_LONLAT, land, map_grid, place, write_safe

type Write = Callable[..., Path]


def own_grid(scene: Scene, root: Path) -> Grid:
    return grid_of(root / scene.paths[0])


def read_whole(scene: Scene, root: Path) -> np.ndarray:
    grid = own_grid(scene, root)
    return read_grd(scene, root, grid.extent, grid)


class TestRawProducts:
    def test_everything_that_the_annotation_says_is_in_the_scene(self, tmp_path: Path) -> None:
        safe = write_safe(tmp_path, {"VH": land(), "VV": land()}, noise=10.0)
        scene = describe_sentinel1(safe, tmp_path)
        assert scene.bands == ("VV", "VH")
        assert [path.split("-")[3] for path in scene.paths] == ["vv", "vh"]
        assert scene.paths[0].startswith(f"{NAME}/measurement/")
        assert scene.calibration == f"{NAME}/annotation/calibration"
        assert (scene.level, scene.unit, scene.sensor) == ("GRD", "sigma0", "sar")
        assert (scene.time, scene.orbit, scene.relative_orbit) == ("2021-04-01T05:26:23Z", "descending", 168)
        assert scene.incidence == pytest.approx((30.4, 46.2))
        assert "not terrain corrected: a spline through its 63 ground control points" in scene.notes[0]
        assert "thermal noise is subtracted" in scene.notes[1]

    def test_a_file_in_the_product_stands_for_the_product(self, tmp_path: Path) -> None:
        safe = write_safe(tmp_path, {"VV": land()})
        inside = next((safe / "measurement").iterdir())
        assert describe_sentinel1(inside, tmp_path) == describe_sentinel1(safe, tmp_path)
        assert "noise is not subtracted" in describe_sentinel1(safe, tmp_path).notes[1]

    @pytest.mark.parametrize(("quantity", "factor"), [("sigma0", 500), ("gamma0", 400), ("beta0", 300)])
    def test_digital_numbers_are_calibrated(self, tmp_path: Path, quantity: str, factor: float) -> None:
        scene = describe_sentinel1(write_safe(tmp_path, {"VV": land(100)}), tmp_path, unit=quantity)
        np.testing.assert_allclose(read_whole(scene, tmp_path), 20 * math.log10(100 / factor), rtol=1e-5)

    def test_the_calibration_is_bilinear_along_lines_and_pixels(self, tmp_path: Path) -> None:
        gain = np.asarray([[1.0, 2.0], [3.0, 5.0]])
        scene = describe_sentinel1(write_safe(tmp_path, {"VV": land(100)}, gain=gain), tmp_path)
        found = read_whole(scene, tmp_path)[0]
        for line, pixel in ((0, 0), (37, 101), (119, 159)):
            down, right = (line + 20) / (LINES + 40), pixel / PIXELS
            upper, lower = 1 + right, 3 + 2 * right
            amplitude = 100 / (500 * (upper + down * (lower - upper)))
            assert found[line, pixel] == pytest.approx(20 * math.log10(amplitude), abs=1e-4)

    def test_thermal_noise_is_subtracted_from_power_and_scaled_in_its_block(self, tmp_path: Path) -> None:
        scene = describe_sentinel1(write_safe(tmp_path, {"VV": land(100)}, noise=2000.0), tmp_path)
        found = read_whole(scene, tmp_path)[0]
        np.testing.assert_allclose(found[:, :80], 10 * math.log10(8000 / 500**2), atol=1e-4)
        np.testing.assert_allclose(found[:, 80:], 10 * math.log10(6000 / 500**2), atol=1e-4)

    def test_water_below_the_noise_is_dark_and_not_missing(self, tmp_path: Path) -> None:
        scene = describe_sentinel1(write_safe(tmp_path, {"VV": land(30)}, noise=1000.0), tmp_path)
        np.testing.assert_array_equal(read_whole(scene, tmp_path), np.float32(FLOOR_DB))

    def test_a_noise_table_of_the_old_format_is_not_subtracted_and_that_is_said(self, tmp_path: Path) -> None:
        safe = write_safe(tmp_path, {"VV": land(100)}, noise=2000.0)
        for path in (safe / "annotation" / "calibration").glob("noise-*.xml"):
            path.write_text("<noise><noiseVectorList><noiseVector/></noiseVectorList></noise>")
        scene = describe_sentinel1(safe, tmp_path)
        assert "thermal noise is not subtracted" in scene.notes[1]
        np.testing.assert_allclose(read_whole(scene, tmp_path), 20 * math.log10(100 / 500), rtol=1e-5)

    def test_zeros_and_the_noisy_fringe_are_not_observed(self, tmp_path: Path) -> None:
        numbers = land()
        numbers[:, :20] = 0
        numbers[:, 20:30] = 3
        numbers[60:70, 100:110] = 0
        found = read_whole(describe_sentinel1(write_safe(tmp_path, {"VV": numbers}), tmp_path), tmp_path)[0]
        assert np.isnan(found[:, :28]).all()
        assert np.isnan(found[60:70, 100:110]).all()
        assert np.isfinite(found[:, 33:]).sum() == LINES * (PIXELS - 33) - 100

    def test_it_is_warped_to_where_its_control_points_say(self, tmp_path: Path) -> None:
        """Amplitude grows along the pixels; on the map it is what the radar saw at that place."""
        pixels = np.broadcast_to(100.0 + 4 * np.arange(PIXELS), (LINES, PIXELS))
        scene = describe_sentinel1(write_safe(tmp_path, {"VV": pixels, "VH": pixels}), tmp_path)
        grid = map_grid()
        found = read_scene(scene, tmp_path, Window(5, 5, 30, 20), grid)
        assert found.shape == (2, 20, 30)
        assert np.isfinite(found).all()
        np.testing.assert_array_equal(found[0], found[1])
        amplitude = 500 * 10 ** (found[0] / 20)
        for row, column in ((0, 0), (10, 17), (19, 29)):
            x, y = grid.coordinates(np.asarray([column + 5.5]), np.asarray([row + 5.5]))
            wanted = np.asarray(TO_LONLAT.transform(x[0], y[0]))
            found_at: Any = fsolve(lambda at, wanted=wanted: 1e5 * (np.asarray(place(*at)) - wanted), (60.0, 80.0))
            assert (amplitude[row, column] - 100) / 4 == pytest.approx(found_at[1] - 0.5, abs=0.05)

    def test_a_window_is_the_same_whatever_is_read_with_it(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        safe = write_safe(tmp_path, {"VV": rng.uniform(50, 500, (LINES, PIXELS))}, noise=500.0)
        scene, grid = describe_sentinel1(safe, tmp_path), map_grid()
        whole = read_grd(scene, tmp_path, grid.extent, grid)
        part = read_grd(scene, tmp_path, Window(11, 7, 13, 9), grid)
        np.testing.assert_allclose(part, whole[:, 7:16, 11:24], atol=1e-3)

    def test_mountains_are_refused_unless_asked_for(self, tmp_path: Path) -> None:
        safe = write_safe(tmp_path, {"VV": land()}, terrain=300.0)
        with pytest.raises(InputError, match=r"SAFE is not terrain corrected.*more than 50 m is refused.*RTC"):
            describe_sentinel1(safe, tmp_path)
        assert describe_sentinel1(safe, tmp_path, geolocation_limit=math.inf).level == "GRD"


class TestDamagedProducts:
    def damaged(self, tmp_path: Path, folder: str, change: Callable[[str], str]) -> Path:
        safe = write_safe(tmp_path, {"VV": land()}, noise=10.0)
        for path in (safe / folder).glob("*.xml"):
            path.write_text(change(path.read_text()))
        return safe

    @pytest.mark.parametrize(
        ("folder", "change", "match"),
        [
            ("annotation", lambda text: text[:500], "is damaged"),
            ("annotation", lambda text: "", "is damaged"),
            ("annotation", lambda text: "<!DOCTYPE a [<!ENTITY b 'c'>]>" + text[40:], "document type or entities"),
            ("annotation", lambda text: f"<!DOCTYPE product>{text[40:]}", "document type or entities"),
            ("annotation", lambda text: text.replace("polarisation>", "p>"), "lacks adsHeader/polarisation"),
            ("annotation", lambda text: text.replace("incidenceAngle", "a"), "lacks geolocationGrid"),
            ("annotation", lambda text: text.replace(">26269<", ">many<"), "absoluteOrbitNumber is not all numbers"),
            ("annotation", lambda text: text.replace("Descending", "Sideways"), "neither ascending nor descending"),
            ("annotation/calibration", lambda text: text.replace("sigmaNought", "s"), "lacks sigmaNought"),
            ("annotation/calibration", lambda text: text.replace("5.000000e+02", "0"), "not above zero"),
            ("annotation/calibration", lambda text: text.replace(">0 160<", ">160 0<"), "not all in ascending order"),
            ("annotation/calibration", lambda text: text.replace(">0 160<", ">0<"), "1 pixels.* for 2 values"),
            ("annotation/calibration", lambda text: text.replace(">140<", ">-20<"), "lines of .* not in ascending"),
            ("annotation/calibration", lambda text: text.replace("2.0 2.0", "2.0"), "2 lines for 1 values of noise"),
        ],
    )
    def test_damaged_metadata_are_named(
        self, tmp_path: Path, folder: str, change: Callable[[str], str], match: str
    ) -> None:
        with pytest.raises(InputError, match=rf"\.xml.*{match}"):
            describe_sentinel1(self.damaged(tmp_path, folder, change), tmp_path)

    def test_what_is_missing_is_named(self, tmp_path: Path) -> None:
        safe = write_safe(tmp_path, {"VV": land()})
        next((safe / "annotation" / "calibration").iterdir()).unlink()
        with pytest.raises(InputError, match=r"There is no .*calibration-s1b-iw-grd-vv.*fetch the whole product"):
            describe_sentinel1(safe, tmp_path)
        next((safe / "measurement").iterdir()).unlink()
        with pytest.raises(InputError, match=r"no measurement/\*\.tiff"):
            describe_sentinel1(safe, tmp_path)

    def test_a_single_look_complex_product_is_refused(self, tmp_path: Path) -> None:
        safe = write_safe(tmp_path, {"VV": land()}, product_type="SLC")
        with pytest.raises(InputError, match="is a SLC product: take the ground-range product"):
            describe_sentinel1(safe, tmp_path)

    def test_another_quantity_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="calibrated to beta0, sigma0, gamma0, and not to 'power'"):
            describe_sentinel1(write_safe(tmp_path, {"VV": land()}), tmp_path, unit="power")

    def test_a_measurement_without_control_points_is_refused(self, tmp_path: Path, write_raster: Write) -> None:
        safe = write_safe(tmp_path, {"VV": land()})
        write_raster(next((safe / "measurement").iterdir()), land()[None].astype(np.uint16), crs=None)
        with pytest.raises(InputError, match=r"\.tiff has no ground control points"):
            describe_sentinel1(safe, tmp_path)

    def test_a_raw_measurement_alone_is_refused(self, tmp_path: Path) -> None:
        measurement = next((write_safe(tmp_path, {"VV": land()}) / "measurement").iterdir())
        alone = measurement.rename(tmp_path / measurement.name)
        with pytest.raises(InputError, match=r"ground control points and no grid.*whole \.SAFE folder"):
            describe_sentinel1(alone, tmp_path)


@pytest.mark.parametrize(
    ("mission", "absolute", "relative"),
    # Pairs that real manifests give: S1B 26269, S1A 42573 as the formula of ESA says.
    [("S1B", 26269, 168), ("S1A", 73, 1), ("S1A", 247, 175), ("S1A", 248, 1), ("S1D", 5, None)],
)
def test_a_relative_orbit_is_found_from_the_absolute_one(mission: str, absolute: int, relative: int | None) -> None:
    assert relative_orbit(mission, absolute) == relative


def test_a_table_is_interpolated_between_its_lines_and_goes_on_beyond_them() -> None:
    table = Table(np.asarray([0.0, 10.0]), np.asarray([0.0, 4.0]), np.asarray([[1.0, 3.0], [5.0, 7.0]]))
    found = table.at(np.asarray([-5, 0, 5, 10, 20]), np.asarray([-1, 2, 9]))
    np.testing.assert_allclose(found[:, 1], [2, 2, 4, 6, 6])
    np.testing.assert_allclose(found[2], [3, 4, 5])


def test_an_annotation_is_read_alone(tmp_path: Path) -> None:
    safe = write_safe(tmp_path, {"HV": land()})
    said = Annotation.read(next((safe / "annotation").glob("*.xml")))
    assert (said.polarisation, said.product_type) == ("HV", "GRD")
