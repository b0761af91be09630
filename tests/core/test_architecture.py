"""The walls of the house: who may import whom, how big a file may be, and what may never be committed."""

from __future__ import annotations

import ast
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = ROOT / "core" / "plait"
APPS = sorted(ROOT.glob("apps/*/plait_*"))
LONGEST = 400
ROOMS = ("__init__", "augment", "cli", "ingest", "load", "pictures", "raw", "recipes", "synthetic", "tasks")


def sources(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def imports(source: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in the file it does so."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            assert node.level == 0, f"{source} imports relatively: name the whole module"


def committed() -> list[Path]:
    """What git tracks or would take in."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [path for name in names if name and (path := ROOT / name).is_file()]


needs_git = pytest.mark.skipif(
    shutil.which("git") is None or not (ROOT / ".git").exists(), reason="not a git clone: nothing is committed here"
)


def test_the_core_imports_no_app() -> None:
    found = [(source, name) for source in sources(CORE) for name in imports(source) if name.startswith("plait_")]
    assert found == []


@pytest.mark.parametrize("app", APPS, ids=lambda app: app.name)
def test_an_app_imports_no_other_app(app: Path) -> None:
    found = [(source, name) for source in sources(app) for name in imports(source) if name.startswith("plait_")]
    assert [(source, name) for source, name in found if name.split(".")[0] != app.name] == []


@pytest.mark.parametrize("app", APPS, ids=lambda app: app.name)
def test_every_app_has_the_same_rooms(app: Path) -> None:
    there = {path.stem for path in app.iterdir()}
    assert [room for room in ROOMS if room not in there] == []
    assert list((app / "recipes").glob("*.yaml")), "an app without a recipe can learn nothing"


def test_every_app_joins_by_its_entry_point() -> None:
    from plait.apps import App, load_app

    points = {point.value.split(".")[0]: point.name for point in entry_points(group="plait.apps")}
    assert {app.name for app in APPS} <= set(points)
    for app in APPS:
        loaded = load_app(points[app.name])
        assert isinstance(loaded, App)
        assert loaded.name == points[app.name]


@pytest.mark.parametrize("arguments", [["--help"], ["medical", "--help"], ["medical", "pretrain", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from plait.cli import main\n"
        "try:\n"
        f"    main({arguments})\n"
        "except SystemExit:\n"
        "    pass\n"
        "print(*(name for name in sys.modules if name.split('.')[0] in ('numpy', 'torch', 'transformers', 'rich')"
        " or name.startswith('plait_') and '.' in name and '.verbs' not in name), file=sys.stderr)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "usage: plait" in ended.stdout
    assert ended.stderr.strip() == ""


def test_the_core_imports_no_library_of_one_domain() -> None:
    domain = {"monai", "open3d", "pydicom", "pyproj", "rasterio", "skimage", "torchgeo"}
    found = [(source, name) for source in sources(CORE) for name in imports(source) if name.split(".")[0] in domain]
    assert found == []


@pytest.mark.parametrize("app", APPS, ids=lambda app: app.name)
def test_an_app_does_not_import_open3d_before_it_is_needed(app: Path) -> None:
    for source in sources(app):
        for node in ast.parse(source.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] == "open3d" for name in names), source


def test_no_file_is_long() -> None:
    files = [path for folder in ("core", "apps", "tests", "benchmarks", "docs") for path in sources(ROOT / folder)]
    lengths = {path.relative_to(ROOT): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST} == {}


@needs_git
def test_nothing_committed_names_a_registry_or_a_folder_of_one_machine() -> None:
    """Such lines work on the machine they were written on, and nowhere else."""
    homes = "|".join("/" + folder + "/" for folder in ("root", "work", "home", "Users", "opt"))
    registries = "|".join((r"pypi\." + "org", "python" + "hosted", "index" + "-url"))
    unwanted = re.compile(rf"(?<![\w.])(?:{homes})\w|{registries}|http:" + "//")
    found: list[str] = []
    for path in committed():
        if path == ROOT / "LICENSE":
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if unwanted.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert found == []


def test_no_test_reaches_the_network(no_network: list[str]) -> None:
    with pytest.raises(OSError, match=r"a test tried to reach 192\.0\.2\.1"):
        socket.create_connection(("192.0.2.1", 443), timeout=1)
    with pytest.raises(OSError, match=r"a test tried to reach example\.org"):
        socket.getaddrinfo("example.org", 443)
    assert no_network == ["192.0.2.1", "example.org"]
    no_network.clear()


def test_a_test_may_talk_to_itself() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname(), timeout=5):
        pass


@needs_git
def test_nothing_committed_is_large() -> None:
    """Weights and data never live in the repository."""
    assert [path for path in committed() if path.stat().st_size > 500_000] == []
