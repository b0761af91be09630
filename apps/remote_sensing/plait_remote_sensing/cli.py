"""Remote sensing as an app: what ``plait remote-sensing`` is made of."""

from __future__ import annotations

from pathlib import Path

from plait.apps import App, Demo
from plait_remote_sensing.augment import Augment
from plait_remote_sensing.ingest import LAYOUTS
from plait_remote_sensing.load import Loader
from plait_remote_sensing.pictures import pictures
from plait_remote_sensing.raw import RAW
from plait_remote_sensing.synthetic import synthetic
from plait_remote_sensing.tasks import TASKS

app = App(
    name="remote-sensing",
    title="Remote sensing: SAR and optical",
    layouts=LAYOUTS,
    loader=Loader,
    augment=Augment,
    recipes=Path(__file__).parent / "recipes",
    tasks=TASKS,
    raw=RAW,
    synthetic=synthetic,
    demo=Demo(layout="terramesh", folder="remote_sensing/terramesh_lulc", recipe="sar_optical_intermediate", steps=200),
    headline=(
        ("remote-sensing/retrieval/sar_to_optical", "recall@5"),
        ("remote-sensing/retrieval/optical_to_sar", "recall@5"),
        ("remote-sensing/land_cover/sar/linear", "overall_accuracy"),
        ("remote-sensing/land_cover/optical/linear", "overall_accuracy"),
        ("remote-sensing/land_cover/both/linear", "overall_accuracy"),
        ("remote-sensing/land_cover/both/forest", "overall_accuracy"),
        ("remote-sensing/land_cover/both_without_optical/linear", "overall_accuracy"),
        ("remote-sensing/land_cover/both_without_sar/linear", "overall_accuracy"),
    ),
    pictures=pictures,
    packages={"rasterio": "uv pip install 'plait[remote-sensing]'"},
)
