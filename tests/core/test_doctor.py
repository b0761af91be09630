"""What the doctor finds, with broken, missing and crashing packages made on the spot."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from plait import doctor as doctors
from plait.doctor import Check, doctor, package

INSTALL = "pip install it"


@pytest.fixture
def make_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """``make_package(name, source)``: a module that this process and its children can import."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def make(name: str, source: str) -> None:
        (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")

    return make


def test_a_sound_package_is_told_with_its_version(make_package) -> None:
    make_package("sound", "__version__ = '1.2.3'")
    assert package("sound", INSTALL, "app: ") == Check("app: sound", True, "1.2.3")


def test_a_package_that_is_not_installed_is_lacking_and_not_broken() -> None:
    found = package("no_such_package", INSTALL)
    assert found.verdict == "lacks"
    assert found.mend == INSTALL


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("raise ImportError('half installed')", "ImportError: half installed"),
        ("import os; os.kill(os.getpid(), 9)", "crashed with signal 9"),
    ],
)
def test_a_package_that_breaks_or_crashes_is_a_finding(make_package, source: str, says: str) -> None:
    make_package("ruined", source)
    found = package("ruined", INSTALL)
    assert found.verdict == "broken"
    assert (found.found, found.mend) == (says, INSTALL)


def test_a_missing_system_library_is_named_with_what_brings_it(make_package, monkeypatch: pytest.MonkeyPatch) -> None:
    make_package("needy", "raise ImportError('libusb-1.0.so.0: cannot open shared object file: No such file')")
    monkeypatch.setattr(doctors, "CARRIED", {"libusb-1.0.so.0": ("no_such_carrier", "apt-get install libusb-1.0-0")})
    found = package("needy", INSTALL)
    assert found.verdict == "broken"
    assert (found.found, found.mend) == ("libusb-1.0.so.0 is missing", "apt-get install libusb-1.0-0")


def test_an_unknown_system_library_is_named_too(make_package) -> None:
    make_package("needy", "raise ImportError('libodd.so.7: cannot open shared object file: No such file')")
    assert package("needy", INSTALL).mend == "install the system package that has libodd.so.7"


@pytest.mark.skipif(sys.platform != "linux", reason="shared libraries are looked up by soname on Linux")
def test_a_library_that_a_wheel_carries_is_preloaded(make_package) -> None:
    """The stand-in imports only where a library of that soname is already loaded, as Open3D's does."""
    make_package(
        "needy",
        "import ctypes\n"
        "try:\n"
        "    ctypes.CDLL('libusb-1.0.so.0', mode=4)\n"  # RTLD_NOLOAD: only if it is loaded already
        "except OSError:\n"
        "    raise ImportError('libusb-1.0.so.0: cannot open shared object file: No such file') from None\n"
        "__version__ = '9'\n",
    )
    found = package("needy", INSTALL)
    assert found.ok
    assert found.found == "9; the system lacks libusb-1.0.so.0, the one in libusb_package is preloaded"


def test_this_torch_and_torchvision_are_a_pair() -> None:
    torch_found, devices = doctors.torch_and_devices()
    assert torch_found.ok
    assert devices.name == "accelerator"
    assert [check.verdict for check in doctors.torchvision_matches()] == ["ok"]


def test_a_machine_of_small_shared_memory_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"total": 64e6, "free": 50e9})
    monkeypatch.setattr(doctors.shutil, "disk_usage", lambda path: usage)
    found = {check.name: check for check in doctors.machine()}
    assert found["loader processes"].verdict == "lacks"
    assert "--shm-size" in found["loader processes"].mend
    assert found["disk"].ok


FOUND = [Check("Python", True, "3.12"), Check("gdcm", False, "not installed", INSTALL, needed=False)]
BROKEN = Check("torch", False, "crashed with signal 11", "make setup")


@pytest.mark.parametrize(("found", "code"), [(FOUND, 0), ([*FOUND, BROKEN], 1)])
def test_the_exit_code_says_whether_something_needed_is_broken(
    found: list[Check], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctors, "checks", lambda: found)
    assert doctor() == code


def test_plain_lines_end_with_the_mend(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(doctors, "checks", lambda: FOUND)
    doctor()
    assert capsys.readouterr().out == f"ok     Python: 3.12\nlacks  gdcm: not installed; mend: {INSTALL}\n"


def test_json_is_a_list_of_checks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(doctors, "checks", lambda: FOUND)
    doctor(json=True)
    assert [Check(**found) for found in json.loads(capsys.readouterr().out)] == FOUND


def test_a_terminal_gets_a_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(doctors, "checks", lambda: [*FOUND, BROKEN])
    monkeypatch.setattr(doctors.sys.stdout, "isatty", lambda: True, raising=False)
    doctor()
    printed = capsys.readouterr().out
    assert "plait doctor" in printed
    assert all(word in printed for word in ("broken", "lacks", "signal 11", "make setup"))
