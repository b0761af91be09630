"""A DICOM film comes out as a person would see it: the standard's chain, step by step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_windowing
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian

from plait_medical.dicom import read_film, small_film
from plait_medical.dicom.window import Window
from plait_medical.fit import fitted

RAMP = np.arange(16, dtype=np.uint16).reshape(4, 4) * 100


def lut(entries, first=0, bits=16, vr="US", data=None) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries) % 2**16, first, bits])
    item.add_new("LUTData", vr, list(entries) if data is None else data)
    return item


def test_air_is_dark_whichever_way_the_film_was_stored(write_dicom):
    normal = read_film(write_dicom(RAMP, WindowCenter=750, WindowWidth=1500)).pixels
    negative = read_film(
        write_dicom((1500 - RAMP), WindowCenter=750, WindowWidth=1500, PhotometricInterpretation="MONOCHROME1")
    ).pixels
    assert normal.dtype == np.float32
    assert normal.shape == (4, 4)
    assert normal[0, 0] < normal[3, 3]
    np.testing.assert_allclose(negative, normal, atol=1e-3)  # LINEAR is off centre by half a grey level


@pytest.mark.parametrize(
    ("photometric", "shape", "turned"),
    [
        ("MONOCHROME2", None, False),
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME1", "IDENTITY", True),
        ("MONOCHROME1", None, True),
        ("MONOCHROME1", "INVERSE", True),  # as the DX module demands: one inversion, not two
    ],
)
def test_presentation_inverts_once(write_dicom, photometric, shape, turned):
    elements = {"PresentationLUTShape": shape} if shape else {}
    film = read_film(write_dicom(RAMP, PhotometricInterpretation=photometric, **elements))
    expected = RAMP / 1500
    np.testing.assert_allclose(film.pixels, 1 - expected if turned else expected, atol=1e-6)
    assert film.header.inverted is turned


def test_inversion_comes_after_the_window(write_dicom):
    # 300 to 500 are shown. Inverting first would move the window to the other end of the film.
    film = read_film(
        write_dicom(
            RAMP,
            WindowCenter=400,
            WindowWidth=200,
            VOILUTFunction="LINEAR_EXACT",
            PhotometricInterpretation="MONOCHROME1",
        )
    )
    np.testing.assert_allclose(film.pixels.ravel()[:7], [1, 1, 1, 1, 0.5, 0, 0], atol=1e-6)


def test_rescale_comes_before_the_window(write_dicom):
    film = read_film(
        write_dicom(
            RAMP,
            RescaleSlope=-2,
            RescaleIntercept=1000,
            WindowCenter=600,
            WindowWidth=800,
            VOILUTFunction="LINEAR_EXACT",
        )
    )
    # 0 -> 1000 -> 1; 200 -> 600 -> 0.5; 400 -> 200 -> 0.
    np.testing.assert_allclose(film.pixels.ravel()[[0, 2, 4]], [1, 0.5, 0], atol=1e-6)
    np.testing.assert_array_equal(film.modality, 1000 - 2 * RAMP.astype(float))
    np.testing.assert_array_equal(film.stored, RAMP)


def test_the_modality_lut_comes_before_the_voi_lut(write_dicom):
    film = read_film(
        write_dicom(
            np.array([[0, 1, 2, 3]], dtype=np.uint8),
            ModalityLUTSequence=[lut([30, 20, 10, 0])],
            VOILUTSequence=[lut([0] * 10 + [100] * 10 + [200] * 10 + [255], bits=8)],
        )
    )
    assert film.modality.tolist() == [[30, 20, 10, 0]]
    np.testing.assert_allclose(film.pixels * 255, [[255, 200, 100, 0]], atol=1e-4)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_windows_agree_with_pydicom(function):
    values = np.array([[0, 1, 128, 254, 255]], dtype=np.uint8)
    dataset = Dataset()
    dataset.PhotometricInterpretation, dataset.BitsStored, dataset.PixelRepresentation = "MONOCHROME2", 8, 0
    dataset.WindowCenter, dataset.WindowWidth, dataset.VOILUTFunction = 254, 128, function
    ours = Window(254, 128, function)(values)
    np.testing.assert_allclose(ours, apply_windowing(values, dataset) / 255, atol=1e-7)


def test_a_linear_window_of_width_1_is_a_step():
    assert Window(700.5, 1)(np.array([699, 700, 701])).tolist() == [0, 0, 1]


@given(
    centre=st.floats(-1000, 1000),
    width=st.floats(2, 2000),
    slope=st.floats(0.1, 10),
    shift=st.floats(-500, 500),
)
def test_an_exact_window_moves_with_its_values(centre, width, slope, shift):
    values = np.linspace(-2000, 2000, 50)
    moved = Window(centre * slope + shift, width * slope, "LINEAR_EXACT")(values * slope + shift)
    np.testing.assert_allclose(moved, Window(centre, width, "LINEAR_EXACT")(values), atol=1e-6)


def test_a_film_without_window_is_shown_in_the_range_that_its_bits_allow(write_dicom):
    # So that a bright marker cannot darken the lungs: the same lungs with and without it.
    lungs = np.array([[1000, 2000, 3000, 0]], dtype=np.uint16)
    marked = np.array([[1000, 2000, 3000, 4095]], dtype=np.uint16)
    plain, with_marker = (read_film(write_dicom(film, BitsStored=12, HighBit=11)) for film in (lungs, marked))
    np.testing.assert_array_equal(plain.pixels[:, :3], with_marker.pixels[:, :3])
    np.testing.assert_allclose(plain.pixels[:, :3], [[1000 / 4095, 2000 / 4095, 3000 / 4095]], atol=1e-6)
    assert plain.notes == ("no window: shown in the full range of its bits",)


def test_signed_and_rescaled_films_have_their_own_possible_range(write_dicom):
    signed = np.array([[-32768, 0, 16384]], dtype=np.int16)
    np.testing.assert_allclose(read_film(write_dicom(signed)).pixels, [[0, 32768 / 65535, 49152 / 65535]], atol=1e-6)
    turned = read_film(write_dicom(np.array([[0, 100, 255]], dtype=np.uint8), RescaleSlope=-1, RescaleIntercept=255))
    np.testing.assert_allclose(turned.pixels, [[1, 155 / 255, 0]], atol=1e-6)


def test_a_film_that_uses_little_of_that_range_is_stretched(write_dicom):
    film = read_film(write_dicom(RAMP))
    np.testing.assert_allclose(film.pixels, RAMP / 1500, atol=1e-6)
    assert film.notes == ("no window: shown from its minimum to its maximum",)


def test_padding_is_black_and_has_no_say_in_the_range_of_a_film_without_window(write_dicom):
    padded = RAMP.astype(np.int16)
    padded[0, 0] = 1600
    film = read_film(write_dicom(padded, PixelPaddingValue=1550, PixelPaddingRangeLimit=1700))
    np.testing.assert_allclose(film.pixels.ravel()[1:], (RAMP.ravel()[1:] - 100) / 1400, atol=1e-6)
    assert film.pixels[0, 0] == 0
    assert "padding: shown black" in film.notes


def test_padding_is_black_after_inversion_too(write_dicom):
    film = read_film(
        write_dicom(
            np.array([[0, 50, 200]], dtype=np.uint8), PixelPaddingValue=0, PhotometricInterpretation="MONOCHROME1"
        )
    )
    np.testing.assert_allclose(film.pixels, [[0, 205 / 255, 55 / 255]], atol=1e-6)


def test_a_small_film_is_the_film_made_smaller(write_dicom):
    pixels = np.random.default_rng(0).integers(0, 4096, (90, 120), dtype=np.uint16)
    for elements in ({"PhotometricInterpretation": "MONOCHROME1"}, {"WindowCenter": 2000, "WindowWidth": 1000}):
        path = write_dicom(pixels, BitsStored=12, HighBit=11, **elements)
        small = small_film(path, 40)
        assert small.shape == (30, 40)
        assert small.dtype == np.float32
        np.testing.assert_array_equal(small, fitted(read_film(path).pixels, 40))


def test_big_endian_films_look_the_same(write_dicom):
    def film(syntax, order):
        words = np.array([0, 9, 65535], dtype=f"{order}u2").tobytes()
        table = lut([0, 9, 65535], first=1000, vr="OW", data=words)
        return read_film(write_dicom(RAMP, syntax=syntax, RescaleSlope=2, RescaleIntercept=1, VOILUTSequence=[table]))

    little, big = film(ExplicitVRLittleEndian, "<"), film(ExplicitVRBigEndian, ">")
    np.testing.assert_array_equal(big.stored, little.stored)
    np.testing.assert_array_equal(big.pixels, little.pixels)
    np.testing.assert_allclose(little.pixels.ravel()[[4, 5, 6]], [0, 9 / 65535, 1], atol=1e-6)


def test_values_of_32_bits_go_without_a_table(write_dicom):
    film = read_film(
        write_dicom(np.array([[0, 2**31, 2**32 - 1]], dtype=np.uint32), WindowCenter=2**31, WindowWidth=2**32)
    )
    np.testing.assert_allclose(film.pixels, [[0, 0.5, 1]], atol=1e-6)


def test_floating_point_pixels_are_read(write_dicom):
    film = read_film(write_dicom(np.array([[-1, 0, 3]], dtype=np.float32)))
    np.testing.assert_allclose(film.pixels, [[0, 0.25, 1]], atol=1e-6)
    assert film.stored.dtype == np.float32
