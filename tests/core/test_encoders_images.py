"""Image encoders: places stay in place, rows stay apart, and nothing is downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from plait.encoders import Encoder
from plait.encoders.conv import Conv
from plait.encoders.dense import ConvDense, TimmDense, TopDown
from plait.encoders.image import TimmImage
from plait.encoders.norms import group_norm, has_batch_norm, without_batch_norm
from plait.errors import InputError

ENCODERS = {
    "conv": lambda: Conv(in_channels=2, widths=(16, 32), strides=(4, 4)),
    "conv_dense": lambda: ConvDense(in_channels=2, width=16, widths=(16, 32), strides=(4, 2)),
    "timm resnet": lambda: TimmImage("test_resnet", in_channels=2),
    "timm vit": lambda: TimmImage("test_vit", in_channels=2, options={"img_size": [96, 64]}),
    "timm_dense": lambda: TimmDense("test_convnext", in_channels=2, width=16),
}


@pytest.fixture(params=ENCODERS)
def encoder(request: pytest.FixtureRequest) -> Encoder:
    torch.manual_seed(0)
    return ENCODERS[request.param]()


def images(rows: int, height: int = 96, width: int = 64, channels: int = 2) -> Tensor:
    return torch.randn(rows, channels, height, width, generator=torch.Generator().manual_seed(1))


def test_tokens_fill_their_grid_and_have_the_encoders_width(encoder: Encoder) -> None:
    features = encoder(images(2))
    assert features.grid is not None
    height, width = features.grid
    assert height / width == 96 / 64
    assert features.tokens.shape == (2, height * width, encoder.width)
    assert features.mask.all()
    assert features.pooled.shape == (2, encoder.width)


def test_a_row_does_not_depend_on_the_rest_of_its_batch_even_in_training(encoder: Encoder) -> None:
    encoder.train()
    batch = images(3)
    alone, together = encoder(batch[1:2]), encoder(batch)
    torch.testing.assert_close(alone.tokens[0], together.tokens[1], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(alone.pooled[0], together.pooled[1], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, -1), (-1, 0), (-1, -1)])
def test_a_spot_in_a_corner_changes_the_token_of_that_corner_most(encoder: Encoder, row: int, column: int) -> None:
    # The gradient of a token tells where it looks, without the global reach of the norms in the way.
    image = images(1).requires_grad_()
    features = encoder(image)
    assert features.grid is not None
    height, width = features.grid
    token = features.tokens.unflatten(1, (height, width))[0, row, column]
    token.square().sum().backward()
    assert image.grad is not None
    energy = image.grad[0].square().sum(dim=0)
    quadrants = energy.unflatten(0, (2, 48)).unflatten(2, (2, 32)).sum(dim=(1, 3))
    assert quadrants[row, column] > 0.5 * quadrants.sum()


def test_every_parameter_learns(encoder: Encoder) -> None:
    features = encoder(images(2))
    (features.tokens.square().sum() + features.pooled.square().sum()).backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_autocast_stays_near_full_precision(encoder: Encoder) -> None:
    encoder.eval()
    exact = encoder(images(2)).pooled
    with torch.autocast("cpu", torch.bfloat16):
        rough = encoder(images(2)).pooled
    assert F.cosine_similarity(exact, rough.float()).min() > 0.99


def test_a_wrong_number_of_channels_names_the_mend(encoder: Encoder) -> None:
    with pytest.raises(InputError, match="set the encoder's in_channels to 3"):
        encoder(images(1, channels=3))


def test_any_image_size_goes_through_a_convolutional_encoder() -> None:
    assert Conv(strides=(1, 2, 2))(images(1, 16, 16, 3)).grid == (4, 4)
    assert Conv()(images(1, 5, 7, 3)).grid == (1, 1)
    assert ConvDense()(images(1, 30, 45, 3)).grid == (8, 12)
    assert TimmDense("test_resnet")(images(1, 64, 208, 3)).grid == (16, 52)


def test_conv_tokens_equal_the_convolutions_written_out() -> None:
    torch.manual_seed(0)
    encoder = Conv(in_channels=2, widths=(8,), strides=(2,))
    layers: Any = encoder.stages[0]
    (conv, norm, _, block), image = layers, images(1, 8, 6)

    def normalise(x: Tensor, layer: nn.GroupNorm) -> Tensor:
        groups = x.reshape(1, layer.num_groups, -1)
        scaled = (groups - groups.mean(2, keepdim=True)) / (groups.var(2, keepdim=True, correction=0) + 1e-5).sqrt()
        return scaled.reshape(x.shape) * layer.weight[:, None, None] + layer.bias[:, None, None]

    x = normalise(F.conv2d(image, conv.weight, stride=2, padding=1), norm).clamp(min=0)
    hidden = normalise(F.conv2d(x, block.first.weight, padding=1), block.first_norm).clamp(min=0)
    x = (x + normalise(F.conv2d(hidden, block.second.weight, padding=1), block.second_norm)).clamp(min=0)
    features = encoder(image)
    torch.testing.assert_close(features.tokens[0, 4], x[0, :, 1, 1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(features.pooled, x.mean(dim=(2, 3)), atol=1e-5, rtol=1e-5)


def test_top_down_adds_the_coarse_map_at_its_place() -> None:
    torch.manual_seed(0)
    top_down = TopDown([3, 5], 4).double()
    top_down.smooth = nn.Sequential()
    fine, coarse = torch.zeros(1, 3, 8, 8).double(), torch.zeros(1, 5, 4, 4).double()
    empty = top_down([fine, coarse])
    coarse[0, :, 0, 3] = 1.0
    changed = (top_down([fine, coarse]) - empty).abs().sum(dim=1)[0]
    assert changed.argmax() in (6, 7, 14, 15)
    assert changed[3:, :].max() == 0
    assert changed[:, :5].max() == 0


def test_vit_tokens_leave_out_the_class_token() -> None:
    encoder = TimmImage("test_vit", options={"img_size": 32}).eval()
    image = images(1, 32, 32, 3)
    output = encoder.network.forward_features(image)
    features = encoder(image)
    assert features.grid == (2, 2)
    torch.testing.assert_close(features.tokens, output[:, 1:])
    torch.testing.assert_close(features.pooled, encoder.network.forward_head(output, pre_logits=True))


def test_batch_norm_becomes_group_norm_with_its_scale_and_its_activation() -> None:
    encoder = TimmImage("test_efficientnet")
    assert not has_batch_norm(encoder)
    assert has_batch_norm(TimmImage("test_efficientnet", norm="own"))
    batch_norm = nn.BatchNorm2d(24)
    nn.init.constant_(batch_norm.weight, 3.0)
    network = nn.Sequential(nn.Conv2d(3, 24, 1), batch_norm)
    without_batch_norm(network)
    norm = network[1]
    assert isinstance(norm, nn.GroupNorm)
    assert (norm.weight == 3.0).all()


@pytest.mark.parametrize("channels", [12, 20, 24, 64])
def test_group_norm_keeps_information_in_a_single_pixel(channels: int) -> None:
    assert group_norm(channels)(torch.randn(1, channels, 1, 1)).abs().max() > 0.1


def test_local_weights_are_loaded_and_adapted_to_the_channels(tmp_path: Path) -> None:
    import timm

    torch.manual_seed(0)
    teacher = cast(Any, timm.create_model("test_convnext", num_classes=1000))
    save_file(teacher.state_dict(), tmp_path / "weights.safetensors")
    encoder = TimmImage("test_convnext", weights=str(tmp_path / "weights.safetensors")).eval()
    image = images(1, 64, 64, 3)
    torch.testing.assert_close(encoder.network.forward_features(image), teacher.eval().forward_features(image))
    TimmImage("test_convnext", in_channels=1, weights=str(tmp_path / "weights.safetensors"))


def test_weights_of_another_architecture_are_refused_not_passed_over(tmp_path: Path) -> None:
    import timm

    save_file(timm.create_model("test_convnext").state_dict(), tmp_path / "weights.safetensors")
    with pytest.raises(InputError, match="give weights of this architecture"):
        TimmImage("test_vit", weights=str(tmp_path / "weights.safetensors"))


def test_weights_of_batch_norm_are_not_passed_off_as_weights_of_group_norm(tmp_path: Path) -> None:
    import timm

    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "weights.safetensors")
    with pytest.raises(InputError, match="set the encoder's norm to own"):
        TimmImage("test_resnet", weights=str(tmp_path / "weights.safetensors"))
    TimmImage("test_resnet", weights=str(tmp_path / "weights.safetensors"), norm="own")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"architecture": "resnet_18"}, "timm has no architecture 'resnet_18': try resnet18"),
        ({"architecture": "hf-hub:timm/resnet18.a1_in1k"}, "timm has no architecture"),
        ({"weights": "absent.safetensors"}, "There is no file of weights at absent.safetensors"),
        ({"options": {"pretrained": True}}, "give a local file as its weights"),
        ({"options": {"depth_of_water": 3}}, "check the encoder's options"),
    ],
)
def test_what_timm_cannot_make_is_said_in_one_sentence(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TimmImage(**options)


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(b"")
    with pytest.raises(InputError, match=r"no \.safetensors file"):
        TimmImage(weights=str(tmp_path / "weights.pth"))


def test_other_misfits_are_said_in_one_sentence() -> None:
    with pytest.raises(InputError, match="has no map at stride 4"):
        TimmDense("test_vit")
    with pytest.raises(InputError, match="give one stride a width"):
        Conv(widths=(8, 8), strides=(2,))
    with pytest.raises(InputError, match=r"img_size: \[96, 64\]"):
        TimmImage("vit_tiny_patch16_224")(images(1, channels=3))
