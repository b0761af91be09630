"""The arrays of numpy in a pickle that is read without running it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.pairs.inert_pickle import Made, made

_RECONSTRUCT = {"numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"}
_FROM_BUFFER = {"numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer"}
_SCALAR = {"numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"}
_DTYPE, _BYTES = {"numpy.dtype"}, {"_codecs.encode", "__builtin__.bytes"}
NUMPY = frozenset({"numpy.ndarray"}).union(_RECONSTRUCT, _FROM_BUFFER, _SCALAR, _DTYPE, _BYTES)
"""The names that arrays have in pickles of numpy 1 and 2, for `plait.pairs.inert_pickle.read_inert`."""
_PLAIN = re.compile(r"[fiu][1248]|b1|[US]\d{1,6}")


def inert_array(given: Any) -> NDArray[Any]:
    """The array that numpy had pickled: numbers, texts, or objects as they were read.

    Raises:
        ValueError: where ``given`` is something else, or its bytes do not fit its type and shape.
    """
    array = made(given, _RECONSTRUCT | _FROM_BUFFER | _SCALAR)
    if array.name in _SCALAR:
        kind, raw = array.arguments
        shape, order = (), "C"
    elif array.name in _FROM_BUFFER:
        raw, kind, shape, order = array.arguments
    else:
        _, shape, kind, fortran, raw = array.state
        order = "F" if fortran else "C"
    dtype = _dtype(kind)
    if dtype.kind == "O":
        flat = np.empty(len(raw), dtype=object)
        flat[:] = raw
    else:
        flat = np.frombuffer(_bytes(raw), dtype)
    return flat.reshape(tuple(shape), order="F" if order == "F" else "C")


def _dtype(given: Any) -> np.dtype[Any]:
    kind = made(given, _DTYPE)
    code, order = str(kind.arguments[0]), kind.state[1]
    if code in ("O", "O8"):
        return np.dtype(object)
    if not _PLAIN.fullmatch(code):
        raise ValueError(f"it has numbers of the type '{code}', which is not read")
    return np.dtype(f">{code}" if order == ">" else f"<{code}")


def _bytes(raw: Any) -> Any:
    """Bytes as they are, or as protocol 2 writes them: a text whose characters stand for them, if there are any."""
    text = "".join(made(raw, _BYTES).arguments[:1]) if isinstance(raw, Made) else raw
    return text.encode("latin-1") if isinstance(text, str) else text
