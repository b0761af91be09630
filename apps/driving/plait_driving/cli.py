"""The driving app, as the entry point ``plait.apps`` finds it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from plait.apps import App, Demo, Picture
from plait.subjects import Subject
from plait_driving.augment import Augment
from plait_driving.encoders import PillarNet, PointMixer, RangeNet, SparseUNet, SurfacePoints
from plait_driving.encoders.camera import VitDense
from plait_driving.ingest import LAYOUTS
from plait_driving.load import Loader
from plait_driving.objectives import PointPixelInfoNCE, SuperpixelInfoNCE
from plait_driving.raw import RAW
from plait_driving.synthetic import synthetic
from plait_driving.tasks import TASKS


def _pictures(subject: Subject, folder: Path) -> Iterator[Picture]:
    from plait_driving.pictures import pictures  # matplotlib is slow to import, and few commands draw

    yield from pictures(subject, folder)


app = App(
    name="driving",
    title="Driving: camera + LiDAR",
    layouts=LAYOUTS,
    loader=Loader,
    augment=Augment,
    recipes=Path(__file__).parent / "recipes",
    tasks=TASKS,
    raw=RAW,
    synthetic=synthetic,
    demo=Demo(layout="pandaset", folder="driving/pandaset_002", recipe="slidr_small", steps=100),
    headline=(
        ("driving/point_pixel_retrieval", "recall@10"),
        ("driving/point_semantics/A/both", "mean_iou"),
        ("driving/point_semantics/B/both", "mean_iou"),
        ("driving/point_semantics/B/with_raw", "accuracy"),
        ("driving/point_semantics/B/with_raw", "mean_iou"),
    ),
    pictures=_pictures,
    encoders={
        "pillar_net": PillarNet,
        "point_mixer": PointMixer,
        "range_net": RangeNet,
        "sparse_unet": SparseUNet,
        "surface_points": SurfacePoints,
        "vit_dense": VitDense,
    },
    objectives={"superpixel_info_nce": SuperpixelInfoNCE, "point_pixel_info_nce": PointPixelInfoNCE},
    packages={
        "libusb_package": "pip install libusb-package",
        "onnx": "pip install onnx",
        "onnxruntime": "pip install onnxruntime",
        "onnxscript": "pip install onnxscript",
        "open3d": "pip install open3d libusb-package",
        "rerun": "pip install rerun-sdk",
        "skimage": "pip install scikit-image",
    },
)
