"""KITTI's layouts, and that of SemanticKITTI, which is built on its odometry."""

from plait_driving.ingest.kitti import detection, odometry, raw, semantic

LAYOUTS = (detection.LAYOUT, raw.LAYOUT, odometry.LAYOUT, semantic.LAYOUT)
