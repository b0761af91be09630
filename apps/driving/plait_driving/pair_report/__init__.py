"""The pair report: which points a camera really shows, and how true the pairs are, before anyone trains."""

from plait_driving.pair_report.report import pairs

__all__ = ["pairs"]
