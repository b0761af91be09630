"""Sentinel-1 products: format-exact miniatures of raw and terrain-corrected ones, described and read."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.transform import Affine
from scipy.optimize import fsolve

from plait.errors import InputError
from plait_remote_sensing.products.sentinel1 import describe_sentinel1
from plait_remote_sensing.radar.calibration import FLOOR_DB, read_grd
from plait_remote_sensing.radar.safe import Annotation, Table, relative_orbit
from plait_remote_sensing.raster import Grid, Window, grid_of
from plait_remote_sensing.reading import read_scene
from plait_remote_sensing.scene import Scene

type Write = Callable[..., Path]

NAME = "S1B_IW_GRDH_1SDV_20210401T052623_20210401T052648_026269_032297_ECC8.SAFE"
LINES, PIXELS = 120, 160
TO_LONLAT = Transformer.from_crs("EPSG:32632", "EPSG:4326", always_xy=True)
EAST, NORTH = 600_000.0, 5_200_000.0


def place(line: float, pixel: float, terrain: float = 0.0) -> tuple[float, float]:
    """Longitude and latitude of a pixel of a gently bent swath, 10 m a pixel, turned by 14 degrees."""
    turn = math.radians(14)
    x, y = 10 * pixel + 3e-3 * pixel**2 + terrain * math.sin(line + pixel), 10 * line + 2e-3 * line * pixel
    return TO_LONLAT.transform(
        EAST + x * math.cos(turn) - y * math.sin(turn), NORTH - x * math.sin(turn) - y * math.cos(turn)
    )


def vectors(kind: str, tables: dict[str, np.ndarray]) -> str:
    """Two vectors, beyond the first and the last line, with (2, 2) values of each name at the outer pixels."""
    found = ""
    for index, line in enumerate((-20, LINES + 20)):
        found += f"<{kind}><azimuthTime>2021-04-01T05:26:23.794457</azimuthTime><line>{line}</line>"
        found += f'<pixel count="2">0 {PIXELS}</pixel>'
        for name, table in tables.items():
            found += f'<{name} count="2">{table[index, 0]:.6e} {table[index, 1]:.6e}</{name}>'
        found += f"</{kind}>"
    return f'<{kind}List count="2">{found}</{kind}List>'


def header(polarisation: str, product_type: str = "GRD") -> str:
    return (
        f"<adsHeader><missionId>S1B</missionId><productType>{product_type}</productType>"
        f"<polarisation>{polarisation}</polarisation><mode>IW</mode><swath>IW</swath>"
        "<startTime>2021-04-01T05:26:23.794457</startTime><stopTime>2021-04-01T05:26:48.793373</stopTime>"
        "<absoluteOrbitNumber>26269</absoluteOrbitNumber></adsHeader>"
    )


def write_safe(
    root: Path,
    numbers: dict[str, np.ndarray],
    *,
    gain: np.ndarray | None = None,
    noise: float | None = None,
    terrain: float = 0.0,
    product_type: str = "GRD",
) -> Path:
    """A product with these digital numbers; A = 500 (sigma0), 400 (gamma0), 300 (beta0) times ``gain`` (2, 2)."""
    safe = root / NAME
    tables = safe / "annotation" / "calibration"
    tables.mkdir(parents=True)
    (safe / "measurement").mkdir()
    (safe / "manifest.safe").write_text("<xfdu/>")
    grid = [(line, pixel) for line in np.linspace(0, LINES, 7) for pixel in np.linspace(0, PIXELS, 9)]
    gain = np.ones((2, 2)) if gain is None else gain
    for number, (polarisation, values) in enumerate(numbers.items(), 1):
        stem = f"s1b-iw-grd-{polarisation.lower()}-20210401t052623-20210401t052648-026269-032297-00{number}"
        points = [GroundControlPoint(line, pixel, *place(line, pixel, terrain)) for line, pixel in grid]
        with rasterio.open(
            safe / "measurement" / f"{stem}.tiff",
            "w",
            driver="GTiff",
            width=PIXELS,
            height=LINES,
            count=1,
            dtype="uint16",
            gcps=points,
            crs=CRS.from_epsg(4326),
        ) as target:
            target.write(values.astype(np.uint16), 1)
        angles = "".join(
            "<geolocationGridPoint><azimuthTime>2021-04-01T05:26:23</azimuthTime><slantRangeTime>5.3e-03</slantRangeTime>"
            f"<line>{point.row:.0f}</line><pixel>{point.col:.0f}</pixel><latitude>{point.y}</latitude>"
            f"<longitude>{point.x}</longitude><height>0.0</height>"
            f"<incidenceAngle>{30.4 + 15.8 * pixel / PIXELS:.15e}</incidenceAngle></geolocationGridPoint>"
            for point, (_, pixel) in zip(points, grid, strict=True)
        )
        (safe / "annotation" / f"{stem}.xml").write_text(
            f'<?xml version="1.0" encoding="UTF-8"?>\n<product>{header(polarisation, product_type)}<generalAnnotation>'
            "<productInformation><pass>Descending</pass></productInformation></generalAnnotation><geolocationGrid>"
            f'<geolocationGridPointList count="{len(points)}">{angles}</geolocationGridPointList></geolocationGrid>'
            "</product>"
        )
        quantities = {"sigmaNought": 500 * gain, "betaNought": 300 * gain, "gamma": 400 * gain, "dn": gain}
        (tables / f"calibration-{stem}.xml").write_text(
            f"<calibration>{header(polarisation)}{vectors('calibrationVector', quantities)}</calibration>"
        )
        if noise is not None:
            azimuth = (
                "<noiseAzimuthVectorList count='1'><noiseAzimuthVector><swath>IW1</swath>"
                "<firstAzimuthLine>0</firstAzimuthLine><firstRangeSample>80</firstRangeSample>"
                f"<lastAzimuthLine>{LINES - 1}</lastAzimuthLine><lastRangeSample>{PIXELS - 1}</lastRangeSample>"
                f"<line count='2'>0 {LINES - 1}</line><noiseAzimuthLut count='2'>2.0 2.0</noiseAzimuthLut>"
                "</noiseAzimuthVector></noiseAzimuthVectorList>"
            )
            ranges = vectors("noiseRangeVector", {"noiseRangeLut": np.full((2, 2), noise)})
            (tables / f"noise-{stem}.xml").write_text(f"<noise>{header(polarisation)}{ranges}{azimuth}</noise>")
    return safe


def land(mean: float = 100.0) -> np.ndarray:
    return np.full((LINES, PIXELS), mean)


def own_grid(scene: Scene, root: Path) -> Grid:
    return grid_of(root / scene.paths[0])


def read_whole(scene: Scene, root: Path) -> np.ndarray:
    grid = own_grid(scene, root)
    return read_grd(scene, root, grid.extent, grid)


def map_grid() -> Grid:
    """A map of 10 m pixels inside the swath."""
    lon, lat = place(60, 80)
    east, north = TO_LONLAT.transform(lon, lat, direction="INVERSE")
    return Grid(CRS.from_epsg(32632), Affine(10, 0, east - 250, 0, -10, north + 200), 50, 40)


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
            ("annotation", lambda text: text[:500], "is not well-formed XML"),
            ("annotation", lambda text: "", "is not well-formed XML"),
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
        with pytest.raises(InputError, match=r"no annotation at .*calibration-s1b-iw-grd-vv.*fetch the whole product"):
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


def backscatter_power(level: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (10 ** (level / 10) * rng.gamma(4.4, 1 / 4.4, (1, 80, 90))).astype(np.float32)


class TestCorrectedProducts:
    def asf(self, root: Path, write_raster: Write, unit: str = "p") -> Path:
        name = f"S1A_IW_20221204T161641_DVR_RTC30_G_g{unit}uned_1AE1"
        write_raster(root / name / f"{name}_VH.tif", backscatter_power(-18))
        write_raster(root / name / f"{name}_VV.tif", backscatter_power(-11))
        return root / name

    def test_the_name_of_an_asf_product_says_time_and_unit(self, tmp_path: Path, write_raster: Write) -> None:
        folder = self.asf(tmp_path, write_raster)
        scene = describe_sentinel1(folder, tmp_path)
        assert [path.rsplit("_", 1)[1] for path in scene.paths] == ["VV.tif", "VH.tif"]
        assert (scene.bands, scene.unit, scene.level) == (("VV", "VH"), "power", "RTC")
        assert (scene.time, scene.calibration) == ("2022-12-04T16:16:41Z", None)
        assert describe_sentinel1(folder / f"{folder.name}_VH.tif", tmp_path) == scene

    def test_the_letter_in_the_name_decides_where_values_could_not(self, tmp_path: Path, write_raster: Write) -> None:
        scene = describe_sentinel1(self.asf(tmp_path, write_raster, "a"), tmp_path)
        assert scene.unit == "amplitude"
        assert "by the name RTC30_G_gauned" in scene.notes[0]

    def test_a_letter_that_the_values_contradict_is_refused(self, tmp_path: Path, write_raster: Write) -> None:
        with pytest.raises(InputError, match="'dB, by the name RTC30_G_gduned', but its values are least"):
            describe_sentinel1(self.asf(tmp_path, write_raster, "d"), tmp_path)

    def test_a_planetary_computer_product_has_its_track_from_the_orbit_in_its_name(
        self, tmp_path: Path, write_raster: Write
    ) -> None:
        folder = tmp_path / "S1A_IW_GRDH_1SDV_20220331T174252_20220331T174317_042573_051407_rtc"
        for polarisation, level in (("vv", -11), ("vh", -18)):
            write_raster(
                folder / "measurement" / f"iw-{polarisation}.rtc.tiff", backscatter_power(level), nodata=-32768
            )
        scene = describe_sentinel1(folder, tmp_path)
        assert (scene.bands, scene.unit, scene.level) == (("VV", "VH"), "power", "RTC")
        assert (scene.time, scene.relative_orbit) == ("2022-03-31T17:42:52Z", (42573 - 73) % 175 + 1)
        found = read_scene(scene, tmp_path, Window(0, 0, 90, 80), grid_of(tmp_path / scene.paths[0]))
        assert np.nanmedian(found[0]) == pytest.approx(-11.3, abs=0.3)

    def test_a_raster_of_two_bands_has_its_tags_for_metadata(self, tmp_path: Path, write_raster: Write) -> None:
        both = np.concatenate([backscatter_power(-11), backscatter_power(-18)])
        tags = {
            "UNITS": "linear power",
            "ORBIT_DIRECTION": "ASCENDING",
            "RELATIVE_ORBIT": "24",
            "datetime": "2021-04-01",
        }
        path = write_raster(tmp_path / "a.tif", both, tags=tags | {"incidence_angle": "38.5"})
        scene = describe_sentinel1(path, tmp_path)
        assert (scene.bands, scene.unit, scene.level) == (("VV", "VH"), "power", None)
        assert (scene.orbit, scene.relative_orbit, scene.time) == ("ascending", 24, "2021-04-01")
        assert scene.incidence == (38.5, 38.5)
        assert scene.notes == (
            "Its two bands have no names and are taken as VV and VH; the first is the brighter.",
            "It stores power: its metadata say units 'linear power'.",
        )

    def test_bands_that_cannot_be_vv_and_vh_are_not_named_so(self, tmp_path: Path, write_raster: Write) -> None:
        both = np.concatenate([backscatter_power(-18), backscatter_power(-11)])
        with pytest.raises(InputError, match="the second is brighter"):
            describe_sentinel1(write_raster(tmp_path / "a.tif", both), tmp_path)

    def test_names_of_bands_are_kept(self, tmp_path: Path, write_raster: Write) -> None:
        path = write_raster(tmp_path / "a.tif", np.concatenate([backscatter_power(-18), backscatter_power(-11)]))
        with rasterio.open(path, "r+") as target:
            target.descriptions = ("Gamma0_VH", "Gamma0_VV")
        assert describe_sentinel1(path, tmp_path).bands == ("VH", "VV")

    def test_an_ambiguous_unit_is_refused_unless_it_is_said(self, tmp_path: Path, write_raster: Write) -> None:
        path = write_raster(tmp_path / "s1_vv.tif", backscatter_power(-11))
        with pytest.raises(InputError, match=r"s1_vv\.tif.*power and amplitude.*sar_unit="):
            describe_sentinel1(path, tmp_path)
        assert describe_sentinel1(path, tmp_path, unit="power").unit == "power"

    def test_two_products_in_one_folder_are_refused(self, tmp_path: Path, write_raster: Write) -> None:
        for name in ("one_VV", "two_VV"):
            write_raster(tmp_path / f"{name}.tif", backscatter_power(-11))
        with pytest.raises(InputError, match=r"several rasters of VV \(one_VV\.tif, two_VV\.tif\)"):
            describe_sentinel1(tmp_path, tmp_path)

    def test_polarisations_on_two_grids_are_refused(self, tmp_path: Path, write_raster: Write) -> None:
        write_raster(tmp_path / "one_VV.tif", backscatter_power(-11))
        write_raster(tmp_path / "one_VH.tif", backscatter_power(-18)[:, :50])
        with pytest.raises(InputError, match=r"one_VV\.tif and one_VH\.tif are not on one grid"):
            describe_sentinel1(tmp_path, tmp_path)

    def test_a_name_with_an_impossible_date_has_no_time(self, tmp_path: Path, write_raster: Write) -> None:
        path = write_raster(tmp_path / "S1A_IW_20219999T161641_VH.tif", backscatter_power(-20))
        assert describe_sentinel1(path, tmp_path).time is None

    def test_a_folder_without_polarisations_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"no GeoTIFF whose name ends with a polarisation"):
            describe_sentinel1(tmp_path, tmp_path)

    def test_a_product_outside_the_root_is_refused(self, tmp_path: Path, write_raster: Write) -> None:
        (tmp_path / "root").mkdir()
        path = write_raster(tmp_path / "s1_vh.tif", backscatter_power(-20))
        with pytest.raises(InputError, match="is not in"):
            describe_sentinel1(path, tmp_path / "root")

    def test_a_product_that_is_linked_into_the_root_is_described(self, tmp_path: Path, write_raster: Write) -> None:
        archive, root = tmp_path / "archive", tmp_path / "root"
        root.mkdir()
        write_raster(archive / "s1_vh.tif", backscatter_power(-20))
        (root / "linked").symlink_to(archive)
        assert describe_sentinel1(root / "linked" / "s1_vh.tif", root).paths == ("linked/s1_vh.tif",)

    def test_a_picture_of_bytes_is_grey(self, tmp_path: Path, write_raster: Write) -> None:
        path = write_raster(tmp_path / "s1_vv.tif", np.full((1, 20, 20), 90, np.uint8), crs=None)
        assert describe_sentinel1(path, tmp_path).unit == "grey"

    def test_the_unit_of_a_band_is_its_own_metadata(self, tmp_path: Path, write_raster: Write) -> None:
        path = write_raster(tmp_path / "s1_vv.tif", backscatter_power(-11))
        with rasterio.open(path, "r+") as target:
            target.units = ("linear power",)
        assert describe_sentinel1(path, tmp_path).unit == "power"

    def test_the_unit_is_told_of_a_few_squares_of_a_large_raster(
        self, tmp_path: Path, write_raster: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from plait_remote_sensing.products import sentinel1

        read: list[Window] = []

        def counted(path: Path, window: Window, grid: Grid) -> np.ndarray:
            read.append(window)
            return backscatter_power(-20)[:, :64, :64]

        path = write_raster(tmp_path / "s1_vh.tif", np.zeros((1, 2000, 3000), np.float32), compress="deflate")
        monkeypatch.setattr(sentinel1, "read_window", counted)
        assert describe_sentinel1(path, tmp_path).unit == "power"
        assert len(read) == 16
        assert max(window.right for window in read) == 3000


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
