"""Sentinel-2 products in miniature: ESA's folders, metadata and lossless JPEG 2000."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.transform import Affine

from plait_remote_sensing.bands import L2A_BANDS, MSI, MSI_BANDS

SIDE = 240
"""Metres that a miniature is wide: 24 pixels of 10 m, 12 of 20 m, 4 of 60 m."""
L1C = "S2A_MSIL1C_20220412T162841_N0400_R083_T16TGM_20220412T201522.SAFE"
L2A = "S2B_MSIL2A_20200607T101559_N0214_R065_T32TQM_20200607T134045.SAFE"
MTD = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:{level}_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_{level}.xsd">
<n1:General_Info><Product_Info>
<PRODUCT_START_TIME>2022-04-12T16:28:41.024Z</PRODUCT_START_TIME>
<PROCESSING_LEVEL>{level}</PROCESSING_LEVEL>
<PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE>
<Datatake><SENSING_ORBIT_NUMBER>83</SENSING_ORBIT_NUMBER>
<SENSING_ORBIT_DIRECTION>DESCENDING</SENSING_ORBIT_DIRECTION></Datatake>
<Product_Organisation><Granule_List><Granule>{images}</Granule></Granule_List></Product_Organisation>
</Product_Info><Product_Image_Characteristics>
<{quantification} unit="none">10000</{quantification}>{offsets}
</Product_Image_Characteristics></n1:General_Info></n1:{level}_User_Product>
"""
TL = """<?xml version="1.0" encoding="UTF-8"?>
<n1:Level-1C_Tile_ID xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/S2_PDI_Level-1C_Tile_Metadata.xsd">
<n1:General_Info><TILE_ID>S2A_OPER_MSI_L1C_TL_ATOS_20220412T201522_A035543_T16TGM_N04.00</TILE_ID>
<SENSING_TIME metadataLevel="Standard">2022-04-12T16:39:59.000000Z</SENSING_TIME></n1:General_Info>
</n1:Level-1C_Tile_ID>
"""


def numbers(band: str, side: int, pedestal: int = 0) -> np.ndarray:
    """(1, n, n) digital numbers with dark pixels, different in every band."""
    rng = np.random.default_rng(MSI_BANDS.index(band))
    return (rng.integers(10, 3000, (1, SIDE // side, SIDE // side)) + pedestal).astype(np.uint16)


def write_image(path: Path, values: np.ndarray, side: int) -> None:
    """A lossless JPEG 2000 or a GeoTIFF, as its ending says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lossless = {"driver": "JP2OpenJPEG", "QUALITY": "100", "REVERSIBLE": "YES"}
    count, height, width = values.shape
    with rasterio.open(
        path,
        "w",
        count=count,
        height=height,
        width=width,
        dtype=values.dtype,
        crs=CRS.from_epsg(32616),
        transform=Affine(side, 0, 699_960, 0, -side, 4_600_020),
        **(lossless if path.suffix == ".jp2" else {"driver": "GTiff"}),
    ) as target:
        target.write(values)


def write_safe(
    root: Path,
    name: str,
    *,
    baseline: str,
    offset: int | None,
    pedestal: int = 0,
    without: Sequence[str] = (),
) -> Path:
    """A product as ESA lays it out; level 2A holds 20 m copies of the 10 m bands too, and the classification."""
    level, tile, stamp = name[4:10], name[38:44], name[11:26]
    folder = root / name
    granule = f"GRANULE/{level[3:]}_{tile}_A035543_20220412T163959"
    files: dict[str, tuple[np.ndarray, int]] = {}
    for band in L2A_BANDS if level == "MSIL2A" else MSI_BANDS:
        side = MSI[band].resolution
        if level == "MSIL1C":
            files[f"{granule}/IMG_DATA/{tile}_{stamp}_{band}"] = numbers(band, side, pedestal), side
            continue
        for coarse in sorted({side, 20} if side == 10 else {side}):
            values = numbers(band, coarse, pedestal)
            files[f"{granule}/IMG_DATA/R{coarse}m/{tile}_{stamp}_{band}_{coarse}m"] = values, coarse
    if level == "MSIL2A":
        for layer, side in (("TCI", 10), ("AOT", 20), ("SCL", 20), ("SCL", 60)):
            values = np.full((1, SIDE // side, SIDE // side), 4, np.uint8)
            files[f"{granule}/IMG_DATA/R{side}m/{tile}_{stamp}_{layer}_{side}m"] = values, side
    for image, (values, side) in files.items():
        if not any(band in image for band in without):
            write_image(folder / f"{image}.jp2", values, side)
    prefix = "BOA" if level == "MSIL2A" else "RADIO"
    offsets = "".join(f'<{prefix}_ADD_OFFSET band_id="{i}">{offset}</{prefix}_ADD_OFFSET>' for i in range(13))
    long = {"MSIL1C": "Level-1C", "MSIL2A": "Level-2A"}[level]
    text = MTD.format(
        level=long,
        baseline=baseline,
        images="".join(f"<IMAGE_FILE>{image}</IMAGE_FILE>" for image in files),
        quantification="BOA_QUANTIFICATION_VALUE" if level == "MSIL2A" else "QUANTIFICATION_VALUE",
        offsets="" if offset is None else f"<{prefix}_Offset_List>{offsets}</{prefix}_Offset_List>",
    )
    (folder / f"MTD_{level}.xml").write_text(text, encoding="utf-8")
    (folder / granule / "MTD_TL.xml").write_text(TL, encoding="utf-8")
    return folder
