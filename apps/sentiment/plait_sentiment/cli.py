"""The sentiment app: what is said, how it sounds, and the speaker's face."""

from __future__ import annotations

from pathlib import Path

from plait.apps import App, Demo
from plait_sentiment.augment import Augment
from plait_sentiment.encoders import ENCODERS
from plait_sentiment.ingest import LAYOUTS
from plait_sentiment.label_pictures import run_pictures
from plait_sentiment.load import Loader
from plait_sentiment.pictures import pictures
from plait_sentiment.published import published
from plait_sentiment.raw import BASELINES, RAW
from plait_sentiment.settle import settle
from plait_sentiment.synthetic import synthetic
from plait_sentiment.tasks import TASKS

NOTES = (
    "Self-MI and what carries its name here are reconstructions from its abstract and its parents' code.",
    (
        "Ridges (raw features, baselines, untrained twins) are fitted to all labelled rows that are not asked about; "
        "recipes learn from the training rows and choose their weights by the val rows."
    ),
    (
        "Intervals and tests draw videos and seeds anew and take each fold's training rows as they are: with other "
        "training rows small differences would differ, too."
    ),
)
"""What a reader of every comparison must know."""

app = App(
    name="sentiment",
    title="Words, voice and face: sentiment",
    layouts=LAYOUTS,
    loader=Loader,
    augment=Augment,
    recipes=Path(__file__).parent / "recipes",
    tasks=TASKS,
    raw=RAW,
    synthetic=synthetic,
    demo=Demo(layout="mosi", folder="sentiment/mosi_utterance", recipe="self-mi", steps=200),
    headline=(
        *(
            ("sentiment/prediction", metric)
            for metric in ("mae", "corr", "acc2_has0", "acc2_non0", "f1_non0", "acc5", "acc7", "acc2", "acc3", "f1")
        ),
        *((f"sentiment/without/{name}", "mae") for name in RAW),
    ),
    pictures=pictures,
    encoders=ENCODERS,
    settle=settle,
    baselines=BASELINES,
    published=published(),
    notes=NOTES,
    run_pictures=run_pictures,
)
