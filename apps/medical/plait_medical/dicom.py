"""A DICOM film as a person would see it: stored values become grey levels, air dark and bone bright.

The order is the standard's grayscale transformation (DICOM PS3.4 N.2): modality LUT or rescale, then VOI LUT
or window, and only then the inversion that MONOCHROME1 asks for. Inverting before the window is the classic
mistake, and leaving it out shows a model about half of all computed radiographs as negatives.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import config
from pydicom.dataset import Dataset, FileDataset
from pydicom.multival import MultiValue
from pydicom.pixels.decoders.base import get_decoder

from plait.errors import InputError

type Pixels = NDArray[np.float64]

# pydicom's warnings of invalid values quote them, and a log is no place for a patient's name. What is wrong with a
# file is said by our errors.
config.settings.reading_validation_mode = config.IGNORE


def read_dicom(path: Path) -> Pixels:
    """Read a single-frame greyscale DICOM file as (H, W) display values in [0, 1].

    Without a VOI LUT and without a window, values of at most 8 bits are shown as they are and deeper ones
    are stretched from the film's minimum to its maximum, padding left out, as viewers do.

    Raises:
        InputError: no pixels, several frames, colour, a decoder that is not installed, damaged data.
    """
    try:
        dataset = pydicom.dcmread(path)
        _refuse_unfit(dataset, path)
        stored = dataset.pixel_array
        shown = voi(modality(stored, dataset), dataset, measured=~_padding(stored, dataset))
    except InputError:
        raise
    except Exception as error:  # a damaged file can raise almost anything in a parser or a decoder
        cause = f"is damaged or incomplete DICOM ({type(error).__name__})"
        raise InputError(f"{path} {cause}: export the film again.") from error
    return 1 - shown if inverted(dataset) else shown


def patient_id(path: Path) -> str | None:
    """Read the PatientID of a DICOM file; ``None`` where the header has none or cannot be read."""
    try:
        dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["PatientID"])
        return str(dataset.get("PatientID") or "").strip() or None
    except Exception:  # noqa: BLE001 - as above; the pixels' own reader says what is wrong with the file
        return None


def modality(stored: NDArray[Any], dataset: Dataset) -> NDArray[Any]:
    """Apply the modality LUT, or else the rescale slope and intercept (PS3.3 C.11.1)."""
    if dataset.get("ModalityLUTSequence"):
        return _looked_up(stored, dataset.ModalityLUTSequence[0])[0]
    if "RescaleSlope" in dataset and "RescaleIntercept" in dataset:
        slope, intercept = float(dataset.RescaleSlope), float(dataset.RescaleIntercept)
        if (slope, intercept) != (1, 0):
            return stored.astype(np.float64) * slope + intercept
    return stored


def voi(values: NDArray[Any], dataset: Dataset, measured: NDArray[np.bool_]) -> Pixels:
    """Map modality values to [0, 1] by the first VOI LUT, else by the first window (PS3.3 C.11.2).

    ``measured`` (H, W) is false on padding, which has no say in the range of a film without a window.
    """
    if dataset.get("VOILUTSequence"):
        entries, bits = _looked_up(values, dataset.VOILUTSequence[0])
        return entries / (2**bits - 1)
    centre, width = _first(dataset.get("WindowCenter")), _first(dataset.get("WindowWidth"))
    if centre is not None and width is not None and width > 0:
        return window(values, centre, width, dataset.get("VOILUTFunction") or "LINEAR")
    if values.dtype == np.uint8:
        return values / 255
    return stretched(values, measured)


def window(values: NDArray[Any], centre: float, width: float, function: str = "LINEAR") -> Pixels:
    """Map ``centre`` and ``width`` to [0, 1] by one of the three VOI LUT functions (PS3.3 C.11.2.1.2-3)."""
    values = values.astype(np.float64)
    if function == "SIGMOID":
        return 1 / (1 + np.exp(-4 * (values - centre) / width))
    if function == "LINEAR_EXACT":
        return np.clip((values - centre) / width + 0.5, 0, 1)
    # LINEAR counts grey levels: a width of 256 spans 255 steps. A width of 1 is a step.
    return np.clip((values - (centre - 0.5)) / max(width - 1, 1e-6) + 0.5, 0, 1)


def stretched(values: NDArray[Any], measured: NDArray[np.bool_] | None = None) -> Pixels:
    """Map the range of the measured values to [0, 1]; a constant image becomes zero."""
    values = values.astype(np.float64)
    counted = values if measured is None or not measured.any() else values[measured]
    low, high = float(counted.min()), float(counted.max())
    return np.clip((values - low) / ((high - low) or 1.0), 0, 1)


def inverted(dataset: Dataset) -> bool:
    """Whether the lowest value is to be shown white.

    MONOCHROME1 says so; a PresentationLUTShape of INVERSE says so too, and the two together (as the DX
    module demands, PS3.3 C.8.11.3) mean one inversion, not two.
    """
    return dataset.PhotometricInterpretation == "MONOCHROME1" or dataset.get("PresentationLUTShape") == "INVERSE"


def _refuse_unfit(dataset: FileDataset, path: Path) -> None:
    if not any(name in dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise InputError(f"{path} has no pixels: give an image object, not a report or a truncated file.")
    frames = dataset.get("NumberOfFrames") or 1
    if int(frames) != 1:
        raise InputError(f"{path} has {int(frames)} frames: give one film a file.")
    photometric = dataset.get("PhotometricInterpretation")
    if photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise InputError(f"{path} has {photometric or 'no'} PhotometricInterpretation: give the greyscale film.")
    syntax = dataset.file_meta.TransferSyntaxUID
    if not get_decoder(syntax).is_available:
        raise InputError(f"{path} is compressed as {syntax.name}: run 'pip install python-gdcm' to decode it.")


def _padding(stored: NDArray[Any], dataset: Dataset) -> NDArray[np.bool_]:
    """(H, W) where the detector saw nothing (PS3.3 C.7.5.1.1.2)."""
    value = dataset.get("PixelPaddingValue")
    if value is None:
        return np.zeros(stored.shape, dtype=bool)
    ends = sorted((int(value), int(dataset.get("PixelPaddingRangeLimit", value))))
    return (stored >= ends[0]) & (stored <= ends[1])


def _looked_up(values: NDArray[Any], item: Dataset) -> tuple[NDArray[Any], int]:
    """Look values up in a LUT (PS3.3 C.11.1.1); gives back the entries and their number of bits.

    pydicom's own ``apply_voi`` counts its index in the type of the entries, so that 12-bit values wrap
    around in a LUT with 8-bit entries.
    """
    count, first, bits = (int(number) for number in item.LUTDescriptor)
    data = item.LUTData
    if isinstance(data, bytes):
        data = np.frombuffer(data, dtype=np.uint8 if len(data) == (count or 2**16) else "<u2")
    entries = np.atleast_1d(np.asarray(data)).astype(np.uint16)
    index = np.clip(np.rint(values).astype(np.int64) - first, 0, len(entries) - 1)
    return entries[index], bits


def _first(values: Any) -> float | None:
    """The first of one or several decimal strings; ``None`` where there is none."""
    if values is None or values == "":
        return None
    return float(values[0]) if isinstance(values, MultiValue) else float(values)
