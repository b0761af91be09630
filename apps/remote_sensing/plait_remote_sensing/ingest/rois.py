"""The tree that SEN1-2, SEN12MS and DFC2020 share: a folder a region, in it one a sensor and scene, in it the patches.

``ROIs1158_spring/s1_1/ROIs1158_spring_s1_1_p30.tif`` is patch 30 of scene 1 of spring, seen by Sentinel-1. Replacing
``s1`` by ``s2``, ``lc`` or ``dfc`` in folder and file names the same patch's optical image or its land cover. Folders
are listed once and no file is opened, so that 180,000 patches are found in seconds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_FOLDER = re.compile(r"(s1|s2|lc|dfc)_(.+)")
_FILE = re.compile(r"(.+)_(s1|s2|lc|dfc)_(.+)_p(\d+)\.(tif|png)")


@dataclass(frozen=True)
class Patch:
    """The files of one patch.

    Attributes:
        number: of the patch in its scene.
        files: its rasters relative to the root, by ``s1``, ``s2``, ``lc`` or ``dfc``; those that are there.
    """

    number: int
    files: dict[str, str]


@dataclass(frozen=True)
class Roi:
    """One scene: patches that overlap or touch.

    Attributes:
        region: the folder, such as ``ROIs1158_spring``.
        scene: its number in the region.
        patches: in order of their numbers.
    """

    region: str
    scene: str
    patches: tuple[Patch, ...]

    @property
    def name(self) -> str:
        return f"{self.region}/{self.scene}"


def regions(root: Path) -> list[str]:
    """The folders of regions that hold scenes, sorted."""
    return [name for name in _names(root) if any(_FOLDER.fullmatch(folder) for folder in _names(root / name))]


def rois(root: Path, region: str) -> Iterator[Roi]:
    """The scenes of a region that have a patch of either sensor, in order of their numbers."""
    folders = [found for name in _names(root / region) if (found := _FOLDER.fullmatch(name))]
    for scene in sorted({found[2] for found in folders}, key=_natural):
        of_number: dict[int, dict[str, str]] = {}
        for folder in (found[0] for found in folders if found[2] == scene):
            for file in _names(root / region / folder):
                if found := _FILE.fullmatch(file):
                    of_number.setdefault(int(found[4]), {})[found[2]] = f"{region}/{folder}/{file}"
        patches = [Patch(number, files) for number, files in sorted(of_number.items()) if {"s1", "s2"} & set(files)]
        if patches:
            yield Roi(region, scene, tuple(patches))


def spread(patches: Sequence[Patch], most: int) -> list[Patch]:
    """At most so many patches of a scene, spread evenly over their numbers, the first and the last among them."""
    if len(patches) <= most:
        return list(patches)
    return [patches[round(step * (len(patches) - 1) / (most - 1))] for step in range(most)]


def _names(folder: Path) -> list[str]:
    """What lies in a folder, sorted; nothing where it is none."""
    try:
        return sorted(entry.name for entry in os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _natural(text: str) -> tuple[int, str]:
    return (int(text), "") if text.isdigit() else (0, text)
