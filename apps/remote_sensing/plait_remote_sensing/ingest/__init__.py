"""The folder layouts that ``plait remote-sensing ingest`` understands, one file each."""

from __future__ import annotations

from plait.pairs.layout import Layout
from plait_remote_sensing.ingest import ombria, oscd, sen1floods11, sen12mscr, terramesh, worldcereal

LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        terramesh.LAYOUT,
        oscd.LAYOUT,
        ombria.LAYOUT,
        sen1floods11.LAYOUT,
        sen12mscr.LAYOUT,
        worldcereal.LAYOUT,
    )
}
