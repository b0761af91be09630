"""The seven class groups that points are scored on, and which classes of each data set belong to them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError

type Classes = Mapping[str, tuple[int, ...]]
"""Group to a data set's class ids; ids of no group are ignored."""

PANDASET: Classes = {
    "road": (6, 7, 8, 9, 10, 12),
    "sidewalk": (11,),
    "vegetation": (5,),
    "building": (41,),
    "vehicle": (13, 14, 15, 16, 17, 19, 20, 22, 23, 27, 28, 29),
    "person": (30, 31),
    "other": (18, 21, 24, 25, 26, 34, 35, 36, 37, 38, 39, 40, 42),
}
"""Of shared/data/TASKS.md; 0 to 4 (unlabelled, smoke, exhaust, spray, reflection) and animals are ignored."""

SEMANTICKITTI: Classes = {
    "road": (40, 44, 60),
    "sidewalk": (48,),
    "vegetation": (70, 71, 72),
    "building": (50,),
    "vehicle": (10, 13, 16, 18, 20, 252, 256, 257, 258, 259),
    "person": (30, 31, 32, 253, 254, 255),
    "other": (11, 15, 49, 51, 52, 80, 81, 99),
}
"""Of its semantic-kitti.yaml; terrain is vegetation, as the labels' authors describe it (grass and soil)."""

NUSCENES: Classes = {
    "road": (24,),
    "sidewalk": (26,),
    "vegetation": (27, 30),
    "building": (28,),
    "vehicle": (15, 16, 17, 18, 19, 20, 22, 23),
    "person": (2, 3, 4, 6, 7, 8),
    "other": (5, 9, 10, 11, 12, 13, 14, 21, 25, 29),
}
"""Of nuScenes-lidarseg's 32; noise, animals and the car itself are ignored. Its 'manmade' holds more than houses."""

RELLIS3D: Classes = {
    "road": (1, 10, 23, 31, 33),
    "sidewalk": (),
    "vegetation": (3, 4, 19),
    "building": (12,),
    "vehicle": (8,),
    "person": (17,),
    "other": (5, 6, 9, 15, 18, 27, 34),
}
"""Of its rellis.yaml; off the road, what is driven on (dirt, mud, puddle) counts as road. Void and sky are ignored."""

WAYMO: Classes = {
    "road": (18, 19),
    "sidewalk": (17, 21, 22),
    "vegetation": (15, 16),
    "building": (14,),
    "vehicle": (1, 2, 3, 4),
    "person": (5, 6, 7),
    "other": (8, 9, 10, 11, 12, 13, 20),
}
"""Of the Open Dataset's 23; what cannot be told is ignored. Kerbs and walkable ground count as sidewalk."""

SEMANTICS: Mapping[str, Classes] = {
    "pandaset": PANDASET,
    "semantickitti": SEMANTICKITTI,
    "nuscenes": NUSCENES,
    "rellis3d": RELLIS3D,
    "waymo": WAYMO,
}
"""What a row's ``semantics`` may say."""

GROUPS = tuple(PANDASET)

COLOURS = ("#7d7d7d", "#d9a0d9", "#3c9a3c", "#c89664", "#2f6bd8", "#e03c3c", "#e0c040")
"""One a group, for pictures."""

IGNORED = -1


def groups_of(classes: NDArray[np.integer], semantics: str) -> NDArray[np.int64]:
    """(N,) positions in `GROUPS` of a data set's class ids, `IGNORED` where a class belongs to none.

    Raises:
        InputError: for a class list that is none of `SEMANTICS`.
    """
    table = _table(semantics)
    return table[np.minimum(classes, len(table) - 1)]


@cache
def _table(semantics: str) -> NDArray[np.int64]:
    """(K + 1,) group of each class id; the last is that of all greater ones."""
    if semantics not in SEMANTICS:
        raise InputError(f"There is no class list '{semantics}': choose one of {', '.join(SEMANTICS)}.")
    groups = SEMANTICS[semantics]
    table = np.full(max(max(ids, default=0) for ids in groups.values()) + 2, IGNORED, dtype=np.int64)
    for position, name in enumerate(GROUPS):
        table[list(groups[name])] = position
    return table
