"""Band names: whatever a file calls a band, it is that band; nothing else is."""

from __future__ import annotations

import pytest

from plait.errors import InputError
from plait_remote_sensing.bands import L2A_BANDS, MSI, MSI_BANDS, band_of, canonical, missing_bands


@pytest.mark.parametrize(
    ("said", "band"),
    [
        ("B2", "B02"),
        ("b02", "B02"),
        ("Band 2", "B02"),
        ("B_02", "B02"),
        ("Blue", "B02"),
        ("B8", "B08"),
        ("nir", "B08"),
        ("B8A", "B8A"),
        ("b08a", "B8A"),
        ("nir08", "B8A"),
        ("B12", "B12"),
        ("swir22", "B12"),
        ("red edge 1", "B05"),
        ("water_vapour", "B09"),
        ("T32TQM_20220412T101601_B02_10m", "B02"),
        ("S2A_32TQM_20220412_0_L2A_B8A", "B8A"),
        ("vh", "VH"),
        ("Sigma0_VV_db", "VV"),
    ],
)
def test_aliases_are_told(said: str, band: str) -> None:
    assert band_of(said) == band


@pytest.mark.parametrize("said", ["", "bands", "SCL", "T32TQM", "B13", "B0", "visual", "AOT", "VV_VH", "B02_B03"])
def test_what_is_no_single_band_has_no_name(said: str) -> None:
    assert band_of(said) is None


def test_every_canonical_and_every_common_name_is_its_own_alias() -> None:
    for name, band in MSI.items():
        assert band_of(name) == band_of(name.lower()) == band_of(band.common) == name


def test_order_is_kept_and_other_layers_stay_as_they_are() -> None:
    assert canonical(["nir", "B4", "dem"]) == ("B08", "B04", "dem")


def test_one_band_under_two_names_is_refused() -> None:
    with pytest.raises(InputError, match="B02, blue name B02 more than once"):
        canonical(["B02", "blue"])


def test_wavelengths_rise_with_the_order_of_products_and_satellites_differ_by_less_than_20_nm() -> None:
    waves = [band.wavelength for band in MSI.values()]
    assert waves == sorted(waves)
    assert max(abs(band.wavelength - band.wavelength_b) for band in MSI.values()) < 20


def test_four_bands_have_10_metres_six_20_and_three_60() -> None:
    by_side = {side: [name for name in MSI if MSI[name].resolution == side] for side in (10, 20, 60)}
    assert by_side[10] == ["B02", "B03", "B04", "B08"]
    assert by_side[20] == ["B05", "B06", "B07", "B8A", "B11", "B12"]
    assert by_side[60] == ["B01", "B09", "B10"]


def test_level_2a_lacks_the_cirrus_band_and_nothing_else() -> None:
    assert missing_bands(L2A_BANDS, "L1C") == ("B10",)
    assert missing_bands(L2A_BANDS, "L2A") == missing_bands(MSI_BANDS, "L1C") == ()
    assert missing_bands(("B02", "B10"), None) == tuple(name for name in L2A_BANDS if name != "B02")
