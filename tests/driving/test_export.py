"""An exported encoder says in onnxruntime what it says in torch, for any number of points and sweeps."""

from __future__ import annotations

import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from plait.encoders.conv import Conv
from plait.encoders.tables import Table
from plait.errors import InputError
from plait.pairs.batch import pad
from plait.pairs.table import PairTable
from plait.recipes import build_model, complete_recipe
from plait.training.run_folder import write_run
from plait_driving.cli import app
from plait_driving.encoders import PillarNet, PointMixer, RangeNet, SparseUNet, SurfacePoints
from plait_driving.encoders.camera import VitDense
from plait_driving.encoders.export import export_onnx, export_run, numpy_inputs
from plait_driving.encoders.point_encoder import Inputs, PointEncoder
from tests.driving.test_camera_encoders import dinov2

onnx = pytest.importorskip("onnx", reason="pip install onnx onnxscript onnxruntime")
onnxruntime = pytest.importorskip("onnxruntime", reason="pip install onnxruntime")


class Together(PointEncoder):
    """Five encoders in one, since an export costs seconds whatever its size; tokens side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: Any = torch.nn.ModuleDict(
            {
                "surface_points": SurfacePoints(width=8, cell_sizes=(1.0, 4.0, 1.0), surface_sizes=(1.0,)),
                "sparse_unet": SparseUNet(width=8, levels=2, voxel_size=1.0),
                "point_mixer": PointMixer(width=8, depth=2, grid_resolution=4.0, neighbourhood=2.0),
                "range_net": RangeNet(width=8, size=(16, 64), widths=(8, 8), strides=((1, 2), (2, 2))),
                "pillar_net": PillarNet(width=8, pillar_size=3.2, widths=(8, 8), strides=(2, 2)),
            }
        )
        self.width = 8 * len(self.parts)

    def describe(self, points: torch.Tensor, sweep: torch.Tensor, sizes: torch.Tensor) -> Inputs:
        """All the encoders' inputs, each with its encoder's name."""
        return {
            f"{kind}.{name}": tensor
            for kind, part in self.parts.items()
            for name, tensor in part.describe(points, sweep, sizes).items()
        }

    def network(self, inputs: Inputs) -> torch.Tensor:
        common = {name: inputs[name] for name in ("sweep", "sizes")}
        own = (
            {name.partition(".")[2]: inputs[name] for name in inputs if name.startswith(kind)} for kind in self.parts
        )
        return torch.cat(
            [part.network(common | each) for part, each in zip(self.parts.values(), own, strict=True)], dim=1
        )


def sweep(number: int) -> torch.Tensor:
    return torch.cat([torch.randn(number, 3) * torch.tensor([15.0, 15.0, 1.0]), torch.rand(number, 1)], dim=1)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Together, Path]:
    torch.manual_seed(0)
    encoder, path = Together().requires_grad_(False), tmp_path_factory.mktemp("onnx") / "made" / "points.onnx"
    export_onnx(encoder, path, about={"modality": "points"})
    assert encoder.training  # what was exported is a copy, in evaluation mode
    return encoder.eval(), path


@pytest.mark.parametrize("sizes", [(1,), (400, 0, 90), (7, 5), (33, 1, 2, 8)])
def test_point_encoders_are_the_same_in_onnxruntime(exported: tuple[Together, Path], sizes: tuple[int, ...]) -> None:
    encoder, path = exported
    value = pad([sweep(number) for number in sizes])
    tokens, pooled = onnxruntime.InferenceSession(path).run(None, numpy_inputs(encoder, value))
    for number, (kind, part) in enumerate(encoder.parts.items()):
        expected, own = part(value), slice(8 * number, 8 * number + 8)
        np.testing.assert_allclose(tokens[:, own], expected.tokens[value.mask], rtol=0, atol=1e-5, err_msg=kind)
        np.testing.assert_allclose(pooled[:, own], expected.pooled, rtol=0, atol=1e-5, err_msg=kind)


def test_no_rows_are_added_where_onnxruntime_adds_without_a_lock(exported: tuple[Together, Path]) -> None:
    graph = onnx.load(exported[1])
    assert graph.opset_import[0].version == 20
    # Its ScatterND lets several threads add to one row at once: wrong by 0.2 on 16,384 points and two processors.
    assert "ScatterND" not in {node.op_type for node in graph.graph.node}


def test_a_file_says_what_made_it_and_what_it_takes(exported: tuple[Together, Path]) -> None:
    session: Any = onnxruntime.InferenceSession(exported[1])
    said = session.get_modelmeta().custom_metadata_map
    assert (said["encoder"], said["width"], said["modality"], said["opset"]) == ("Together", "40", "points", "20")
    assert said["inputs"] == "All the encoders' inputs, each with its encoder's name."
    free = {each.name: each.shape[0] for each in session.get_inputs()}
    assert (free["sweep"], free["sizes"], free["pillar_net.place"]) == ("points", "sweeps", "points")


@pytest.mark.parametrize("kind", list(Together().parts))
def test_every_input_is_documented(kind: str) -> None:
    part: PointEncoder = Together().parts[kind]
    said = inspect.getdoc(part.describe) or ""
    names = {re.sub("[0-9]+$", "0", name.replace("xz", "xy").replace("yz_w", "xy_w")) for name in inputs_of(part)}
    assert {name for name in names if f"``{name}``" not in said} == set()


def inputs_of(part: PointEncoder) -> list[str]:
    return [name for name in part.prepare(pad([sweep(9)])) if name not in ("sweep", "sizes")]


@pytest.fixture(scope="module")
def run(table: PairTable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a camera encoder from a local folder, as training would have written it."""
    run = tmp_path_factory.mktemp("run")
    raw = {
        "name": "tiny",
        "about": "for this test",
        "data": {"image_size": [28, 42], "max_points": 64},
        "model": {"embedding": 4, "encoders": {"image": {"kind": "vit_dense", "folder": str(dinov2(run / "teacher"))}}},
        "objectives": [],
    }
    recipe = complete_recipe(raw, app, "tiny.yaml")
    torch.manual_seed(1)
    model = build_model(recipe, app)
    write_run(run, model, recipe, "driving", table, seed=3, steps=7, notes=[])
    return run


