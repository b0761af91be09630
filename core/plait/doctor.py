"""``plait doctor``: what this machine has and lacks, with the command that mends it.

Every import is tried in a process of its own, so that a package that crashes is a finding and not the end.
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import entry_points
from importlib.util import find_spec
from itertools import chain
from json import dumps, loads
from pathlib import Path

CORE_PACKAGES = ("lightning", "transformers", "timm", "sklearn", "pyarrow")
REINSTALL = "make setup (in a clone), or: pip install --force-reinstall plait"
PAIR = "pip install --force-reinstall torch torchvision (together, from the default registry)"

CARRIED = {"libusb-1.0.so.0": ("libusb_package", "apt-get install libusb-1.0-0, or: pip install libusb-package")}
"""A system library, the Python package that carries it for preloading, and the command that mends its absence."""

GIGABYTE = 1e9


@dataclass(frozen=True)
class Check:
    """One finding.

    Attributes:
        name: what was looked at.
        ok: whether it is as it should be.
        found: what was found, in words.
        mend: the command that mends it; empty where nothing is to be mended.
        needed: whether what is installed here does not work without it.
    """

    name: str
    ok: bool
    found: str
    mend: str = ""
    needed: bool = True

    @property
    def verdict(self) -> str:
        """One word: ``ok``, ``lacks`` (Plait works without) or ``broken``."""
        return "ok" if self.ok else "broken" if self.needed else "lacks"


def doctor(json: bool = False) -> int:
    """Print the findings: a table on a terminal, plain lines elsewhere; gives back 1 where something needed is broken.

    Args:
        json: print a list of objects with the fields of `Check` instead.
    """
    found = checks()
    if json:
        print(dumps([asdict(check) for check in found], indent=1))
    elif sys.stdout.isatty():
        _print_table(found)
    else:
        for check in found:
            print(f"{check.verdict:<6} {check.name}: {check.found}{f'; mend: {check.mend}' if check.mend else ''}")
    return int(any(check.verdict == "broken" for check in found))


def checks() -> list[Check]:
    """Look at Python, the core's packages, the machine, and the packages of every installed app."""
    looks: list[Callable[[], list[Check]]] = [torch_and_devices, torchvision_matches]
    looks += [partial(_core_package, name) for name in CORE_PACKAGES]
    looks += [partial(app_packages, point.name) for point in sorted(entry_points(group="plait.apps"), key=str)]
    with ThreadPoolExecutor() as pool:
        return [python(), *chain.from_iterable(pool.map(lambda look: look(), looks)), *machine()]


def python() -> Check:
    """Is this interpreter 3.12 or newer?"""
    found = f"{platform.python_implementation()} {platform.python_version()} at {sys.executable}"
    enough = sys.version_info >= (3, 12)
    return Check("Python", enough, found, "" if enough else "install Python 3.12 or newer, then: make setup")


def torch_and_devices() -> list[Check]:
    """Does PyTorch import, and which accelerators does it see?"""
    worked, said = _run(
        "import torch",
        "cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()",
        "names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]",
        "bf16 = 'with' if cuda and torch.cuda.is_bf16_supported() else 'without'",
        "devices = f'{len(names)} x {names[0]}, {bf16} bf16' if cuda else 'Apple MPS' if mps else ''",
        "print(torch.__version__ + '|' + devices)",
    )
    if not worked:
        return [Check("torch", False, said, PAIR)]
    version, devices = said.split("|")
    if not devices and shutil.which("nvidia-smi"):
        found = f"there is an NVIDIA driver, but torch {version} sees no device"
        gpu = Check("accelerator", False, found, "nvidia-smi (is the driver as new as torch's CUDA?)", needed=False)
    else:
        gpu = Check("accelerator", True, devices or "none: training runs on the CPU")
    return [Check("torch", True, version), gpu]


def torchvision_matches() -> list[Check]:
    """Do torchvision's own operators load? They do not beside a torch of another version or build."""
    worked, said = _run(
        "import torch, torchvision",
        "torchvision.ops.nms(torch.zeros(1, 4), torch.ones(1), 0.5)",
        "print(torchvision.__version__ + ', matches torch')",
    )
    return [Check("torchvision", worked, said, "" if worked else PAIR)]


