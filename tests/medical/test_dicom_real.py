"""Thirty-three real files, well formed and not: each as independent programs decode and render it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from plait_medical.dicom import Film, read_film
from tests.medical.exactness import Exactness, exactness

pytestmark = pytest.mark.real

REFUSED = {
    "acr_nema": "BitsAllocated other than",
    "bad_vr_nframes": "NumberOfFrames that is no whole number",
    "meta_missing_tsyntax": "no Rows, Columns or frames",
    "mr_multiframe": "several frames",
    "mr_multiframe_j2k_too_short": "no pixels",
    "mr_truncated": "fewer pixels than Rows and Columns say",
    "no_meta_header": "no pixels",
    "sc_rgb_2frame": "several frames",
    "sc_ybr_full": "in colour",
    "seg_1bit": "several frames",
    "sr_report": "no pixels",
    "us_palette_rle": "in colour",
}
SAME_PIXELS = [f"ct_{form}" for form in ("implicit_le", "deflated", "jpegls", "j2k_lossless", "rle", "jpeg_lossless")]


@pytest.fixture(scope="module")
def rows(shared_data: Path) -> Mapping[str, Exactness]:
    return {row.file: row for row in exactness(shared_data / "medical" / "dicom")}


def film(shared_data: Path, name: str) -> Film:
    return read_film(shared_data / "medical" / "dicom" / "files" / f"{name}.dcm")


def test_every_file_is_read_or_refused_for_its_own_reason(rows):
    assert {name for name, row in rows.items() if row.outcome != "read"} == set(REFUSED)
    for name, cause in REFUSED.items():
        assert cause in rows[name].outcome
        assert rows[name].outcome.endswith(".")


def test_what_can_be_decoded_is_decoded_to_the_bit(rows):
    decoded = {name: row.raw for name, row in rows.items() if row.raw is not None}
    assert len(decoded) == 26
    assert all(decoded.values())


def test_values_after_modality_and_voi_are_pydicom_s(rows):
    for step in ("modality", "voi"):
        found = {name: getattr(row, step) for name, row in rows.items() if getattr(row, step) is not None}
        assert len(found) == 20
        assert all(found.values()), step


def test_films_look_as_dcmtk_renders_them(rows):
    rendered = [row for row in rows.values() if row.display is not None]
    assert len(rendered) == 6
    for row in rendered:
        assert row.display > 0.9999, row.file
        assert row.levels < 1.01, row.file


def test_files_of_the_same_pixels_give_the_same_film(shared_data: Path):
    reference = film(shared_data, SAME_PIXELS[0])
    for name in SAME_PIXELS[1:]:
        other = film(shared_data, name)
        np.testing.assert_array_equal(other.stored, reference.stored)
        np.testing.assert_array_equal(other.pixels, reference.pixels)


def test_monochrome1_shows_the_negative_of_the_same_pixels(shared_data: Path):
    positive, negative = (film(shared_data, f"cr_chest_{name}") for name in ("mono2_jpeg", "mono1_fake"))
    np.testing.assert_array_equal(negative.stored, positive.stored)
    np.testing.assert_allclose(negative.pixels, 1 - positive.pixels, atol=1e-6)


def test_a_voi_lut_and_a_modality_lut_of_the_same_picture_agree(shared_data: Path):
    by_voi, by_modality = (film(shared_data, f"{name}_lut_sequence").pixels for name in ("voi", "modality"))
    assert np.abs(by_voi - by_modality).max() < 1.01 / 255


def test_what_was_assumed_is_said(rows):
    assert rows["window_leading_zeros"].notes == ("several windows: the first is used",)
    assert "no window: shown from its minimum to its maximum" in rows["nm_jpeg_lossless_signed"].notes
    assert rows["ct_implicit_le"].notes == ()
