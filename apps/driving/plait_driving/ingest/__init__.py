"""The data-set layouts that ``plait driving ingest`` understands, one file each."""

from plait_driving.ingest import kitti_object, kitti_raw, nuscenes, pandaset

LAYOUTS = {module.LAYOUT.name: module.LAYOUT for module in (pandaset, kitti_object, kitti_raw, nuscenes)}
