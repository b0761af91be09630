"""The pair report: what a pair table holds, and whether its pairs are worth training on, before anyone trains."""

from plait_remote_sensing.pair_report.report import pairs

__all__ = ["pairs"]
