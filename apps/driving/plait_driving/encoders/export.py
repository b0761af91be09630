"""Encoders as ONNX files, for machines without torch.

What a graph cannot do well is done before it: sorting points into cells, kernel maps, projection. An exported point
encoder is its ``network``; its inputs are what ``prepare`` gives, by the same names, documented at each encoder's
``describe`` and in the file's ``metadata_props``. Two are always there: ``sweep`` (P,) int64, which sweep each point
belongs to, and ``sizes`` (B,) int64, how many points each sweep has. The outputs are ``tokens`` (P, D), one a point,
and ``pooled`` (B, D). An exported camera encoder takes ``images`` (B, C, H, W) in [0, 1] of one size and gives
``tokens`` (B, T, D), row by row on a grid that the metadata name, and ``pooled`` (B, D).
"""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from plait.encoders.features import Encoder
from plait.errors import InputError
from plait.pairs.batch import Value, pad
from plait.recipes import Domain
from plait.training.run_folder import read_run
from plait_driving.encoders.onnx_operators import OPSET, translations
from plait_driving.encoders.point_encoder import Inputs, PointEncoder

_EXAMPLE = (7, 5)
"""Points of the two sweeps that are traced; they never share a cell, so that no size is 1, which would be fixed."""


def export_onnx(
    encoder: Encoder, path: Path, image_size: tuple[int, int] | None = None, about: Mapping[str, str] | None = None
) -> None:
    """Write an encoder, in evaluation mode, as an ONNX file.

    The number of points, of sweeps and of images stays free; that of pixels does not.

    Args:
        encoder: a `PointEncoder`, or one of images.
        path: the file to write; weights beyond 2 GB lie beside it.
        image_size: H, W of the images; only for an encoder of images.
        about: further entries of the file's ``metadata_props``.

    Raises:
        InputError: where onnx is not installed, for an encoder that is neither, and for images without a size.
    """
    _check_installed()
    encoder = copy.deepcopy(encoder).cpu().eval()
    metadata = {"plait": version("plait"), "torch": torch.__version__, "encoder": type(encoder).__name__}
    metadata |= {"width": str(encoder.width), "opset": str(OPSET)} | dict(about or {})
    if isinstance(encoder, PointEncoder):
        inputs = encoder.prepare(pad([torch.rand(number, 4) for number in _EXAMPLE]))
        graph: nn.Module = _PointGraph(encoder, list(inputs))
        metadata["inputs"] = inspect.getdoc(encoder.describe) or ""
    else:
        inputs = {"images": _example_images(encoder, image_size)}
        graph = _ImageGraph(encoder)
        metadata["grid"] = json.dumps(encoder(inputs["images"]).grid)
    _write(graph.eval(), inputs, path, metadata)


def export_run(run: Path, modality: str, out: Path, domain: Domain) -> None:
    """Write the encoder of one modality of a run folder as an ONNX file, with the run's provenance in it.

    Raises:
        InputError: as `export_onnx` and `plait.training.run_folder.read_run`, and for a modality without an encoder.
    """
    model, recipe, info = read_run(run, domain)
    if modality not in recipe.model.encoders:
        raise InputError(
            f"The run {run} has no encoder of '{modality}': choose from {', '.join(recipe.model.encoders)}."
        )
    spec = recipe.model.encoders[modality]
    about = {"app": info.app, "recipe": recipe.name, "modality": modality, "kind": str(spec["kind"])}
    about |= {"spec": json.dumps(spec), "seed": str(info.seed), "steps": str(info.steps), "weights_sha256": info.sha256}
    export_onnx(model.encoder(modality), out, tuple(recipe.data["image_size"]), about)


def numpy_inputs(encoder: PointEncoder, value: Value) -> dict[str, Any]:
    """What onnxruntime's ``session.run(None, ...)`` takes for a batch of sweeps: ``prepare`` as numpy arrays."""
    return {name: tensor.cpu().numpy() for name, tensor in encoder.prepare(value).items()}


class _PointGraph(nn.Module):
    """Tokens and their mean over each sweep, from the inputs in order."""

    def __init__(self, encoder: PointEncoder, names: list[str]) -> None:
        super().__init__()
        self.encoder, self.names = encoder, names

    def forward(self, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        inputs = dict(zip(self.names, tensors, strict=True))
        tokens: Tensor = self.encoder.network(inputs).float()
        sizes = inputs["sizes"]
        total = tokens.new_zeros(sizes.shape[0], tokens.shape[1]).index_add(0, inputs["sweep"], tokens)
        return tokens, total / sizes.clamp(min=1)[:, None]


class _ImageGraph(nn.Module):
    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.encoder(images)
        return features.tokens, features.pooled


def _example_images(encoder: Encoder, image_size: tuple[int, int] | None) -> Tensor:
    channels = getattr(encoder, "in_channels", None)
    if not isinstance(channels, int):
        raise InputError(
            f"A {type(encoder).__name__} encoder cannot be exported: export one of images, or one of points "
            "(surface_points, sparse_unet, point_mixer, range_net, pillar_net)."
        )
    if image_size is None:
        raise InputError("An encoder of images is exported for one size of them: give image_size.")
    return torch.rand(2, channels, *image_size)


def _write(graph: nn.Module, inputs: Inputs, path: Path, metadata: Mapping[str, str]) -> None:
    # A size is named once: those that turn out to be the same share the name.
    names = {"sweep": "points", "sizes": "sweeps", "images": "images"}
    shapes = tuple({0: names.get(name, torch.export.Dim.DYNAMIC)} for name in inputs)
    program: Any = torch.onnx.export(
        graph,
        tuple(inputs.values()),
        dynamo=True,
        opset_version=OPSET,
        custom_translation_table=translations(),
        input_names=list(inputs),
        output_names=["tokens", "pooled"],
        dynamic_shapes=(shapes,) if isinstance(graph, _PointGraph) else shapes,
        verbose=False,
    )
    program.model.metadata_props.update(metadata)
    path.parent.mkdir(parents=True, exist_ok=True)
    program.save(path)


def _check_installed() -> None:
    try:
        import onnx  # noqa: F401  # pyright: ignore[reportUnusedImport]
        import onnxscript  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError as error:
        raise InputError(f"Export needs {error.name}: pip install onnx onnxscript onnxruntime.") from error
