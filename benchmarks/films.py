"""From a DICOM file to a small film beside what people read radiographs with today: time, and whether it is the film.

The films are RG1 of the pydicom-data wheel (a chest radiograph, 1955 x 1841, 15 bits, MONOCHROME1, one window) in five
encodings, and one of 8 bits in baseline JPEG. Every reader resizes in its own way; `shows` compares what comes out with
the film as the standard displays it (PS3.4 N.2), brought to the same frame. Then the epochs: films decoded, films from
our cache, and films from MONAI's; and how ingest scales with processes.
"""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import Cell, emit, library, medians, options, report, seconds
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread, uid
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from torch.nn import functional

from plait.pairs.ingest import ingest
from plait.pairs.layout import Row
from plait_medical.cache import bytes_needed, content_hash
from plait_medical.cli import app
from plait_medical.dicom import small_film
from plait_medical.drawn_film import drawn_film
from plait_medical.load import Loader

type Array = NDArray[Any]
type Read = Callable[[Path], Array]
type Frame = Callable[[Array], Array]
"""What a reader does to a film once it has it: cropping and resizing."""

JPEG = Path("medical/dicom/files/cr_chest_mono2_jpeg.dcm")
EPOCH, INGESTED, SIDE = 60, 200, 1024


def main() -> None:
    chosen = options(__doc__, sizes=(224,))
    warnings.simplefilter("ignore")  # torchxrayvision and MONAI warn of every film
    logging.disable(logging.WARNING)
    lines: list[dict[str, Cell]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size in chosen.sizes:
            for encoding, path in encoded_films(folder).items():
                lines += readers(encoding, path, size, chosen.rounds)
            lines += epochs(folder / f"epochs{size}", size, chosen.rounds)
        lines += scaling(folder / "ingest")
    report(lines)


# One film at a time.


def readers(encoding: str, path: Path, size: int, rounds: int) -> list[dict[str, Cell]]:
    """A line for each reader of one file."""
    shown = displayed(path)
    able: dict[str, tuple[Read, Frame]] = {}
    for name, (read, frame) in peers(size).items():
        try:
            read(path)
        except Exception as error:  # noqa: BLE001 - of other people's programs
            print(f"{name} cannot read {encoding}: {type(error).__name__}")
        else:
            able[name] = read, frame
    times = medians({name: partial(read, path) for name, (read, _) in able.items()}, rounds)
    lines: list[dict[str, Cell]] = []
    for name, (read, frame) in able.items():
        line: dict[str, Cell] = {"task": encoding, "reader": name, "ms": 1e3 * times[name]}
        line["plait_times_as_fast"] = times[name] / times["plait small_film"]
        lines.append(emit(line | shows(read(path), frame(shown))))
    if lines[0]["shows"] != "the film":
        raise SystemExit(f"{encoding}: what plait reads is not the film, so no time of it counts.")
    return lines


def peers(size: int) -> dict[str, tuple[Read, Frame]]:
    """Readers of a path to (h, w), and what each does to the frame, ours first."""
    whole: Frame = partial(resized, size=size)
    named: dict[str, tuple[Read, Frame]] = {"plait small_film": (partial(small_film, side=size), whole)}
    if xrv := library("torchxrayvision"):
        crop, resize = xrv.datasets.XRayCenterCrop(), xrv.datasets.XRayResizer(size)
        named["torchxrayvision"] = (
            lambda path: resize(crop(xrv.utils.read_xray_dcm(path)[None]))[0],
            lambda film: resize(crop(2048 * film[None] - 1024))[0],  # its range, as its edges are mixed with 0
        )
    if monai := library("monai.data"):
        from plait_medical.monai_reader import FilmReader

        for name, reader in {"MONAI PydicomReader": monai.PydicomReader(), "MONAI, our reader": FilmReader()}.items():
            transform = by_monai(reader, size)
            # (W, H) is MONAI's convention, and no fault.
            named[name] = (lambda path, transform=transform: transform(path)[0].numpy().T, whole)
    named["pydicom"] = (lambda path: resized(by_pydicom(path)[0], size), whole)
    if radreader := library("radreader"):
        named["radreader"] = (lambda path: resized(radreader.read(path).pixels, size), whole)
    if highdicom := library("highdicom"):
        asked = {"apply_voi_transform": True, "apply_presentation_lut": True, "dtype": np.float32}
        named["highdicom"] = (lambda path: resized(highdicom.imread(path).get_frame(1, **asked), size), whole)
    return named


def resized(film: Array, size: int) -> Array:
    """Torch's resize, which averages, for readers that have none of their own: (h, w), the longest side ``size``."""
    scale = size / max(film.shape)
    shape = [round(side * scale) for side in film.shape]
    values = torch.from_numpy(np.asarray(film, dtype=np.float32))[None, None]
    return functional.interpolate(values, size=shape, mode="bilinear", antialias=True)[0, 0].numpy()


def by_monai(reader: object, size: int) -> Any:
    """The transform of a path to (1, w, h) that MONAI's tutorials begin with."""
    transforms = library("monai.transforms")
    assert transforms
    load, resize = transforms.LoadImage(reader=reader), transforms.Resize(size, "longest")
    return transforms.Compose([load, transforms.EnsureChannelFirst(), resize])


def by_pydicom(path: Path) -> tuple[Array, Any]:
    """What pydicom's documentation shows: pixels, modality LUT, VOI LUT; the inversion is left to the caller."""
    dataset = dcmread(path)
    return apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset), dataset


