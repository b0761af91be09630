"""The medical app: chest radiograph and report."""

from __future__ import annotations

from pathlib import Path

from plait.apps import App, Demo
from plait_medical.augment import Augment
from plait_medical.examine import examine
from plait_medical.ingest import LAYOUTS
from plait_medical.load import Loader
from plait_medical.pictures import pictures
from plait_medical.raw import RAW
from plait_medical.synthetic import synthetic
from plait_medical.tasks import TASKS

app = App(
    name="medical",
    title="Chest radiograph and report",
    layouts=LAYOUTS,
    loader=Loader,
    augment=Augment,
    recipes=Path(__file__).parent / "recipes",
    tasks=TASKS,
    raw=RAW,
    synthetic=synthetic,
    demo=Demo(layout="iu-xray", folder="medical/iu_xray", recipe="convirt", steps=300),
    headline=(
        ("medical/linear_probe/abnormal", "auroc"),
        ("medical/linear_probe/cardiomegaly", "auroc"),
        ("medical/linear_probe/pleural_effusion", "auroc"),
        ("medical/zero_shot/cardiomegaly", "auroc"),
        ("medical/retrieval/image_to_report", "recall@10"),
        ("medical/retrieval/report_to_image", "recall@10"),
        ("medical/retrieval/chance", "recall@10"),
    ),
    pictures=pictures,
    examine=examine,
    packages={
        "pydicom": "pip install 'plait[medical]'",
        "gdcm": "pip install python-gdcm",
        "jpeg_ls": "pip install pyjpegls",
        "openjpeg": "pip install pylibjpeg pylibjpeg-openjpeg",
        "rle": "pip install pylibjpeg pylibjpeg-rle",
    },
)
