"""How setup.sh finds its interpreter and uv, on machines made of shell scripts; nothing is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

GOOD = f'exec "{sys.executable}" "$@"'
OLD = 'case "$1" in -c) exit 1;; *) echo "too old to be used" >&2; exit 9;; esac'
REFUSES = 'echo "pyenv: command not found" >&2; exit 127'
# uv writes down how it was called, and makes an environment of one link.
UV = """
echo "$@" >> "$LOG"
[ "$1" = venv ] || exit 0
while [ $# -gt 1 ]; do [ "$1" = --python ] && python=$2; shift; done
[ "$python" != ">=3.12" ] || [ -n "${FETCHED:-}" ] || exit 2
mkdir -p "$1/bin" && printf '#!/bin/sh\\nexec "%s" "$@"\\n' "$REAL_PYTHON" > "$1/bin/python" && chmod +x "$1/bin/python"
"""


@dataclass
class Machine:
    """A machine with nothing but a shell, coreutils, and what a test puts on it."""

    root: Path

    def has(self, place: str, script: str) -> Path:
        """Put a program on it: a name for the PATH, or a path below its root."""
        path = self.root / (place if "/" in place else f"bin/{place}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)
        return path

    def setup(self, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{self.root / 'bin'}{os.pathsep}{self.root / 'coreutils'}",
            "HOME": str(self.root),
            "LOG": str(self.root / "uv.log"),
            "REAL_PYTHON": sys.executable,
        }
        command = [str(self.root / "clone" / "setup.sh")]
        return subprocess.run(command, env=environment | variables, capture_output=True, text=True, check=False)

    def python_given_to_uv(self) -> str:
        calls = (self.root / "uv.log").read_text(encoding="utf-8").splitlines()
        venv = next(call.split() for call in calls if call.startswith("venv"))
        return venv[venv.index("--python") + 1]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    (tmp_path / "clone").mkdir()
    shutil.copy(ROOT / "setup.sh", tmp_path / "clone")
    (tmp_path / "coreutils").mkdir()
    for program in ("sh", "dirname", "rm", "mkdir", "chmod", "printf", "cat"):
        (tmp_path / "coreutils" / program).symlink_to(shutil.which(program) or f"/bin/{program}")
    return Machine(tmp_path)


@pytest.fixture
def with_uv(machine: Machine) -> Machine:
    machine.has("uv", UV)
    return machine


def test_python_3_12_comes_before_newer_ones(with_uv: Machine) -> None:
    wanted = with_uv.has("python3.12", GOOD)
    with_uv.has("python3.13", GOOD)
    with_uv.has("python3", GOOD)
    assert with_uv.setup().returncode == 0
    assert with_uv.python_given_to_uv() == str(wanted)


def test_an_old_python3_first_on_the_path_is_passed_over(with_uv: Machine) -> None:
    with_uv.has("python3", OLD)
    with_uv.has("python", OLD)
    wanted = with_uv.has("python3.14", GOOD)
    assert with_uv.setup().returncode == 0
    assert with_uv.python_given_to_uv() == str(wanted)


@pytest.mark.parametrize("variables", [{}, {"PYENV_ROOT": "elsewhere"}])
def test_pyenv_versions_are_found_though_their_shim_refuses(with_uv: Machine, variables: dict[str, str]) -> None:
    with_uv.has("python3.12", REFUSES)
    with_uv.has("python3", REFUSES)
    home = with_uv.root / variables.get("PYENV_ROOT", ".pyenv")
    with_uv.has(f"{home.name}/versions/3.11.7/bin/python", OLD)
    with_uv.has(f"{home.name}/versions/3.13.0/bin/python", GOOD)
    wanted = with_uv.has(f"{home.name}/versions/3.12.1/bin/python", GOOD)
    assert with_uv.setup(**{name: str(home) for name in variables}).returncode == 0
    assert with_uv.python_given_to_uv() == str(wanted)


def test_the_users_python_is_taken_before_all_others(with_uv: Machine) -> None:
    with_uv.has("python3.12", GOOD)
    wanted = with_uv.has("mine/python", GOOD)
    assert with_uv.setup(PYTHON=str(wanted)).returncode == 0
    assert with_uv.python_given_to_uv() == str(wanted)


@pytest.mark.parametrize("script", [OLD, REFUSES])
def test_a_users_python_that_will_not_do_gives_one_clear_sentence(with_uv: Machine, script: str) -> None:
    with_uv.has("python3.12", GOOD)
    mine = with_uv.has("mine/python", script)
    ended = with_uv.setup(PYTHON=str(mine))
    assert ended.returncode == 1
    assert ended.stderr == (
        f"setup: $PYTHON is '{mine}', which does not run as CPython 3.12 or newer: set it to one that does.\n"
    )
    assert not (with_uv.root / "uv.log").exists()


def test_without_any_python_uv_finds_or_fetches_one(with_uv: Machine) -> None:
    assert with_uv.setup(FETCHED="yes").returncode == 0
    assert with_uv.python_given_to_uv() == ">=3.12"


def test_one_clear_sentence_where_not_even_uv_can_fetch_one(with_uv: Machine) -> None:
    ended = with_uv.setup()
    assert ended.returncode == 1
    assert ended.stderr.startswith("setup: no Python 3.12 or newer was found or could be fetched: install one")


def test_one_clear_sentence_on_a_machine_with_nothing(machine: Machine) -> None:
    ended = machine.setup()
    assert ended.returncode == 1
    assert ended.stderr.startswith("setup: no Python that runs was found: install Python 3.12 or newer")


# A Python whose 'venv' makes a folder in which 'pip install uv' brings the recording uv.
BRINGS_UV = """
if [ "$1 $2" = "-m venv" ]; then
    mkdir -p "$3/bin"
    printf '#!/bin/sh\\ncat "%s" > .uv/bin/uv; chmod +x .uv/bin/uv\\n' "$UV_SOURCE" > "$3/bin/python"
    chmod +x "$3/bin/python"
    exit 0
fi
"""

NO_VENV_BUT_PIP = """
case "$1 $2" in
    "-m venv") exit 1;;
    "-m pip") mkdir -p .uv/bin; cat "$UV_SOURCE" > .uv/bin/uv; chmod +x .uv/bin/uv; exit 0;;
