"""PandaSet: its own layout, one folder a sequence, or the folder ``pandaset_002`` of shared/data.

Per-point labels are PandaSet's 42 classes (`plait_driving.semantics`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Row
from plait_driving.ingest.pandaset.drive import read_drive
from plait_driving.ingest.pandaset.sequences import read_sequences
from plait_driving.ingest.rows import MODALITIES

NAME = "pandaset"


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """One row a frame and camera; raises `InputError` where ``root`` is neither of the two."""
    if (root / "frames.json").is_file():
        return read_drive(root, refuse)
    sequences = sorted(path.parent for path in root.glob("*/lidar") if path.is_dir())
    if not sequences:
        raise InputError(
            f"{root} holds no sequence (001/lidar, 001/camera, ...) and has no frames.json: it is not a '{NAME}' "
            "folder; give the one above the sequences."
        )
    return read_sequences(root, sequences, refuse)


LAYOUT = Layout(
    name=NAME,
    about="PandaSet: NNN/{camera,lidar,annotations}; or sequence 002 packed as frames.json, camera/, lidar_front/, ...",
    modalities=MODALITIES,
    source="PandaSet (Hesai and Scale AI; Xiao et al., ITSC 2021); sequence 002 from scaleapi/pandaset-devkit c207297",
    licence="attribution required, terms unverified (announced as CC BY 4.0 plus site terms)",
    read=read,
)
