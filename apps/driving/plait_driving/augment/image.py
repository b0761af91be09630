"""Changes of a sample's image that carry its superpixels and the points' pixels with them."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from plait.pairs.batch import Sample
from plait_driving.augment.points import take_points
from plait_driving.superpixels.colour import smoothed


def flip_image(sample: Sample) -> Sample:
    """Mirror the image left to right; u becomes W - 1 - u."""
    changed = {"image": sample["image"].flip(-1)}
    if sample.get("superpixels") is not None:
        changed["superpixels"] = sample["superpixels"].flip(-1)
    if sample.get("point_pixels") is not None:
        u, v = sample["point_pixels"].unbind(dim=1)
        changed["point_pixels"] = torch.stack([sample["image"].shape[-1] - 1 - u, v], dim=1)
    return sample | changed


def crop_image(sample: Sample, top: int, left: int, height: int, width: int) -> Sample:
    """Cut a window out and enlarge it to the image's size; points outside are dropped.

    A window without any point leaves the sample as it was: a sweep must not vanish by chance.
    """
    full = sample["image"].shape[1:]
    pixels, inside = sample.get("point_pixels"), None
    if pixels is not None:
        # Continuous pixel edges lie half a pixel around the centres.
        scale = torch.tensor([full[1] / width, full[0] / height])
        pixels = (pixels - torch.tensor([left, top]) + 0.5) * scale - 0.5
        inside = ((pixels >= -0.5) & (pixels < torch.tensor([full[1] - 0.5, full[0] - 0.5]))).all(dim=1)
        if not bool(inside.any()):
            return sample
    window = (..., slice(top, top + height), slice(left, left + width))
    image = F.interpolate(sample["image"][window][None], size=full, mode="bilinear", align_corners=False)[0]
    changed = {"image": image}
    if sample.get("superpixels") is not None:
        ids = sample["superpixels"][window][None, None].double()
        changed["superpixels"] = F.interpolate(ids, size=full, mode="nearest-exact")[0, 0].long()
    if pixels is None or inside is None:
        return sample | changed
    return take_points(sample | changed | {"point_pixels": pixels}, inside)


# Colours of (3, H, W) images in [0, 1]; grey is the mean of the three.


def recoloured(image: Tensor, saturation: float, contrast: float, brightness: float) -> Tensor:
    """Spread colours about their grey and greys about their mean, then brighten, each by a factor."""
    grey = image.mean(dim=0, keepdim=True)
    image = grey + saturation * (image - grey)
    image = grey.mean() + contrast * (image - grey.mean())
    return (brightness * image).clamp(0.0, 1.0)


def turn_hue(image: Tensor, angle: float) -> Tensor:
    """Turn every colour about the grey axis by ``angle`` [radians]; a third of a turn makes red green."""
    cos, sin = math.cos(angle), math.sin(angle) / math.sqrt(3)
    same, back, forth = (1 + 2 * cos) / 3, (1 - cos) / 3 - sin, (1 - cos) / 3 + sin
    turn = torch.tensor([[same, back, forth], [forth, same, back], [back, forth, same]])
    return (turn @ image.flatten(1)).reshape(image.shape).clamp(0.0, 1.0)


def grey(image: Tensor) -> Tensor:
    """Take the colour away."""
    return image.mean(dim=0, keepdim=True).expand_as(image).clone()


def blurred(image: Tensor, sigma: float) -> Tensor:
    """Smooth by a Gaussian of width ``sigma`` [pixels]."""
    return torch.from_numpy(smoothed(image.permute(1, 2, 0).numpy(), 0, image.shape[1], sigma))
