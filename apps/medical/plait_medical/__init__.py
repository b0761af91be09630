"""Plait for chest radiographs and their reports."""

from plait_medical.cli import app

__all__ = ["app"]
