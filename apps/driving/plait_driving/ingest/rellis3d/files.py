"""Which files of a RELLIS-3D sequence belong to one frame, and when they were recorded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from plait.errors import InputError
from plait.pairs.layout import Refuse

TOLERANCE = 0.1
"""Seconds between an image and the sweep nearest to it: one turn of the LiDAR."""
LISTS = {"train": "pt_train.lst", "val": "pt_val.lst", "test": "pt_test.lst"}
_NAME = re.compile(r"frame(\d{6})-(\d+)_(\d{1,3})")


@dataclass(frozen=True)
class Files:
    """The folders of a sequence, relative to ``root``; that of images and that of sweeps may be the same.

    Attributes:
        root, folder: the data set's, and the sequence's in it.
        images, sweeps, image_labels, sweep_labels, stamps: folders.
    """

    root: Path
    folder: str
    images: str
    sweeps: str
    image_labels: str
    sweep_labels: str
    stamps: str

    @classmethod
    def published(cls, root: Path, name: str) -> Self:
        """The folders of a sequence such as ``00000``."""
        images, sweeps = f"{name}/pylon_camera_node/", f"{name}/os1_cloud_node_kitti_bin/"
        labels = f"{name}/os1_cloud_node_semantickitti_label_id/"
        image_labels, stamps = f"{name}/pylon_camera_node_label_id/", f"{name}/os1_cloud_node_color_ply/"
        return cls(root, name, images, sweeps, image_labels, labels, stamps)

    @classmethod
    def side_by_side(cls, root: Path) -> Self:
        """All of them in the root."""
        return cls(root, "", "", "", "", "", "")

    def calibration(self, file: str) -> str:
        """A file of the sequence's folder, or of ``calibration/`` where it is only there."""
        inside, beside = f"{self.folder}/{file}".lstrip("/"), f"calibration/{self.folder}/{file}"
        return beside if (self.root / beside).is_file() and not (self.root / inside).is_file() else inside

    def sweep_stamps(self) -> dict[str, float]:
        """Seconds of each sweep by its number, in time's order: the sweeps are numbered as their PLY files sort."""
        names = sorted(path.stem for path in (self.root / self.stamps).glob("frame*.ply"))
        stamps = [_stamp(name) for name in names]
        return {f"{number:06d}": stamp for number, stamp in enumerate(stamps) if stamp is not None}


@dataclass(frozen=True)
class Frame:
    """An image and its sweep; paths relative to the root, times in seconds, ``None`` where unknown."""

    number: str
    image: str
    sweep: str
    image_labels: str | None
    sweep_labels: str | None
    image_time: float | None
    sweep_time: float | None


def frames_of(files: Files, refuse: Refuse) -> Iterator[Frame]:
    """Each image with the sweep nearest in time, or of its number where the sweeps' stamps are not there."""
    stamps = files.sweep_stamps()
    labelled = (files.root / files.sweep_labels).is_dir()
    times, numbers = np.array(list(stamps.values())), list(stamps)
    for path in sorted((files.root / files.images).glob("frame*.jpg")):
        found = _NAME.fullmatch(path.stem)
        if found is None:
            refuse(f"{files.images}{path.name}", "the name is not frameNNNNNN-SECONDS_MILLISECONDS.jpg: restore it")
            continue
        image_time, sweep = _stamp(path.stem), found[1]
        if stamps and image_time is not None:
            nearest = int(np.abs(times - image_time).argmin())
            if abs(times[nearest] - image_time) > TOLERANCE:
                refuse(f"{files.images}{path.name}", f"no sweep lies within {TOLERANCE:g} s of the image")
                continue
            sweep = numbers[nearest]
        yield Frame(
            found[1],
            f"{files.images}{path.name}",
            f"{files.sweeps}{sweep}.bin",
            f"{files.image_labels}{path.stem}.png",
            f"{files.sweep_labels}{sweep}.label" if labelled else None,
            image_time,
            stamps.get(sweep),
        )


def official_splits(root: Path) -> dict[str, str]:
    """The split of each sweep, as its path in the authors' lists; none where the lists are not there."""
    splits: dict[str, str] = {}
    for split, file in LISTS.items():
        path = root / file
        try:
            lines = path.read_text(encoding="ascii").splitlines() if path.is_file() else []
        except ValueError as error:
            raise InputError(f"{path} is no list of files ({error}): restore it.") from error
        splits |= {line.split()[0]: split for line in lines if line.strip()}
    return splits


def _stamp(name: str) -> float | None:
    found = _NAME.fullmatch(name)
    return None if found is None else int(found[2]) + int(found[3]) / 1000
