"""Camera and LiDAR."""

from plait_driving.cli import app

__all__ = ["app"]