def app_packages(app: str) -> list[Check]:
    """Does an app import, and do the packages that it uses?"""
    worked, said = _run(
        "from json import dumps",
        "from plait.apps import load_app",
        f"print(dumps(dict(load_app({app!r}).packages)))",
    )
    if not worked:
        return [Check(f"plait {app}", False, said, f"pip install 'plait[{app}]'")]
    return [package(name, install, f"plait {app}: ") for name, install in loads(said).items()]


def package(name: str, install: str, of: str = "") -> Check:
    """Does a package import?

    Args:
        name: its import name.
        install: the command that installs it.
        of: a prefix that says whose package it is.
    """
    if find_spec(name) is None:
        return Check(of + name, False, "not installed", install, needed=False)
    show = f"print(getattr({name}, '__version__', 'installed'))"
    worked, said = _run(f"import {name}", show)
    if worked:
        return Check(of + name, True, said)
    missing = re.search(r"(lib\S+\.so[.\d]*): cannot open shared object file", said)
    if missing is None:
        return Check(of + name, False, said, install)
    library = missing[1]
    carrier, mend = CARRIED.get(library, ("", f"install the system package that has {library}"))
    if carrier and find_spec(carrier):
        # The dynamic linker takes a library that is already loaded under the wanted name for the wanted one.
        preload = f"ctypes.CDLL(str({carrier}.get_library_path()))"
        worked, said = _run("import ctypes", f"import {carrier}", preload, f"import {name}", show)
        if worked:
            return Check(of + name, True, f"{said}; the system lacks {library}, the one in {carrier} is preloaded")
    return Check(of + name, False, f"{library} is missing", mend)


def machine() -> list[Check]:
    """Processors, disk, shared memory, and whether weights may be fetched."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    free = shutil.disk_usage(Path.cwd()).free / GIGABYTE
    hub = os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0")
    return [
        Check("processors", True, f"{cores}"),
        Check(
            "disk",
            free >= 2,
            f"{free:.0f} GB free in {Path.cwd()}",
            "" if free >= 2 else "free some space, or work in another folder",
            needed=False,
        ),
        _loader_processes(),
        Check("weights", True, f"never fetched unless a recipe names them; HF_HUB_OFFLINE is {'on' if hub else 'off'}"),
    ]


def _loader_processes(shared: Path = Path("/dev/shm")) -> Check:  # noqa: S108 - looked at, not written to
    """Loader processes pass batches through shared memory, which containers make small."""
    try:
        multiprocessing.get_context("spawn").Lock()
    except OSError as error:
        return Check("loader processes", False, str(error), "mount /dev/shm, or train with --workers 0", needed=False)
    if not shared.exists():
        return Check("loader processes", True, "shared memory is not limited")
    size = shutil.disk_usage(shared).total / GIGABYTE
    mend = "" if size >= 1 else "docker run --shm-size 8g, or train with --workers 0"
    return Check("loader processes", size >= 1, f"{size:.1f} GB of shared memory", mend, needed=False)


def _core_package(name: str) -> list[Check]:
    return [package(name, REINSTALL)]


def _run(*lines: str) -> tuple[bool, str]:
    """Run Python lines in a process of their own: whether they worked, and the last line they said."""
    command = [sys.executable, "-P", "-c", "\n".join(lines)]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    except subprocess.TimeoutExpired:
        return False, "did not answer within 300 s"
    said = (ended.stdout if ended.returncode == 0 else ended.stderr).strip().splitlines()
    if ended.returncode < 0:
        return False, f"crashed with signal {-ended.returncode}"
    return ended.returncode == 0, said[-1] if said else ""


def _print_table(found: list[Check]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    colours = {"ok": "green", "lacks": "yellow", "broken": "bold red"}
    table = Table("", "what", "found", "mend", title="plait doctor")
    for check in found:
        verdict = f"[{colours[check.verdict]}]{check.verdict}[/]"
        table.add_row(verdict, escape(check.name), escape(check.found), escape(check.mend))
    Console().print(table)
