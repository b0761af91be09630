"""``plait demo``: the main job of every domain in minutes, and one report to look at."""

from __future__ import annotations

import time
from pathlib import Path

from plait.apps import App, app_names, load_app
from plait.compare import Comparison, compare, write_results
from plait.errors import InputError
from plait.pairs.table import PairTable
from plait.recipes import read_recipe
from plait.report import print_table, write_report
from plait.training.pretrain import Hardware
from plait.verbs import run_ingest


def demo(out: Path, data: Path | None, seeds: int) -> int:
    """Ingest, pretrain and evaluate every app that has its data at hand, and write results and report.

    Args:
        out: the folder to write.
        data: real data laid out as ``shared/data``; each app's synthetic world where ``None``.
        seeds: training seeds a domain.

    Raises:
        InputError: where ``out`` already holds a demo.
    """
    if (out / "results.json").exists():
        raise InputError(f"{out} already holds a demo: name another --out, or remove it.")
    start = time.monotonic()
    sections = [(app, _one(app, out / app.name, data, seeds)) for app in map(load_app, app_names())]
    comparisons = [comparison for _, comparison in sections]
    write_results(comparisons, out)
    kind = "synthetic worlds" if data is None else "real data"
    write_report(sections, out, f"Plait demo on {kind}")
    print_table(sections)
    print(f"wrote {out / 'results.json'} and {out / 'report.html'} in {time.monotonic() - start:.0f} s")
    if seeds < 5:
        print(f"{seeds} seed(s): a demonstration, not a claim; 'plait <app> compare' runs five.")
    return 0


def _one(app: App, out: Path, data: Path | None, seeds: int) -> Comparison:
    out.mkdir(parents=True, exist_ok=True)
    if data is None:
        root = out / "world"
        app.synthetic(root, 0)
    else:
        root = data / app.demo.folder
    pairs = out / "pairs.parquet"
    print(run_ingest(app, app.demo.layout, root, pairs))
    recipe = read_recipe(app.demo.recipe, app)
    hardware = Hardware(accelerator="auto")
    return compare(app, [recipe], PairTable.read(pairs), out, seeds=seeds, max_steps=app.demo.steps, hardware=hardware)
