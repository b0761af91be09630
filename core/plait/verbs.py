"""What each verb of the command line does.

Training and evaluation are imported by the verbs that need them: Lightning alone takes seconds to import.
"""

from __future__ import annotations

import difflib
import json as jsonlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from numpy.typing import NDArray

from plait.apps import App, app_names, load_app
from plait.errors import InputError
from plait.pairs import ingest as ingesting
from plait.pairs import leakage
from plait.pairs.ingest_report import IngestReport
from plait.pairs.table import PairTable
from plait.pairs.workers import processors
from plait.progress import progress
from plait.recipes import Optimisation, build_loader, read_recipe

if TYPE_CHECKING:
    from plait.compare import Comparison
    from plait.subjects import ModelSubject


def ingest(
    app: str,
    layout: str,
    root: Path,
    out: Path,
    val: float,
    seed: int,
    allow_leakage: bool,
    workers: int | None,
    options: list[str],
) -> int:
    """Read a data set's own layout and write the pair table and the ingest report."""
    domain = load_app(app)
    workers = processors() if workers is None else workers
    print(run_ingest(domain, layout, root, out, val, seed, allow_leakage, workers, options))
    print(f"wrote {out} and {out.with_suffix('.ingest.json')}")
    return 0


def run_ingest(
    app: App,
    layout: str,
    root: Path,
    out: Path,
    val: float = 0.2,
    seed: int = 0,
    allow_leakage: bool = False,
    workers: int = 0,
    options: Sequence[str] = (),
) -> IngestReport:
    """Ingest with a progress bar; raises `InputError` for a layout that the app does not know."""
    if layout not in app.layouts:
        near = difflib.get_close_matches(layout, app.layouts, n=1)
        hint = f" (is it '{near[0]}'?)" if near else ""
        raise InputError(f"{app.name} knows no layout '{layout}'{hint}: choose one of {', '.join(app.layouts)}.")
    with progress(f"ingest {layout}", 0) as advance:
        return ingesting.ingest(
            app.name, app.layouts[layout].with_options(options), root, out, app.loader(),
            examine=app.examine, val=val, seed=seed, allow_leakage=allow_leakage,
            workers=workers, advance=advance,
        )  # fmt: skip


def pretrain(
    app: str,
    recipe: str,
    pairs: Path,
    out: Path,
    overrides: list[str],
    seed: int,
    max_steps: int | None,
    resume: bool,
    checkpoint_every: int,
    **hardware: Any,
) -> int:
    """Train a recipe and write a run folder."""
    domain, table = load_app(app), _table(app, pairs)
    found = read_recipe(recipe, domain, overrides)
    from plait.training import pretrain as training

    training.pretrain(
        found, domain, table, out,
        seed=seed, max_steps=max_steps, resume=resume, checkpoint_every=checkpoint_every,
        hardware=training.Hardware(**hardware),
    )  # fmt: skip
    print(f"wrote {out}")
    return 0


def evaluate(app: str, run: Path, pairs: Path, out: Path, allow_leakage: bool, cache: Path | None) -> int:
    """Measure a run on the domain's tasks."""
    from plait import compare as comparing

    _require_room(out)
    domain = load_app(app)
    comparison = comparing.evaluate(domain, run, _table(app, pairs), allow_leakage=allow_leakage, cache=cache)
    return _show(domain, comparison, out, f"{domain.title}: {run.name}")


def compare(
    app: str,
    recipes: list[str],
    pairs: Path,
    overrides: list[str],
    seeds: int,
    folds: int | None,
    out: Path,
    allow_leakage: bool,
    max_steps: int | None,
    **hardware: Any,
) -> int:
    """Train and measure recipes over seeds."""
    from plait import compare as comparing
    from plait.training.pretrain import Hardware

    _require_room(out)

    domain = load_app(app)
    comparison = comparing.compare(
        domain, [read_recipe(name, domain, overrides) for name in recipes], _table(app, pairs), out,
        seeds=seeds, folds=folds, max_steps=max_steps, hardware=Hardware(**hardware), allow_leakage=allow_leakage,
    )  # fmt: skip
    return _show(domain, comparison, out, f"{domain.title}: {', '.join(recipes)}")


def embed(app: str, run: Path, pairs: Path, out: Path, cache: Path | None) -> int:
    """Write ids, groups, splits and a list-of-float column a modality; null where a row lacks it.

    And what trained heads answer: ``predicted_<label column>`` from all modalities that a row has, and
    ``predicted_<label column>_<modality>`` by a modality's own head; a number, or the probabilities of classes.
    """
    _require_room(out.parent)
    table = _table(app, pairs)
    subject = _subject(app, run, table, cache)
    from plait.heads import FUSED

    model = subject.model
    columns: dict[str, Any] = {name: table.data[name] for name in ("id", "group", "split")}
    for name in model.encoders:
        columns[name] = _vectors(subject.embeddings(name))
    for label, target in model.targets.items():
        for name in target.of:
            answers = subject.predictions(label, tuple(model.encoders) if name == FUSED else name)
            if answers is not None:
                said = _vectors(answers) if target.outputs > 1 else pa.array(answers[:, 0], from_pandas=True)
                columns[f"predicted_{label}" + ("" if name == FUSED else f"_{name}")] = said
    out.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), out)
    for name, cause in subject.refused.items():
        print(f"row {name} could not be read: {cause}")
    print(f"wrote {out}: {len(table)} rows, {', '.join(model.encoders)}, width {model.embedding}")
    return 0


