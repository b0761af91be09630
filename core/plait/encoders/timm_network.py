"""An image network of timm, from scratch or from a local file; nothing is ever downloaded."""

from __future__ import annotations

from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from torch import nn

from plait.encoders.norms import has_batch_norm, without_batch_norm
from plait.errors import InputError

type Norm = Literal["group", "own"]
"""``group`` replaces batch normalisation by group normalisation; ``own`` leaves the network as it is."""

_DOWNLOADS = {"pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path"}


def timm_network(architecture: str, in_channels: int, norm: Norm, weights: str | None, **options: Any) -> nn.Module:
    """Make a timm network without a classifier.

    Args:
        architecture: a name of ``timm.list_models()``.
        in_channels: C of the images; weights for three channels are adapted by timm.
        norm: what becomes of batch normalisation.
        weights: a local ``.safetensors`` file for this architecture, or ``None`` for random weights.
        options: further keywords of ``timm.create_model``.

    Raises:
        InputError: for an unknown architecture or option, and for a file that does not fit it.
    """
    import timm

    if not timm.is_model(architecture):
        similar = get_close_matches(architecture, timm.list_models(), n=3)
        hint = f"try {' or '.join(similar)}" if similar else "see timm.list_models()"
        raise InputError(f"timm has no architecture '{architecture}': {hint}.")
    if _DOWNLOADS & options.keys():
        raise InputError("Weights never come by the image encoder's options: give a local file as its weights.")
    if weights is not None:
        _check_file(weights)
        options |= {"pretrained": True, "pretrained_cfg_overlay": {"file": weights}}
    create = partial(timm.create_model, architecture, in_chans=in_channels, **options)
    try:
        network = create()
        left_random = _differing(network, create()) if weights is not None else []
    except (TypeError, RuntimeError, SafetensorError) as error:
        source = f" with the weights {weights}" if weights else ""
        raise InputError(
            f"timm cannot make '{architecture}'{source} ({error}): check the encoder's options."
        ) from error
    if left_random:
        raise InputError(
            f"The weights {weights} lack {', '.join(left_random[:3])} of '{architecture}', {len(left_random)} in all: "
            "give weights of this architecture."
        )
    if norm == "own" or not has_batch_norm(network):
        return network
    if weights is not None:
        raise InputError(f"The weights {weights} were trained with batch normalisation: set the encoder's norm to own.")
    return without_batch_norm(network)


def _differing(first: nn.Module, second: nn.Module) -> list[str]:
    """The tensors in which two networks differ.

    timm passes over what a file lacks; what it then leaves random differs between two networks made alike.
    """
    pairs = zip(first.state_dict().items(), second.state_dict().values(), strict=True)
    return [name for (name, one), other in pairs if not torch.equal(one, other)]


def _check_file(weights: str) -> None:
    if not Path(weights).is_file():
        raise InputError(f"There is no file of weights at {weights}: give a local .safetensors file, or null.")
    if Path(weights).suffix != ".safetensors":
        raise InputError(f"The weights {weights} are no .safetensors file: convert them (pickles can run code).")