esac
"""


@pytest.mark.parametrize("shim", [None, REFUSES])
def test_uv_is_installed_into_the_clone_where_none_runs(machine: Machine, shim: str | None) -> None:
    if shim:
        machine.has("uv", shim)
    source = machine.has("registry/uv", UV)
    wanted = machine.has("python3.12", BRINGS_UV + GOOD)
    ended = machine.setup(UV_SOURCE=str(source))
    assert ended.returncode == 0, ended.stderr
    assert (machine.root / "clone" / ".uv" / "bin" / "uv").exists()
    assert machine.python_given_to_uv() == str(wanted)


def test_where_debian_left_venv_out_pip_brings_uv(machine: Machine) -> None:
    source = machine.has("registry/uv", UV)
    machine.has("python3.12", NO_VENV_BUT_PIP + GOOD)
    ended = machine.setup(UV_SOURCE=str(source))
    assert ended.returncode == 0, ended.stderr


def test_an_environment_of_an_old_python_is_made_anew(with_uv: Machine) -> None:
    with_uv.has("python3.12", GOOD)
    with_uv.has("clone/.venv/bin/python", OLD)
    assert with_uv.setup().returncode == 0
    assert "too old" not in (with_uv.root / "clone/.venv/bin/python").read_text(encoding="utf-8")


def test_what_is_installed_is_constrained(with_uv: Machine) -> None:
    with_uv.has("python3.12", GOOD)
    with_uv.setup()
    last = (with_uv.root / "uv.log").read_text(encoding="utf-8").splitlines()[-1]
    assert last.startswith("pip install")
    assert "--constraint constraints.txt --editable .[all,dev]" in last
