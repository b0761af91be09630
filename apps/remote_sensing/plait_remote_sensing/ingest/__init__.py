"""The layouts that ``plait remote-sensing ingest`` understands, one file each."""

from __future__ import annotations

from plait.pairs.layout import Layout
from plait_remote_sensing.ingest import (
    bigearthnet,
    dfc2020,
    generic_csv,
    generic_folder,
    hyperspectral,
    multisenge,
    ombria,
    oscd,
    sen1_2,
    sen1floods11,
    sen12ms,
    sen12mscr,
    so2sat,
    ssl4eo_s12,
    stac_items,
    terramesh,
    worldcereal,
)

LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        generic_folder.LAYOUT,
        generic_folder.CHANGES,
        stac_items.LAYOUT,
        stac_items.CHANGES,
        generic_csv.LAYOUT,
        generic_csv.CHANGES,
        terramesh.LAYOUT,
        oscd.LAYOUT,
        oscd.CHANGE,
        ombria.LAYOUT,
        ombria.CHANGE,
        sen1floods11.LAYOUT,
        sen12mscr.LAYOUT,
        worldcereal.LAYOUT,
        sen12ms.LAYOUT,
        sen1_2.LAYOUT,
        ssl4eo_s12.LAYOUT,
        bigearthnet.LAYOUT,
        so2sat.LAYOUT,
        dfc2020.LAYOUT,
        multisenge.LAYOUT,
        *hyperspectral.LAYOUTS,
    )
}