def displayed(path: Path) -> Array:
    """The film as the standard displays it, (H, W) in [0, 1]."""
    values, dataset = by_pydicom(path)
    shown = values / (2**dataset.BitsStored - 1)
    return 1 - shown if dataset.PhotometricInterpretation == "MONOCHROME1" else shown


def shows(small: Array, right: Array) -> dict[str, Cell]:
    """Whether a small film is the right one: its correlation with it, and what that means."""
    if small.shape != right.shape:
        return {"shows": f"another shape: {small.shape}"}
    correlation = float(np.corrcoef(small.ravel(), right.ravel())[0, 1])
    meaning = "the film" if correlation > 0.999 else "its negative" if correlation < -0.9 else "another window"
    return {"correlation": correlation, "shows": meaning}


def encoded_films(folder: Path) -> dict[str, Path]:
    """The same film in five encodings, and one in baseline JPEG."""
    found = find_spec("data_store")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("pydicom-data is not installed, which brings the film: pip install pydicom-data")
    data = Path(found.submodule_search_locations[0]) / "data"
    films = {"uncompressed": data / "RG1_UNCR.dcm"}
    for name, syntax in (("RLE", uid.RLELossless), ("JPEG-LS", uid.JPEGLSLossless)):
        dataset = dcmread(films["uncompressed"])
        dataset.compress(syntax)
        films[name] = folder / f"{name}.dcm"
        dataset.save_as(films[name])
    films |= {"JPEG 2000 lossless": data / "RG1_J2KR.dcm", "JPEG 2000 lossy": data / "RG1_J2KI.dcm"}
    jpeg = Path(os.environ.get("PLAIT_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data")) / JPEG
    if jpeg.exists():
        films["JPEG baseline"] = jpeg
    else:
        print(f"{jpeg} is absent, so baseline JPEG is left out")
    return films


# Many films, again and again.


