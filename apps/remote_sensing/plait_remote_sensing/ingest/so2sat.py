"""So2Sat LCZ42: 400,673 patches of 32 x 32 pixels of 52 cities, each with one of 17 local climate zones.

The patches lie in ``training.h5``, ``validation.h5`` and ``testing.h5``. A row refers into a file, to the bands that
are backscatter: of ``sen1``'s eight (0-based) 5 is the Lee-filtered intensity of VV and 4 that of VH, both linear
power. The others are the real and imaginary parts of the complex signal and of the covariance, which no encoder here
reads. ``sen2`` is reflectance itself, not 10000 times it. ``label_climate_zone`` is 0 to 16.

The files are the split. In versions 2 and 4 training is of 42 cities, and validation and testing are the western and
eastern halves of ten others: testing tells of new cities only as long as nothing is chosen on validation. Version 3
is given by one of its folders; it has no validation, so testing is ``val``, which is what is measured here. Its
``random`` split mixes neighbours, and its figures are no claim.

Where version 4's ``*_geo.h5`` lie beside them, the group is the cell of 100 km in which a patch lies, about a city.
Without them nothing says where a patch lies: a group is 1,000 patches that follow each other in a file. If the files
are in random order, intervals by such groups are those of single patches: too narrow.

Names and splits are those of torchgeo's ``So2Sat``. Its reader is not used: it stacks both sensors without units and
opens the file anew for each patch.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Remark, Row
from plait_remote_sensing.ingest.scenes import patch_row
from plait_remote_sensing.pairing.places import cells, projected_bounds
from plait_remote_sensing.raster import Window
from plait_remote_sensing.scene import Scene

SPLITS = {"training": "train", "validation": "val", "testing": "test"}
OPTICAL_BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
SHAPES: dict[str, tuple[int, ...]] = {"sen1": (32, 32, 8), "sen2": (32, 32, 10), "label": (17,)}
WINDOW = Window(0, 0, 32, 32)
_TOGETHER = 1_000
_CITY_KM = 100.0
_READ_AT_ONCE = 4_096


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """Yield a row for each patch, in bounded memory; a file that cannot be read is told, and the others go on."""
    names = [name for name in SPLITS if (root / f"{name}.h5").is_file()]
    if not names:
        raise InputError(f"{root} holds no training.h5, validation.h5 or testing.h5: give the folder of one version.")
    if root.name == "random":
        refuse(str(root), Remark("the split of this version is random: neighbouring patches are on both sides of it"))
    if {"validation", "testing"} <= set(names):
        refuse(str(root), Remark("validation and testing are halves of the same cities: choose nothing on validation"))
    splits = SPLITS if "validation" in names else SPLITS | {"testing": "val"}
    for name in names:
        try:
            labels = _labels(root / f"{name}.h5")
        except (OSError, InputError) as error:
            refuse(f"{name}.h5", f"{' '.join(str(error).split())}: fetch the file again.")
            continue
        groups = _groups(root, name, len(labels), refuse)
        for index, (label, group) in enumerate(zip(labels.tolist(), groups, strict=True)):
            row = _row(name, index, group) | {"split": splits[name]}
            yield row | {"label_climate_zone": label if label >= 0 else None}


def _labels(path: Path) -> NDArray[np.int8]:
    """(N,) The class of each patch, -1 where it has none; the file is closed before its pixels are read elsewhere.

    Raises:
        OSError: where it is no HDF5.
        InputError: where its arrays are not those of this set.
    """
    import h5py

    opened: Any = h5py.File(path, "r", locking=False)
    with opened as file:
        count = _count(file, path.name)
        labels = np.empty(count, dtype=np.int8)
        for start in range(0, count, _READ_AT_ONCE):
            chosen = np.asarray(file["label"][start : start + _READ_AT_ONCE])
            labels[start : start + len(chosen)] = np.where(chosen.any(axis=1), chosen.argmax(axis=1), -1)
    return labels


def _row(name: str, index: int, group: str) -> Row:
    sar = Scene("sar", (f"{name}.h5#sen1[{index}]@5,4",), ("VV", "VH"), "power")
    optical = Scene("optical", (f"{name}.h5#sen2[{index}]",), OPTICAL_BANDS, "dn", quantification=1.0)
    scenes: dict[str, Scene | None] = {"sar": sar, "optical": optical}
    return patch_row(f"{name}/{index:06d}", f"{name}/{group}", scenes, optical.paths[0], WINDOW, WINDOW)


def _count(file: Any, name: str) -> int:
    """How many patches a file holds; raises `InputError` where its arrays are not those of this set."""
    found: dict[str, tuple[int, ...]] = {
        variable: tuple(getattr(file.get(variable), "shape", ())) for variable in SHAPES
    }
    for variable, shape in SHAPES.items():
        if found[variable][1:] != shape:
            has = found[variable] or "no array"
            raise InputError(f"{name} has {has} under '{variable}' where (N, {', '.join(map(str, shape))}) is wanted")
    counts = {shape[0] for shape in found.values()}
    if len(counts) > 1:
        raise InputError(f"{name} has unequal numbers of patches and labels ({sorted(counts)})")
    return counts.pop()


def _groups(root: Path, name: str, count: int, refuse: Refuse) -> list[str]:
    """The group of each patch: its cell on Earth, or its place in the file where the file is all there is."""
    path = root / f"{name}_geo.h5"
    if path.is_file():
        try:
            return _cells(path, count)
        except (OSError, InputError) as error:
            refuse(path.name, Remark(f"its coordinates cannot be used ({' '.join(str(error).split())})"))
    else:
        refuse(f"{name}.h5", Remark("has no *_geo.h5 beside it: groups are runs of patches, not places"))
    return [f"{index // _TOGETHER:03d}" for index in range(count)]


def _cells(path: Path, count: int) -> list[str]:
    """The cell of each patch, by the UTM coordinates and zone that version 4 gives."""
    import h5py

    opened: Any = h5py.File(path, "r", locking=False)
    with opened as file:
        shapes = [tuple(getattr(file.get(variable), "shape", ())) for variable in ("coord", "epsg")]
        if [shape[:1] for shape in shapes] != [(count,)] * 2 or len(shapes[0]) != 2:
            raise InputError(f"{path.name} has no coord and epsg for each of {count:,} patches")
        points: NDArray[np.float64] = np.asarray(file["coord"][:, :2], dtype=np.float64)
        zones: NDArray[np.int64] = np.asarray(file["epsg"]).reshape(count).astype(np.int64)
    groups = np.empty(count, dtype=object)
    for zone in np.unique(zones):
        here = zones == zone
        bounds = projected_bounds(f"EPSG:{zone}", points[here, :1], points[here, 1:])
        groups[here] = cells(bounds[:, 0], bounds[:, 1], _CITY_KM)
    return groups.tolist()


LAYOUT = Layout(
    name="so2sat",
    about="So2Sat LCZ42: training.h5, validation.h5 and testing.h5, and *_geo.h5 for the places",
    modalities={"sar": ("sar",), "optical": ("optical",)},
    source="So2Sat LCZ42 (Zhu et al., 2020), mediatum 1483140 and 1836598",
    licence="CC-BY 4.0; Copernicus Sentinel data 2016-2017",
    read=read,
)
