"""Files of a data set, found by their names."""

from __future__ import annotations

from pathlib import Path

IMAGES = (".png", ".jpg", ".jpeg")


def stems(folder: Path) -> set[str]:
    """The names of a folder's files without their suffix; none where there is no such folder."""
    return {path.stem for path in folder.iterdir() if path.is_file()} if folder.is_dir() else set()


def image_in(root: Path, folder: str, stem: str) -> str:
    """The image of a name, relative to ``root``: KITTI ships PNG, smaller copies are JPEG."""
    names = [f"{folder}/{stem}{suffix}" for suffix in IMAGES]
    return next((name for name in names if (root / name).is_file()), names[0])
