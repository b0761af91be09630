"""De-identification of films and reports: DICOM PS3.15 Annex E, Basic Application Level Confidentiality Profile."""

from __future__ import annotations

from plait_medical.deidentify.job import deidentify
from plait_medical.deidentify.profile import Options

__all__ = ["Options", "deidentify"]
