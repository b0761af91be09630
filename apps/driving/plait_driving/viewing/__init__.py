"""What other programs can look at: coloured point clouds, a page of pictures, a recording for rerun."""

from plait_driving.viewing.ply import import_open3d, write_ply

__all__ = ["import_open3d", "write_ply"]
