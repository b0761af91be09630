"""Every command in the docs runs, word for word, on each app's synthetic world laid out as ``shared/data``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from plait.apps import app_names, load_app
from tests.medical.planted import study

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
FEW = {"pretrain": ["--max-steps", "2"], "compare": ["--max-steps", "2", "--seeds", "1"]}
"""What makes a command quick here; everything else in it stays as the docs have it."""

Command = Callable[..., tuple[int, str, str]]


def commands(page: Path) -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


@pytest.fixture(scope="module")
def shared(quick: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ``shared/data`` of synthetic worlds."""
    shared = tmp_path_factory.mktemp("docs") / "shared"
    for name in app_names():
        app = load_app(name)
        app.synthetic(shared / "data" / app.demo.folder, 0)
    study(shared / "data/medical/dicom/files")
    return shared


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_plait_command_runs(
    page: Path, shared: Path, plait: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shared").symlink_to(shared)
    (tmp_path / "plait").mkdir()
    monkeypatch.chdir(tmp_path / "plait")
    for line in commands(page):
        words = shlex.split(line)
        if words[0].removeprefix(".venv/bin/") != "plait" or words[1] in ("demo", "doctor"):
            continue  # `make` targets are tested below; the demo and the doctor have tests of their own
        verb = next((word for word in words if word in FEW), "")
        code, _, errors = plait(*words[1:], *FEW.get(verb, []))
        assert code == 0, f"{line}\n{errors}"


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {shlex.split(line)[1] for page in PAGES for line in commands(page) if line.startswith("make ")}
    assert named
    assert named <= targets


def test_every_link_to_a_file_leads_somewhere() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
