"""The tasks measure what they say, on the rows they say, with whoever can answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from plait.pairs.layout import Row
from plait.pairs.table import PairTable, TableInfo
from plait_sentiment.tasks import TASKS

NAMES = ("text", "audio", "video")
INFO = TableInfo("sentiment", "test", "/", {name: (name,) for name in NAMES}, "none", "none")
WIDTH = 2


class Fake:
    """A subject with given features (N, 2) a modality and, where it is trained, heads that say given numbers."""

    name, loader, refused, model = "fake", None, {}, None

    def __init__(self, table: PairTable, features: dict[str, Any], heads: dict[Any, Any] | None = None) -> None:
        self.table, self.heads = table, heads or {}
        self.arrays = {name: np.asarray(array, np.float32) for name, array in features.items()}
        self.modalities = tuple(features)

    def features(self, modality: str) -> np.ndarray:
        return self.arrays[modality]

    def fused(self, modalities: Sequence[str]) -> np.ndarray:
        shown = [array if name in modalities else np.zeros_like(array) for name, array in self.arrays.items()]
        return np.concatenate(shown, axis=1)

    def predictions(self, column: str, view: Any) -> np.ndarray | None:
        assert column == "label_sentiment"
        said = self.heads.get(view)
        return None if said is None else np.asarray(said, np.float32)[:, None]


def table_of(n: int = 120, scale: float = 3.0, test: bool = True, **columns: Any) -> PairTable:
    """A sixth of the videos is held out for ``test``, a sixth for ``val``; labels are spread evenly."""
    rng = np.random.default_rng(0)
    labels = rng.uniform(-scale, scale, n)
    rows: list[Row] = []
    for row in range(n):
        video = row // 5
        split = "train" if video % 6 > 1 else "val" if video % 6 == 1 else "test"
        rows.append({"id": str(row), "group": str(video), "split": split if test or split != "test" else "train"})
        rows[-1] |= dict.fromkeys(NAMES, "x") | {"label_sentiment": labels[row], "scale": scale}
        rows[-1] |= {name: values[row] for name, values in columns.items()}
    return PairTable.from_rows(rows, INFO)


def labels_of(table: PairTable) -> np.ndarray:
    return table.array("label_sentiment")


def telling(table: PairTable, seed: int = 0) -> dict[str, np.ndarray]:
    """Text tells the label, audio half of it, video nothing."""
    rng, labels = np.random.default_rng(seed), labels_of(table)
    noise = {name: rng.normal(size=(len(table), WIDTH)) for name in NAMES}
    return {
        "text": labels[:, None] + 0.01 * noise["text"],
        "audio": labels[:, None] + 2 * noise["audio"],
        "video": noise["video"],
    }


def found(task: str, subject: Fake) -> dict[tuple[str, str], Any]:
    return {(m.task.removeprefix("sentiment/"), m.metric): m for m in TASKS[task](subject)}


def test_a_trained_head_answers_for_itself_and_every_metric_is_told():
    table = table_of()
    labels = labels_of(table)
    told = found("prediction", Fake(table, telling(table), {NAMES: labels + 0.5}))
    asked = table.splits == "test"
    every = {"mae", "corr", "acc2_has0", "acc2_non0", "f1_has0", "f1_non0", "acc3", "acc5", "acc7"}
    assert {metric for _, metric in told} == every
    mae = told["prediction", "mae"]
    assert_allclose(mae.value, 0.5, rtol=1e-5)
    assert mae.split == "test"
    assert not mae.higher_is_better
    assert told["prediction", "acc7"].higher_is_better
    assert list(mae.groups) == list(table.groups[asked])


def test_without_test_rows_the_val_rows_are_asked_and_not_learnt_from():
    table = table_of(test=False)
    told = found("prediction", Fake(table, telling(table)))["prediction", "mae"]
    assert told.split == "val"
    assert len(told.groups) == np.sum(table.splits == "val")
    spoilt = telling(table)
    rows = table.data.to_pylist()
    for row in rows:
        if row["split"] == "val":
            row["label_sentiment"] = -row["label_sentiment"]
    turned = Fake(PairTable.from_rows(rows, INFO), spoilt)
    assert_allclose(found("prediction", turned)["prediction", "mae"].arrays[1], told.arrays[1])  # the same answers


def test_a_ridge_answers_for_features_and_learns_from_all_rows_that_are_not_asked():
    table = table_of()
    told = found("prediction", Fake(table, telling(table)))["prediction", "mae"]
    assert told.value < 0.02
    # Without the val rows it would know nothing: the train rows have no label.
    rows = table.data.to_pylist()
    for row in rows:
        row["label_sentiment"] = None if row["split"] == "train" else row["label_sentiment"]
    few = PairTable.from_rows(rows, INFO)
    assert found("prediction", Fake(few, telling(table)))["prediction", "mae"].value < 0.1


def test_the_rows_asked_about_change_no_answer_but_their_own():
    table = table_of()
    features = telling(table)
    before = found("prediction", Fake(table, features))["prediction", "mae"].arrays[1]
    other = {name: array.copy() for name, array in features.items()}
    first = int(np.flatnonzero(table.splits == "test")[0])
    for array in other.values():
        array[first] = 1e6
    after = found("prediction", Fake(table, other))["prediction", "mae"].arrays[1]
    assert_allclose(after[1:], before[1:])
    assert after[0] in (3.0, -3.0)  # within the scale, as a head's answers are


def test_who_has_nothing_to_go_by_says_the_mean_of_the_labels_that_may_be_learnt_from():
    table = table_of()
    mean = Fake(table, {})
    known = labels_of(table)[table.splits != "test"].mean()
    told = found("prediction", mean)
    assert_allclose(told["prediction", "mae"].arrays[1], known, rtol=1e-5)
    assert np.isnan(told["prediction", "corr"].value)
    assert not [task for task in TASKS if task != "prediction" and found(task, mean)]


def test_a_row_that_could_not_be_read_is_answered_by_the_mean_and_stays_in_the_figure():
    table = table_of()
    features, bad = telling(table), int(np.flatnonzero(table.splits == "test")[3])
    for array in features.values():
        array[bad] = np.nan
    told = found("prediction", Fake(table, features))["prediction", "mae"]
    assert len(told.groups) == np.sum(table.splits == "test")
    assert_allclose(told.arrays[1][3], labels_of(table)[table.splits != "test"].mean(), rtol=1e-5)


def test_withholding_asks_the_same_head_without_a_modality():
    table = table_of()
    labels = labels_of(table)
    heads = {
        NAMES: labels,
        ("audio", "video"): labels + 1,
        ("text", "video"): labels + 2,
        ("text", "audio"): labels + 3,
    }
    heads |= {(name,): labels - place for place, name in enumerate(NAMES, 1)}
    subject = Fake(table, telling(table), heads)
    for task in ("without", "only"):
        told = found(task, subject)
        assert {metric for _, metric in told} == {"mae", "corr", "acc2_non0"}
        for place, name in enumerate(NAMES, 1):
            assert_allclose(told[f"{task}/{name}", "mae"].value, place, rtol=1e-5)


def test_a_ridge_that_lost_what_tells_is_worse_and_one_that_lost_noise_is_not():
    table = table_of(n=600)
    told = found("without", Fake(table, telling(table)))
    assert told["without/video", "mae"].value < 0.1 < told["without/text", "mae"].value


def test_only_rows_that_have_the_modality_are_asked_of_it():
    table = table_of(audio=[None if row % 3 == 0 else "x" for row in range(120)])
    asked = (table.splits == "test") & table.present("audio")
    assert len(found("only", Fake(table, telling(table)))["only/audio", "mae"].groups) == asked.sum()


def test_own_heads_answer_where_a_model_has_them_and_a_ridge_for_features_alone():
    table = table_of()
    labels = labels_of(table)
    with_heads = found("own_head", Fake(table, telling(table), {NAMES: labels, "text": labels + 1}))
    assert {task for task, _ in with_heads} == {"own_head/text"}  # this model has no head of audio and none is made up
    assert_allclose(with_heads["own_head/text", "mae"].value, 1, rtol=1e-5)
    raw = found("own_head", Fake(table, telling(table)))
    assert {task for task, _ in raw} == {f"own_head/{name}" for name in NAMES}
    assert raw["own_head/text", "mae"].value < 0.1 < raw["own_head/video", "mae"].value


def test_the_probe_reads_features_out_also_of_a_model_whose_head_is_wrong():
    table = table_of()
    subject = Fake(table, telling(table), {NAMES: -labels_of(table)})
    assert found("probe", subject)["probe", "mae"].value < 0.1


def test_agreement_is_with_the_label_that_people_gave_the_modality():
    given = np.random.default_rng(1).uniform(-1, 1, 120)
    given[3] = np.nan  # row 3 is of the test split
    table = table_of(scale=1.0, label_audio=given.tolist())
    said = np.nan_to_num(given) + 0.25
    told = found("agreement", Fake(table, telling(table), {NAMES: said, "audio": said, "text": said}))
    assert set(told) == {("agreement/audio", "mae"), ("agreement/audio", "corr")}
    mae = told["agreement/audio", "mae"]
    assert_allclose(mae.value, 0.25, rtol=1e-5)
    assert len(mae.groups) == np.sum(table.splits == "test") - 1


@pytest.mark.parametrize(("scale", "binary"), [(3.0, "acc2_non0"), (1.0, "acc2")])
def test_the_metrics_are_those_of_the_scale(scale, binary):
    told = found("only", Fake(table_of(scale=scale), telling(table_of(scale=scale))))
    assert {metric for _, metric in told} == {"mae", "corr", binary}


def test_a_table_without_the_label_serves_no_task():
    table = table_of()
    bare = PairTable(table.data.drop_columns(["label_sentiment"]), INFO)
    subject = Fake(bare, telling(table))
    assert not [task for task in TASKS if found(task, subject)]
