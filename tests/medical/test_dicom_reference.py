"""Reference films that come with pydicom, against published values and against three other programs.

RG1 is a real chest film (1955 x 1841, 15 bits, MONOCHROME1) in four forms; it and others come with ``pydicom-data``.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom.data
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

from plait_medical.dicom import decoders, read_film, small_film
from plait_medical.fit import fitted

FOUND = importlib.util.find_spec("data_store")
FOLDERS = [Path(str(pydicom.data.__file__)).parent / "test_files"]
if FOUND is not None and FOUND.submodule_search_locations:
    FOLDERS.append(Path(FOUND.submodule_search_locations[0]) / "data")


def reference(name: str) -> Path:
    """A file of pydicom's, or of ``pydicom-data``."""
    for folder in FOLDERS:
        if (folder / f"{name}.dcm").is_file():
            return folder / f"{name}.dcm"
    pytest.skip(f"no {name}.dcm: pip install pydicom-data")


@pytest.mark.parametrize(
    ("name", "starts", "low", "high"),
    [
        ("RG1_UNCR", "26721b2112d94887", 874, 26479),
        ("RG1_J2KR", "26721b2112d94887", 874, 26479),
        ("RG1_UNCI", "88aa9135b12d8582", 803, 26512),
        ("RG1_J2KI", "88aa9135b12d8582", 803, 26512),
    ],
)
def test_the_chest_film_rg1_is_decoded_to_the_bit_in_all_its_forms(name, starts, low, high):
    film = read_film(reference(name))
    assert film.stored.shape == (1955, 1841)
    assert hashlib.sha256(film.stored.astype("<u2").tobytes()).hexdigest().startswith(starts)
    assert (film.stored.min(), film.stored.max()) == (low, high)


def test_the_chest_film_rg1_is_shown_as_three_programs_show_it():
    pixels = read_film(reference("RG1_UNCR")).pixels
    assert pixels.min() == pytest.approx(0.11733724, abs=1e-7)
    assert pixels.max() == pytest.approx(0.97086567, abs=1e-7)
    assert pixels.mean(dtype=np.float64) == pytest.approx(0.7536099, abs=1e-7)


def by_pydicom(path: Path) -> NDArray[np.float64]:
    dataset = dcmread(path)
    shown = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset) / (2**dataset.BitsStored - 1)
    return 1 - shown if dataset.PhotometricInterpretation == "MONOCHROME1" else shown


def by_highdicom(path: Path) -> NDArray[np.float64]:
    highdicom = pytest.importorskip("highdicom", reason="highdicom is not installed")
    return highdicom.imread(path).get_frame(1, apply_voi_transform=True, apply_presentation_lut=True)


def by_radreader(path: Path) -> NDArray[np.float32]:
    radreader = pytest.importorskip("radreader", reason="radreader is not installed")
    return np.asarray(radreader.read(path, qc="off").pixels)


@pytest.mark.parametrize(
    ("program", "name"),
    [
        *((program, name) for program in (by_highdicom, by_radreader) for name in ("RG1_UNCR", "RG3_UNCR", "693_UNCR")),
        *((by_pydicom, name) for name in ("RG1_UNCR", "RG3_UNCR")),  # which gives others in a range of its own
    ],
)
def test_other_programs_show_the_same(program: Callable[[Path], NDArray[np.float64]], name):
    path = reference(name)
    np.testing.assert_allclose(read_film(path).pixels, program(path), atol=1e-7)


def test_a_window_after_a_slope_is_the_standard_s_and_not_an_approximation():
    # highdicom folds the slope into the window and is half a grey level off; PS3.3 says one after the other.
    film = read_film(reference("MR2_UNCR"))
    values = film.stored * 3.774114
    np.testing.assert_allclose(film.pixels, np.clip((values - 999.5) / 1999 + 0.5, 0, 1), atol=1e-7)


@pytest.mark.parametrize(
    ("name", "places", "stored", "shown"),
    [
        ("vlut_04", ([178, 186, 129], [126, 389, 79]), [76, 178, 255], [19532, 45746, 65535]),
        ("mlut_18", ([0] * 5, range(50, 55)), None, [32759, 32759, 49147, 49147, 32759]),
        ("MR-SIEMENS-DICOM-WithOverlays", ([326], [130]), [642], [3046.6 / 4095 * 65535]),
    ],
)
def test_lut_and_window_give_pydicom_s_published_values(name, places, stored, shown):
    film = read_film(reference(name))
    assert stored is None or film.stored[places].tolist() == stored
    np.testing.assert_allclose(film.pixels[places] * 65535, shown, atol=1)


# Name, and how far decoders may differ: JPEG's inverse cosine transform is rounded freely.
SAME = [
    ("MR_small", 0),
    ("MR_small_implicit", 0),
    ("MR_small_bigendian", 0),
    ("MR_small_padded", 0),
    ("MR_small_RLE", 0),
    ("MR_small_jp2klossless", 0),
    ("MR_small_jpeg_ls_lossless", 0),
    ("image_dfl", 0),
    ("JPEGLSNearLossless_08", 0),
    ("JPEGLSNearLossless_16", 0),
    ("JPEG2000", 0),
    ("693_J2KI", 0),
    ("J2K_pixelrep_mismatch", 0),
    ("JPGLosslessP14SV1_1s_1f_8b", 0),
    ("JPEG-LL", 0),
    ("RG3_J2KI", 0),
    ("JPGExtended", 1),
    ("rtdose_1frame", 0),
    ("rtdose_expb_1frame", 0),
    ("rtdose_rle_1frame", 0),
]


@pytest.mark.filterwarnings("ignore:The pixel data is")  # pydicom's, of MR_small_padded
@pytest.mark.parametrize(("name", "apart"), SAME)
def test_stored_values_are_pydicom_s_by_every_decoder_that_is_installed(name, apart):
    path = reference(name)
    stored = read_film(path).stored
    dataset = dcmread(path)
    decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
    compared = 0
    for plugin in decoder.available_plugins or ("",):
        try:
            other = decoder.as_array(dataset, decoding_plugin=plugin, raw=True)[0]
        except RuntimeError:  # a decoder that cannot do this file says so
            continue
        assert np.abs(stored.astype(np.int64) - other.astype(np.int64)).max() <= apart, plugin
        compared += 1
    assert compared


def test_twelve_bit_jpeg_is_decoded_without_a_gpl_decoder(monkeypatch):
    monkeypatch.setattr(decoders, "installed", lambda syntax: ("pillow", "gdcm"))
    by_gdcm = read_film(reference("JPGExtended")).stored
    assert by_gdcm.max() > 255
    np.testing.assert_array_equal(read_film(reference("JPEG-lossy")).stored, by_gdcm)


def test_a_small_film_is_read_without_a_full_size_one_of_another_kind():
    path = reference("RG1_UNCR")
    np.testing.assert_array_equal(small_film(path, 224), fitted(read_film(path).pixels, 224))
