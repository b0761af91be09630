"""Sentinel-1 products in miniature: a raw one in SAFE format, and the values of terrain-corrected ones."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import rasterio
from pyproj import Transformer
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.transform import Affine

from plait_remote_sensing.raster import Grid

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


def map_grid() -> Grid:
    """A map of 10 m pixels inside the swath."""
    lon, lat = place(60, 80)
    east, north = TO_LONLAT.transform(lon, lat, direction="INVERSE")
    return Grid(CRS.from_epsg(32632), Affine(10, 0, east - 250, 0, -10, north + 200), 50, 40)


def backscatter_power(level: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (10 ** (level / 10) * rng.gamma(4.4, 1 / 4.4, (1, 80, 90))).astype(np.float32)
