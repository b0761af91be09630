"""The data-set layouts that ``plait driving ingest`` understands, one file or folder each."""

from plait_driving.ingest import argoverse2, kitti, manifest, nuscenes, pandaset, rellis3d, waymo

LAYOUTS = {
    layout.name: layout
    for layout in (
        pandaset.LAYOUT,
        *kitti.LAYOUTS,
        nuscenes.LAYOUT,
        waymo.LAYOUT,
        argoverse2.LAYOUT,
        rellis3d.LAYOUT,
        manifest.LAYOUT,
    )
}
