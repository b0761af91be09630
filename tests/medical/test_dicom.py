"""A DICOM film comes out as a person would see it, or is refused in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_windowing

from plait.errors import InputError
from plait_medical import dicom
from plait_medical.dicom import patient_id, window
from plait_medical.film import read_film

RAMP = np.arange(16, dtype=np.uint16).reshape(4, 4) * 100


def test_air_is_dark_whichever_way_the_film_was_stored(write_dicom):
    normal = read_film(write_dicom(RAMP, WindowCenter=750, WindowWidth=1500))
    negative = read_film(
        write_dicom((1500 - RAMP), WindowCenter=750, WindowWidth=1500, PhotometricInterpretation="MONOCHROME1")
    )
    assert normal.dtype == np.float32
    assert normal.shape == (1, 4, 4)
    assert normal[0, 0, 0] < normal[0, 3, 3]
    np.testing.assert_allclose(negative, normal, atol=1e-3)  # LINEAR is off centre by half a grey level


@pytest.mark.parametrize(
    ("photometric", "shape", "turned"),
    [
        ("MONOCHROME2", None, False),
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME1", None, True),
        ("MONOCHROME1", "INVERSE", True),  # as the DX module demands: one inversion, not two
    ],
)
def test_presentation_inverts_once(write_dicom, photometric, shape, turned):
    elements = {"PresentationLUTShape": shape} if shape else {}
    film = read_film(write_dicom(RAMP, PhotometricInterpretation=photometric, **elements))
    expected = RAMP / 1500
    np.testing.assert_allclose(film[0], 1 - expected if turned else expected, atol=1e-6)


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
    np.testing.assert_allclose(film.ravel()[:7], [1, 1, 1, 1, 0.5, 0, 0], atol=1e-6)


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
    np.testing.assert_allclose(film.ravel()[[0, 2, 4]], [1, 0.5, 0], atol=1e-6)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_windows_agree_with_pydicom(function):
    values = np.array([[0, 1, 128, 254, 255]], dtype=np.uint8)
    dataset = Dataset()
    dataset.PhotometricInterpretation, dataset.BitsStored, dataset.PixelRepresentation = "MONOCHROME2", 8, 0
    dataset.WindowCenter, dataset.WindowWidth, dataset.VOILUTFunction = 254, 128, function
    np.testing.assert_allclose(window(values, 254, 128, function), apply_windowing(values, dataset) / 255, atol=1e-6)


@given(
    centre=st.floats(-1000, 1000),
    width=st.floats(2, 2000),
    slope=st.floats(0.1, 10),
    shift=st.floats(-500, 500),
)
def test_an_exact_window_moves_with_its_values(centre, width, slope, shift):
    values = np.linspace(-2000, 2000, 50)
    moved = window(values * slope + shift, centre * slope + shift, width * slope, "LINEAR_EXACT")
    np.testing.assert_allclose(moved, window(values, centre, width, "LINEAR_EXACT"), atol=1e-6)


def test_twelve_bit_values_do_not_wrap_in_a_lut_of_eight_bits(write_dicom):
    lut = Dataset()
    lut.add_new("LUTDescriptor", "US", [4096, 0, 8])
    lut.add_new("LUTData", "OW", (np.arange(4096) // 16).astype("<u2").tobytes())
    film = read_film(write_dicom(RAMP, VOILUTSequence=[lut]))
    np.testing.assert_allclose(film[0], (RAMP // 16) / 255, atol=1e-6)


def test_values_outside_a_lut_take_its_ends(write_dicom):
    lut = Dataset()
    lut.add_new("LUTDescriptor", "US", [3, 500, 16])
    lut.add_new("LUTData", "US", [0, 30000, 65535])
    film = read_film(write_dicom(RAMP + np.uint16(1), VOILUTSequence=[lut]))
    np.testing.assert_allclose(film.ravel()[[0, 5, 15]], [0, 30000 / 65535, 1], atol=1e-6)


def test_padding_has_no_say_in_the_range_of_a_film_without_window(write_dicom):
    padded = RAMP.astype(np.int16)
    padded[0, 0] = -2000
    film = read_film(write_dicom(padded, PixelPaddingValue=-2000))
    np.testing.assert_allclose(film.ravel()[1:], (RAMP.ravel()[1:] - 100) / 1400, atol=1e-6)


def test_eight_bits_are_shown_as_they_are(write_dicom):
    film = read_film(write_dicom(np.array([[10, 200]], dtype=np.uint8)))
    np.testing.assert_allclose(film[0], [[10 / 255, 200 / 255]], atol=1e-7)


@pytest.mark.parametrize(
    ("elements", "says"),
    [
        ({"NumberOfFrames": 2}, "2 frames"),
        ({"PhotometricInterpretation": "RGB"}, "RGB"),
        ({"PixelData": b"\0\0"}, "damaged or incomplete"),
    ],
)
def test_what_is_no_film_is_refused(write_dicom, elements, says):
    with pytest.raises(InputError, match=says):
        read_film(write_dicom(RAMP, **elements))


def test_a_missing_decoder_is_named_with_the_command_that_installs_it(write_dicom, monkeypatch):
    class Absent:
        is_available = False

    monkeypatch.setattr(dicom, "get_decoder", lambda syntax: Absent())
    with pytest.raises(InputError, match="pip install python-gdcm"):
        read_film(write_dicom(RAMP))


def test_nan_pixels_are_refused(write_dicom):
    pixels = RAMP.astype(np.float32)
    pixels[1, 1] = np.nan
    with pytest.raises(InputError, match="not finite"):
        read_film(write_dicom(pixels))


def test_errors_and_warnings_tell_nothing_of_the_patient(write_dicom, recwarn):
    # A name has slipped into a field that holds a number; pydicom would quote it in a warning.
    path = write_dicom(RAMP, NumberOfFrames=12345678)
    path.write_bytes(path.read_bytes().replace(b"12345678", b"DoeJane!"))
    with pytest.raises(InputError, match="damaged") as refusal:
        read_film(path)
    assert "Doe" not in str(refusal.value)
    assert not recwarn.list


def test_the_patient_id_is_read_from_the_header_alone(write_dicom, tmp_path):
    assert patient_id(write_dicom(RAMP, PixelData=b"\0\0")) == "MRN-4711"
    (tmp_path / "no.dcm").write_bytes(b"not DICOM")
    assert patient_id(tmp_path / "no.dcm") is None


@pytest.mark.real
def test_real_files_look_as_dcmtk_renders_them(shared_data: Path):
    folder = shared_data / "medical" / "dicom"
    for picture in sorted((folder / "display_dcmtk").glob("*.png")):
        film = read_film(folder / "files" / f"{picture.stem}.dcm")
        rendered = np.asarray(Image.open(picture).convert("L")) / 255
        assert np.abs(film[0] - rendered).max() < 1.01 / 255, picture.name


@pytest.mark.real
def test_real_relations_hold(shared_data: Path):
    files = shared_data / "medical" / "dicom" / "files"
    film, negative = (read_film(files / f"cr_chest_{name}.dcm") for name in ("mono2_jpeg", "mono1_fake"))
    np.testing.assert_allclose(negative, 1 - film, atol=1e-6)
    reference = read_film(files / "ct_implicit_le.dcm")
    for name in ("deflated", "j2k_lossless", "rle"):
        np.testing.assert_array_equal(read_film(files / f"ct_{name}.dcm"), reference)
    # Figures of pydicom, highdicom and radreader for the lossless copy of this film.
    lossy = read_film(files / "cr_chest_mono1_j2k.dcm")
    assert abs(float(lossy.mean(dtype=np.float64)) - 0.7536) < 1e-3


@pytest.mark.real
def test_every_real_file_is_read_or_refused_in_one_sentence(shared_data: Path):
    folder = shared_data / "medical" / "dicom"
    for entry in json.loads((folder / "expected.json").read_text()):
        path = folder / entry["file"]
        outcome = outcome_of(path)
        if isinstance(outcome, str):
            assert outcome.startswith(f"{path} ")
            assert outcome.endswith(".")
        else:
            assert outcome.shape == (1, entry["expected"]["Rows"], entry["expected"]["Columns"])
            assert 0 <= outcome.min() < outcome.max() <= 1


def outcome_of(path: Path) -> np.ndarray | str:
    try:
        return read_film(path)
    except InputError as error:
        return str(error)
