"""One part of a map: read once, computed tile by tile, blended, and kept in a file until its neighbours are there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait_remote_sensing import backscatter, reflectance
from plait_remote_sensing.raster import Window
from plait_remote_sensing.reading import read_scene
from plait_remote_sensing.scene import sensor_of
from plait_remote_sensing.tiling.answer import computed, require_storable, typed
from plait_remote_sensing.tiling.encoding import Encoding
from plait_remote_sensing.tiling.function import Answer, Images, Masks, TileFunction
from plait_remote_sensing.tiling.ledger import write_whole
from plait_remote_sensing.tiling.plan import Plan, Source
from plait_remote_sensing.tiling.tiling import Place, Tiling

UNOBSERVED: Mapping[str, float] = {
    "sar": backscatter.CENTRE_DB,
    "optical": float(np.sinh(reflectance.CENTRE) * reflectance.SOFT),
}
"""What a pixel that was not observed is filled with: the value that `scaled` makes 0 of."""


def make_part(plan: Plan, function: TileFunction, place: Place, file: Path) -> dict[str, Any]:
    """Compute a part and write it to ``file``, unless nothing in it was observed.

    Where the scene ends, what a tile wants beyond is the mirror image of what is inside, as `load.Loader` has it in
    training: every tile has its full size, and no edge shows that the ground does not have.

    Returns:
        What the ledger keeps of it: the share of observed pixels, and, where there is any, the file's SHA-256 and how
        the answer is encoded.

    Raises:
        InputError: for a source that cannot be read, and for an answer that is no map of the tile.
    """
    window = plan.parts.window(place)
    inside = Tiling(window.width, window.height, plan.tiles.side, plan.tiles.overlap)
    images, masks = _read(plan, window, inside)
    seen = _seen(plan, masks, window)
    encoding, answers = None, None
    for tile in inside.places():
        at = inside.window(tile)
        if not _cut(seen, at).any():
            continue
        answer = _answer(plan, function, images, masks, at)
        found = Encoding.of(function, answer, plan.overlap)
        if encoding is None or answers is None:
            encoding, answers = found, found.empty(window.height, window.width)
        elif found.text() != encoding.text():
            raise InputError(other_answer(found, encoding))
        require_storable(answer, _cut(seen, at), encoding, function)
        _lay(encoding, answers, answer, inside, tile)
    row: dict[str, Any] = {"observed": float(seen.mean())}
    if encoding is None or answers is None:
        return row
    answers[:, ~seen] = encoding.unknown
    if encoding.blended:
        plan.parts.fade(answers, place)
    return row | {"sha256": write_array(file, answers), "encoding": encoding.text()}


def other_answer(found: Encoding, expected: Encoding) -> str:
    """A sentence on an answer that does not fit those that came before it."""
    kinds = [f"{it.channels} bands of {'values' if it.blended else it.dtype}" for it in (found, expected)]
    return f"the function answers {kinds[0]} here and {kinds[1]} elsewhere"


def write_array(file: Path, values: Answer) -> str:
    """Write an array so that its file is whole or not there; gives back the SHA-256 of the values."""
    values = np.ascontiguousarray(values)
    write_whole(file, lambda target: np.save(target, values, allow_pickle=False))
    return hashlib.sha256(values).hexdigest()


def _read(plan: Plan, window: Window, inside: Tiling) -> tuple[Images, Masks]:
    """The images (C, H, W) and masks (H, W) of all tiles of a part with their halo, in pixels of the input."""
    whole = Window(
        window.column * plan.step - plan.halo,
        window.row * plan.step - plan.halo,
        ((inside.columns - 1) * inside.stride + inside.side) * plan.step + 2 * plan.halo,
        ((inside.rows - 1) * inside.stride + inside.side) * plan.step + 2 * plan.halo,
    )
    there = whole.clipped(plan.grid.extent)
    rows = there.row - whole.row, whole.bottom - there.bottom
    columns = there.column - whole.column, whole.right - there.right
    images: dict[str, NDArray[np.float32]] = {}
    masks: dict[str, NDArray[np.bool_]] = {}
    for modality, source in plan.sources.items():
        values = _physical(source, there, plan)
        missing = np.isnan(values)
        mask = ~missing.all(axis=0)
        if missing.any():
            values[missing] = UNOBSERVED[sensor_of(modality)]
        if any(rows + columns):
            values, mask = (
                np.pad(values, ((0, 0), rows, columns), "symmetric"),
                np.pad(mask, (rows, columns), "symmetric"),
            )
        images[modality], masks[modality] = values, mask
    return images, masks


def _physical(source: Source, window: Window, plan: Plan) -> NDArray[np.float32]:
    """(C, H, W) decibels or reflectance of the bands that the function sees, NaN where not observed."""
    values = read_scene(source.scene, source.root, window, plan.grid)
    if source.bands is not None:
        values = values[source.positions()]
    if plan.mask and source.scene.scl is not None:
        from plait_remote_sensing.clouds import read_observed

        values[:, ~read_observed(source.scene, source.root, window, plan.grid)] = np.nan
    return values


def _seen(plan: Plan, masks: Masks, window: Window) -> NDArray[np.bool_]:
    """(H, W) where a pixel of the map has at least one pixel of one modality beneath it that was observed."""
    mask = np.logical_or.reduce(list(masks.values()))
    step, halo = plan.step, plan.halo
    mask = mask[halo : halo + window.height * step, halo : halo + window.width * step]
    return mask if step == 1 else mask.reshape(window.height, step, window.width, step).any(axis=(1, 3))


def _answer(plan: Plan, function: TileFunction, images: Images, masks: Masks, at: Window) -> Answer:
    """The function's answer (C', h, w) for a tile, without its halo."""
    side = plan.tile + 2 * plan.halo
    seen = Window(at.column * plan.step, at.row * plan.step, side, side)
    # Copies, because a function may change what it is given, and tiles share pixels.
    answer = computed(
        function.compute,
        {name: _cut(image, seen).copy() for name, image in images.items()},
        {name: _cut(mask, seen).copy() for name, mask in masks.items()},
    )
    wanted = (side - 2 * plan.margin) // plan.step
    if answer.ndim != 3 or answer.shape[1:] != (wanted, wanted):
        raise InputError(
            f"the function answers an array of shape {answer.shape} where (C, {wanted}, {wanted}) is wanted"
        )
    crop = (plan.halo - plan.margin) // plan.step
    return typed(answer[:, crop : crop + at.height, crop : crop + at.width], function)


def _lay(encoding: Encoding, answers: Answer, answer: Answer, inside: Tiling, tile: Place) -> None:
    """Add a tile's answer to those of the part, or put it there where answers are not blended."""
    at = inside.window(tile)
    there = answers[:, at.row : at.bottom, at.column : at.right]
    if not encoding.blended:
        # What was not observed may be any number, and is nodata in the end.
        there[...] = answer.astype(there.dtype)
        return
    inside.fade(answer, tile)
    there += answer


def _cut(values: NDArray[Any], at: Window) -> NDArray[Any]:
    return values[..., at.row : at.bottom, at.column : at.right]
