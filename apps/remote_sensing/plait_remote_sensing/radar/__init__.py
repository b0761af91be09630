"""What only radar has: calibration, ground control points, border noise, speckle."""
