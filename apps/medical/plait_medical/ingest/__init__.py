"""The folder layouts that ``plait medical ingest`` understands, one file each."""

from __future__ import annotations

from plait.pairs.layout import Layout
from plait_medical.ingest import generic_csv, generic_folder, iu_xray

LAYOUTS: dict[str, Layout] = {
    layout.name: layout for layout in (iu_xray.LAYOUT, generic_folder.LAYOUT, generic_csv.LAYOUT)
}
