"""Films and folders for the medical tests, made on the spot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, ComputedRadiographyImageStorage, ExplicitVRBigEndian, ExplicitVRLittleEndian, generate_uid

from plait_medical.synthetic import synthetic

type WriteDicom = Callable[..., Path]


@pytest.fixture
def write_dicom(tmp_path: Path) -> WriteDicom:
    """``write_dicom(pixels, Keyword=value, ...)`` writes a film and gives back its path.

    A ``Keyword=None`` leaves the element out; ``syntax`` is the transfer syntax, compressed where pydicom can.
    """

    def write(
        pixels: NDArray[Any], name: str = "film.dcm", syntax: UID = ExplicitVRLittleEndian, **elements: Any
    ) -> Path:
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian if syntax.is_encapsulated else syntax
        meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        written = {"is_implicit_VR": syntax.is_implicit_VR, "is_little_endian": syntax.is_little_endian}
        dataset = FileDataset(tmp_path / name, {}, file_meta=meta, preamble=b"\0" * 128, **written)
        dataset.SOPClassUID = meta.MediaStorageSOPClassUID
        dataset.PatientName, dataset.PatientID = "Doe^Jane", "MRN-4711"
        dataset.Rows, dataset.Columns = pixels.shape[-2:]
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        if pixels.dtype == np.float32:
            dataset.BitsAllocated, dataset.FloatPixelData = 32, pixels.tobytes()
        else:
            bits = pixels.dtype.itemsize * 8
            dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
            dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
            order = ">" if syntax == ExplicitVRBigEndian else "<"
            dataset.PixelData = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
            dataset["PixelData"].VR = "OW"
        for keyword, value in elements.items():
            if value is None:
                del dataset[keyword]
            else:
                setattr(dataset, keyword, value)
        if syntax.is_encapsulated:
            dataset.compress(syntax, generate_instance_uid=False)
        dataset.save_as(tmp_path / name, enforce_file_format=True)
        return tmp_path / name

    return write


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The synthetic world of seed 0."""
    root = tmp_path_factory.mktemp("world")
    synthetic(root, 0)
    return root
