"""DICOM PS3.15 Table E.1-1 on whole data sets: nothing of what it lists stays, what it does not list is still films."""

from __future__ import annotations

import csv
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import UID

from plait_medical.deidentify import header, profile
from plait_medical.deidentify.film_file import encoded
from plait_medical.deidentify.header import clean
from plait_medical.deidentify.profile import Options, action
from tests.medical.planted import NAMES, SECRETS, cleaned, film, item, leaks

PLANT = "Zamenhof"
# How the planted word is written in each value representation that has room for one.
PLANTED: dict[str, Any] = {
    "AE": PLANT, "CS": PLANT.upper(), "SH": PLANT, "LO": PLANT, "PN": f"{PLANT}^Ludovika", "ST": PLANT, "LT": PLANT,
    "UC": PLANT, "UT": PLANT, "UR": f"https://x/{PLANT}", "UI": "1.2.826.0.1.3680043.9.7133.9", "OB": b"Zamenhof",
    "UN": b"Zamenhof", "OW": b"Zamenhof", "AS": "093Y", "DA": "20130918", "DT": "20130918101530", "TM": "101530.117",
    "DS": "77120043", "IS": "77120043", "US": 7713, "SS": 7713, "UL": 77120043, "SL": 77120043, "FD": 7713.5,
    "FL": 7713.5,
}  # fmt: skip
TABLE = list(csv.DictReader(Path(profile.__file__).with_name("profile.csv").read_text(encoding="utf-8").splitlines()))
LISTED = [Tag(int(row["tag"], 16)) for row in TABLE if "XX" not in row["tag"]]


def planted(tag: int) -> DataElement:
    """An element of the table with a value that must not stay."""
    vr = dictionary_VR(tag) if dictionary_has_tag(tag) else "LO"
    if vr == "SQ":
        return DataElement(tag, "SQ", [item(PatientName=f"{PLANT}^Ludovika", StudyInstanceUID=PLANTED["UI"])])
    return DataElement(tag, vr, PLANTED[vr])


class TestTable:
    def test_it_has_every_row_of_2026c(self) -> None:
        assert len(TABLE) == 655
        assert {row["action"] for row in TABLE} == {"D", "Z", "X", "U", "X/Z", "X/D", "Z/D", "X/Z/D", "X/Z/U*"}

    @pytest.mark.parametrize(
        ("keyword", "letters", "dates", "uids"),
        [
            ("AccessionNumber", "Z", "", ""),
            ("AcquisitionDateTime", "X/Z/D", "C", ""),
            ("AcquisitionContextSequence", "X/Z", "", ""),
            ("ContentDate", "Z/D", "C", ""),
            ("ContentSequence", "D", "", ""),
            ("DetectorID", "X/D", "", ""),
            ("DeviceSerialNumber", "X/Z/D", "", ""),
            ("DigitalSignaturesSequence", "X", "", ""),
            ("FrameOfReferenceUID", "U", "", "K"),
            ("PatientBirthDate", "Z", "", ""),
            ("PatientID", "Z/D", "", ""),
            ("PatientName", "Z", "", ""),
            ("PatientSex", "Z", "", ""),
            ("PatientAge", "X", "", ""),
            ("ReferencedImageSequence", "X/Z/U*", "", "K"),
            ("SOPInstanceUID", "U", "", "K"),
            ("StudyDate", "Z", "C", ""),
            ("StudyDescription", "X", "", ""),
            ("SeriesDate", "X/D", "C", ""),
            ("IconImageSequence", "X", "", ""),
        ],
    )
    def test_rows_that_one_can_look_up(self, keyword: str, letters: str, dates: str, uids: str) -> None:
        row = next(row for row in TABLE if row["keyword"] == keyword)
        assert (row["action"], row["dates"], row["uids"]) == (letters, dates, uids)

    def test_keywords_are_the_dictionarys(self) -> None:
        for row in TABLE:
            if "XX" not in row["tag"] and dictionary_has_tag(int(row["tag"], 16)):
                assert row["keyword"] == keyword_for_tag(int(row["tag"], 16))

    def test_no_choice_of_the_table_keeps_a_value(self) -> None:
        for tag in LISTED:
            vr = dictionary_VR(tag) if dictionary_has_tag(tag) else "LO"
            assert action(tag, vr, Options()) in ("X", "Z", "D", "U")


