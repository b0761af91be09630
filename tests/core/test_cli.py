"""The command line from end to end on the toy domain, and what it says when something is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow.parquet as pq
import pytest

from plait.objectives import OBJECTIVES
from plait.pairs.table import PairTable
from tests.core.folds_world import app, folded

Command = Callable[..., tuple[int, str, str]]
FIELDS = {"task", "subject", "metric", "value", "low", "high", "n", "groups", "seed", "split"}


def test_the_road_from_files_to_report(plait: Command, toy_world: Path, tmp_path: Path) -> None:
    pairs, run, out = tmp_path / "pairs.parquet", tmp_path / "run", tmp_path / "evaluation"
    code, printed, _ = plait("toy", "ingest", "stations", toy_world, "--out", pairs)
    assert code == 0
    assert "320 rows (train 256, val 64)" in printed
    assert "SYNTHETIC" in printed
    assert plait("toy", "pretrain", "toy_contrast", "--pairs", pairs, "--out", run, "--seed", 1)[0] == 0
    for name in ("model.safetensors", "recipe.yaml", "metrics.jsonl", "card.md"):
        assert (run / name).stat().st_size > 0
    assert plait("toy", "evaluate", run, "--pairs", pairs, "--out", out)[0] == 0
    results = json.loads((out / "results.json").read_text())
    assert all(set(result) >= FIELDS for result in results)
    assert {result["subject"] for result in results} == {
        "toy_contrast", "toy_contrast (random init)", "raw features",
    }  # fmt: skip
    recall = {r["subject"]: r for r in results if (r["task"], r["metric"]) == ("toy/retrieval", "recall@10")}
    trained, random = recall["toy_contrast"], recall["toy_contrast (random init)"]
    assert trained["low"] > random["high"], "pretraining must find the pairs better than chance"
    page = (out / "report.html").read_text()
    assert page.count('<img src="data:image/png;base64,') >= 3
    assert "Synthetic data" in page
    assert "http" not in page.replace("http-equiv", "")


def test_embeddings_for_other_tools(plait: Command, toy_pairs: Path, tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "embeddings.parquet"
    plait("toy", "pretrain", "toy_contrast", "--pairs", toy_pairs, "--out", run, "--max-steps", 3)
    assert plait("toy", "embed", run, "--pairs", toy_pairs, "--out", out)[0] == 0
    table = pq.read_table(out)
    assert table["id"].to_pylist() == PairTable.read(toy_pairs).ids
    vectors = np.stack(table["barometer"].to_pylist())
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


def test_answers_of_trained_heads_lie_beside_the_embeddings(plait: Command, toy_pairs: Path, tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "answers.parquet"
    changes = ["model.targets.label_rain={kind: classes, classes: 2, of: [barometer]}"]
    changes.append("objectives=[{kind: supervised, target: label_rain, of: [barometer]}]")
    asked = ("toy", "pretrain", "toy_contrast", "--pairs", toy_pairs, "--out", run, "--max-steps", 3)
    assert plait(*asked, "--set", *changes)[0] == 0
    assert plait("toy", "embed", run, "--pairs", toy_pairs, "--out", out)[0] == 0
    table = pq.read_table(out)
    assert [name for name in table.column_names if name.startswith("predicted")] == ["predicted_label_rain_barometer"]
    told = [row for row in table["predicted_label_rain_barometer"].to_pylist() if row is not None]
    there = [row for row in table["barometer"].to_pylist() if row is not None]
    assert len(told) == len(there) > 0
    np.testing.assert_allclose(np.sum(told, axis=1), 1, rtol=1e-5)


def test_compare_is_the_table_of_a_paper_and_goes_on_when_killed(
    plait: Command, toy_pairs: Path, tmp_path: Path
) -> None:
    arguments = ("toy", "compare", "toy_contrast", "--pairs", toy_pairs, "--seeds", 2, "--max-steps", 30)
    code, printed, _ = plait(*arguments, "--out", tmp_path / "c")
    assert code == 0
    assert "beats random" in printed
    results = json.loads((tmp_path / "c" / "results.json").read_text())
    assert {str(r["seed"]) for r in results if r["subject"] != "raw features"} == {"[0, 1]"}
    paired = json.loads((tmp_path / "c" / "comparisons.json").read_text())
    assert {p["baseline"] for p in paired} == {"toy_contrast (random init)", "raw features"}
    written = (tmp_path / "c" / "runs" / "toy_contrast-seed0" / "model.safetensors").stat().st_mtime_ns
    assert plait(*arguments, "--out", tmp_path / "c")[0] == 0
    assert (tmp_path / "c" / "runs" / "toy_contrast-seed0" / "model.safetensors").stat().st_mtime_ns == written
    assert json.loads((tmp_path / "c" / "results.json").read_text()) == results


def test_compare_sets_every_recipe_and_may_hold_out_the_first_folds_alone(
    plait: Command, toy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plait.verbs.load_app", lambda _: app(toy))
    folded(toy).write(tmp_path / "p.parquet")
    given = ("--set", "optimisation.steps=2", "model.embedding=4", "--folds", 1, "--seeds", 1)
    code, printed, _ = plait(
        "toy", "compare", "toy_contrast", "--pairs", tmp_path / "p.parquet", *given, "--out", tmp_path
    )
    assert code == 0
    assert "A quick look: 1 of 3 folds were held out." in printed
    assert "thermometer alone" in printed
    run = tmp_path / "runs" / "toy_contrast-seed0-fold0"
    assert "embedding: 4" in (run / "recipe.yaml").read_text()
    assert json.loads((run / "run.json").read_text())["steps"] == 2


def test_a_toy_objective_takes_one_file_and_one_line(
    plait: Command, toy: ModuleType, toy_pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from toy_objective import Agreement

    monkeypatch.setitem(OBJECTIVES, "agreement", Agreement)
    recipe = (toy.app.recipes / "toy_contrast.yaml").read_text()
    line = "  - {kind: info_nce, of: [barometer, thermometer], temperature: 0.2}"
    assert line in recipe
    mine = tmp_path / "mine.yaml"
    mine.write_text(recipe.replace(line, "  - {kind: agreement, of: [barometer, thermometer]}"))
    run = tmp_path / "run"
    assert plait("toy", "pretrain", mine, "--pairs", toy_pairs, "--out", run, "--max-steps", 40)[0] == 0
    losses = [json.loads(text)["agreement"] for text in (run / "metrics.jsonl").read_text().splitlines()]
    assert losses[-1] < losses[0]


def test_a_toy_data_set_takes_one_file_and_one_line(
    plait: Command, toy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from toy_layout import LAYOUT

    monkeypatch.setitem(toy.app.layouts, "station-json", LAYOUT)
    day = {"barometer": [1.0] * 6, "thermometer": [2.0] * 6, "rain": 1}
    for k in range(5):
        (tmp_path / f"station{k}.json").write_text(json.dumps([day | {"barometer": [float(k)] * 6}] * 2))
    (tmp_path / "broken.json").write_text("{")
    code, printed, _ = plait(
        "toy", "ingest", "station-json", tmp_path, "--out", tmp_path / "p.parquet", "--allow-leakage"
    )
    assert code == 0
    assert "10 rows" in printed
    assert "1 x is not valid JSON" in printed


def test_a_toy_fourth_app_stands_beside_the_others(plait: Command, toy: ModuleType) -> None:
    recipes = json.loads(plait("recipes", "--json")[1])
    assert {"toy", "medical", "remote-sensing", "driving", "sentiment"} == {recipe["app"] for recipe in recipes}
    assert "toy_contrast" in {recipe["name"] for recipe in recipes}
    assert "info_nce" in plait("recipes", "show", "toy_contrast")[1]


def test_bad_rows_never_stop_an_ingest(plait: Command, toy_world: Path, tmp_path: Path) -> None:
    lines = (toy_world / "stations.csv").read_text().splitlines()
    lines[3] = lines[3].replace(lines[3].split(",")[5], "wet")
    lines[9] = ",".join([*lines[9].split(",")[:3], "", *lines[9].split(",")[4:]])
    (toy_world / "stations.csv").write_text("\n".join(lines))
    code, printed, _ = plait("toy", "ingest", "stations", toy_world, "--out", tmp_path / "p.parquet")
    assert code == 0
    assert "319 rows" in printed
    assert "1 x a reading is no number" in printed
    report = json.loads((tmp_path / "p.ingest.json").read_text())
    assert report["refusals"][0]["what"] == "0-2"
    assert report["modalities"] == {"barometer": 318, "thermometer": 319}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("toy", "ingest", "hospital", "."), ["no layout 'hospital'", "stations"]),
        (("toy", "ingest", "stations", "/nowhere"), ["There is no /nowhere"]),
        (("toy", "ingest", "stations", "."), ["holds no stations.csv"]),
        (("toy", "pretrain", "clipp", "--pairs", "PAIRS"), ["no recipe 'clipp'"]),
        (("toy", "pretrain", "toy_contrast", "--pairs", "none.parquet"), ["no pair table at none.parquet"]),
        (("toy", "pretrain", "toy_contrast", "--pairs", "PAIRS", "--set", "steps"), ["key=value"]),
        (("medical", "pretrain", "convirt", "--pairs", "PAIRS"), ["ingested by 'toy'", "plait toy"]),
        (("toy", "evaluate", ".", "--pairs", "PAIRS"), ["not a finished run folder"]),
        (("recipes", "show", "clipp"), ["No app has a recipe 'clipp'"]),
    ],
)
def test_an_error_is_one_sentence_and_exit_code_2(
    plait: Command, toy_pairs: Path, tmp_path: Path, arguments: tuple[str, ...], words: list[str]
) -> None:
    given = [str(toy_pairs) if argument == "PAIRS" else argument for argument in arguments]
    out = [] if arguments[0] == "recipes" else ["--out", str(tmp_path / "out")]
    code, _, errors = plait(*given, *out)
    assert code == 2
    lines = [line for line in errors.splitlines() if line.startswith("plait: ")]
    assert len(lines) == 1, errors
    assert all(word in lines[0] for word in words), errors


def test_measuring_on_trained_rows_fails_loudly(plait: Command, toy_pairs: Path, tmp_path: Path) -> None:
    run, table = tmp_path / "run", PairTable.read(toy_pairs)
    plait("toy", "pretrain", "toy_contrast", "--pairs", toy_pairs, "--out", run, "--max-steps", 3)
    swap = {"train": "val", "val": "train"}
    rows = [row | {"split": swap[row["split"]]} for row in table.data.to_pylist()]
    PairTable.from_rows(rows, table.info).write(tmp_path / "swapped.parquet")
    arguments = ("toy", "evaluate", run, "--pairs", tmp_path / "swapped.parquet", "--out", tmp_path / "e")
    code, _, errors = plait(*arguments)
    assert code == 2
    assert "were trained on by" in errors
    code, printed, _ = plait(*arguments, "--allow-leakage")
    assert code == 0
    assert "LEAKAGE ALLOWED" in printed
    assert "LEAKAGE ALLOWED" in (tmp_path / "e" / "report.html").read_text()


def test_a_domain_that_keeps_nothing_says_so(plait: Command, toy_pairs: Path, tmp_path: Path) -> None:
    arguments = ("toy", "pretrain", "toy_contrast", "--pairs", toy_pairs, "--out", tmp_path / "run", "--max-steps", 1)
    code, _, errors = plait(*arguments, "--cache", tmp_path / "cache")
    assert code == 2
    assert errors == "plait: toy keeps nothing of what it reads: leave out --cache.\n"


def test_what_two_tables_share_is_told_and_exits_with_1(plait: Command, toy_pairs: Path, tmp_path: Path) -> None:
    table = PairTable.read(toy_pairs)
    train, val, mixed = tmp_path / "train.parquet", tmp_path / "val.parquet", tmp_path / "mixed.parquet"
    table.where_split("train").write(train)
    table.where_split("val").write(val)
    table.take([*np.flatnonzero(table.splits == "val"), int(np.flatnonzero(table.splits == "train")[0])]).write(mixed)
    assert plait("toy", "check-leakage", toy_pairs)[:2] == (0, f"the splits of {toy_pairs}: nothing leaks\n")
    assert plait("toy", "check-leakage", train, val)[0] == 0
    code, said, _ = plait("toy", "check-leakage", train, mixed)
    assert code == 1
    assert "groups on both sides: 1 (" in said
    assert "rows on both sides: 1 (" in said
    assert "1 of its 65 rows (1.5%) belong to a group of" in said
    code, said, _ = plait("toy", "check-leakage", train, mixed, "--json")
    assert code == 1
    assert json.loads(said)["sharing"] == 1


def test_output_may_be_cut_off() -> None:
    """As `plait systems | head -1` does."""
    command = f"{sys.executable} -m plait.cli systems | head -1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("verb", ["embed", "evaluate", "pretrain"])
def test_an_output_that_cannot_be_written_is_one_sentence(
    verb: str, plait: Command, toy_pairs: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "below" / "out"
    what = ("toy_contrast", "--max-steps", 1) if verb == "pretrain" else (tmp_path / "no_run",)
    code, _, errors = plait("toy", verb, *what, "--pairs", toy_pairs, "--out", out)
    assert code == 2
    assert "Not a directory" in errors.splitlines()[-1]
    assert "Traceback" not in errors
