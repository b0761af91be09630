"""The folder layouts that ``plait medical ingest`` understands, one file each."""

from __future__ import annotations

from plait.pairs.layout import Layout
from plait_medical.ingest import (
    chexpert,
    covid_chestxray,
    generic_csv,
    generic_folder,
    iu_xray,
    mimic_cxr,
    nih_cxr14,
    padchest,
    vqa_rad,
)

_OWN = (generic_folder, generic_csv)
_PUBLISHED = (iu_xray, mimic_cxr, chexpert, padchest, nih_cxr14, covid_chestxray, vqa_rad)
LAYOUTS: dict[str, Layout] = {module.LAYOUT.name: module.LAYOUT for module in (*_PUBLISHED, *_OWN)}
