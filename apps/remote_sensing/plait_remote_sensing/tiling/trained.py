"""A trained run as a tile function: an embedding for every patch of a scene, or the class that a probe gives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plait.apps import load_app
from plait.errors import InputError
from plait.evaluation.probes import LinearProbe
from plait.model import Model
from plait.objectives.step import Step
from plait.training.run_folder import RunInfo, read_run
from plait_remote_sensing import backscatter, reflectance
from plait_remote_sensing.radar.speckle import filtered_db
from plait_remote_sensing.scene import sensor_of
from plait_remote_sensing.tiling.function import Answer, Classes, Images, Masks, TileFunction
from plait_remote_sensing.tiling.plan import Source

BATCH = 256
"""Patches a forward pass."""
UNIT = 1 / 127
"""One count of an embedding of length 1 in 8 bits."""


@dataclass(frozen=True)
class TrainedRun:
    """A run folder, and what is asked of it.

    Attributes:
        folder: the run folder.
        step: the side of the patches that it was trained on, without their context: one pixel of the map.
        context: pixels around a patch that it sees.
        modalities: those that the scene has and the run knows; others are withheld.
        dtype: ``float32`` for the features that `evaluate` probes, ``int8`` for the same scaled to length 1.
        probe: turns features into probabilities of classes; features are the answer where ``None``.
        classes: code to name and colour, in the order of the probe.
        weights: the SHA-256 of the run's weights.
        labels: what the probe was fitted to.
        speckle: the filter of SAR patches that it was trained with, and its looks.
        bands: modality to the bands that it was trained on, in order; without those that it does not know.
        channels: modality to the number of its bands, where its encoder says so.
    """

    folder: str
    step: int
    context: int
    modalities: tuple[str, ...]
    dtype: Literal["float32", "int8"] = "float32"
    probe: LinearProbe | None = None
    classes: Classes | None = None
    weights: str = ""
    labels: str = ""
    speckle: tuple[str, float] | None = None
    bands: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    channels: Mapping[str, int | None] = field(default_factory=dict[str, int | None])

    def load(self) -> TileFunction:
        """Read the model; it computes on the GPU where there is one."""
        model, _, _ = read_run(Path(self.folder), load_app("remote-sensing"))
        compute = Patches(model, self)
        if self.classes:
            bands = ("class", "probability")
            return TileFunction(
                compute, self.step, self.context, bands, self.classes, nodata=0 if 0 not in self.classes else 255
            )
        scale = UNIT if self.dtype == "int8" else None
        return TileFunction(compute, self.step, self.context, dtype=self.dtype, scale=scale)

    def identity(self) -> dict[str, str]:
        said = {"run": Path(self.folder).name, "weights": self.weights, "modalities": ",".join(self.modalities)}
        said |= {"speckle": " ".join(map(str, self.speckle))} if self.speckle else {}
        return said | {"context": str(self.context), "type": self.dtype, "labels": self.labels or "none"}


class Patches:
    """Cuts a tile into patches with their context, and says what the model, and the probe, say of each.

    Args:
        model: the run's.
        run: what is asked of it.
    """

    def __init__(self, model: Model, run: TrainedRun) -> None:
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model, self._run = model.eval().to(self._device), run

    @torch.inference_mode()
    def __call__(self, images: Images, masks: Masks) -> Answer:
        """Give back (D, rows, columns) features or probabilities, NaN for a patch in which nothing was observed."""
        values = {name: self._seen(name, images[name], masks[name]) for name in self._run.modalities}
        present = {name: self._cut(torch.from_numpy(masks[name])[None]).any(dim=(1, 2, 3)) for name in values}
        rows = torch.stack(list(present.values())).any(dim=0).nonzero()[:, 0]
        found = [self._features(values, present, some) for some in rows.split(BATCH)]
        count = len(next(iter(values.values())))
        side = round(count**0.5)
        if not found:
            return np.full((self._width(), side, side), np.nan, np.float32)
        features = np.concatenate(found)
        spread = np.full((count, features.shape[1]), np.nan, np.float32)
        spread[rows.numpy()] = features
        return spread.T.reshape(-1, side, side)

    def _features(
        self, values: Mapping[str, Tensor], present: Mapping[str, Tensor], rows: Tensor
    ) -> NDArray[np.float32]:
        samples = [
            {name: values[name][row] if present[name][row] else None for name in values} for row in rows.tolist()
        ]
        names = [str(row) for row in rows.tolist()]
        step = Step(self._model, self._model.collate(samples, names, names).to(self._device))
        features = fused(step, self._run.modalities)
        if self._run.probe is not None:
            return self._run.probe(features)
        if self._run.dtype == "int8":
            features /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
        return features

    def _seen(self, name: str, image: NDArray[np.float32], mask: NDArray[np.bool_]) -> Tensor:
        """(N, C, side, side) what encoders see of each patch."""
        if self._run.speckle is None or sensor_of(name) != "sar":
            return self._cut(_scaled(name, image, mask))
        patches = torch.where(self._cut(torch.from_numpy(mask)[None]), self._cut(torch.from_numpy(image)), torch.nan)
        return backscatter.scaled(filtered_db(patches, *self._run.speckle)).nan_to_num(0.0)

    def _cut(self, image: Tensor) -> Tensor:
        """(N, C, side, side) patches of (C, H, W), row by row."""
        side = self._run.step + 2 * self._run.context
        patches = image.unfold(1, side, self._run.step).unfold(2, side, self._run.step)
        return patches.permute(1, 2, 0, 3, 4).flatten(0, 1)

    def _width(self) -> int:
        if self._run.probe is not None:
            return len(self._run.probe.intercept)
        fusion = self._model.fusion
        return fusion.width if fusion is not None else sum(self._model.encoder(n).width for n in self._model.encoders)


def fused(step: Step, modalities: Sequence[str]) -> NDArray[np.float32]:
    """(B, D) fused features from these modalities alone; side by side, zero where withheld, without a fusion.

    As `plait.subjects.ModelSubject.fused` has them, on which probes are fitted.
    """
    if step.model.fusion is not None:
        return step.fused(tuple(modalities)).pooled.float().cpu().numpy()
    pooled = [step.features(name).pooled.float() * float(name in modalities) for name in step.model.encoders]
    return torch.cat(pooled, dim=1).cpu().numpy()


def trained_run(
    folder: Path,
    scene: Sequence[str],
    step: int | None = None,
    dtype: Literal["float32", "int8"] = "float32",
    pairs: Path | None = None,
) -> TrainedRun:
    """Read what a run was trained on.

    Args:
        folder: the run folder.
        scene: the modalities that there are.
        step: the side of a patch; where ``None``, what the run folder knows, or that of the pair table.
        dtype: of embeddings.
        pairs: a pair table of such patches.

    Raises:
        InputError: for a run that knows none of the modalities, and where nobody says how large a patch is.
    """
    domain = load_app("remote-sensing")
    model, recipe, info = read_run(folder, domain)
    modalities = tuple(name for name in model.encoders if name in scene)
    if not modalities:
        raise InputError(
            f"{folder} knows {', '.join(model.encoders)} and the scene has {', '.join(scene)}: name another run."
        )
    loader: Any = domain.loader(**recipe.data)
    step = _patch_side(info, folder, pairs) if step is None else step
    speckle = (loader.speckle_filter, loader.looks) if loader.speckle_filter else None
    told = {name: _bands_of(name, loader, info) for name in modalities}
    return TrainedRun(
        str(folder.resolve()),
        step,
        loader.context,
        modalities,
        dtype,
        weights=info.sha256,
        speckle=speckle,
        bands={name: bands for name, bands in told.items() if bands},
        channels={name: getattr(model.encoder(name), "in_channels", None) for name in modalities},
    )


def suited(run: TrainedRun, sources: Mapping[str, Source]) -> dict[str, Source]:
    """The sources with the bands that a run was trained on, in its order, whatever theirs is.

    Raises:
        InputError: where a scene lacks one of them, where the user asks for others, and, of a run that does not know
            the names of its bands, where their number is another.
    """
    return {name: _suited(run, name, it) if name in run.modalities else it for name, it in sources.items()}


def _suited(run: TrainedRun, name: str, source: Source) -> Source:
    wanted, flag, has = run.bands.get(name), f"--{sensor_of(name)}-bands", source.seen
    if wanted is None:
        channels = run.channels.get(name)
        if channels is not None and channels != len(has):
            raise InputError(
                f"{run.folder} takes {channels} bands of {name}, and the scene has {len(has)} ({', '.join(has)}): "
                f"choose those it was trained on with {flag}."
            )
        return source
    if source.bands is not None and source.bands != wanted:
        raise InputError(
            f"{run.folder} was trained on the {name} bands {','.join(wanted)}, and {flag} asks for "
            f"{','.join(source.bands)}: leave {flag} out."
        )
    absent = [band for band in wanted if band not in source.scene.bands]
    if absent:
        raise InputError(
            f"{run.folder} was trained on the {name} bands {','.join(wanted)}, and {source.scene.paths[0]} has no "
            f"{', '.join(absent)} (it has {', '.join(source.scene.bands)}): name its bands so with 'rio edit-info "
            "--bidx 1 --description B02', or give a scene that has them."
        )
    return replace(source, bands=wanted)


def _bands_of(name: str, loader: Any, info: RunInfo) -> tuple[str, ...]:
    """The bands that a run was trained on: those of its recipe, else of its table; empty where neither knows."""
    chosen = getattr(loader, f"{sensor_of(name)}_bands")
    return tuple(chosen or filter(None, str(info.common.get(f"{name}_bands", "")).split(",")))


def _patch_side(info: RunInfo, folder: Path, pairs: Path | None) -> int:
    """The side of a patch: what all rows of the training table had, else that of the windows of this table.

    A run of before this was kept may know the option that its table was ingested with.
    """
    if isinstance(side := info.common.get("side"), int):
        return side
    if pairs is not None:
        from plait.pairs.table import PairTable
        from plait_remote_sensing.raster import Window

        table = PairTable.read(pairs)
        sides = {Window.parse(text).width for text in table.column("window") if text}
        if len(sides) == 1:
            return sides.pop()
    options = dict(text.split("=", 1) for text in info.table.get("options", "").split() if "=" in text)
    if options.get("patch", "").isdigit():
        return int(options["patch"])
    raise InputError(f"{folder} does not say how large the patches were that it was trained on: give --step PIXELS.")


def _scaled(name: str, image: NDArray[np.float32], mask: NDArray[np.bool_]) -> Tensor:
    """What encoders see; exactly 0 where not observed."""
    room = backscatter if sensor_of(name) == "sar" else reflectance
    return room.scaled(torch.from_numpy(image)) * torch.from_numpy(mask)
