"""Plait for chest radiographs and their reports."""
