"""Bands by name: Sentinel-2's with their wavelengths and pixels, Sentinel-1's polarisations, and what others call them.

Files say ``B2``, ``b02``, ``Blue`` or ``T32TQM_20220412T101601_B02_10m``; here all of these are ``B02``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from plait.errors import InputError


@dataclass(frozen=True)
class Band:
    """A band of Sentinel-2's MultiSpectral Instrument.

    Attributes:
        wavelength: centre in nm on Sentinel-2A.
        wavelength_b: the same on Sentinel-2B, whose filters differ by a few nm.
        resolution: side of a pixel in m.
        common: its name in STAC's ``eo`` extension.
    """

    wavelength: float
    wavelength_b: float
    resolution: int
    common: str


MSI: Mapping[str, Band] = {
    "B01": Band(442.7, 442.3, 60, "coastal"),
    "B02": Band(492.4, 492.1, 10, "blue"),
    "B03": Band(559.8, 559.0, 10, "green"),
    "B04": Band(664.6, 665.0, 10, "red"),
    "B05": Band(704.1, 703.8, 20, "rededge071"),
    "B06": Band(740.5, 739.1, 20, "rededge075"),
    "B07": Band(782.8, 779.7, 20, "rededge078"),
    "B08": Band(832.8, 833.0, 10, "nir"),
    "B8A": Band(864.7, 864.0, 20, "nir08"),
    "B09": Band(945.1, 943.2, 60, "nir09"),
    "B10": Band(1373.5, 1376.9, 60, "cirrus"),
    "B11": Band(1613.7, 1610.4, 20, "swir16"),
    "B12": Band(2202.4, 2185.7, 20, "swir22"),
}
"""Sentinel-2's bands in the order of its products (ESA, spectral responses COPE-GSEG-EOPG-TN-15-0007, version 3.0)."""

MSI_BANDS = tuple(MSI)
"""All thirteen, as level 1C has them."""
L2A_BANDS = tuple(name for name in MSI if name != "B10")
"""The twelve of level 2A: the cirrus band says nothing of the surface."""
LEVELS: Mapping[str, tuple[str, ...]] = {"L1C": MSI_BANDS, "L2A": L2A_BANDS}
POLARISATIONS = ("VV", "VH", "HH", "HV")
"""Sent and received; Sentinel-1 has VV and VH over land, HH and HV over polar ice."""

_OTHERS: Mapping[str, str] = {
    "aerosol": "B01",
    "coastalaerosol": "B01",
    "rededge": "B05",
    "rededge1": "B05",
    "rededge2": "B06",
    "rededge3": "B07",
    "nir1": "B08",
    "rededge4": "B8A",
    "nir2": "B8A",
    "nirnarrow": "B8A",
    "narrownir": "B8A",
    "b08a": "B8A",
    "watervapor": "B09",
    "watervapour": "B09",
    "swir1": "B11",
    "swir2": "B12",
}
"""What Earth Engine, Earth Search, QGIS and papers write besides the product's and STAC's own names."""
_ALIASES: Mapping[str, str] = (
    {name.lower(): name for name in (*MSI, *POLARISATIONS)}
    | {f"b{int(name[1:])}": name for name in MSI if name[1:].isdecimal()}
    | {band.common: name for name, band in MSI.items()}
    | _OTHERS
)


def band_of(name: str) -> str | None:
    """The canonical name of a band or polarisation, whatever a file calls it; ``None`` where it names neither.

    A name may be the band's own in any case and with any padding (``B2``, ``b02``, ``B 2``, ``Band 2``), a common one
    (``Blue``, ``red edge 1``, ``nir08``), or a longer one with one of them as a word (``Sigma0_VV_db``,
    ``T32TQM_20220412T101601_B02_10m``).
    """
    squeezed = re.sub(r"[^a-z0-9]", "", name.lower())
    squeezed = re.sub(r"^band(?=\d)", "b", squeezed)
    if squeezed in _ALIASES:
        return _ALIASES[squeezed]
    found = [_ALIASES[word] for word in re.split(r"[^a-z0-9]+", name.lower()) if word in _ALIASES]
    return found[-1] if len(set(found)) == 1 else None


def canonical(names: Sequence[str]) -> tuple[str, ...]:
    """Name every band canonically, and leave what is no band of Sentinel-1 or Sentinel-2 as it is.

    Raises:
        InputError: where two of them are one band.
    """
    found = tuple(band_of(name) or name for name in names)
    twice = sorted({name for name in found if found.count(name) > 1})
    if twice:
        raise InputError(
            f"The bands {', '.join(names)} name {' and '.join(twice)} more than once: name each band once."
        )
    return found


def missing_bands(bands: Sequence[str], level: str | None) -> tuple[str, ...]:
    """The bands that a product of this level (``L1C``, ``L2A``; level 2A where ``None``) has and these have not."""
    return tuple(name for name in LEVELS.get(level or "L2A", L2A_BANDS) if name not in bands)
