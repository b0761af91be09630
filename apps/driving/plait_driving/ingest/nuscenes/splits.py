"""The official splits of nuScenes, by scene: 150 of trainval's 850 are val, and two of mini's ten."""

from __future__ import annotations

_MINI_VAL = (103, 916)
_VAL = """
3 12-18 35-36 38-39 92-110 221 268-278 329-332 344-346 519-524 552-565 625-627 629-630 632-638 770-771 775 777-778
780-784 794-800 802 904-917 919-931 962-963 966-969 971-972 1059-1073
"""


def split_of(version: str, scene: str) -> str:
    """``train``, ``val`` or ``test``, of a scene by its name (``scene-0103``) in a version (``v1.0-trainval``)."""
    if version == "v1.0-test":
        return "test"
    return "val" if scene in (MINI_VAL if version == "v1.0-mini" else VAL) else "train"


def _numbers(text: str) -> list[int]:
    ends = [[int(end) for end in part.split("-")] for part in text.split()]
    return [number for each in ends for number in range(each[0], each[-1] + 1)]


VAL = frozenset(f"scene-{number:04d}" for number in _numbers(_VAL))
MINI_VAL = frozenset(f"scene-{number:04d}" for number in _MINI_VAL)
