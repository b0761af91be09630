"""What holds for every test: one thread, fixed seeds, no network, and where the real data are."""

from __future__ import annotations

import ipaddress
import os
import random
import socket
from collections.abc import Generator
from pathlib import Path
from typing import Any

# Before any library starts its threads: pytest-xdist's workers share the processors.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Inherited by the processes that tests start, where the guard below does not reach.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("MPLBACKEND", "Agg")

import numpy as np
import pytest
import torch

torch.set_num_threads(1)

BESIDE = Path(__file__).parents[2] / "shared" / "data"
"""Where the real data lie: beside the repository, unless $PLAIT_SHARED_DATA says otherwise."""


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of the real data sets; the test is skipped where it is absent."""
    folder = Path(os.environ.get("PLAIT_SHARED_DATA", BESIDE))
    if not folder.is_dir():
        pytest.skip("no real data: set PLAIT_SHARED_DATA to the folder that holds them")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that reads the real data says so, that ``-m 'not real'`` may leave it out."""
    for item in items:
        if "shared_data" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.real)


@pytest.fixture(autouse=True)
def seeds() -> None:
    """Every test starts from the same seeds, in whatever order and process it runs."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - libraries draw from the global generator
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Generator[list[str]]:
    """No test may leave this machine; one that tries fails, even where a library swallows the error.

    Yields the hosts that were tried.
    """
    tried: list[str] = []

    def refuse(host: str) -> None:
        tried.append(host)
        raise OSError(f"a test tried to reach {host}: tests need no network")

    def guard(name: str, host_of: Any) -> None:
        original = getattr(socket, name) if hasattr(socket, name) else getattr(socket.socket, name)

        def guarded(*arguments: Any, **options: Any) -> Any:
            host = host_of(*arguments)
            if not is_local(host):
                refuse(str(host))
            return original(*arguments, **options)

        monkeypatch.setattr(socket if hasattr(socket, name) else socket.socket, name, guarded)

    guard("getaddrinfo", lambda host, *_: host)
    for method in ("connect", "connect_ex"):
        guard(method, lambda connection, address: None if connection.family == socket.AF_UNIX else address[0])
    yield tried
    if tried:
        pytest.fail(f"the test tried to reach {', '.join(sorted(set(tried)))}: tests need no network")


def is_local(host: str | bytes | None) -> bool:
    """Whether a host is this machine: no name, a loopback or wildcard address, or this machine's own name."""
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost", socket.gethostname()):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
