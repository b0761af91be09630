"""What is run on every tile: a function of arrays, and what it says of its answer."""

from __future__ import annotations

import hashlib
import importlib
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError

type Images = Mapping[str, NDArray[np.float32]]
"""Modality to (C, H, W) decibels or reflectance; what was not observed has the value that scales to 0."""
type Masks = Mapping[str, NDArray[np.bool_]]
"""Modality to (H, W), true where it was observed."""
type Answer = NDArray[Any]
type Classes = Mapping[int, tuple[str, str]]
"""Code to name and ``#rrggbb``."""


@dataclass(frozen=True)
class TileFunction:
    """A function of a tile, and what its answer (C', H', W') means.

    Attributes:
        compute: takes the images and the masks of a tile. Floats are values or scores, and may be NaN for "no answer";
            whole numbers are codes or counts, and cannot be blended.
        step: how many pixels of the input one pixel of the answer is wide and high.
        margin: pixels of the input, on each side, that the answer does not cover.
        bands: the names of the map's bands.
        classes: of a classifier. Where its answer is floating, that is one score for each class, in this order; scores
            are blended before the highest decides. With ``bands`` ("class", "probability") the winner's score is
            written too, in percent.
        nodata: what the map says where nothing was observed; where it is given, whole numbers say so too that there is
            no answer.
        dtype: the type of the map, where it is not the answer's own.
        scale: the value of one count of a whole-numbered map of values.
    """

    compute: Callable[[Images, Masks], Any]
    step: int = 1
    margin: int = 0
    bands: tuple[str, ...] | None = None
    classes: Classes | None = None
    nodata: float | None = None
    dtype: str | None = None
    scale: float | None = None


class Origin(Protocol):
    """Where a tile function comes from; picklable, so that any process can load it."""

    def load(self) -> TileFunction:
        """Load it; raises `InputError` where that is not possible."""
        ...

    def identity(self) -> dict[str, str]:
        """What decides its answers, by name."""
        ...


@dataclass(frozen=True)
class Named:
    """Any callable, as ``package.module:callable``; what `TileFunction` says of its answer are attributes of it.

    Attributes:
        name: the module and, after a colon, the callable.
        folder: where modules are looked for besides the installed ones.
        sha256: of the module's source; where empty, as it is now. Of what it imports or loads itself nothing is known.
    """

    name: str
    folder: str
    sha256: str = ""

    def __post_init__(self) -> None:
        if not self.sha256:
            object.__setattr__(self, "sha256", _sha256(self._module()))
            self._found()

    def load(self) -> TileFunction:
        function = self._found()
        said = ("step", "margin", "bands", "classes", "nodata", "dtype", "scale")
        given = {name: value for name in said if (value := getattr(function, name, None)) is not None}
        if "bands" in given:
            given["bands"] = tuple(given["bands"])
        return TileFunction(function, **given)

    def identity(self) -> dict[str, str]:
        return {"function": self.name, "function source": self.sha256}

    def _module(self) -> ModuleType:
        name, _, attribute = self.name.partition(":")
        if not name or not attribute:
            raise InputError(f"--function {self.name}: write it as package.module:callable.")
        if self.folder not in sys.path:
            sys.path.insert(0, self.folder)
        with self._importing():
            return importlib.import_module(name)

    def _found(self) -> Callable[[Images, Masks], Any]:
        """The callable, of the very source that the map was begun with: a cluster's workers live on when it changes."""
        module = self._module()
        if _sha256(module) != self.sha256:
            raise InputError(f"{module.__file__} was changed since the map was begun: give the command again.")
        with self._importing():
            if _LOADED.setdefault(module.__name__, self.sha256) != self.sha256:
                # Not by its loader, which takes a file of the same size and second for the one it has compiled.
                source = Path(str(module.__file__))
                exec(compile(source.read_bytes(), source, "exec"), vars(module))  # noqa: S102 (the user's own)
                _LOADED[module.__name__] = self.sha256
            function = getattr(module, self.name.partition(":")[2])
        if not callable(function):
            raise InputError(f"--function {self.name} is a {type(function).__name__}: name something callable.")
        return function

    @contextmanager
    def _importing(self) -> Generator[None]:
        try:
            yield
        except (ImportError, AttributeError, SyntaxError) as error:
            raise InputError(f"--function {self.name} cannot be imported ({error}): check its name.") from error


_LOADED: dict[str, str] = {}
"""Module to the SHA-256 of the source that this process runs."""


def _sha256(module: ModuleType) -> str:
    """Of a module's source; that of nothing where it has none."""
    source = getattr(module, "__file__", None)
    return hashlib.sha256(Path(source).read_bytes() if source and Path(source).is_file() else b"").hexdigest()