def test_a_runs_camera_encoder_is_the_same_in_onnxruntime_and_names_its_run(run: Path, tmp_path: Path) -> None:
    export_run(run, "image", tmp_path / "image.onnx", app)
    session: Any = onnxruntime.InferenceSession(tmp_path / "image.onnx")
    encoder = VitDense(str(run / "teacher")).eval().requires_grad_(False)
    images = torch.rand(3, 3, 28, 42)
    tokens, pooled = session.run(None, {"images": images.numpy()})
    expected = encoder(images)
    np.testing.assert_allclose(tokens, expected.tokens, rtol=0, atol=1e-5)
    np.testing.assert_allclose(pooled, expected.pooled, rtol=0, atol=1e-5)
    said = session.get_modelmeta().custom_metadata_map
    assert (said["app"], said["recipe"], said["modality"], said["kind"]) == ("driving", "tiny", "image", "vit_dense")
    assert (said["seed"], said["steps"], json.loads(said["grid"])) == ("3", "7", [2, 3])
    assert said["weights_sha256"] == json.loads((run / "run.json").read_text())["sha256"]


def test_a_modality_without_an_encoder_is_one_sentence(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no encoder of 'points': choose from image"):
        export_run(run, "points", tmp_path / "points.onnx", app)


def test_what_cannot_be_exported_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="A Table encoder cannot be exported"):
        export_onnx(Table(3), tmp_path / "x.onnx")
    with pytest.raises(InputError, match="give image_size"):
        export_onnx(Conv(), tmp_path / "x.onnx")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(InputError, match="pip install onnx onnxscript onnxruntime"):
        export_onnx(PointMixer(), tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())
