"""Radiology reports read: sections, sentences, and per finding present, absent or uncertain."""

from plait_medical.reports.findings import Evidence, State
from plait_medical.reports.report import Report, parse_report

__all__ = ["Evidence", "Report", "State", "parse_report"]
