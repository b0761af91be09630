"""Images by any network of timm."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from plait.encoders.features import Encoder, Features
from plait.encoders.images import grid_features, images_of
from plait.encoders.timm_network import Norm, timm_network
from plait.errors import InputError
from plait.pairs.batch import Value


class TimmImage(Encoder):
    """A timm network: its last feature map, or its patch tokens, and its own pooling.

    Takes (B, C, H, W) images. Prefix tokens (class, registers) are left out of the tokens; they still enter
    ``pooled`` where the network pools by them.

    Args:
        architecture: a name of ``timm.list_models()``.
        in_channels: C.
        norm: ``group`` replaces batch normalisation, so that no row depends on the others of its batch;
            ``own`` keeps what the network has, which weights trained with batch normalisation need.
        weights: a local ``.safetensors`` file, or ``None`` for random weights.
        options: further keywords of ``timm.create_model``, such as ``dynamic_img_size: true`` for a vision
            transformer that must take images of another size than its own.
    """

    def __init__(
        self,
        architecture: str = "convnext_atto",
        in_channels: int = 3,
        norm: Norm = "group",
        weights: str | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.network: Any = timm_network(architecture, in_channels, norm, weights, num_classes=0, **(options or {}))
        self.in_channels, self.width = in_channels, int(self.network.num_features)

    def forward(self, value: Value) -> Features:
        images = images_of(value, self.in_channels)
        try:
            output: Tensor = self.network.forward_features(images)
        except AssertionError as error:  # timm's way to refuse an image size
            height, width = images.shape[-2:]
            raise InputError(
                f"The image network refuses images of {height} x {width} ({error}): load them at a size it takes, "
                f"or set the encoder's options to {{img_size: [{height}, {width}]}}."
            ) from error
        pooled: Tensor = self.network.forward_head(output, pre_logits=True)
        # A few networks (MobileNetV3) widen while they pool; the mean of the tokens keeps one width.
        return grid_features(self._maps(output, images), pooled if pooled.shape[-1] == self.width else None)

    def _maps(self, output: Tensor, images: Tensor) -> Tensor:
        """Lay the network's output out as (B, D, H', W')."""
        if output.ndim == 4:
            return output.movedim(3, 1) if getattr(self.network, "output_fmt", "NCHW") == "NHWC" else output
        if not hasattr(self.network, "patch_embed"):
            raise InputError("The image network's tokens lie on no grid: choose a convolutional one or a transformer.")
        patches = output[:, int(getattr(self.network, "num_prefix_tokens", 0)) :]
        grid: tuple[int, int] = self.network.patch_embed.dynamic_feat_size(images.shape[-2:])
        return patches.transpose(1, 2).reshape(len(patches), -1, *grid)
