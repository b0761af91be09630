"""Plait for remote sensing: synthetic-aperture radar and optical images of one place."""
