"""UIDs, dates and patients of cleaned films: consistent, shifted, and said as PS3.15 asks."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import pytest
from pydicom.sr.codedict import codes
from pydicom.uid import UID

from plait_medical.deidentify import header
from plait_medical.deidentify.dates import shifted
from plait_medical.deidentify.header import clean
from plait_medical.deidentify.profile import Options
from plait_medical.deidentify.pseudonyms import Pseudonyms
from tests.medical.planted import NAMES, SECRETS, cleaned, film, item, leaks


class TestUids:
    def test_a_reference_still_points_to_its_film(self) -> None:
        one, other = film(), film(SOPInstanceUID="1.2.826.0.1.3680043.9.7133.3.77004")
        other.ReferencedImageSequence = [
            item(ReferencedSOPClassUID=one.SOPClassUID, ReferencedSOPInstanceUID=one.SOPInstanceUID)
        ]
        one, other = cleaned(one), cleaned(other)
        reference = other.ReferencedImageSequence[0]
        assert reference.ReferencedSOPInstanceUID == one.SOPInstanceUID != other.SOPInstanceUID
        assert one.StudyInstanceUID == other.StudyInstanceUID
        assert reference.ReferencedSOPClassUID == one.SOPClassUID == film().SOPClassUID

    def test_they_are_valid_and_need_the_key(self) -> None:
        mapped = NAMES.uid("1.2.3")
        assert UID(mapped).is_valid
        assert mapped.startswith("2.25.")
        assert len(mapped) <= 64
        assert mapped == Pseudonyms(b"k" * 32).uid("1.2.3") != Pseudonyms(b"l" * 32).uid("1.2.3")

    def test_those_of_the_standard_are_nobodys(self) -> None:
        known = "1.2.840.10008.1.4.1.1"  # Talairach Brain Atlas Frame of Reference
        assert cleaned(film(FrameOfReferenceUID=known)).FrameOfReferenceUID == known
        assert cleaned(film(FrameOfReferenceUID="1.2.840.113619.2")).FrameOfReferenceUID == NAMES.uid(
            "1.2.840.113619.2"
        )

    def test_one_pseudonym_does_not_give_away_another(self) -> None:
        assert NAMES.patient("7")[1:].lower() != NAMES.name("7")[:12]
        assert UUID(int=int(NAMES.uid("7")[5:])).hex[:12] != NAMES.name("7")[:12]

    def test_the_option_retains_them(self) -> None:
        dataset = film(ReferencedStudySequence=[item(ReferencedSOPInstanceUID="1.2.3", PatientName="Zamenhof")])
        after = cleaned(dataset, uids=True)
        assert after.SOPInstanceUID == SECRETS["SOPInstanceUID"]
        assert after.ReferencedStudySequence[0].ReferencedSOPInstanceUID == "1.2.3"
        assert "Zamenhof" not in str(after)


class TestDates:
    def test_are_removed_by_default(self) -> None:
        after = cleaned(film(AcquisitionDateTime="20130918101530", SeriesDate="20130918"))
        assert not after.StudyDate
        assert not after.StudyTime
        assert not after.AcquisitionDateTime
        assert "SeriesDate" not in after

    def test_of_one_patient_keep_their_distance(self) -> None:
        days: list[str] = []
        for day in ("20130918", "20140301"):
            inner = [item(ScheduledProcedureStepStartDate=day)]
            after = cleaned(
                film(StudyDate=day, AcquisitionDateTime=day + "101530.5", AnatomicRegionSequence=inner), dates=True
            )
            assert after.StudyTime == "101530"
            assert after.AcquisitionDateTime == after.StudyDate + "101530.5"
            assert after.AnatomicRegionSequence[0].ScheduledProcedureStepStartDate == after.StudyDate
            assert not after.PatientBirthDate
            days.append(after.StudyDate)
        first, second = (datetime.strptime(day, "%Y%m%d") for day in days)
        assert (second - first).days == 164
        assert days[0] < "20130918"

    def test_of_other_patients_move_otherwise(self) -> None:
        moved = {cleaned(film(PatientID=name), dates=True).StudyDate for name in ("A1", "B2", "C3")}
        assert len(moved) == 3

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("20130918", "20130917"),
            ("2013.09.18", "20130917"),
            ("20130301", "20130228"),
            ("20130918101530.25+0100", "20130917101530.25+0100"),
            ("20130918 Zamenhof", None),
            ("2013091877120043", None),
            ("2013", None),
            ("201309", None),
            ("unknown", None),
            ("20131345", None),
            ("00010101", None),
        ],
    )
    def test_shift(self, value: str, expected: str | None) -> None:
        assert shifted(value, 1) == expected

    def test_a_date_that_cannot_move_is_emptied(self) -> None:
        assert not cleaned(film(AcquisitionDateTime="201309"), dates=True).AcquisitionDateTime


class TestWhatItSays:
    def test_patient_gets_one_pseudonym(self) -> None:
        one, other = cleaned(film()), cleaned(film(PatientName="Z^L", SOPInstanceUID="1.2.3"))
        assert one.PatientID == other.PatientID == one.PatientName
        assert one.PatientID != cleaned(film(PatientID="MRN-77120044")).PatientID

    def test_without_a_patient_id_name_and_birth_date_tell_patients_apart(self) -> None:
        nameless = {"PatientID": None, "PatientName": None, "PatientBirthDate": None}
        ids = [
            cleaned(film(**elements)).PatientID
            for elements in (
                {"PatientID": None},
                {"PatientID": " "},
                {"PatientID": "", "PatientBirthDate": "19500101"},
                nameless,
                {**nameless, "StudyInstanceUID": "1.2.3"},
            )
        ]
        assert ids[0] == ids[1]
        assert len(set(ids)) == 4

    @pytest.mark.parametrize(
        ("options", "expected", "dates"),
        [
            ({}, ["BasicApplicationConfidentialityProfile"], "REMOVED"),
            (
                {"dates": True, "uids": True},
                [
                    "BasicApplicationConfidentialityProfile",
                    "RetainLongitudinalTemporalInformationModifiedDatesOption",
                    "RetainUidsOption",
                ],
                "MODIFIED",
            ),
        ],
    )
    def test_profile_and_options_are_coded(self, options: dict[str, bool], expected: list[str], dates: str) -> None:
        after = cleaned(film(), **options)
        assert after.PatientIdentityRemoved == "YES"
        assert after.LongitudinalTemporalInformationModified == dates
        wanted = [getattr(codes.cid7050, name) for name in expected]
        coded = after.DeidentificationMethodCodeSequence
        assert [(one.CodeValue, one.CodingSchemeDesignator, one.CodeMeaning) for one in coded] == [
            (code.value, code.scheme_designator, code.meaning) for code in wanted
        ]

    def test_changes_name_attributes_and_no_values(self) -> None:
        told = header.by_kind(clean(film(), Options(), NAMES))
        assert told["removed"] == {"PatientAddress": 1, "PatientTelephoneNumbers": 1}
        assert told["mapped"] == {"SOPInstanceUID": 1, "SeriesInstanceUID": 1, "StudyInstanceUID": 1}
        assert told["replaced"].items() >= {"PatientID": 1, "PatientName": 1}.items()
        assert not {"PatientID", "PatientName"} & set(told["emptied"])
        assert leaks(str(told).encode()) == []