def _vectors(rows: NDArray[np.float32]) -> Any:
    """An Arrow column of (N, D) rows as lists; null where a row is NaN."""
    return pa.array([None if row[0] != row[0] else row for row in rows], type=pa.list_(pa.float32()))


def check_leakage(app: str, left: Path, right: Path | None, json: bool) -> int:
    """Tell what two pair tables share, or the splits of one; gives back 1 where anything but texts is shared."""
    table = _table(app, left)
    if right is None:
        other, sides, rows = table, f"the splits of {left}", 0
        found = leakage.check_leakage(table, allow=True)
    else:
        other = _table(app, right)
        sides, rows = f"{left} and {right}", len(other)
        found = leakage.check_tables(table, other)
    if json:
        print(jsonlib.dumps(asdict(found), indent=1))
        return int(bool(found))
    print(f"{sides}: {found}")
    if table.info.source != other.info.source:
        print("the two come from different sources: equal names of groups, studies or rows may mean different ones")
    if rows and found.sharing:
        share = f"{found.sharing:,} of its {rows:,} rows ({found.sharing / rows:.1%})"
        print(f"{right}: {share} belong to a group of {left}")
    for name, count in found.texts.items():
        print(f"{count:,} {name} texts are equal on both sides; that is told and not counted as leakage")
    return int(bool(found))


def prune(
    app: str,
    run: Path,
    pairs: Path,
    out: Path,
    modality: str,
    share: float,
    keep: Literal["far", "near"],
    prototypes: int,
    seed: int,
    cache: Path | None,
) -> int:
    """Write a pair table with the training rows that are worth it; other splits, and rows without it, stay whole."""
    from plait import pruning
    from plait.subjects import ModelSubject
    from plait.training.run_folder import read_run

    domain, table = load_app(app), _table(app, pairs)
    model, recipe, _ = read_run(run, domain)
    if modality not in model.encoders:
        raise InputError(f"{run} has no modality '{modality}': it has {', '.join(model.encoders)}.")
    embeddings = ModelSubject(recipe.name, model, build_loader(domain, recipe.data, table, cache), table).embeddings(
        modality
    )
    asked = np.flatnonzero((table.splits == "train") & np.isfinite(embeddings).all(axis=1))
    distances, clusters = pruning.prototype_distances(embeddings[asked], prototypes, seed)
    kept = asked[pruning.prune(distances, clusters, share, keep)]
    rows = np.setdiff1d(np.arange(len(table)), np.setdiff1d(asked, kept))
    table.take(rows).write(out)
    print(f"wrote {out}: kept {len(kept)} of {len(asked)} training rows by {modality}, {len(rows)} rows in all")
    return 0


def list_recipes(json: bool) -> int:
    """Print every app's recipes."""
    found: list[dict[str, Any]] = []
    for name in app_names():
        for path in sorted(load_app(name).recipes.glob("*.yaml")):
            # Read and not checked: checking some sixty recipes takes seconds, and a test does it.
            raw = yaml.safe_load(path.read_text(encoding="utf-8"))
            kinds = {modality: spec["kind"] for modality, spec in raw["model"]["encoders"].items()}
            objectives = [spec["kind"] for spec in raw["objectives"]]
            fusion = raw["model"].get("fusion", {"kind": "none"})["kind"]
            steps = raw.get("optimisation", {}).get("steps", Optimisation.steps)
            found.append({"app": name, "name": path.stem, "about": raw["about"], "encoders": kinds, "fusion": fusion,
                          "objectives": objectives, "steps": steps})  # fmt: skip
    if json:
        print(jsonlib.dumps(found, indent=1))
        return 0
    for recipe in found:
        print(f"{recipe['app']:<16}{recipe['name']:<28}{recipe['about']}")
    return 0


def show_recipe(name: str) -> int:
    """Print a recipe as it is written; raises `InputError` where no app has it."""
    known = {path.stem: path for app in app_names() for path in load_app(app).recipes.glob("*.yaml")}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise InputError(
            f"No app has a recipe '{name}': {f"is it '{near[0]}'? " if near else ''}'plait recipes' lists them."
        )
    print(known[name].read_text(encoding="utf-8"), end="")
    return 0


def _require_room(folder: Path) -> None:
    """Raise `InputError` where a folder cannot be written: before hours of work, not after."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error.strerror}): give another --out, or make room.") from error


def _subject(app: str, run: Path, table: PairTable, cache: Path | None) -> ModelSubject:
    from plait.subjects import ModelSubject
    from plait.training.run_folder import read_run

    domain = load_app(app)
    model, recipe, _ = read_run(run, domain)
    return ModelSubject(recipe.name, model, build_loader(domain, recipe.data, table, cache), table)


def _table(app: str, pairs: Path) -> PairTable:
    table = PairTable.read(pairs)
    if table.info.app != app:
        raise InputError(f"{pairs} was ingested by '{table.info.app}': use 'plait {table.info.app}' for it.")
    return table


def _show(domain: App, comparison: Comparison, out: Path, title: str) -> int:
    from plait.compare import write_results
    from plait.report import print_table, write_report

    write_results([comparison], out)
    write_report([(domain, comparison)], out, title)
    print_table([(domain, comparison)])
    print(f"wrote {out / 'results.json'} and {out / 'report.html'}")
    return 0
