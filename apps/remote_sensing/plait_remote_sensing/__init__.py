"""Plait for remote sensing: synthetic-aperture radar and optical images of one place."""

from __future__ import annotations

from plait_remote_sensing.cli import app

__all__ = ["app"]
