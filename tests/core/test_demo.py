"""``plait demo`` from nothing to a report, on synthetic worlds, in a few steps."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from plait import demo as demonstration
from plait.apps import App, load_app

Command = Callable[..., tuple[int, str, str]]


@pytest.mark.usefixtures("quick")
def test_the_demo_runs_every_domain(plait: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def short(name: str) -> App:
        app = load_app(name)
        return replace(app, demo=replace(app.demo, steps=3))

    monkeypatch.setattr(demonstration, "load_app", short)
    code, printed, _ = plait("demo", "--out", tmp_path / "demo")
    assert code == 0
    assert "a demonstration, not a claim" in printed
    results = json.loads((tmp_path / "demo" / "results.json").read_text())
    apps = {"medical", "remote-sensing", "driving", "sentiment"}
    assert {result["task"].split("/")[0] for result in results} >= apps
    for app in apps:
        subjects = {result["subject"] for result in results if result["task"].startswith(app)}
        assert "raw features" in subjects
        assert any(subject.endswith("(random init)") for subject in subjects)
    page = (tmp_path / "demo" / "report.html").read_text()
    assert "Synthetic data" in page
    assert page.count("<img src=") >= 12
    code, _, errors = plait("demo", "--out", tmp_path / "demo")
    assert code == 2
    assert "already holds a demo" in errors
