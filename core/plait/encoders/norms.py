"""Group normalisation in place of batch normalisation.

Statistics over the batch couple its rows: two processes with half the batch each would train another model
than one with the whole, and a batch of one would not train at all. Group normalisation (Wu and He, 2018)
sees one image at a time.
"""

from __future__ import annotations

from math import gcd

from torch import nn
from torch.nn.modules.batchnorm import (
    _BatchNorm,  # pyright: ignore[reportPrivateUsage]  # torch's only name for all of them
)


def group_norm(channels: int) -> nn.GroupNorm:
    """A group normalisation of eight groups, or as many of them as divide the channels.

    Few groups, because a group must hold more than one value even where the map has shrunk to one pixel (which
    asks for more than eight channels).
    """
    return nn.GroupNorm(gcd(8, channels), channels)


def has_batch_norm(network: nn.Module) -> bool:
    """Whether any layer normalises over the batch."""
    return any(isinstance(module, _BatchNorm) for module in network.modules())


def without_batch_norm(network: nn.Module) -> nn.Module:
    """Replace every batch normalisation in ``network``, in place; scales, shifts and activations stay."""
    for name, child in network.named_children():
        if isinstance(child, _BatchNorm):
            setattr(network, name, _replacement(child))
        else:
            without_batch_norm(child)
    return network


def _replacement(batch_norm: _BatchNorm) -> nn.Module:
    norm = group_norm(batch_norm.num_features)
    norm.load_state_dict({"weight": batch_norm.weight, "bias": batch_norm.bias})
    # timm's BatchNormAct2d holds the activation that follows it.
    return nn.Sequential(norm, *batch_norm.children()) if list(batch_norm.children()) else norm
