"""Every transfer syntax gives the stored values back, by a decoder that we chose."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image
from pydicom import uid
from pydicom.encaps import encapsulate

from plait_medical.dicom import UnreadableFilm, decoders, read_film
from plait_medical.dicom.codestream import Codestream, jpeg, jpeg_2000

NOISE = np.random.default_rng(0).integers(0, 2**16, (40, 50), dtype=np.uint16)
SYNTAXES = [
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian,
    uid.RLELossless,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
]


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("dtype", ["u1", "u2", "i2"])
def test_lossless_syntaxes_give_the_values_back(write_dicom, syntax, dtype):
    stored = NOISE.astype(dtype)
    film = read_film(write_dicom(stored, syntax=syntax))
    assert film.stored.dtype == stored.dtype
    np.testing.assert_array_equal(film.stored, stored)
    assert film.header.transfer_syntax == syntax


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.JPEG2000Lossless, uid.JPEGLSLossless])
def test_negative_values_of_12_bits_survive(write_dicom, syntax):
    stored = (NOISE.astype(np.int16) >> 4).astype(np.int16)
    film = read_film(write_dicom(stored, syntax=syntax, BitsStored=12, HighBit=11))
    np.testing.assert_array_equal(film.stored, stored)


def encapsulated(write_dicom, frame: bytes, syntax: uid.UID, pixels: np.ndarray, **elements):
    """A film whose pixel data are one compressed frame."""
    path = write_dicom(pixels, **{"PixelData": encapsulate([frame])} | elements)
    data = path.read_bytes()
    at = data.index(b"\xe0\x7f\x10\x00OW\0\0")
    stated, real = uid.ExplicitVRLittleEndian.encode(), syntax.encode() + b"\0" * (len(syntax) % 2)
    stated += b"\0" * (len(stated) % 2)
    data = data[: at + 4] + b"OB\0\0\xff\xff\xff\xff" + data[at + 12 :] + b"\xfe\xff\xdd\xe0\0\0\0\0"
    data = data.replace(len(stated).to_bytes(2, "little") + stated, len(real).to_bytes(2, "little") + real, 1)
    path.write_bytes(data)
    return path


def as_jpeg(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def test_jpeg_baseline_is_decoded_as_pillow_does(write_dicom):
    smooth = np.add.outer(np.arange(24), np.arange(30)).astype(np.uint8) * 4
    frame = as_jpeg(smooth)
    film = read_film(encapsulated(write_dicom, frame, uid.JPEGBaseline8Bit, smooth))
    np.testing.assert_array_equal(film.stored, np.asarray(Image.open(io.BytesIO(frame))))


def curved(rows: int, columns: int) -> np.ndarray:
    """The picture of 12 bits that the codestreams below were written from."""
    y, x = np.mgrid[:rows, :columns]
    return (y * x * 3 + (y - 15) ** 2).astype(np.uint16)


# Written by imagecodecs 2026.10.10 (OpenJPH, liblj92, libjpeg-turbo): none of the decoders that are used here.
HTJ2K_32X40 = base64.b85decode(
    "|4;u>04YEK0000e0000W00000000000000e0000W0000000000009pH0sl|{2mk^A000XAQUDA90ssL31q1{@0smY86Cj9?kdTm&kdTm&kdT"
    "mwh=~7W02crOPjF>!N>E53R%LP^FfKDPE-)_tkN^q*00001lmG$$lfVEf08{@-@Bu<J0KfneKmZfK01|)z$8-"
    "RL!N>r@Gyweo2Xp|y0206e6|evVfIt8PQ~-Z)^M??9m;f<>zm@=?GgAP-02NRG1-"
    "SqKOj_Em{?JR|4|V|mfB%2~e*^l1^@E`gVn5*G03nz_04U-"
    "5F}nct&;%a^0KfnilmG#D@Bjrsz_LZy4iEwU@1PR#DCrymS^)ol|9}5~|9}5~|9}5~|9}5M|3G%2egJY{b-"
    ";Kae1Lzz#Q`>81_2O&1Q7%YBiHNK>o3>q*Xu7DjA}8u0RZst@;OW90Kfn(m;eRukN^pQvchRY@>ILPp)t|^{C|Z#JszG<PLb2y0RMmgfB%2~"
    "fB%2~fB%2~fB%2~fB%2~fB%2~fB%2~fB%2~fBy&g012o74A=k<5CV_@Cx8mj0>A(>fDMoX@Bsb*gaC>Fkpmb2$U*=RL?8hKK>!d!5CKF0003"
    "wJ003wJ003wJ003wJ003wJ003yIQl(0jDpaks1N{GcL{$L)*#"
)
LOSSLESS_16X16 = base64.b85decode(
    "|JeV;02%-R00IL60000000000000031ONgB0So`b01FHN5C9MX01*KH+5iXv000I60Px_p+ikYnZi*yW;75-;k}JrSq>C5?@a4-"
    "jX%c1Wqel|M8{E;JOsSfP;75-;k}JrSE^ep<@a4-"
    "jX%c13ovaeW8{E;JOsSJ+>xl8^az%L(rOlnNfOvA{nzV^B=1!lng@!k|qdb{YCePSxqGQhFit;5(n>%5#*~aC|HE9xM%$+}Dvf2giXwN28$+"
    "PwwEuPf7k}JrSE^O_F$7i(LVU}vrB+HpPe#d3B+U@z8Gs%@QZ2gAIXSLgI0RPz"
)
EXTENDED_16X16 = base64.b85decode(
    "|JeWF01!$>Nk#wx0RR9200961|JwjV00IF40RaI50RaI50s;a81OoyB0s;jD1Oo&H1qKEN1qKEN2MGuU2MGrT1_%oX2?`1d3JL}Y3k(Yi3<("
    "Mf3je_X3k(1d01yEI5di<h02TlN0RaF20000000000000093l0Co04Wdv00RXE2LS*800000000010}}uS2M93=5fT&@B?%)YK|(`BVgK3y2"
    "mt{A06zf2xReRxc_Z#ucrf+w`vhvrgrG@l$scmNNr$h8z(%YO*@}nnBz@D|gAZLU!Zo?5p=K+9Q^_B6_eGd`>3rffyYavO*#"
)


@pytest.mark.parametrize(
    ("frame", "syntax", "picture", "apart"),
    [
        (HTJ2K_32X40, uid.HTJ2KLossless, curved(32, 40), 0),
        (HTJ2K_32X40, uid.HTJ2KLosslessRPCL, curved(32, 40), 0),
        (HTJ2K_32X40, uid.HTJ2K, curved(32, 40), 0),
        (LOSSLESS_16X16, uid.JPEGLossless, curved(16, 16), 0),  # by the sixth predictor: not of the SV1 syntax
        (EXTENDED_16X16, uid.JPEGExtended12Bit, curved(16, 16), 2),  # lossy
    ],
)
def test_what_other_programs_compressed_is_decoded(write_dicom, frame, syntax, picture, apart):
    film = read_film(encapsulated(write_dicom, frame, syntax, picture, BitsStored=12, HighBit=11))
    assert np.abs(film.stored.astype(int) - picture).max() <= apart
    assert film.stored.dtype == np.uint16


def test_a_grey_film_in_a_colour_jpeg_is_read(write_dicom):
    smooth = np.add.outer(np.arange(24), np.arange(30)).astype(np.uint8) * 4
    frame = as_jpeg(np.repeat(smooth[..., None], 3, axis=-1))
    elements = {"SamplesPerPixel": 3, "PhotometricInterpretation": "YBR_FULL_422", "PlanarConfiguration": 0}
    film = read_film(encapsulated(write_dicom, frame, uid.JPEGBaseline8Bit, smooth, **elements))
    assert np.abs(film.stored.astype(int) - smooth).max() <= 2
    assert "a grey film saved in colour: its luminance is used" in film.notes


def test_a_compressed_picture_of_another_size_is_refused_before_it_is_decoded(write_dicom):
    bomb = as_jpeg(np.zeros((4000, 4000), dtype=np.uint8))
    with pytest.raises(UnreadableFilm, match="another size than its header says"):
        read_film(encapsulated(write_dicom, bomb, uid.JPEGBaseline8Bit, np.zeros((24, 30), dtype=np.uint8)))


def test_a_few_bytes_cannot_claim_many_pixels(write_dicom):
    path = write_dicom(np.zeros((4, 4), dtype=np.uint8), syntax=uid.RLELossless)
    path.write_bytes(path.read_bytes().replace(b"\x28\x00\x10\x00US\x02\0\x04\0", b"\x28\x00\x10\x00US\x02\0\xff\xff"))
    with pytest.raises(UnreadableFilm, match="too few bytes"):
        read_film(path)


def test_damaged_run_lengths_are_refused(write_dicom):
    data = write_dicom(NOISE, syntax=uid.RLELossless).read_bytes()
    start = data.index(b"\xfe\xff\x00\xe0", data.index(b"\xe0\x7f\x10\x00OB") + 20) + 8
    segments = data[:start] + b"\x02\0\0\0" + b"\x40\0\0\0" * 2 + data[start + 12 :]
    one_segment = data[:start] + b"\x01" + data[start + 1 :]
    rows = data.replace(b"\x28\x00\x10\x00US\x02\0\x28\0", b"\x28\x00\x10\x00US\x02\0\x03\0")
    path = write_dicom(NOISE)
    for damaged, says in ((segments, "damaged"), (one_segment, "another size"), (rows, "another size")):
        assert damaged != data
        path.write_bytes(damaged)
        with pytest.raises(UnreadableFilm, match=says):
            read_film(path)


def test_a_decoder_that_panics_is_no_end_of_the_process(write_dicom, monkeypatch):
    class PanicException(BaseException):  # as pyo3's, through which pylibjpeg-rle's comes
        pass

    class Panicking:
        available_plugins = ("pylibjpeg",)

        def as_array(self, *arguments, **options):
            raise PanicException("index out of range")

    path = write_dicom(NOISE, syntax=uid.RLELossless)
    monkeypatch.setattr(decoders, "get_decoder", lambda syntax: Panicking())
    with pytest.raises(UnreadableFilm, match="compressed pixels that are damaged"):
        read_film(path)


def test_a_decoder_s_failure_is_told_once_and_not_logged(write_dicom, caplog):
    frame = as_jpeg(np.add.outer(np.arange(40), np.arange(50)).astype(np.uint8))
    path = encapsulated(write_dicom, frame[:-200], uid.JPEGBaseline8Bit, np.zeros((40, 50), dtype=np.uint8))
    with pytest.raises(UnreadableFilm, match="damaged or incomplete DICOM"):
        read_film(path)
    assert not caplog.records


def test_a_picture_in_a_million_pieces_is_refused_at_once(write_dicom):
    pieces = b"\xfe\xff\x00\xe0\0\0\0\0" * 2**20
    path = encapsulated(write_dicom, b"\xff\xd8", uid.JPEGBaseline8Bit, NOISE, PixelData=pieces)
    with pytest.raises(UnreadableFilm, match="made of more pieces than any film"):
        read_film(path)


def test_a_deflate_bomb_is_inflated_no_further_than_a_limit(write_dicom, monkeypatch):
    path = write_dicom(np.zeros((1000, 1000), dtype=np.uint16), syntax=uid.DeflatedExplicitVRLittleEndian)
    assert path.stat().st_size < 5000
    monkeypatch.setattr("plait_medical.dicom.elements._LARGEST_INFLATED", 2**20)
    with pytest.raises(UnreadableFilm, match="inflates to more than 1 MiB"):
        read_film(path)


def test_plain_pixels_that_are_not_plain_are_refused(write_dicom):
    path = encapsulated(write_dicom, b"\xff\xd8", uid.ExplicitVRLittleEndian, NOISE)
    with pytest.raises(UnreadableFilm, match="compressed pixels but says that they are not"):
        read_film(path)


@pytest.mark.parametrize("syntax", [uid.MPEG2MPML, uid.JPIPHTJ2KReferenced, uid.UID("1.2.3")])
def test_a_syntax_that_is_not_of_still_pictures_is_refused(write_dicom, syntax):
    with pytest.raises(UnreadableFilm, match="transfer syntax that is not of still pictures"):
        read_film(encapsulated(write_dicom, b"\0" * 20, syntax, NOISE))


@pytest.mark.parametrize(
    ("syntax", "install"),
    [(uid.RLELossless, "pylibjpeg pylibjpeg-rle"), (uid.JPEGLSLossless, "pyjpegls")],
)
def test_a_missing_decoder_is_named_with_the_command_that_installs_it(write_dicom, monkeypatch, syntax, install):
    path = write_dicom(NOISE, syntax=syntax)
    monkeypatch.setattr(decoders, "installed", lambda syntax: ())
    with pytest.raises(UnreadableFilm, match=f"compressed as {syntax.name}: run 'pip install {install}' to decode it"):
        read_film(path)


def test_every_still_syntax_of_the_standard_has_a_decoder_here():
    others = {syntax.name for syntax in uid.AllTransferSyntaxes if syntax not in decoders.DECODINGS}
    # Video, streams, and JPEG 2000 of several components: nothing that holds a film.
    assert not [name for name in others if not re.search("MPEG|HEVC|JPIP|SMPTE|Multi-component", name)]
    for syntax, decoding in decoders.DECODINGS.items():
        assert not decoding.plugins or set(decoding.plugins) & set(decoders.installed(syntax)), syntax.name


def test_no_gpl_decoder_comes_before_another():
    # pylibjpeg stands for pylibjpeg-libjpeg in JPEG and JPEG-LS, and for the MIT openjpeg and rle elsewhere.
    for syntax in (*uid.JPEGTransferSyntaxes, *uid.JPEGLSTransferSyntaxes):
        plugins = decoders.DECODINGS[syntax].plugins
        assert plugins.index("pylibjpeg") == len(plugins) - 1 > 0, syntax.name


def test_compressed_pictures_say_their_size():
    assert jpeg(as_jpeg(np.zeros((24, 30), dtype=np.uint8))) == Codestream(24, 30, 1, 8)
    assert jpeg(as_jpeg(np.zeros((24, 30, 3), dtype=np.uint8))) == Codestream(24, 30, 3, 8)
    buffer = io.BytesIO()
    Image.fromarray(NOISE).save(buffer, "JPEG2000")
    assert jpeg_2000(buffer.getvalue()) == Codestream(40, 50, 1, 16)
