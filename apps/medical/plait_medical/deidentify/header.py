"""A DICOM data set, cleaned after the profile: in place, and through all its sequences."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from pydicom.charset import python_encoding
from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from plait_medical.deidentify.dates import shifted
from plait_medical.deidentify.profile import Options, action
from plait_medical.deidentify.pseudonyms import Pseudonyms
from plait_medical.phi import masked

type Changes = Counter[tuple[str, str]]
"""How often what was done ("removed", "emptied", "replaced", "mapped", "cleaned", "shifted") to which keyword."""

DUMMY = "ANONYMISED"
_DUMMIES: dict[str, Any] = {
    "AS": "000Y", "DA": "19000101", "DT": "19000101000000", "TM": "000000", "DS": "0", "IS": "0",
    "FL": 0.0, "FD": 0.0, "SS": 0, "US": 0, "SL": 0, "UL": 0, "SV": 0, "UV": 0, "AT": 0, "UR": "urn:x",
    "OB": b"\0\0", "OW": b"\0\0", "OL": b"\0" * 4, "OF": b"\0" * 4, "OD": b"\0" * 8, "OV": b"\0" * 8, "UN": b"\0\0",
}  # fmt: skip
# UIDs that the standard itself gives out: SOP classes, transfer syntaxes, well-known frames of reference.
_STANDARD_UID = re.compile(r"1\.2\.840\.10008\.[0-9.]+")
# What values that are not text consist of (PS3.5 section 6.2); anything else in their place may be a name.
_FORMS = {"AS": "[0-9]{3}[DWMY]", "DS": "[-+0-9.eE]*", "IS": "[-+0-9.]*", "TM": "[0-9.:]*", "UI": "[0-9.]*"}
_FREE_TEXT = ("ST", "LT", "UC", "UT")
# Attributes whose values, beside all names of persons, are looked for in texts.
_IDENTIFYING = (
    "PatientID", "OtherPatientIDs", "IssuerOfPatientID", "MedicalRecordLocator", "AccessionNumber", "AdmissionID",
    "PatientAddress", "PatientTelephoneNumbers", "PatientBirthDate", "InstitutionName", "InstitutionAddress",
    "ReferringPhysicianAddress", "ReferringPhysicianTelephoneNumbers", "ResponsibleOrganization", "MilitaryRank",
    "PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest",
)  # fmt: skip


def identity(dataset: Dataset) -> str:
    """What tells patients apart: the PatientID, or else name and birth date, or else the study."""
    name = f"{dataset.get('PatientName', '')}\0{dataset.get('PatientBirthDate', '')}".strip("\0 ")
    for value in (dataset.get("PatientID"), name, dataset.get("StudyInstanceUID"), dataset.get("SOPInstanceUID")):
        if str(value or "").strip():
            return str(value).strip()
    return ""


def identifiers(dataset: Dataset) -> set[str]:
    """The names and numbers in a header by which a text could name the patient or who cared for them."""
    found: set[str] = set()
    for element in _elements(dataset):
        if "PN" in (element.VR, _standard_vr(element)):
            found.update(part for value in _texts(element) for part in re.split(r"[\^=,\s]+", value) if len(part) > 1)
        elif keyword_for_tag(element.tag) in _IDENTIFYING:
            found.update(value for value in _texts(element) if len(value) > 2)
    return {word for word in found if not re.fullmatch(r"[Xx_*]+", word)}


def clean(dataset: Dataset, options: Options, pseudonyms: Pseudonyms) -> Changes:
    """Clean a data set in place; gives back what was done.

    The patient gets a pseudonym as PatientID and PatientName (a dummy value, which Z allows), and the data set says
    by which profile and options it was cleaned (PS3.15 E.1.1, step 6). Pixels are not touched.
    """
    changes: Changes = Counter()
    drop_unreadable(dataset, changes)
    replaced = [keyword for keyword in ("PatientID", "PatientName") if dataset.get(keyword)]
    patient, known = identity(dataset), identifiers(dataset)
    _Cleaner(options, pseudonyms, pseudonyms.days(patient), known, changes).clean(dataset)
    said = {
        "PatientID": pseudonyms.patient(patient),
        "PatientName": pseudonyms.patient(patient),
        "PatientIdentityRemoved": "YES",
        "DeidentificationMethod": "Plait, DICOM PS3.15 Table E.1-1 (2026c)",
        "DeidentificationMethodCodeSequence": [_code(*code) for code in _codes(options)],
        "LongitudinalTemporalInformationModified": "MODIFIED" if options.dates else "REMOVED",
    }
    for keyword, value in said.items():
        dataset.pop(keyword, None)  # with whatever value representation it had
        setattr(dataset, keyword, value)
    for keyword in replaced:  # by the pseudonym, after the profile had emptied it
        changes["emptied", keyword] -= 1
        changes["replaced", keyword] += 1
    return +changes


def by_kind(changes: Changes) -> dict[str, dict[str, int]]:
    """The changes as what was done, to which keyword, how often."""
    kinds: dict[str, dict[str, int]] = {}
    for (done, keyword), count in sorted(changes.items()):
        kinds.setdefault(done, {})[keyword] = count
    return kinds


class _Cleaner:
    """What the cleaning of one film shares through all its sequences."""

    def __init__(self, options: Options, pseudonyms: Pseudonyms, days: int, known: set[str], changes: Changes) -> None:
        self.options, self.pseudonyms, self.days, self.known, self.changes = options, pseudonyms, days, known, changes

    def clean(self, dataset: Dataset) -> None:
        for tag in list(dataset.keys()):
            if tag.is_private:
                del dataset[tag]
                self.changes["removed", "private"] += 1
                continue
            element = dataset[tag]
            done = self._apply(dataset, element)
            if done:
                self.changes[done, keyword_for_tag(tag) or "unknown"] += 1

    def _apply(self, dataset: Dataset, element: DataElement) -> str | None:
        """Do what the profile asks; gives back the word for it where the data set changed."""
        asked = action(element.tag, element.VR, self.options)
        if asked == "X":
            del dataset[element.tag]
            return "removed"
        if element.is_empty:
            return None
        if asked == "Z":
            element.clear()
            return "emptied"
        if asked == "D":
            element.value = [Dataset()] if element.VR == "SQ" else _DUMMIES.get(element.VR, DUMMY)
            return "replaced"
        if element.VR == "SQ":
            for item in element.value:
                self.clean(item)
            return None
        if asked in ("K", "S", "C") and not _is_what_it_says(element):
            del dataset[element.tag]
            return "removed"
        if asked == "U":
            return _changed(element, self._mapped, "mapped")
        if asked == "S":
            return None if element.VR == "TM" else _changed(element, self._shifted, "shifted")
        return _changed(element, self._text(element.VR), "cleaned") if asked == "C" else None

    def _mapped(self, uid: str) -> str:
        return uid if _STANDARD_UID.fullmatch(uid) else self.pseudonyms.uid(uid)

    def _shifted(self, value: str) -> str:
        return shifted(value, self.days) or ""

    def _text(self, vr: str) -> Callable[[str], str]:
        """How text that the table does not list is cleaned: prose is masked, a short value that names someone goes."""
        if vr in _FREE_TEXT:
            return lambda text: masked(text, self.known)
        # A coded string such as PA or CR may be a short name too; a long name may be glued to a number.
        words = {word for word in self.known if vr != "CS" or len(word) > 3}
        found = [re.escape(word) if len(word) > 4 else rf"(?<!\w){re.escape(word)}(?!\w)" for word in words]
        named = re.compile("|".join(found), re.IGNORECASE) if found else None
        return lambda text: DUMMY if named and named.search(text) else text


def drop_unreadable(dataset: Dataset, changes: Changes) -> None:
    """Remove the elements whose value no parser understands: nobody can say what is in them."""
    for tag in list(dataset.keys()):
        try:
            element = dataset[tag]
            if element.VR == "SQ":
                for item in element.value:
                    drop_unreadable(item, changes)
        except RecursionError:
            raise
        except Exception:  # noqa: BLE001 - a damaged value can raise almost anything in pydicom's converters
            del dataset[tag]
            changes["removed", "unreadable"] += 1


def _is_what_it_says(element: DataElement) -> bool:
    if keyword_for_tag(element.tag) == "SpecificCharacterSet":
        return all(value in python_encoding for value in _texts(element))
    form = _FORMS.get(element.VR)
    return form is None or all(re.fullmatch(form, value) for value in _texts(element))


def _standard_vr(element: DataElement) -> str:
    return dictionary_VR(element.tag) if dictionary_has_tag(element.tag) else ""


def _elements(dataset: Dataset) -> Iterator[DataElement]:
    """All elements that can be read, through all sequences."""
    for tag in list(dataset.keys()):
        try:
            element = dataset[tag]
        except Exception:  # noqa: BLE001, S112 - as above; an unreadable element is removed, so it names nobody
            continue
        yield element
        if element.VR == "SQ":
            for item in element.value:
                yield from _elements(item)


def _texts(element: DataElement) -> list[str]:
    value: Any = element.value
    return [str(one).strip() for one in (value if isinstance(value, MultiValue | list) else [value]) if one]


def _changed(element: DataElement, change: Callable[[str], str], word: str) -> str | None:
    """Put every value of an element through ``change``; gives back ``word`` where one came out different."""
    before = _texts(element)
    after = [change(value) for value in before]
    if after == before:
        return None
    element.value = after if len(after) > 1 else after[0]
    return word


def _codes(options: Options) -> Iterator[tuple[str, str]]:
    """Codes of PS3.16 CID 7050, De-identification Method."""
    yield "113100", "Basic Application Confidentiality Profile"
    if options.dates:
        yield "113107", "Retain Longitudinal Temporal Information Modified Dates Option"
    if options.uids:
        yield "113110", "Retain UIDs Option"


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item
