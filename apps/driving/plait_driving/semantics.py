"""The seven class groups of PandaSet's point semantics that tests A and B are scored on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GROUPS: dict[str, tuple[int, ...]] = {
    "road": (6, 7, 8, 9, 10, 12),
    "sidewalk": (11,),
    "vegetation": (5,),
    "building": (41,),
    "vehicle": (13, 14, 15, 16, 17, 19, 20, 22, 23, 27, 28, 29),
    "person": (30, 31),
    "other": (18, 21, 24, 25, 26, 34, 35, 36, 37, 38, 39, 40, 42),
}
"""Group to PandaSet's class ids; 0 to 4 (unlabelled, smoke, exhaust, spray, reflection) and animals are ignored."""

COLOURS = ("#7d7d7d", "#d9a0d9", "#3c9a3c", "#c89664", "#2f6bd8", "#e03c3c", "#e0c040")
"""One a group, for pictures."""

IGNORED = -1

_GROUP_OF_CLASS = np.full(256, IGNORED, dtype=np.int64)
for _index, _classes in enumerate(GROUPS.values()):
    _GROUP_OF_CLASS[list(_classes)] = _index


def groups_of(classes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(N,) positions in `GROUPS` of PandaSet class ids, `IGNORED` where a class belongs to none."""
    return _GROUP_OF_CLASS[classes]
