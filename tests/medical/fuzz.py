"""What may befall a DICOM film, hundreds of times: equal seeds give equal bytes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np
from numpy.random import Generator
from pydicom import uid

from tests.medical.sound_films import (
    EXPLICIT,
    GDCM,
    HEIGHT,
    PIXELS,
    SYNTAXES,
    WIDTH,
    before_pixels,
    body_at,
    element,
    encapsulated,
    found,
    pixels_at,
    sequence,
    sound,
    with_element,
)

type Damaged = Iterator[tuple[str, bytes]]
"""What was done to a film, and the film after it."""


def cases(family: str, seed: int) -> Damaged:
    """The damaged films of one of `FAMILIES`."""
    rng = np.random.default_rng([seed, FAMILIES.index(family)])
    if family in ALONE:
        yield from ALONE[family](rng)
    else:
        for syntax in SYNTAXES if family in ("truncated", "flipped") else EXPLICIT:
            for what, film in TO_ANY[family](sound(syntax), rng):
                yield f"{what} ({syntax.name})", film


def truncated(film: bytes, rng: Generator) -> Damaged:
    pixels = pixels_at(film)
    for stop in (60, 131, 132, 150, 200, pixels - 7, pixels + 3, pixels + 9, len(film) - 1):
        yield f"to {stop} bytes", film[:stop]
    for stop in rng.integers(pixels, len(film), 2):
        yield f"to {stop} bytes", film[:stop]


def flipped(film: bytes, rng: Generator) -> Damaged:
    pixels = pixels_at(film)
    for region, start, stop in (("header", 132, pixels), ("pixels", pixels, len(film)), ("all", 0, len(film))):
        for count in (1, 3, 30):
            damaged = bytearray(film)
            for place in rng.integers(start, stop, count):
                damaged[place] ^= 1 << int(rng.integers(8))
            yield f"{count} bits of {region}", bytes(damaged)


def absurd(film: bytes, rng: Generator) -> Damaged:
    """Numbers that no film has, where they decide on memory and layout."""
    for keyword in (
        "Rows",
        "Columns",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "SamplesPerPixel",
        "PixelRepresentation",
    ):
        for value in rng.choice([0, 1, 3, 7, 17, 64, 4096, 65535], 2, replace=False):
            yield f"{keyword} {value}", with_element(film, keyword, "US", struct.pack("<H", value))
    both = with_element(film, "Rows", "US", b"\xff\xff")
    yield "65535 x 65535", with_element(both, "Columns", "US", b"\xff\xff")
    for frames in (b"0 ", b"-1", b"2147483647", b"9" * 40, b"1A", b"Doe^Jane"):
        yield f"frames {frames.decode()}", with_element(film, "NumberOfFrames", "IS", frames)
    yield "photometric", with_element(film, "PhotometricInterpretation", "CS", b"Doe^Jane")


def unreadable_numbers(film: bytes, rng: Generator) -> Damaged:
    """Decimal strings that are none, or that no arithmetic survives."""
    texts = [
        b"Secret^Doe",
        b"nan",
        b"inf",
        b"1e400",
        b"-1e300",
        b"0 ",
        b"1e-300",
        b"\\\\",
        b"7" * 4000,
        b"1\\2\\3",
        b"\xff\0",
    ]
    for keyword in ("WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept", "PixelSpacing", "PatientAge"):
        text = texts[int(rng.integers(len(texts)))]
        yield f"{keyword} {text[:10]!r}", with_element(film, keyword, "DS", text)


def tables(film: bytes, rng: Generator) -> Damaged:
    """Lookup tables that contradict themselves (PS3.3 C.11.1.1)."""
    for keyword in ("VOILUTSequence", "ModalityLUTSequence"):
        count, first, bits = (
            int(rng.choice(values)) for values in ([0, 1, 4096, 65535], [0, 40000], [0, 8, 12, 16, 99])
        )
        size = int(rng.choice([0, 1, 3, 512, 8192]))
        described = element(
            "LUTDescriptor", "US", struct.pack("<3H", count, first, bits)[: int(rng.choice([6, 6, 2, 5]))]
        )
        item = described + element("LUTData", "OW", bytes(rng.integers(0, 256, size, dtype=np.uint8)))
        what = f"{keyword} of {count} from {first} in {bits} bits, {size} bytes"
        yield what, with_element(film, keyword, "SQ", sequence(item))


def wrong_vr(film: bytes, rng: Generator) -> Damaged:
    for keyword, vr in (("Rows", "US"), ("BitsAllocated", "US"), ("WindowWidth", "DS"), ("PatientID", "LO")):
        at = found(film, keyword)
        assert film[at + 4 : at + 6] == vr.encode()
        other = rng.choice(["SQ", "OB", "UN", "PN", "FD", "AT", "DS", "??"])
        yield f"{keyword} as {other}", film[: at + 4] + other.encode() + film[at + 6 :]


def lengths(film: bytes, rng: Generator) -> Damaged:
    """Elements that claim more than there is, or to have no end."""
    for keyword in ("PatientName", "Rows", "WindowCenter"):
        at = found(film, keyword) + 6
        for length in (0xFFFF, 0, 1):
            yield f"{keyword} of {length} bytes", film[:at] + struct.pack("<H", length) + film[at + 2 :]
    at = film.index(PIXELS) + 8
    for length in (0xFFFFFFFF, 0xFFFFFFFE, 0, 3):
        yield f"pixels of {length} bytes", film[:at] + struct.pack("<I", length) + film[at + 4 :]
    item = film.find(b"\xfe\xff\x00\xe0", at)  # of the fragments, where there are any
    if item > 0:
        for length in (0xFFFFFFFF, 0x7FFFFFFF, 5):
            yield f"fragment of {length} bytes", film[: item + 4] + struct.pack("<I", length) + film[item + 8 :]


def mislabelled(rng: Generator) -> Damaged:
    """The pixels of one transfer syntax under the name of another."""
    for true in EXPLICIT:
        for said in SYNTAXES:
            if said not in (true, uid.DeflatedExplicitVRLittleEndian):
                name = said.encode() + b"\0" * (len(said) % 2)
                yield f"{true.name} called {said.name}", with_element(sound(true), "TransferSyntaxUID", "UI", name)


def nested(rng: Generator) -> Damaged:
    film = sound(uid.ExplicitVRLittleEndian)
    for depth in (50, 900, 5000):
        inner = b""
        for _ in range(depth):
            inner = element("VOILUTSequence", "SQ", sequence(inner))
        yield f"{depth} sequences", with_element(film, "VOILUTSequence", "SQ", sequence(inner))
        opened = struct.pack("<HH2sHI", 0x0028, 0x3010, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
            "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
        )
        yield f"{depth} sequences without an end", before_pixels(film, opened * depth)
    yield "a million empty items", with_element(film, "VOILUTSequence", "SQ", sequence(b"") * 10**6)
    yield "100000 private elements", before_pixels(film, struct.pack("<HH2sH", 0x0029, 0x1001, b"LO", 0) * 10**5)


def bombs(rng: Generator) -> Damaged:
    """Little data that claims to be, or becomes, very much."""
    film = sound(uid.DeflatedExplicitVRLittleEndian)
    head = sound(uid.ExplicitVRLittleEndian)
    body = body_at(head)
    pixels = head.index(PIXELS)
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = squeeze.compress(bytes(2**20)) + squeeze.flush(zlib.Z_FULL_FLUSH)
    start = squeeze.compress(head[body:pixels] + PIXELS + b"OW\0\0\xfe\xff\xff\xff") + squeeze.flush(zlib.Z_FULL_FLUSH)
    yield "4 GiB of deflated zeros", film[: body_at(film)] + start + block * 4096
    # Frames whose own header claims 65535 x 65535 pixels: SOF of JPEG (also JPEG-LS), SIZ of JPEG 2000.
    for syntax in (*GDCM, uid.JPEGBaseline8Bit, uid.JPEGLSLossless, uid.JPEG2000Lossless):
        small = sound(syntax)
        sizes = struct.pack(">HH", HEIGHT, WIDTH), struct.pack(">II", WIDTH, HEIGHT)
        large = b"\xff\xff\xff\xff", b"\x00\x00\xff\xff\x00\x00\xff\xff"
        claim = (
            small.replace(sizes[0], large[0]) if syntax != uid.JPEG2000Lossless else small.replace(sizes[1], large[1])
        )
        assert claim != small
        yield f"a frame that claims 65535 x 65535 ({syntax.name})", claim
        agreed = with_element(claim, "Rows", "US", b"\xff\xff")
        yield f"and a header that agrees ({syntax.name})", with_element(agreed, "Columns", "US", b"\xff\xff")
    runs = b"\x81\0" * 10**6  # each is 128 zeros
    segment = struct.pack("<16I", 2, 64, 64 + len(runs), *[0] * 13) + runs * 2
    rle = sound(uid.RLELossless)
    yield "256 million pixels of run lengths", rle[: rle.index(PIXELS)] + encapsulated(segment)
    yield "a million fragments", rle[: rle.index(PIXELS)] + encapsulated(*[b""] * 10**6)
    yield (
        "an offset table into nowhere",
        rle.replace(b"\xfe\xff\0\xe0\0\0\0\0", b"\xfe\xff\0\xe0\x04\0\0\0\xff\xff\xff\x7f"),
    )


def impostors(rng: Generator) -> Damaged:
    film = sound(uid.ExplicitVRLittleEndian)
    yield "nothing", b""
    yield "a report", b"FINDINGS: Secret report of Jane Doe. No effusion.\n" * 20
    yield "a pointer of Git LFS", b"version https://git-lfs.github.com/spec/v1\noid sha256:4711\nsize 12345\n"
    yield "zeros", bytes(5000)
    yield "noise", rng.bytes(5000)
    yield "a preamble alone", bytes(128) + b"DICM"
    yield "a preamble and noise", bytes(128) + b"DICM" + rng.bytes(5000)
    yield "a PNG with a preamble", bytes(128) + b"DICM" + b"\x89PNG\r\n\x1a\n" + rng.bytes(500)
    yield "no meta group", film[:132] + film[body_at(film) :]
    yield "no preamble", film[132:]
    yield "a film twice", film + film
    yield "a film backwards", film[::-1]
    yield "pixels first", film[: body_at(film)] + film[film.index(PIXELS) :] + film[body_at(film) : film.index(PIXELS)]
    yield "no pixels", film[: film.index(PIXELS)]


TO_ANY: dict[str, Callable[[bytes, Generator], Damaged]] = {
    "truncated": truncated,
    "flipped": flipped,
    "absurd": absurd,
    "unreadable_numbers": unreadable_numbers,
    "tables": tables,
    "wrong_vr": wrong_vr,
    "lengths": lengths,
}
"""What may befall a film of any transfer syntax; all but the first two need its elements to be found."""
ALONE: dict[str, Callable[[Generator], Damaged]] = {
    "mislabelled": mislabelled,
    "nested": nested,
    "bombs": bombs,
    "impostors": impostors,
}
FAMILIES = (*TO_ANY, *ALONE)
