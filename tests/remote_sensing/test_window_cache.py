"""The cache of windows: reads once, forgets the least recently used, and holds no more bytes than it may."""

from __future__ import annotations

import numpy as np
import pytest

from plait_remote_sensing.window_cache import WindowCache


class Disk:
    """Counts how often it is read."""

    def __init__(self) -> None:
        self.reads = 0

    def read(self) -> np.ndarray:
        self.reads += 1
        return np.zeros(25, np.float32)  # 100 bytes


def test_what_is_held_is_not_read_again() -> None:
    disk, cache = Disk(), WindowCache(1000)
    assert cache.get("a", disk.read) is cache.get("a", disk.read)
    assert disk.reads == 1


def test_the_least_recently_used_goes_first() -> None:
    disk, cache = Disk(), WindowCache(200)
    for key in ("a", "b", "a", "c"):  # "b" has to go
        cache.get(key, disk.read)
    assert disk.reads == 3
    cache.get("a", disk.read)
    assert disk.reads == 3
    cache.get("b", disk.read)
    assert disk.reads == 4


def test_a_window_larger_than_the_cache_is_given_and_not_held() -> None:
    disk, cache = Disk(), WindowCache(10)
    assert len(cache.get("a", disk.read)) == 25
    cache.get("a", disk.read)
    assert disk.reads == 2


def test_what_is_shared_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        WindowCache(1000).get("a", Disk().read)[0] = 1.0
