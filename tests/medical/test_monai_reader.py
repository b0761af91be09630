"""MONAI's transforms get a film as we read it, along MONAI's axes, or our refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.data.dataloader import DataLoader
from monai.data.dataset import Dataset
from monai.data.image_writer import PILWriter
from monai.transforms.compose import Compose
from monai.transforms.io.array import LoadImage
from monai.transforms.spatial.array import Resize
from monai.transforms.utility.array import EnsureChannelFirst
from PIL import Image

from plait.errors import InputError
from plait_medical.film import UnreadableFilm
from plait_medical.load import open_film
from plait_medical.monai_reader import FilmReader

# LoadImage makes one of each of MONAI's readers, whatever it is given.
pytestmark = pytest.mark.filterwarnings("ignore:NvImgCodecPydicomReader:UserWarning")
PIXELS = (np.add.outer(np.arange(20) * 40, np.arange(30) ** 2)).astype(np.uint16)
FILM = {"PhotometricInterpretation": "MONOCHROME1", "WindowCenter": 600, "WindowWidth": 1000}


def loaded(files: Any, reader: FilmReader | None = None, **options: bool) -> Any:
    return LoadImage(reader=reader or FilmReader(), **options)(files)


def test_the_upright_film_is_the_transpose_of_what_monai_gets(write_dicom):
    path = write_dicom(PIXELS, **FILM)
    image = loaded(path)
    assert image.shape == (30, 20)
    assert image.dtype == torch.float32
    np.testing.assert_array_equal(image.numpy().T, open_film(path).pixels)
    assert image[0, 0] > image[-1, -1]  # MONOCHROME1, and so the low corner is bright


def test_without_reversed_indexing_it_is_the_film_itself(write_dicom):
    path = write_dicom(PIXELS, **FILM, PixelSpacing=[0.3, 0.2])
    image = loaded(path, FilmReader(reverse_indexing=False))
    np.testing.assert_array_equal(image.numpy(), open_film(path).pixels)
    np.testing.assert_allclose(image.pixdim, [0.3, 0.2])
    assert image.meta["spatial_shape"].tolist() == [20, 30]


def test_the_affine_goes_with_the_axes(write_dicom):
    image = loaded(write_dicom(PIXELS, PixelSpacing=[0.3, 0.2]))  # rows .3 mm apart
    np.testing.assert_allclose(image.affine, np.diag([0.2, 0.3, 1, 1]))
    np.testing.assert_allclose(image.pixdim, [0.2, 0.3])
    assert image.meta["spatial_shape"].tolist() == [30, 20]
    unknown = loaded(write_dicom(PIXELS))
    np.testing.assert_array_equal(unknown.affine, np.eye(4))


def test_what_monai_writes_is_upright(write_dicom):
    path = write_dicom(PIXELS, **FILM)
    picture = PILWriter.create_backend_obj(loaded(path), scale=255)
    np.testing.assert_allclose(np.asarray(picture) / 255, open_film(path).pixels, atol=1 / 255)


def test_pictures_are_read_as_well(tmp_path):
    Image.fromarray((PIXELS // 8).astype(np.uint8)).save(tmp_path / "film.png")
    image = loaded(tmp_path / "film.png")
    np.testing.assert_array_equal(image.numpy().T, open_film(tmp_path / "film.png").pixels)


def test_a_film_that_we_refuse_is_not_read_by_another_reader(write_dicom):
    path = write_dicom(np.stack([PIXELS, PIXELS]), NumberOfFrames=2)
    with pytest.raises(UnreadableFilm, match="several frames"):
        loaded(path)


def test_nothing_of_the_patient_is_handed_on(write_dicom):
    image = loaded(write_dicom(PIXELS, StudyDate="20200229", AccessionNumber="ACC-4712", StudyInstanceUID="1.2.3.4714"))
    told = str({key: value for key, value in image.meta.items() if key != "filename_or_obj"})
    pseudonym = open_film(Path(image.meta["filename_or_obj"])).header.patient
    for word in ("Doe", "4711", "4712", "4714", "2020", str(pseudonym)):
        assert word not in told


def test_what_was_assumed_is_told(write_dicom):
    image = loaded(write_dicom(PIXELS, WindowCenter=[600, 700], WindowWidth=[1000, 900]))
    assert image.meta["notes"] == "; ".join(open_film(Path(image.meta["filename_or_obj"])).notes) != ""
    assert image.meta["photometric"] == "MONOCHROME2"
    assert image.meta["inverted"] is False
    assert image.meta["view"] == ""


def test_films_go_through_a_loader_of_batches_together(write_dicom, tmp_path):
    Image.fromarray((PIXELS // 8).astype(np.uint8)).save(tmp_path / "plain.png")
    films = [write_dicom(PIXELS, **FILM, ViewPosition="PA", PixelSpacing=[0.3, 0.2]), tmp_path / "plain.png"]
    transform: Any = Compose([LoadImage(reader=FilmReader()), EnsureChannelFirst(), Resize((12, 8), mode="area")])
    (batch,) = DataLoader(Dataset(films, transform), batch_size=2)
    assert batch.shape == (2, 1, 12, 8)
    assert batch.meta["view"] == ["PA", ""]


def test_several_films_become_channels(write_dicom):
    first, second = write_dicom(PIXELS, "a.dcm", **FILM), write_dicom(PIXELS[::-1], "b.dcm", **FILM)
    image = loaded([first, second], ensure_channel_first=True)
    np.testing.assert_array_equal(image[1].numpy().T, open_film(second).pixels)
    with pytest.raises(InputError, match="in size or spacing"):
        loaded([first, write_dicom(PIXELS[:10], "c.dcm")])


def test_it_says_what_it_reads(write_dicom, tmp_path):
    nameless = write_dicom(PIXELS, "IM0001")
    (tmp_path / "notes.txt").write_text("text")
    assert FilmReader().verify_suffix(nameless)
    assert FilmReader().verify_suffix([nameless, "a/film.PNG"])
    assert not FilmReader().verify_suffix([nameless, tmp_path / "notes.txt"])
    assert not FilmReader().verify_suffix(tmp_path / "absent")