def epochs(folder: Path, size: int, rounds: int) -> list[dict[str, Cell]]:
    """Films a second of a first and of later epochs, for our cache and MONAI's."""
    films = drawn_dicoms(folder, EPOCH)
    rows: list[Row] = [{"image": film.name, "sha256_image": content_hash(film)} for film in films]
    plain, cached = Loader(size), Loader(size, cache=str(folder / "cache"))
    runs: dict[str, Callable[[], object]] = {
        "decoded each time": lambda: [plain(row, folder, ("image",)) for row in rows],
        "plait cache": lambda: [cached(row, folder, ("image",)) for row in rows],
    }
    first = {"plait cache": seconds(runs["plait cache"])}
    for row in rows:
        if not plain(row, folder, ("image",))["image"].equal(cached(row, folder, ("image",))["image"]):
            raise SystemExit("A film from the cache is not the film that was decoded: no time of it counts.")
    if monai := library("monai.data"):
        from plait_medical.monai_reader import FilmReader

        dataset = monai.PersistentDataset(films, by_monai(FilmReader(), size), cache_dir=folder / "monai")
        runs["MONAI PersistentDataset"] = lambda: [dataset[place] for place in range(len(films))]
        first["MONAI PersistentDataset"] = seconds(runs["MONAI PersistentDataset"])
    times = medians(runs, rounds)
    held = {
        "plait cache": sum(file.stat().st_size for file in (folder / "cache").iterdir()),
        "MONAI PersistentDataset": sum(file.stat().st_size for file in folder.glob("monai/*")),
    }
    if held["plait cache"] != bytes_needed(len(films), size):
        raise SystemExit("The cache is not as large as it said that it would be.")
    lines: list[dict[str, Cell]] = []
    for name, time in times.items():
        line: dict[str, Cell] = {"task": f"epoch of {EPOCH} films", "reader": name}
        line |= {"films_a_second": EPOCH / time, "decoding_takes_times": times["decoded each time"] / time}
        if name in first:
            line |= {"first_epoch": EPOCH / first[name], "kilobytes_a_film": held[name] / EPOCH / 2**10}
        lines.append(emit(line))
    return lines


def drawn_dicoms(folder: Path, count: int) -> list[Path]:
    """Drawn films of 12 bits in JPEG-LS, no two alike."""
    folder.mkdir()
    paths = [folder / f"film{number:03}.dcm" for number in range(count)]
    rng = np.random.default_rng(0)
    drawn = np.asarray(drawn_film({}, rng).resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=np.float64)
    for number, path in enumerate(paths):
        turned = np.roll(drawn, 9 * number, axis=1) * 15 + rng.normal(0, 8, drawn.shape)
        write_dicom(path, np.clip(turned, 0, 4095).astype(np.uint16), f"P{number // 2}")
    return paths


def write_dicom(path: Path, pixels: NDArray[np.uint16], patient: str) -> None:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = (
        uid.ComputedRadiographyImageStorage,
        uid.generate_uid(),
    )
    dataset = FileDataset(path, {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.PatientID, dataset.Modality = patient, "CR"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.WindowCenter, dataset.WindowWidth, dataset.PixelData = 2048, 4096, pixels.tobytes()
    dataset.compress(uid.JPEGLSLossless)
    dataset.save_as(path)


# Ingest.


def scaling(root: Path) -> list[dict[str, Cell]]:
    """Rows a second that ingest examines, by one process and by as many as there are processors."""
    films = drawn_dicoms(root, INGESTED)
    for film in films:
        film.with_suffix(".txt").write_text(f"FINDINGS: Film {film.stem}. No effusion or pneumothorax.")
    lines: list[dict[str, Cell]] = []
    tables: set[bytes] = set()
    for workers in sorted({1, 2, os.cpu_count() or 1}):
        out = root.with_name(f"pairs{workers}.parquet")
        run = partial(
            ingest, "medical", app.layouts["generic-folder"], root, out, Loader(), examine=app.examine, workers=workers
        )
        with suppress(FileNotFoundError):
            out.unlink()
        time = seconds(lambda run=run: run(allow_leakage=True))
        tables.add(out.read_bytes())
        line: dict[str, Cell] = {"task": f"ingest of {INGESTED} films", "reader": f"{workers} processes"}
        lines.append(emit(line | {"films_a_second": INGESTED / time}))
    if len(tables) > 1:
        raise SystemExit("Ingest with another number of processes gives another table: no time of it counts.")
    return lines


if __name__ == "__main__":
    main()
