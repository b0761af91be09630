"""Camera images by a vision transformer from a local folder, such as a DINOv2 teacher."""

from __future__ import annotations

import inspect
import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from torch.nn import functional as F

from plait.encoders.features import Encoder, Features
from plait.encoders.images import grid_features, images_of
from plait.errors import InputError
from plait.pairs.batch import Value

_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


class VitDense(Encoder):
    """The patches of a vision transformer of transformers (DINOv2, with registers or without, DINOv3, ViT).

    Takes (B, 3, H, W) images in [0, 1], which are normalised by what the folder's ``preprocessor_config.json`` says,
    else by ImageNet's mean and deviation. Where H or W is no multiple of the patch, the image is resized to the
    nearest one, so that token (i, j) of the grid always belongs to the same share of the image. Places are
    interpolated to the grid by the network itself. Class and register tokens are dropped; ``pooled`` is the mean of
    the patches. A teacher is frozen in the recipe: ``frozen: [image]``.

    Args:
        folder: a local folder as ``save_pretrained`` writes it, with ``config.json`` and ``model.safetensors`` (or
            its shards). Nothing is ever downloaded, and no code of the folder runs.

    Raises:
        InputError: where the folder lacks a file or a weight, or holds no transformer of image patches.
    """

    image_mean: Tensor
    image_std: Tensor

    def __init__(self, folder: str) -> None:
        super().__init__()
        place = Path(folder)
        self.network: Any = _from_folder(place)
        config = self.network.config
        # DINOv2 interpolates its places unasked, ViT only where asked, DINOv3 has none to interpolate.
        asked = "interpolate_pos_encoding" in inspect.signature(self.network.forward).parameters
        self.options = {"interpolate_pos_encoding": True} if asked else {}
        patch = getattr(config, "patch_size", None)
        if not isinstance(patch, int) or getattr(config, "num_channels", 3) != 3:
            raise InputError(f"The {config.model_type} in {folder} has no patches of RGB: give a vision transformer.")
        self.in_channels, self.patch, self.width = 3, patch, int(config.hidden_size)
        for name, numbers in _normalisation(place).items():
            self.register_buffer(name, torch.tensor(numbers).view(3, 1, 1))

    def forward(self, value: Value) -> Features:
        images = images_of(value, self.in_channels)
        rows, columns = (max(1, math.floor(side / self.patch + 0.5)) for side in images.shape[-2:])
        size = (rows * self.patch, columns * self.patch)
        if images.shape[-2:] != size:
            images = F.interpolate(images, size, mode="bilinear", align_corners=False)
        tokens: Tensor = self.network((images - self.image_mean) / self.image_std, **self.options).last_hidden_state
        maps = tokens[:, -rows * columns :].transpose(1, 2).unflatten(2, (rows, columns))
        return grid_features(maps)


def _from_folder(folder: Path) -> Any:
    from transformers import AutoModel

    _check_files(folder)
    try:
        network, told = AutoModel.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            dtype=torch.float32,
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"transformers cannot read {folder} ({reason}): give a folder of save_pretrained.") from error
    lacking = sorted(name for name in told["missing_keys"] if not name.startswith("pooler."))
    if lacking:
        raise InputError(
            f"The weights in {folder} lack {', '.join(lacking[:3])}, {len(lacking)} in all: give weights of this model."
        )
    return network


def _check_files(folder: Path) -> None:
    weights = ("model.safetensors", "model.safetensors.index.json")
    if not (folder / "config.json").is_file():
        raise InputError(f"The image encoder's folder {folder} lacks config.json: save the model there.")
    if not any((folder / name).is_file() for name in weights):
        raise InputError(
            f"The image encoder's folder {folder} lacks model.safetensors: save the model there as safetensors "
            "(pickled weights are never loaded)."
        )


def _normalisation(folder: Path) -> dict[str, list[float]]:
    """Mean and deviation of each channel."""
    file = folder / "preprocessor_config.json"
    if not file.is_file():
        return _IMAGENET
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        found = {name: [float(number) for number in said.get(name, usual)] for name, usual in _IMAGENET.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{file} is damaged ({error}): copy it again, or leave it out for ImageNet's mean.") from error
    if any(len(numbers) != 3 for numbers in found.values()) or min(found["image_std"]) <= 0:
        raise InputError(f"{file} has no three means and deviations above 0: mend it, or leave it out for ImageNet's.")
    return found
