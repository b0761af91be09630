"""The windows read last, kept in memory: small data sets are read from disk once, not once an epoch."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock

import numpy as np
from numpy.typing import NDArray


class WindowCache:
    """Arrays by key, the least recently used dropped first; safe under threads.

    Args:
        capacity: bytes kept at most.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity, self._held = capacity, 0
        self._arrays: OrderedDict[Hashable, NDArray[np.float32]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, read: Callable[[], NDArray[np.float32]]) -> NDArray[np.float32]:
        """The array under ``key``, read where it is not held; it must not be written to."""
        with self._lock:
            if key in self._arrays:
                self._arrays.move_to_end(key)
                return self._arrays[key]
        array = read()
        array.setflags(write=False)
        with self._lock:
            if key not in self._arrays:
                self._arrays[key] = array
                self._held += array.nbytes
            while self._held > self._capacity:
                _, dropped = self._arrays.popitem(last=False)
                self._held -= dropped.nbytes
        return array
