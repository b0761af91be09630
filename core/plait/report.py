"""The table on the terminal, and ``report.html``: one file that opens anywhere, with no network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from plait import page
from plait.apps import App, Picture
from plait.compare import Comparison
from plait.evaluation.measurement import Result
from plait.figures import embedding_maps, probe_curves, similarity_matrices, training_curve

type Section = tuple[App, Comparison]

_ABOUT = (
    "Each line compares a pretrained model with its randomly initialised twin and with raw features, on the same rows. "
    "A verdict is a tie where the 95 % interval of the paired difference holds zero. Research use only."
)


def print_table(sections: Sequence[Section]) -> None:
    """Print the headline figures: a row a task and metric, a column a kind of subject."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("task", "metric", "pretrained", "random init", "raw features", "n", "verdict"):
        table.add_column(column, justify="left" if column in ("task", "metric", "verdict") else "right")
    for app, comparison in sections:
        for line in _headline(app, comparison):
            table.add_row(*line)
        table.add_section()
    console = Console()
    # A log file has no width to keep to, and wrapped figures cannot be read or searched.
    Console(width=None if console.is_terminal else 200).print(table)
    for app, comparison in sections:
        print(f"{app.name}: {_provenance(comparison)}")
        for note in comparison.notes:
            print(f"{app.name}: {note}")


def write_report(sections: Sequence[Section], out: Path, title: str) -> None:
    """Write ``report.html`` with every figure and picture inside it."""
    out.mkdir(parents=True, exist_ok=True)
    parts = [_section(app, comparison, out / "pictures" / app.name) for app, comparison in sections]
    synthetic = any(comparison.table.info.synthetic for _, comparison in sections)
    (out / "report.html").write_text(page.page(title, (page.paragraph(_ABOUT), *parts), synthetic), encoding="utf-8")


def _headline(app: App, comparison: Comparison) -> Iterable[list[str]]:
    trained = list(dict.fromkeys(paired.subject for paired in comparison.paired))
    cells = {(result.task, result.metric, result.subject): result for result in comparison.results}
    for task, metric in app.headline:
        for subject in trained:
            ours = cells.get((task, metric, subject))
            if ours is None:
                continue
            twin = cells.get((task, metric, f"{subject} (random init)"))
            raw = cells.get((task, metric, "raw features"))
            label = f"{task} [{subject}]" if len(trained) > 1 else task
            yield [label, metric, figure(ours), figure(twin), figure(raw), _size(ours), _verdict(comparison, ours)]


def figure(result: Result | None) -> str:
    """A figure with its interval, as ``.733 [.68, .79]``."""
    if result is None or result.value is None:
        return "-"
    if result.low is None or result.high is None:
        return f"{result.value:.3f}"
    return f"{result.value:.3f} [{result.low:.3f}, {result.high:.3f}]"


def _size(result: Result) -> str:
    return f"{result.n:,} / {result.groups:,} gr."


def _verdict(comparison: Comparison, ours: Result) -> str:
    """How the subject stands to each baseline on this figure: better, behind, or a tie."""
    words: list[str] = []
    for paired in comparison.paired:
        if (paired.task, paired.metric, paired.subject) == (ours.task, ours.metric, ours.subject):
            baseline = "raw" if paired.baseline == "raw features" else "random"
            ahead = (paired.difference.difference > 0) == paired.difference.higher_is_better
            words.append(f"{'ties' if paired.difference.tie else 'beats' if ahead else 'behind'} {baseline}")
    return ", ".join(words)


def _provenance(comparison: Comparison) -> str:
    info = comparison.table.info
    seeds = sorted({str(result.seed) for result in comparison.results if result.seed is not None})
    made = "SYNTHETIC data; " if info.synthetic else ""
    return f"{made}{info.layout} ({info.licence}); seeds {', '.join(seeds)}; 95 % intervals by group bootstrap"


def _section(app: App, comparison: Comparison, folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    parts = [page.paragraph(_provenance(comparison)), *(page.note(note) for note in comparison.notes)]
    header = ("task", "metric", "pretrained", "random init", "raw features", "n", "verdict")
    parts.append(page.table(header, _headline(app, comparison)))
    parts += [page.figure(picture) for picture in _pictures(app, comparison, folder)]
    every = ([r.task, r.metric, r.subject, figure(r), _size(r), str(r.seed), r.note] for r in comparison.results)
    header = ("task", "metric", "subject", "value", "n", "seed", "note")
    parts.append(page.details("Every figure", page.table(header, every)))
    tests = (
        [p.task, p.metric, p.subject, p.baseline, f"{p.difference.difference:+.3f}",
         f"[{p.difference.low:+.3f}, {p.difference.high:+.3f}]", f"{p.p_holm:.3f}"]
        for p in comparison.paired
    )  # fmt: skip
    header = ("task", "metric", "subject", "against", "difference", "95 % interval", "p (Holm)")
    parts.append(page.details("Every paired difference", page.table(header, tests)))
    return page.section(app.title, *parts)


def _pictures(app: App, comparison: Comparison, folder: Path) -> Iterable[Picture]:
    models = [subject for subject in comparison.shown if subject.model is not None]
    yield from app.pictures(models[0], folder)
    shared = (
        similarity_matrices(comparison.shown, folder),
        embedding_maps(comparison.shown, folder),
        probe_curves(comparison.results, folder),
        training_curve(comparison.runs, folder),
    )
    yield from (picture for picture in shared if picture is not None)