class TestEveryRow:
    @pytest.mark.parametrize("depth", [0, 3])
    @pytest.mark.parametrize("options", [{}, {"dates": True}], ids=["removed", "shifted"])
    def test_nothing_planted_in_a_listed_attribute_stays(self, depth: int, options: dict[str, bool]) -> None:
        dataset = film()
        inner: Dataset = dataset
        for _ in range(depth):
            inner.AnatomicRegionSequence = [item(CodeValue="T-D3000")]
            inner = inner.AnatomicRegionSequence[0]
        for tag in LISTED:
            if tag.group >= 8 and (depth or tag not in dataset):
                inner.add(planted(tag))
        before = encoded(dataset, Path("film"))
        assert leaks(before)
        after = encoded(cleaned(dataset, **options), Path("film"))
        assert leaks(after) == []
        # Numbers have no words to look for.
        kept = [keyword_for_tag(tag) for tag in LISTED if tag in inner and inner[tag].value == planted(tag).value]
        assert kept == ([] if not options else [name for name in kept if dictionary_VR(name) == "TM"])

    def test_the_film_stays_a_film(self) -> None:
        after = cleaned(film())
        kept = (
            "Rows",
            "Columns",
            "BitsStored",
            "PhotometricInterpretation",
            "Modality",
            "ViewPosition",
            "Manufacturer",
        )
        assert [after[name].value for name in kept] == [48, 48, 8, "MONOCHROME2", "DX", "PA", "Radon Works"]
        assert after.PixelData == film().PixelData

    def test_empty_values_stay_empty(self) -> None:
        after = cleaned(film(AccessionNumber="", ContentDate="", ClinicalTrialSponsorName=""))
        assert not after.AccessionNumber
        assert not after.ContentDate
        assert not after.ClinicalTrialSponsorName


class TestBeyondTheTable:
    def test_private_attributes_go_also_inside_sequences(self) -> None:
        dataset = film(AnatomicRegionSequence=[item(CodeValue="T-D3000")])
        for place in (dataset, dataset.AnatomicRegionSequence[0]):
            place.private_block(0x0019, "ZAMENHOF WORKS", create=True).add_new(0x10, "LO", "Ludovika")
        told = header.by_kind(clean(dataset, Options(), NAMES))
        assert leaks(encoded(dataset, Path("film"))) == []
        assert dataset.AnatomicRegionSequence[0].CodeValue == "T-D3000"
        assert told["removed"]["private"] == 4

    @pytest.mark.parametrize("group", [0x5000, 0x501E, 0x6000, 0x60FE])
    def test_curves_and_overlays_go_whole(self, group: int) -> None:
        dataset = film()
        dataset.add_new((group, 0x0022), "LO", "Zamenhof")
        dataset.add_new((group, 0x3000), "OW", b"Ludovika")
        after = cleaned(dataset)
        assert not [element for element in after if element.tag.group == group]

    def test_unlisted_names_dates_and_free_text(self) -> None:
        after = cleaned(
            film(
                DocumentAuthorTrial="Zamenhof^Ludovika",  # PN
                ExpiryDate="20130918",  # DA
                PartialViewDescription="Film of Ludovika, told Dr. Mesmer on 18.9.2013.",  # ST
                ImagePathFilterTypeStackCodeSequence=[item(CodeMeaning="Zamenhof")],  # LO
                FilterType="ZAMENHOF",  # CS or SH
            )
        )
        assert leaks(encoded(after, Path("film"))) == []
        assert after.PartialViewDescription == "Film of [KNOWN], told [NAME] on [DATE]."

    def test_short_coded_strings_are_no_names(self) -> None:
        assert cleaned(film(PatientName="Pa^Dx")).ViewPosition == "PA"

    def test_a_name_glued_to_a_number_is_found(self) -> None:
        assert cleaned(film(Manufacturer="xZAMENHOF99")).Manufacturer == header.DUMMY

    def test_attributes_that_no_dictionary_knows_go(self) -> None:
        dataset = film()
        dataset.add_new(0x00084321, "LO", "Zamenhof")
        assert 0x00084321 not in cleaned(dataset)

    @pytest.mark.parametrize("vr", ["LO", "UN", "OB", "ST", "SH"])
    def test_a_wrong_value_representation_hides_nothing(self, vr: str) -> None:
        value = b"Zamenhof" if vr in ("UN", "OB") else "Zamenhof"
        dataset = film()
        for tag in (0x00100010, 0x00081030, 0x00080070, 0x00180015):  # name, study description, manufacturer, body part
            dataset[tag] = DataElement(tag, vr, value)
        assert leaks(encoded(cleaned(dataset), Path("film"))) == []

    def test_a_word_in_place_of_a_number_goes(self) -> None:
        dataset = film()
        raw = BytesIO()
        dataset.add_new(0x00181152, "IS", "12")
        dataset.save_as(raw)
        broken = raw.getvalue().replace(b"\x18\x00\x52\x11IS\x02\x0012", b"\x18\x00\x52\x11IS\x02\x00Za")
        assert broken != raw.getvalue()
        assert 0x00181152 not in cleaned(pydicom.dcmread(BytesIO(broken)))

    def test_preamble_and_file_meta_are_made_anew(self) -> None:
        dataset = film()
        dataset.preamble = b"Zamenhof".ljust(128, b"\0")
        dataset.file_meta.SourceApplicationEntityTitle = "LUDOVIKA"
        dataset.file_meta.PrivateInformationCreatorUID = UID("1.2.826.0.1.3680043.9.7133.5")
        dataset.file_meta.PrivateInformation = b"Zamenhof"
        content = encoded(cleaned(dataset), Path("film"))
        meta = pydicom.dcmread(BytesIO(content)).file_meta
        assert leaks(content) == []
        assert meta.MediaStorageSOPInstanceUID == NAMES.uid(SECRETS["SOPInstanceUID"])
