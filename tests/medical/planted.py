"""Films with planted identifiers, for the tests of what must not get out."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from plait_medical.deidentify.header import clean
from plait_medical.deidentify.profile import Options
from plait_medical.deidentify.pseudonyms import Pseudonyms

NAMES = Pseudonyms(b"k" * 32)
SECRETS = {
    "PatientName": "Zamenhof^Ludovika^Q",
    "PatientID": "MRN-77120043",
    "PatientBirthDate": "19310417",
    "AccessionNumber": "ACC5583019",
    "PatientAddress": "12 Carfax Lane, Whitby",
    "PatientTelephoneNumbers": "317-555-0143",
    "ReferringPhysicianName": "Seward^Johannes",
    "InstitutionName": "Carfax Asylum",
    "StudyInstanceUID": "1.2.826.0.1.3680043.9.7133.1.77001",
    "SeriesInstanceUID": "1.2.826.0.1.3680043.9.7133.2.77002",
    "SOPInstanceUID": "1.2.826.0.1.3680043.9.7133.3.77003",
    "StudyDate": "20130918",
}
"""Header values that must not get out. Their words are in no other value of the films."""

WORDS = (
    "zamenhof", "ludovika", "77120043", "19310417", "5583019", "carfax", "555-0143", "seward", "johannes",
    "3680043.9.7133", "20130918", "2013-09-18",
)  # fmt: skip
"""What to look for, in small letters."""

SYNTAXES = {
    "implicit": ImplicitVRLittleEndian,
    "explicit": ExplicitVRLittleEndian,
    "big endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "RLE": RLELossless,
    "JPEG-LS": JPEGLSLossless,
    "JPEG 2000": JPEG2000Lossless,
    "JPEG": JPEGBaseline8Bit,
}


def picture(side: int = 48, seed: int = 0) -> NDArray[np.uint8]:
    """A smooth (side, side) picture without anything that looks like text."""
    waves = np.random.default_rng(seed).uniform(1, 2, 2)
    rows, columns = np.mgrid[0:side, 0:side] / side
    return (128 + 100 * np.sin(waves[0] * rows + waves[1] * columns * 2)).astype(np.uint8)


def film(pixels: NDArray[np.uint8] | None = None, syntax: str = "explicit", **elements: Any) -> FileDataset:
    """A film of the patient above; ``elements`` by keyword take the place of its own, ``None`` takes one away."""
    pixels = picture() if pixels is None else pixels
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("film", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.Modality = DigitalXRayImageStorageForPresentation, "DX"
    dataset.StudyTime, dataset.ViewPosition, dataset.Manufacturer = "101530", "PA", "Radon Works"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = *pixels.shape, 1
    dataset.PhotometricInterpretation, dataset.PixelRepresentation = "MONOCHROME2", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelData = pixels.tobytes()
    for keyword, value in (SECRETS | elements).items():
        if value is not None:
            setattr(dataset, keyword, value)
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    _encode(dataset, pixels, syntax)
    return dataset


def _encode(dataset: FileDataset, pixels: NDArray[np.uint8], syntax: str) -> None:
    uid = SYNTAXES[syntax]
    if uid == JPEGBaseline8Bit:
        buffer = BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
        dataset.PixelData = encapsulate([buffer.getvalue()])
        dataset["PixelData"].is_undefined_length = True
    elif uid.is_compressed and uid != DeflatedExplicitVRLittleEndian:
        dataset.compress(uid, generate_instance_uid=False)
    dataset.file_meta.TransferSyntaxUID = uid
    dataset.set_original_encoding(uid.is_implicit_VR, uid.is_little_endian)


def saved(dataset: FileDataset, path: Path) -> Path:
    """Write a film; gives back where."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def item(**elements: Any) -> Dataset:
    """A sequence item with these elements by keyword."""
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def leaks(content: bytes | str, words: tuple[str, ...] = WORDS) -> list[str]:
    """The planted words in a text or in a file's 8-bit characters, in any case."""
    shown = (content if isinstance(content, str) else content.decode("latin-1")).lower()
    return [word for word in words if word in shown]


def tree(folder: Path) -> dict[str, bytes]:
    """The files under a folder by their names in it."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def study(folder: Path) -> Path:
    """Write two films of one study, one of them with a report, under telling names; gives back ``folder``."""
    saved(film(), folder / "films" / "Zamenhof_pa.dcm")
    other = film(picture(seed=1), SOPInstanceUID="1.2.826.0.1.3680043.9.7133.3.77004")
    saved(other, folder / "films" / "Zamenhof_ap.dcm")
    (folder / "reports").mkdir()
    report = "PATIENT: Zamenhof, Ludovika\nFINDINGS: Mrs. Zamenhof has clear lungs.\nIMPRESSION: Ludovika is well.\n"
    (folder / "reports" / "Zamenhof_pa.txt").write_text(report)
    return folder


def cleaned(dataset: Dataset, **options: bool) -> Dataset:
    """Clean a data set in place under the key of `NAMES`; gives it back."""
    clean(dataset, Options(**options), NAMES)
    return dataset
