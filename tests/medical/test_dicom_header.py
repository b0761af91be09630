"""The header that the suite uses: what a film says of itself, and nothing that names a patient."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pytest
from pydicom.dataset import Dataset

from plait_medical.dicom import UnreadableFilm, elements, read_film, read_header
from tests.medical.test_dicom import RAMP


def test_the_header_says_what_the_film_says(write_dicom):
    path = write_dicom(
        RAMP,
        SOPInstanceUID="1.2.3.4",
        StudyInstanceUID="1.2.3",
        Modality="DX",
        ViewPosition="PA",
        ImageLaterality="L",
        BodyPartExamined="CHEST",
        PatientSex="F",
        PatientAge="045Y",
        StudyDate="20240229",
        AcquisitionDate="20240301",
        Manufacturer="Acme",
        BurnedInAnnotation="NO",
        WindowCenter=["700", "40"],
        WindowWidth=["1500", "400"],
        ImagerPixelSpacing=["0.14", "0.14"],
    )
    header = read_header(path)
    assert header == read_film(path).header
    assert (header.sop, header.study, header.modality) == ("1.2.3.4", "1.2.3", "DX")
    assert (header.view, header.laterality) == ("PA", "L")
    assert (header.body_part, header.sex, header.age, header.date) == ("CHEST", "F", 45, "2024-02-29")
    assert (header.manufacturer, header.burned_in_annotation, header.window) == ("Acme", False, (700, 1500))
    assert (header.rows, header.columns, header.bits_allocated, header.bits_stored) == (4, 4, 16, 16)
    assert (header.photometric, header.inverted) == ("MONOCHROME2", False)
    assert header.transfer_syntax == "1.2.840.10008.1.2.1"
    assert header.pixel_spacing == (0.14, 0.14)


def test_what_is_missing_or_no_sense_is_none(write_dicom):
    path = write_dicom(
        RAMP,
        PatientID="",
        StudyDate="20240231",
        PatientAge="old",
        PixelSpacing=["0.000", "0.000"],
        WindowCenter="",
        WindowWidth="",
        BurnedInAnnotation="MAYBE",
    )
    header = read_header(path)
    given = {name for name, value in dataclasses.asdict(header).items() if value is not None}
    stated = {"photometric", "transfer_syntax", "bits_allocated", "bits_stored", "rows", "columns", "inverted"}
    assert given == stated


def test_the_patient_is_a_hash_of_the_id_and_no_name_is_kept(write_dicom):
    header = read_header(write_dicom(RAMP))
    assert header.patient == hashlib.sha256(b"MRN-4711").hexdigest()[:16]
    assert "MRN" not in str(header)
    assert "Doe" not in str(header)


@pytest.mark.parametrize(("age", "years"), [("018M", 1.5), ("070D", 70 / 365.25), ("004W", 28 / 365.25)])
def test_ages_are_in_years(write_dicom, age, years):
    assert read_header(write_dicom(RAMP, PatientAge=age)).age == pytest.approx(years)


@pytest.mark.parametrize(("code", "view"), [("R-10206", "AP"), ("272479007", "PA"), ("R-10236", "LL"), ("0", None)])
def test_a_coded_view_stands_in_for_a_missing_view_position(write_dicom, code, view):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "SRT", "a view"
    assert read_header(write_dicom(RAMP, ViewCodeSequence=[item])).view == view
    assert read_header(write_dicom(RAMP, ViewCodeSequence=[item], ViewPosition="LATERAL")).view == "LATERAL"


def test_the_header_needs_no_pixels_but_an_image(write_dicom):
    assert read_header(write_dicom(RAMP, PixelData=b"\0\0")).rows == 4
    with pytest.raises(UnreadableFilm, match="has no pixels"):
        read_header(write_dicom(RAMP, Rows=None))


def test_only_the_header_is_read(write_dicom, monkeypatch):
    path = write_dicom(np.zeros((1000, 1000), dtype=np.uint16))
    read = 0

    original = elements._Source.read

    def counted(self, size=-1, /):
        nonlocal read
        data = original(self, size)
        read += len(data)
        return data

    monkeypatch.setattr(elements._Source, "read", counted)
    read_header(path)
    assert 0 < read < 5000
