"""What real archives hold beside the standard: read with the assumption said, or refused in one sentence."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from plait_medical.dicom import UnreadableFilm, is_dicom, read_film, read_header
from plait_medical.load import open_film
from tests.medical.test_dicom import RAMP, lut

NO_WINDOW = "no window: shown from its minimum to its maximum"


@pytest.mark.parametrize(
    ("elements", "shown", "note"),
    [
        ({"HighBit": None}, RAMP / 1500, "no HighBit: taken as 15"),
        ({"BitsStored": None}, RAMP / 1500, "no BitsStored: taken as 16"),
        ({"PixelRepresentation": None}, RAMP / 1500, "no PixelRepresentation: taken as 0"),
        ({"SamplesPerPixel": None}, RAMP / 1500, "no SamplesPerPixel: taken as 1"),
        (
            {"PhotometricInterpretation": None},
            RAMP / 1500,
            "no PhotometricInterpretation: taken as MONOCHROME2",
        ),
        ({"BitsStored": 20}, RAMP / 1500, "BitsStored is not within BitsAllocated: taken as BitsAllocated"),
        ({"BitsStored": 12, "HighBit": 13}, RAMP / 4095, "HighBit is not BitsStored - 1: taken as that"),
        ({"WindowCenter": "", "WindowWidth": ""}, RAMP / 1500, NO_WINDOW),
        ({"WindowCenter": "700"}, RAMP / 1500, "a window without centre or width: left out"),
        ({"WindowCenter": 700, "WindowWidth": 0}, RAMP / 1500, "a window that is no window: left out"),
        ({"WindowCenter": 700, "WindowWidth": -5}, RAMP / 1500, "a window that is no window: left out"),
        ({"WindowCenter": 700, "WindowWidth": 0.5}, RAMP / 1500, "a window that is no window: left out"),
        ({"WindowCenter": 700, "WindowWidth": 1}, RAMP >= 700, None),
        (
            {"WindowCenter": ["00750", "40"], "WindowWidth": ["01501", "400"]},
            RAMP / 1500,
            "several windows: the first is used",
        ),
        (
            {"WindowCenter": 750, "WindowWidth": 1501, "VOILUTFunction": "CURVE"},
            RAMP / 1500,
            "an unknown VOILUTFunction: taken as LINEAR",
        ),
        ({"RescaleSlope": 0, "RescaleIntercept": 5}, RAMP / 1500, "RescaleSlope is 0: taken as 1"),
        ({"RescaleSlope": 2}, RAMP / 1500, "a rescale without slope or intercept: taken as 1 or 0"),
        ({"PixelAspectRatio": ["1", "2"]}, RAMP / 1500, "pixels are not square: left as they are"),
        ({"PixelSpacing": ["0.1", "0.2"]}, RAMP / 1500, "pixels are not square: left as they are"),
        (
            {"PixelData": RAMP.tobytes() + bytes(10)},
            RAMP / 1500,
            "padding after the pixels: left out",
        ),
        (
            {"PresentationLUTShape": "INVERSE"},
            1 - RAMP / 1500,
            "PresentationLUTShape is INVERSE without MONOCHROME1: inverted",
        ),
    ],
)
def test_an_assumption_is_said(write_dicom, elements, shown, note):
    film = read_film(write_dicom(RAMP, **elements))
    np.testing.assert_allclose(film.pixels, shown, atol=1e-3)
    np.testing.assert_array_equal(film.stored, RAMP)
    assert note is None or note in film.notes


@pytest.mark.parametrize(
    ("elements", "says"),
    [
        ({"NumberOfFrames": 2, "PixelData": bytes(64)}, "has several frames"),
        ({"PhotometricInterpretation": "RGB"}, "contradicts its PhotometricInterpretation"),
        ({"SamplesPerPixel": 2}, "contradicts its PhotometricInterpretation"),
        ({"PhotometricInterpretation": "DOE^JANE"}, "PhotometricInterpretation that no film has"),
        ({"PixelData": b"\0\0"}, "fewer pixels than Rows and Columns say"),
        ({"PixelData": bytes(range(64))}, "more pixels than Rows and Columns say"),
        ({"PixelData": None}, "no pixels"),
        ({"Rows": None}, "no Rows, Columns or frames"),
        ({"Rows": 0}, "no Rows, Columns or frames"),
        ({"Rows": 60000, "Columns": 60000}, "more than 100 million pixels"),
        ({"BitsAllocated": 12}, "BitsAllocated other than"),
        ({"BitsAllocated": None}, "BitsAllocated other than"),
        ({"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}, "one bit a pixel"),
        ({"ModalityLUTSequence": [lut([1, 2, 3], data=[1, 2])]}, "LUT that is shorter than it says"),
        ({"VOILUTSequence": [lut([])]}, "LUT without descriptor or data"),
    ],
)
def test_what_is_no_film_is_refused_in_one_sentence(write_dicom, elements, says):
    path = write_dicom(RAMP, **elements)
    with pytest.raises(UnreadableFilm, match=says) as refusal:
        read_film(path)
    sentence = str(refusal.value)
    assert sentence.startswith(f"{path} ")
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert "DOE" not in sentence


def test_a_lut_of_length_0_has_65536_entries(write_dicom):
    entries = np.arange(2**16)[::-1]  # a decreasing LUT is applied as it stands
    film = read_film(write_dicom(RAMP, VOILUTSequence=[lut(entries, vr="OW", data=entries.astype("<u2").tobytes())]))
    np.testing.assert_allclose(film.pixels, 1 - RAMP / 65535, atol=1e-6)


def test_twelve_bit_values_do_not_wrap_in_a_lut_of_eight_bits(write_dicom):
    entries = np.arange(4096) // 16
    for data in (entries.astype("<u2").tobytes(), entries.astype("u1").tobytes()):  # a word an entry, or two in one
        film = read_film(write_dicom(RAMP, VOILUTSequence=[lut(entries, bits=8, vr="OW", data=data)]))
        np.testing.assert_allclose(film.pixels, (RAMP // 16) / 255, atol=1e-6)


def test_values_outside_a_lut_take_its_ends(write_dicom):
    film = read_film(write_dicom(RAMP + np.uint16(1), VOILUTSequence=[lut([0, 30000, 65535], first=500)]))
    np.testing.assert_allclose(film.pixels.ravel()[[0, 5, 15]], [0, 30000 / 65535, 1], atol=1e-6)


def test_a_lut_whose_entries_use_fewer_bits_than_it_says_is_not_dark(write_dicom):
    film = read_film(write_dicom(RAMP, VOILUTSequence=[lut([0, 8000, 16382], first=700)]))
    np.testing.assert_allclose(film.pixels.max(), 16382 / 16383, atol=1e-6)
    assert "a LUT's entries use other bits than it says: taken by those in use" in film.notes


def test_a_lut_may_begin_below_zero(write_dicom):
    film = read_film(
        write_dicom(np.array([[-2, -1, 0, 1]], dtype=np.int16), ModalityLUTSequence=[lut([5, 6, 7, 9], -2)])
    )
    assert film.modality.tolist() == [[5, 6, 7, 9]]


def test_the_lut_is_used_where_there_is_a_window_too(write_dicom):
    film = read_film(write_dicom(RAMP, VOILUTSequence=[lut([0, 65535], first=699)], WindowCenter=1, WindowWidth=2))
    np.testing.assert_array_equal(film.pixels, RAMP >= 700)
    assert "a VOI LUT and a window: the LUT is used" in film.notes


def smooth(rows: int = 16) -> np.ndarray:
    return np.add.outer(np.arange(rows), np.arange(rows)).astype(np.uint16) * 100


def test_overlays_in_the_unused_bits_are_cut_off(write_dicom):
    overlaid = smooth()
    overlaid[4:8, 3:9] |= 0x8000
    film = read_film(write_dicom(overlaid, BitsStored=12, HighBit=11))
    np.testing.assert_array_equal(film.stored, smooth())
    assert "bits above BitsStored were set: cut off" in film.notes


def test_a_bits_stored_that_is_too_small_is_no_reason_to_cut_a_film(write_dicom):
    # Cut at 10 bits, this film would wrap around twice.
    with pytest.raises(UnreadableFilm, match="values beyond its BitsStored"):
        read_film(write_dicom(smooth(), BitsStored=10, HighBit=9))


@pytest.mark.parametrize("turned", [False, True])
def test_a_film_that_would_wrap_between_its_rows_is_not_cut_either(write_dicom, turned):
    stored = np.arange(16 * 16, dtype=np.uint16).reshape(16, 16) * 4
    with pytest.raises(UnreadableFilm, match="values beyond its BitsStored"):
        read_film(write_dicom(stored.T.copy() if turned else stored, BitsStored=8, HighBit=7))


def test_values_may_lie_at_the_top_of_their_cells(write_dicom):
    film = read_film(write_dicom(smooth() << 4, BitsStored=12, HighBit=15))
    np.testing.assert_array_equal(film.stored, smooth())
    assert "HighBit is above BitsStored - 1: values were shifted down" in film.notes


def test_negative_values_get_back_their_sign_bits(write_dicom):
    values = np.array([[-2048, -1, 0, 2047]], dtype=np.int16)
    film = read_film(write_dicom(values & 0x0FFF, BitsStored=12, HighBit=11))
    np.testing.assert_array_equal(film.stored, values)
    assert "sign bits above BitsStored were missing: added" in film.notes


@pytest.mark.parametrize("written", [63488, -2048])
def test_padding_may_be_written_signed_or_unsigned(write_dicom, written):
    path = write_dicom(np.array([[-2048, 0, 100]], dtype=np.int16))
    data = path.read_bytes()
    at = data.index(b"\x28\x00\x03\x01US")  # before which PixelPaddingValue does not belong, and is read all the same
    element = (
        b"\x28\x00\x20\x01" + (b"US" if written > 0 else b"SS") + b"\x02\0" + (written % 2**16).to_bytes(2, "little")
    )
    path.write_bytes(data[:at] + element + data[at:])
    assert read_film(path).pixels.tolist() == [[0, 0, 1]]


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_a_missing_transfer_syntax_is_guessed_from_the_elements(write_dicom, syntax):
    path = write_dicom(RAMP, syntax=syntax)
    data = path.read_bytes()
    start = data.index(b"\x08\x00\x16\x00" if syntax == ImplicitVRLittleEndian else b"\x00\x08\x00\x16")
    bare = path.with_name("bare.dcm")
    bare.write_bytes(data[start:])
    assert is_dicom(bare.read_bytes()[:132])
    film = open_film(bare)
    np.testing.assert_array_equal(film.stored, RAMP)
    assert film.notes[0] == f"no TransferSyntaxUID: taken for {syntax.name}"


def test_a_grey_film_saved_in_colour_is_read_and_a_coloured_one_is_not(write_dicom):
    grey = np.arange(0, 240, 15, dtype=np.uint8).reshape(4, 4)
    colours = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    film = read_film(write_dicom(grey, **colours, PixelData=np.repeat(grey[..., None], 3, axis=-1).tobytes()))
    np.testing.assert_array_equal(film.stored, grey)
    assert "a grey film saved in colour: its luminance is used" in film.notes
    planes = read_film(
        write_dicom(grey, **colours | {"PlanarConfiguration": 1}, PixelData=np.stack([grey] * 3).tobytes())
    )
    np.testing.assert_array_equal(planes.stored, grey)
    tinted = np.repeat(grey[..., None], 3, axis=-1)
    tinted[2, 2, 0] += 10
    with pytest.raises(UnreadableFilm, match="is in colour"):
        read_film(write_dicom(grey, **colours, PixelData=tinted.tobytes()))


def test_a_palette_of_greys_is_looked_up_and_one_of_colours_refused(write_dicom):
    indices = np.arange(16, dtype=np.uint8).reshape(4, 4)
    greys = (np.arange(16) * 4096).astype("<u2")
    elements = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour in ("Red", "Green", "Blue"):
        elements[f"{colour}PaletteColorLookupTableDescriptor"] = [16, 0, 16]
        elements[f"{colour}PaletteColorLookupTableData"] = greys.tobytes()
    film = read_film(write_dicom(indices, **elements))
    np.testing.assert_array_equal(film.stored, indices.astype(int) * 4096)
    np.testing.assert_allclose(film.pixels, film.stored / 65535, atol=1e-6)
    elements["RedPaletteColorLookupTableData"] = greys[::-1].tobytes()
    with pytest.raises(UnreadableFilm, match="is in colour"):
        read_film(write_dicom(indices, **elements))


def test_pixels_that_are_not_finite_are_refused(write_dicom):
    pixels = RAMP.astype(np.float32)
    pixels[1, 1] = np.nan
    with pytest.raises(UnreadableFilm, match="not finite"):
        read_film(write_dicom(pixels))
    with pytest.raises(UnreadableFilm, match="beyond all numbers"):
        read_film(write_dicom(RAMP, RescaleSlope="1e308", RescaleIntercept=0))


def test_sequences_nested_beyond_reason_are_refused(write_dicom):
    path = write_dicom(RAMP)
    data = path.read_bytes()
    at = data.index(b"\x28\x00\x02\x00US")
    item = b"\x28\x00\x10\x30SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    path.write_bytes(data[:at] + item * 5000 + data[at:])
    with pytest.raises(UnreadableFilm, match="damaged or incomplete"):
        read_film(path)


@pytest.mark.parametrize("length", [8 * 2**18, 0xFFFFFFFF])
def test_a_header_of_endless_items_is_refused_at_once(write_dicom, length):
    path = write_dicom(RAMP)
    data = path.read_bytes()
    at = data.index(b"\xe0\x7f\x10\x00OW")
    sequence = b"\x28\x00\x10\x30SQ\0\0" + length.to_bytes(4, "little") + b"\xfe\xff\x00\xe0\0\0\0\0" * 2**18
    path.write_bytes(data[:at] + sequence + data[at:])
    with pytest.raises(UnreadableFilm, match=r"(header larger|more pieces) than any film"):
        read_film(path)


def refusal_of(path: Path) -> UnreadableFilm | None:
    try:
        read_film(path)
    except UnreadableFilm as refusal:
        return refusal
    return None


def test_errors_warnings_and_logs_tell_nothing_of_the_patient(write_dicom, recwarn, caplog):
    # A name has slipped into fields that hold numbers; pydicom would quote it in a warning.
    for keyword, value in (("NumberOfFrames", "12345678"), ("RescaleSlope", "12345678"), ("WindowCenter", "12345678")):
        path = write_dicom(RAMP, WindowWidth=5, **{"RescaleIntercept": 0, keyword: value})
        path.write_bytes(path.read_bytes().replace(b"12345678", b"DoeJane!"))
        assert "Doe" not in "".join(traceback.format_exception(refusal_of(path)))
    assert not recwarn.list
    assert "Doe" not in caplog.text


def test_missing_and_forbidden_files_are_named(tmp_path: Path):
    with pytest.raises(UnreadableFilm, match="is missing"):
        read_film(tmp_path / "none.dcm")
    os.mkfifo(tmp_path / "pipe.dcm")
    for path in (tmp_path, tmp_path / "pipe.dcm"):
        with pytest.raises(UnreadableFilm, match="no ordinary file"):
            read_film(path)
    (tmp_path / "text.dcm").write_text("not DICOM at all")
    with pytest.raises(UnreadableFilm):
        read_header(tmp_path / "text.dcm")
    assert not is_dicom(b"not DICOM at all")
