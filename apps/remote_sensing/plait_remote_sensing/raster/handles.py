"""Files kept open between reads: opening a GeoTIFF costs as much as reading a patch of it."""

from __future__ import annotations

import atexit
import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from threading import local
from typing import Protocol

_INHERITED: list[object] = []
"""What a forked process found open. It is never read nor closed: file positions are shared with the parent."""


class Closable(Protocol):
    """Anything that is opened and closed."""

    def close(self) -> None: ...


class Handles[T: Closable]:
    """The files opened last, for each process and thread apart.

    GDAL's datasets may not be used by two threads at once, and what is open when a process forks shares its position
    in the file with the parent. So every thread of every process opens its own, and a forked one starts with none. A
    file whose size or time of change is another than when it was opened is opened anew.

    Args:
        opened: opens a file; what it raises is the caller's.
        most: how many are kept open in one thread; the one not used for longest is closed first.
    """

    def __init__(self, opened: Callable[[Path], T], most: int = 64) -> None:
        self._opened, self._most = opened, most
        self._here = local()
        # Left to the interpreter's end, GDAL's datasets would close when what they need is gone.
        atexit.register(self.close)

    def get(self, path: Path) -> T:
        """The open file, valid until this thread has asked for ``most`` others."""
        mine, stamp = self._mine(), _stamp(path)
        known = mine.get(path)
        if known is not None and known[0] == stamp:
            mine.move_to_end(path)
            return known[1]
        self.forget(path)
        while len(mine) >= self._most:
            mine.popitem(last=False)[1][1].close()
        handle = self._opened(path)
        mine[path] = (stamp, handle)
        return handle

    def forget(self, path: Path) -> None:
        """Close a file, such as one that could not be read."""
        known = self._mine().pop(path, None)
        if known is not None:
            known[1].close()

    def close(self) -> None:
        """Close all that this thread has open."""
        for path in list(self._mine()):
            self.forget(path)

    def _mine(self) -> OrderedDict[Path, tuple[tuple[int, int], T]]:
        if getattr(self._here, "process", None) != os.getpid():
            _INHERITED.append(getattr(self._here, "handles", None))
            self._here.process, self._here.handles = os.getpid(), OrderedDict()
        return self._here.handles


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns
