"""A vision transformer from a local folder is a dense encoder of the camera's image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from plait.errors import InputError
from plait_driving.encoders.camera import VitDense

TINY = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


def dinov2(folder: Path, registers: int = 0) -> Path:
    """A tiny DINOv2 of random weights for images of 42 x 42, as transformers saves it."""
    from transformers import Dinov2Config, Dinov2Model, Dinov2WithRegistersConfig, Dinov2WithRegistersModel

    options: dict[str, Any] = TINY | {"patch_size": 14, "image_size": 42}
    if registers:
        config = Dinov2WithRegistersConfig(**options, num_register_tokens=registers)
        Dinov2WithRegistersModel(config).save_pretrained(folder)
    else:
        Dinov2Model(Dinov2Config(**options)).save_pretrained(folder)
    return folder


def vit(folder: Path) -> Path:
    from transformers import ViTConfig, ViTModel

    ViTModel(ViTConfig(**TINY, patch_size=14, image_size=42)).save_pretrained(folder)
    return folder


def encoder_of(folder: Path) -> VitDense:
    return VitDense(str(folder)).eval().requires_grad_(False)


@pytest.mark.parametrize("registers", [0, 4])
def test_tokens_are_the_last_layers_patches_row_by_row(registers: int, tmp_path: Path) -> None:
    encoder = encoder_of(dinov2(tmp_path, registers))
    images = torch.rand(2, 3, 28, 56)
    features = encoder(images)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    said = encoder.network((images - mean[:, None, None]) / deviation[:, None, None]).last_hidden_state
    assert said.shape[1] == 1 + registers + 2 * 4
    assert (features.grid, features.tokens.shape) == ((2, 4), (2, 8, 16))
    torch.testing.assert_close(features.tokens, said[:, 1 + registers :])
    torch.testing.assert_close(features.pooled, features.tokens.mean(dim=1))


def test_a_patch_speaks_of_where_it_lies(tmp_path: Path) -> None:
    # Without its layers the network says of each patch what it embeds it to, so a changed patch is seen in one token.
    encoder = encoder_of(dinov2(tmp_path))
    encoder.network.encoder.layer = torch.nn.ModuleList()
    images = torch.rand(1, 3, 42, 70)
    changed = images.clone()
    changed[..., 14:28, 42:56] = 0.0
    difference = (encoder(images).tokens - encoder(changed).tokens).abs().sum(dim=2)
    assert difference.nonzero().tolist() == [[0, 1 * 5 + 3]]


def test_images_that_divide_into_no_patches_are_resized_so_that_the_grid_covers_them(tmp_path: Path) -> None:
    encoder = encoder_of(dinov2(tmp_path))
    images = torch.rand(1, 3, 30, 64)
    features = encoder(images)
    resized = F.interpolate(images, (28, 70), mode="bilinear", align_corners=False)
    assert features.grid == (2, 5)
    torch.testing.assert_close(features.tokens, encoder(resized).tokens)
    assert encoder(torch.rand(1, 3, 5, 9)).grid == (1, 1)


def test_a_plain_vit_interpolates_its_places_too(tmp_path: Path) -> None:
    assert encoder_of(vit(tmp_path))(torch.rand(1, 3, 28, 70)).grid == (2, 5)


def test_the_folders_own_normalisation_is_used(tmp_path: Path) -> None:
    plain = encoder_of(dinov2(tmp_path))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.5] * 3, "image_std": [0.5] * 3}))
    own, images = encoder_of(tmp_path), torch.rand(1, 3, 28, 28)
    same = own.network(images * 2 - 1).last_hidden_state[:, 1:]
    torch.testing.assert_close(own(images).tokens, same)
    assert not torch.allclose(own(images).tokens, plain(images).tokens, atol=1e-3)
    (tmp_path / "preprocessor_config.json").write_text('{"image_std": [0.5, 0.5, 0]}')
    with pytest.raises(InputError, match="no three means and deviations above 0"):
        encoder_of(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text("[")
    with pytest.raises(InputError, match=r"preprocessor_config\.json is damaged"):
        encoder_of(tmp_path)


def test_it_learns_unless_the_recipe_freezes_it(tmp_path: Path) -> None:
    encoder = VitDense(str(dinov2(tmp_path)))
    encoder(torch.rand(1, 3, 28, 28)).tokens.square().sum().backward()
    assert any(p.grad is not None and bool(p.grad.any()) for p in encoder.parameters())


def test_a_folder_that_lacks_something_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"lacks config\.json"):
        encoder_of(tmp_path)
    dinov2(tmp_path)
    weights = tmp_path / "model.safetensors"
    kept = weights.read_bytes()
    weights.unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(InputError, match="pickled weights are never loaded"):
        encoder_of(tmp_path)
    weights.write_bytes(kept[:100])
    with pytest.raises(InputError, match="transformers cannot read"):
        encoder_of(tmp_path)


def test_weights_of_another_model_are_one_sentence(tmp_path: Path) -> None:
    vit(tmp_path / "other")
    dinov2(tmp_path / "dinov2")
    (tmp_path / "other" / "model.safetensors").replace(tmp_path / "dinov2" / "model.safetensors")
    with pytest.raises(InputError, match=r"lack .* in all: give weights of this model"):
        encoder_of(tmp_path / "dinov2")


def test_a_model_without_patches_is_one_sentence(tmp_path: Path) -> None:
    from transformers import BertConfig, BertModel

    BertModel(BertConfig(**TINY, vocab_size=10)).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"The bert in .* has no patches of RGB"):
        encoder_of(tmp_path)
