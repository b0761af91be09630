"""What a function answers, checked: one sentence where it is no map of its tile, or cannot be stored as one."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing import parent_process
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait_remote_sensing.tiling.encoding import Encoding
from plait_remote_sensing.tiling.function import Answer, Images, Masks, TileFunction


def computed(compute: Callable[[Images, Masks], Any], images: Images, masks: Masks) -> NDArray[Any]:
    """The answer as an array; raises `InputError` for a function that would end the process.

    Ctrl-C reaches only the process that the user started: an interrupt elsewhere is the function's own.
    """
    try:
        return np.asarray(compute(images, masks))
    except SystemExit as error:
        raise InputError(f"the function ended its process (sys.exit({error.code})): let it raise an error") from error
    except KeyboardInterrupt as error:
        if parent_process() is None:
            raise
        raise InputError("the function raised KeyboardInterrupt: let it raise an error of another kind") from error


def typed(answer: NDArray[Any], function: TileFunction) -> Answer:
    """The answer as float32 or whole numbers; raises `InputError` for any other kind, infinity, and unknown codes."""
    if not len(answer):
        raise InputError("the function answers 0 bands: let it answer one or more")
    if answer.dtype.kind not in "fiub":
        raise InputError(f"the function answers {answer.dtype} where real or whole numbers are wanted")
    if answer.dtype.kind == "f":
        answer = answer.astype(np.float32)
        if np.isinf(answer).any():
            raise InputError("the function answers infinity: let it answer NaN where it has no answer")
        return answer
    if function.classes and (unknown := np.setdiff1d(answer, list(function.classes))).size:
        raise InputError(f"the function answers code {unknown[0]}, which is not among its classes")
    return answer.astype(np.uint8) if answer.dtype.kind == "b" else answer


def require_storable(answer: Answer, seen: NDArray[np.bool_], encoding: Encoding, function: TileFunction) -> None:
    """Raise `InputError` where an answer, of a pixel that was observed, would be stored as another number or as none.

    Whole numbers have no NaN: a function that sets ``nodata`` answers it where it has no answer.
    """
    if encoding.classes and encoding.blended:
        return
    values = answer[:, seen]
    if encoding.blended:
        values = values[np.isfinite(values)]
        if np.dtype(encoding.dtype).kind != "f":
            values = np.rint(values / np.float32(encoding.scale or 1.0))
    if not values.size:
        return
    limits = np.finfo(encoding.dtype) if np.dtype(encoding.dtype).kind == "f" else np.iinfo(encoding.dtype)
    for extreme in (values.min().item(), values.max().item()):
        if not limits.min <= extreme <= limits.max:
            raise InputError(
                f"the function answers {extreme:g}, which does not fit in {encoding.dtype}: set dtype on the function "
                "to a wider type"
            )
    if (encoding.blended or function.nodata is None) and (values == encoding.nodata).any():
        raise InputError(
            f"the function answers {encoding.nodata:g}, which is the map's nodata, where a pixel was observed: set "
            "nodata on the function to a value that it never answers, or dtype to a wider type"
        )
