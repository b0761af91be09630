"""The tasks measure what they say, on the rows they say."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from plait.pairs.layout import Row
from plait.pairs.table import PairTable, TableInfo
from plait_medical.ingest.iu_xray import LABELS
from plait_medical.tasks import TASKS, prompts, report_keys

MODALITIES = {"image": ("image",), "report": ("report",)}
INFO = TableInfo("medical", "test", "/", MODALITIES, "none", "none")


class Fake:
    """A subject that answers with given arrays."""

    name, loader, refused = "fake", None, {}

    def __init__(self, table: PairTable, image: Any, report: Any, model: Any = None) -> None:
        self.table, self.model = table, model
        self.arrays = {"image": np.asarray(image, np.float32), "report": np.asarray(report, np.float32)}
        self.modalities = table.modalities

    def features(self, modality: str) -> Any:
        return self.arrays[modality]

    embeddings = features

    def fused(self, modalities: Sequence[str]) -> Any:
        return np.concatenate([self.arrays[name] for name in modalities], axis=1)

    def embed(self, modality: str, samples: Sequence[str]) -> Any:
        """A prompt that says "no" or "normal" points one way, any other the other way."""
        signs = [-1.0 if any(word in text.lower() for word in ("no ", "normal", "clear")) else 1.0 for text in samples]
        return np.asarray([[sign, 0.0] for sign in signs], np.float32)


def table_of(reports: Sequence[str | None], split: str = "val", **columns: Sequence[Any]) -> PairTable:
    rows: list[Row] = [
        {"id": str(row), "group": str(row), "split": split, "image": "x.png", "report": report}
        for row, report in enumerate(reports)
    ]
    for name, values in columns.items():
        for row, value in zip(rows, values, strict=True):
            row[name] = value
    return PairTable.from_rows(rows, INFO)


def figures(task: str, subject: Fake) -> dict[tuple[str, str], float]:
    return {(found.task, found.metric): found.value for found in TASKS[task](subject)}


def test_equal_words_are_equal_keys():
    keys = report_keys(table_of(["Clear lungs. Normal.", " clear  LUNGS.\nnormal.", "Clear lungs.", None]))
    assert keys[0] == keys[1] != keys[2]


def test_the_report_of_another_film_counts_where_it_has_the_same_words():
    reports = ["Normal.", "normal. ", "Effusion.", "Nodule."]
    # Film 0 is nearest to report 1, which says the same; film 2 is nearest to report 3, which does not.
    image = np.eye(4)[[1, 0, 3, 3]]
    found = figures("retrieval", Fake(table_of(reports), image, np.eye(4)))
    assert found["medical/retrieval/image_to_report", "recall@1"] == 0.75


def test_films_without_report_and_films_that_could_not_be_read_are_neither_asked_nor_offered():
    image, report = np.eye(4), np.eye(4)
    report[1] = image[2] = np.nan
    image[1], report[2] = report[0], image[3]  # they would win if they were there
    found = figures("retrieval", Fake(table_of(["a", None, "c", "d"]), image, report))
    assert found["medical/retrieval/image_to_report", "recall@1"] == 1.0
    assert found["medical/retrieval/report_to_image", "recall@1"] == 1.0


def test_chance_is_what_random_orders_reach_and_duplicates_are_told():
    reports = ["n", "n", "n", "a", "b", "c", "d", "e", "f", "g", "h", "i"]
    subject = Fake(table_of(reports), np.eye(12), np.eye(12))
    found = figures("retrieval", subject)
    keys, rng = np.asarray(reports), np.random.default_rng(0)
    for k in (1, 5, 10):
        hits = [np.isin(keys, keys[rng.permutation(12)[:k]]).mean() for _ in range(4000)]
        assert found["medical/retrieval/chance", f"recall@{k}"] == pytest.approx(np.mean(hits), abs=0.01)
    assert found["medical/retrieval/chance", "duplicate_share"] == 0.25
    told = figures("retrieval", Fake(subject.table, np.eye(12), np.eye(12), model=object()))
    assert not any("chance" in task for task, _ in told)


def labelled(n: int = 60, **changes: Any) -> tuple[PairTable, np.ndarray]:
    """Train and val of n rows each, label ``abnormal`` equal to the sign of the first feature."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2 * n, 3))
    labels: list[int | None] = (features[:, 0] > 0).astype(int).tolist()
    rows: list[Row] = [
        {"id": str(row), "group": str(row // 2), "split": "train" if row < n else "val", "image": "x", "report": "y"}
        for row in range(2 * n)
    ]
    for row, label in zip(rows, labels, strict=True):
        row["label_abnormal"] = label
        row |= changes
    return PairTable.from_rows(rows, INFO), features


def test_a_probe_finds_what_is_linear_with_all_labels_and_with_few():
    table, features = labelled()
    found = figures("linear_probe", Fake(table, features, features))
    assert set(found) == {
        (f"medical/linear_probe/abnormal{part}", "auroc") for part in ("", "@1%", "@10%", "/both@10%")
    }
    assert found["medical/linear_probe/abnormal", "auroc"] > 0.98
    again = figures("linear_probe", Fake(table, features, features))
    assert again == found


def test_a_probe_of_noise_is_at_chance():
    table, features = labelled(300)
    noise = np.random.default_rng(1).normal(size=features.shape)
    assert figures("linear_probe", Fake(table, noise, noise))[
        "medical/linear_probe/abnormal", "auroc"
    ] == pytest.approx(0.5, abs=0.1)


def test_unknown_labels_are_in_neither_training_nor_measurement():
    table, features = labelled()
    rows = table.data.to_pylist()
    known = figures("linear_probe", Fake(table, features, features))
    # Twenty more rows without a label, with features that would spoil any probe.
    spoilt = np.concatenate([features, np.full((20, 3), 1e6)])
    for row in range(20):
        split = "train" if row < 10 else "val"
        rows.append({"id": f"u{row}", "group": f"u{row}", "split": split, "image": "x", "report": "y"})
    longer = Fake(PairTable.from_rows(rows, INFO), spoilt, spoilt)
    assert figures("linear_probe", longer) == known


def test_a_film_that_could_not_be_read_has_no_part_in_the_figure():
    table, features = labelled()
    features[-3:] = np.nan
    (whole, *_) = [found for found in TASKS["linear_probe"](Fake(table, features, features)) if "@" not in found.task]
    assert len(whole.arrays[0]) == 57
    assert whole.value > 0.98


def test_labels_with_few_answers_are_not_measured():
    assert not figures("linear_probe", Fake(*_same(labelled(6))))  # too few in val
    table, features = labelled(label_rare=0, label_all=1)
    tasks = {task for task, _ in figures("linear_probe", Fake(table, features, features))}
    assert not any("rare" in task or "all" in task for task in tasks)


def _same(pair: tuple[PairTable, np.ndarray]) -> tuple[PairTable, np.ndarray, np.ndarray]:
    return pair[0], pair[1], pair[1]


def test_normal_is_abnormal_the_other_way_round_and_not_measured_twice():
    table, features = labelled()
    rows = [row | {"label_normal": 1 - row["label_abnormal"]} for row in table.data.to_pylist()]
    found = figures("linear_probe", Fake(PairTable.from_rows(rows, INFO), features, features))
    assert {task.split("/")[2].split("@")[0] for task, _ in found} == {"abnormal"}


def test_zero_shot_asks_by_prompts_alone():
    table, features = labelled()
    found = figures("zero_shot", Fake(table, features[:, :2], features[:, :2]))
    assert found == {("medical/zero_shot/abnormal", "auroc"): 1.0}


def test_a_table_without_labels_or_pairs_serves_no_task():
    bare = PairTable.from_rows([{"id": "1", "group": "1", "split": "val", "image": "x", "report": None}], INFO)
    subject = Fake(bare, np.eye(1), np.full((1, 1), np.nan))
    assert not any(figures(name, subject) for name in TASKS)


def test_a_model_of_films_alone_is_asked_for_no_report():
    table, features = labelled()
    subject = Fake(table, features, features)
    subject.modalities = ("image",)
    del subject.arrays["report"]
    assert not figures("retrieval", subject)
    assert not figures("zero_shot", subject)
    assert figures("linear_probe", subject)


def test_prompts_are_of_known_labels_and_take_both_sides():
    assert set(prompts()) == set(LABELS) - {"normal"}
    for sides in prompts().values():
        assert set(sides) == {"positive", "negative"}
        assert all(len(set(sentences)) == len(sentences) >= 2 for sentences in sides.values())


def test_trained_heads_are_asked_with_and_without_each_modality_on_the_same_rows():
    """The film's own head is right, that of both mostly, and a row whose film was not read is asked of nobody."""
    labels = [0, 1] * 8
    right = np.asarray(labels, np.float32)
    answers = {("image", "report"): right.copy(), ("image",): 1 - right, ("report",): right, "image": right.copy()}
    answers["image", "report"][:4] = 1 - right[:4]
    answers["image"][5] = np.nan

    class Trained(Fake):
        def predictions(self, column: str, view: Any) -> Any:
            assert column == "label_abnormal"
            return None if view == "report" else np.stack([1 - answers[view], answers[view]], axis=1)

    table = table_of(["Clear."] * 16, label_abnormal=labels)
    learnt = table_of(["Clear."] * 2, "train", label_abnormal=[0, 1])
    rows = [*table.data.to_pylist(), *({**row, "id": f"t{row['id']}"} for row in learnt.data.to_pylist())]
    whole = PairTable.from_rows(rows, INFO)
    for view, scores in answers.items():
        answers[view] = np.append(scores, [0.0, 0.0]).astype(np.float32)
    subject = Trained(whole, np.eye(18), np.eye(18), SimpleNamespace(targets={"label_abnormal": None}))
    measured = list(TASKS["heads"](subject))
    assert {len(found.groups) for found in measured} == {15}
    found = {found.task.removeprefix("medical/heads/abnormal/"): found.value for found in measured}
    assert set(found) == {"both", "without_report", "without_image", "image_alone"}
    assert found["image_alone"] == found["without_image"] == 1.0
    assert found["without_report"] == 0.0
    # Of 8 negatives 2 score 1; of 7 positives (one lost) 2 score 0.
    assert found["both"] == pytest.approx((5 * 6 + 0.5 * (5 * 2 + 2 * 6)) / 56)


def test_nobody_asks_heads_that_there_are_not():
    assert figures("heads", Fake(table_of(["Clear."] * 4, label_abnormal=[0, 1, 0, 1]), np.eye(4), np.eye(4))) == {}
