"""What a recipe leaves open is settled by the table, and nothing else is touched."""

from __future__ import annotations

from typing import Any

import pytest

from plait.errors import InputError
from plait.pairs.table import PairTable, TableInfo
from plait.recipes import Recipe, build_objectives, complete_recipe, read_recipe
from plait_sentiment.cli import app
from plait_sentiment.settle import settle

NAMES = ("text", "audio", "video")
INFO = TableInfo("sentiment", "test", "/", {name: (name,) for name in NAMES}, "none", "none")
HELD: dict[str, Any] = {
    "text": "it was good",
    "holds_text": "words",
    "audio": "a.npy",
    "holds_audio": "vector",
    "channels_audio": 7,
    "video": "v.npy",
    "holds_video": "sequence",
    "channels_video": 9,
    "scale": 1.0,
    "label_sentiment": 0.5,
}


def table_of(*rows: dict[str, Any]) -> PairTable:
    fixed = [{"id": str(place), "group": str(place), "split": "train"} for place in range(len(rows))]
    nothing = dict.fromkeys(HELD)
    return PairTable.from_rows([key | nothing | row for key, row in zip(fixed, rows, strict=True)], INFO)


def without(*names: str) -> dict[str, Any]:
    return {key: value for key, value in HELD.items() if not key.endswith(names)}


def recipe_of(objectives: list[dict[str, Any]], **encoder: Any) -> Recipe:
    raw = {
        "name": "r",
        "about": "a recipe",
        "model": {
            "encoders": {name: {"kind": "utterance", **encoder} for name in NAMES},
            "fusion": {"kind": "concat"},
            "targets": {"label_sentiment": {"kind": "regression", "low": -3, "high": 3, "of": ["fused", *NAMES]}},
            "frozen": ["video"],
        },
        "objectives": objectives,
        "optimisation": {"encoder_learning_rates": {"text": 1e-4, "video": 1e-3}},
    }
    return complete_recipe(raw, app, "here")


SUPERVISED = {"kind": "supervised", "target": "label_sentiment"}


def test_encoders_learn_what_the_table_holds_and_targets_its_scale():
    settled = settle(recipe_of([SUPERVISED]), table_of(HELD, without("video")))
    held = {name: (spec["holds"], spec["channels"]) for name, spec in settled.model.encoders.items()}
    assert held == {"text": ("words", None), "audio": ("vector", 7), "video": ("sequence", 9)}
    target = settled.model.targets["label_sentiment"]
    assert (target["low"], target["high"]) == (-1.0, 1.0)


def test_what_the_recipe_says_itself_stays():
    settled = settle(recipe_of([SUPERVISED], holds="vector", channels=3), table_of(HELD))
    assert all((spec["holds"], spec["channels"]) == ("vector", 3) for spec in settled.model.encoders.values())


def test_settling_twice_is_settling_once():
    table = table_of(without("video"))
    once = settle(read_recipe("self-mi", app), table)
    assert settle(once, table) == once


def test_a_modality_that_no_row_has_is_left_out_wherever_it_is_named(capsys):
    objectives = [
        {"kind": "supervised", "target": "label_sentiment", "of": ["fused", "text", "video"]},
        {"kind": "cpc", "of": [["text", "audio", "video"], "text"]},
        {"kind": "cpc", "of": [["text", "audio", "video"], "video"]},
        {"kind": "cpc", "of": ["text", "video"]},
        {"kind": "cpc", "of": [["video"], "text"]},
        {"kind": "cpc", "of": ["text", "audio"]},
        {"kind": "supervised", "target": "label_sentiment", "of": ["video"]},
    ]
    settled = settle(recipe_of(objectives), table_of(without("video")))
    assert list(settled.model.encoders) == ["text", "audio"]
    assert settled.model.targets["label_sentiment"]["of"] == ["fused", "text", "audio"]
    assert settled.model.frozen == []
    assert settled.optimisation.encoder_learning_rates == {"text": 1e-4}
    left = [spec["of"] for spec in settled.objectives]
    assert left == [["fused", "text"], [["text", "audio"], "text"], ["text", "audio"]]
    build_objectives(settled, app)
    told = capsys.readouterr().err
    assert told.count("is left out") == 4
    assert "cpc of ['text', 'video']" in told


def test_a_whole_table_leaves_the_objectives_as_they_are(capsys):
    recipe = read_recipe("self-mi", app)
    assert settle(recipe, table_of(HELD)).objectives == recipe.objectives
    assert not capsys.readouterr().err


def test_rows_that_are_held_out_settle_nothing():
    """A modality that only test rows have is as if it were not there, and what they hold is not looked at."""
    seen = without("video")
    held_out = HELD | {"split": "test", "channels_audio": 99, "scale": 3.0}
    settled = settle(recipe_of([SUPERVISED]), table_of(seen, held_out))
    assert settled == settle(recipe_of([SUPERVISED]), table_of(seen))
    assert list(settled.model.encoders) == ["text", "audio"]


def test_words_need_no_channels():
    settled = settle(recipe_of([SUPERVISED]), table_of(HELD | {"holds_text": "words", "channels_text": None}))
    assert settled.model.encoders["text"]["holds"] == "words"
    assert settled.model.encoders["text"]["channels"] is None


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([HELD, HELD | {"channels_audio": 8}], "channels_audio"),
        ([HELD, HELD | {"holds_text": "vector"}], "holds_text"),
        ([HELD, HELD | {"scale": 3.0}], "scale"),
        ([without(*NAMES)], "no row with any of text, audio, video"),
    ],
)
def test_rows_that_disagree_are_refused_by_column(rows, said):
    with pytest.raises(InputError, match=said):
        settle(recipe_of([SUPERVISED]), table_of(*rows))


def test_a_recipe_of_which_nothing_is_left_is_refused():
    with pytest.raises(InputError, match="no objective left for audio"):
        settle(recipe_of([{"kind": "cpc", "of": ["text", "audio"]}]), table_of(without("text", "video")))
