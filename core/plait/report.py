"""The table on the terminal, and ``report.html``: one file that opens anywhere, with no network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from plait import page
from plait.apps import App, Picture
from plait.compare import Comparison
from plait.evaluation.families import Paired
from plait.evaluation.measurement import Result
from plait.figures import embedding_maps, probe_curves, similarity_matrices, training_curve
from plait.subjects import RAW

type Section = tuple[App, Comparison]
type Board = tuple[str, Sequence[str], list[list[str]]]
"""A table with its title, header and rows of plain texts."""

_PANELS, _CURVES = 3, 20
"""So many recipes a picture can show side by side, and so many curves in one plot."""
_ABOUT = (
    "Each line compares a pretrained model with its randomly initialised twin and with raw features, on the same rows. "
    "A verdict is a tie where the 95 % interval of the paired difference holds zero. Research use only."
)
_STANDINGS = (
    "Who differs from whom: p < 0.05 after Holm's correction, over every two recipes for each figure, and over all "
    "figures against baselines. All else is a tie."
)


def print_table(sections: Sequence[Section]) -> None:
    """Print the headline figures: a row a task and metric, a column a kind of subject."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("task", "metric", "pretrained", "random init", "raw features", "n", "verdict"):
        table.add_column(column, justify="left" if column in ("task", "metric", "verdict") else "right")
    for app, comparison in sections:
        # Of several recipes the boards say it in fewer lines.
        for line in _headline(app, comparison) if len(comparison.recipes) == 1 else ():
            table.add_row(*map(Text, line))  # as text: in rich's markup a recipe in brackets is a style
        table.add_section()
    console = Console()
    # A log file has no width to keep to, and wrapped figures cannot be read or searched.
    console = console if console.is_terminal else Console(width=200)
    if table.row_count:
        console.print(table)
    for app, comparison in sections:
        boards = list(_boards(app, comparison, _value)) if _is_of_several(app, comparison) else []
        for title, header, rows in (*boards, *_published(app, comparison)):
            board = Table(*header, title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
            for row in rows:
                board.add_row(*map(Text, row))
            console.print(board)
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
    cells = {(result.task, result.metric, result.subject): result for result in comparison.results}
    for task, metric in app.headline:
        for subject, twin in comparison.recipes.items():
            ours = cells.get((task, metric, subject))
            if ours is None:
                continue
            others = (figure(cells.get((task, metric, name))) for name in (twin, RAW))
            label = f"{task} [{subject}]" if len(comparison.recipes) > 1 else task
            yield [label, metric, figure(ours), *others, _size(ours), _verdict(comparison, ours)]


def _is_of_several(app: App, comparison: Comparison) -> bool:
    """Whether there is more to compare than the short table shows: one recipe, its twin and the raw features."""
    return len(comparison.recipes) > 1 or len(app.baselines) > 0


def _boards(app: App, comparison: Comparison, cell: Callable[[Result | None], str]) -> Iterable[Board]:
    """For each headline task its metrics, a row a subject: baselines, recipes, then their random twins."""
    cells = {(result.task, result.metric, result.subject): result for result in comparison.results}
    subjects = [*app.baselines, RAW, *comparison.recipes, *comparison.recipes.values()]
    for task, metrics in _measured(app, comparison).items():
        found = [(subject, [cells.get((task, metric, subject)) for metric in metrics]) for subject in subjects]
        yield task, ("subject", *metrics), [[subject, *map(cell, row)] for subject, row in found if any(row)]


def _standings(app: App, comparison: Comparison) -> Iterable[Board]:
    """For each headline metric how each recipe stands to the others and to the baselines."""
    twins = comparison.recipes.values()
    tests = [*comparison.between, *(paired for paired in comparison.paired if paired.baseline not in twins)]
    for task, metrics in _measured(app, comparison).items():
        rows = [
            [name, *(_standing(name, [p for p in tests if (p.task, p.metric) == (task, metric)]) for metric in metrics)]
            for name in comparison.recipes
        ]
        yield f"{task}: who differs from whom", ("recipe", *metrics), rows


def _measured(app: App, comparison: Comparison) -> dict[str, list[str]]:
    """Headline task to those of its metrics that were measured."""
    there = {(result.task, result.metric) for result in comparison.results}
    return _by_task(key for key in app.headline if key in there)


def _standing(name: str, tests: Iterable[Paired]) -> str:
    """One recipe on one metric, such as ``beats mean; late | ties tfn``."""
    others: dict[str, list[str]] = {"beats": [], "behind": [], "ties": []}
    for paired in tests:
        if name in (paired.subject, paired.baseline):
            ours = paired.subject == name
            ahead = ours == ((paired.difference.difference > 0) == paired.difference.higher_is_better)
            word = "ties" if not paired.p_holm < 0.05 else "beats" if ahead else "behind"
            others[word].append(paired.baseline if ours else paired.subject)
    return " | ".join(f"{word} {'; '.join(names)}" for word, names in others.items() if names)


def _stands(paired: Paired) -> str:
    ahead = (paired.difference.difference > 0) == paired.difference.higher_is_better
    return "ties" if paired.difference.tie else "beats" if ahead else "behind"


def _published(app: App, comparison: Comparison) -> Iterable[Board]:
    """The figures of others, where they belong beside this table's layout."""
    layout = comparison.table.info.layout
    shown = [one for one in app.published if not one.layouts or layout in one.layouts]
    for task, metrics in _by_task([(one.task, one.metric) for one in shown]).items():
        systems: dict[tuple[str, ...], dict[str, float]] = {}
        for one in shown:
            if one.task == task:
                systems.setdefault((one.subject, one.data, one.protocol, one.source), {})[one.metric] = one.value
        rows = [
            [subject, *(f"{found[metric]:.3f}" if metric in found else "-" for metric in metrics), *where]
            for (subject, *where), found in systems.items()
        ]
        header = ("subject", *metrics, "data", "protocol", "source")
        yield f"{task} as published, by other protocols: not comparable with ours", header, rows


def _by_task(figures: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Task to its metrics, both in the order in which they come."""
    tasks: dict[str, list[str]] = {}
    for task, metric in dict.fromkeys(figures):
        tasks.setdefault(task, []).append(metric)
    return tasks


def _value(result: Result | None) -> str:
    return "-" if result is None or result.value is None else f"{result.value:.3f}"


def figure(result: Result | None) -> str:
    """A figure with its interval, as ``.733 [.68, .79]``."""
    if result is None or result.low is None or result.high is None:
        return _value(result)
    return f"{_value(result)} [{result.low:.3f}, {result.high:.3f}]"


def _size(result: Result) -> str:
    return f"{result.n:,} / {result.groups:,} gr."


def _verdict(comparison: Comparison, ours: Result) -> str:
    """How the subject stands to each baseline on this figure: better, behind, or a tie."""
    words: list[str] = []
    for paired in comparison.paired:
        shown = paired.baseline in (RAW, comparison.recipes[ours.subject])
        if shown and (paired.task, paired.metric, paired.subject) == (ours.task, ours.metric, ours.subject):
            words.append(f"{_stands(paired)} {'raw' if paired.baseline == RAW else 'random'}")
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
    beside = page.table(header, _headline(app, comparison))
    parts.append(beside if len(comparison.recipes) == 1 else page.details("Every recipe beside its baselines", beside))
    if _is_of_several(app, comparison):
        parts += [_board(*board) for board in _boards(app, comparison, figure)]
        parts += [page.paragraph(_STANDINGS), *(_board(*board) for board in _standings(app, comparison))]
    parts += [_board(*board) for board in _published(app, comparison)]
    parts += [page.figure(picture) for picture in _pictures(app, comparison, folder)]
    every = ([r.task, r.metric, r.subject, figure(r), _size(r), str(r.seed), r.note] for r in comparison.results)
    header = ("task", "metric", "subject", "value", "n", "seed", "note")
    parts.append(page.details("Every figure", page.table(header, every)))
    tests = (
        [p.task, p.metric, p.subject, p.baseline, f"{p.difference.difference:+.3f}",
         f"[{p.difference.low:+.3f}, {p.difference.high:+.3f}]", f"{p.p_holm:.3f}"]
        for p in (*comparison.paired, *comparison.between)
    )  # fmt: skip
    header = ("task", "metric", "subject", "against", "difference", "95 % interval", "p (Holm)")
    parts.append(page.details("Every paired difference", page.table(header, tests)))
    return page.section(app.title, *parts)


def _board(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return page.paragraph(f"{title}:") + page.table(header, rows)


def _pictures(app: App, comparison: Comparison, folder: Path) -> Iterable[Picture]:
    models = [subject for subject in comparison.shown if subject.model is not None]
    yield from app.pictures(models[0], folder)
    yield from app.run_pictures(comparison.runs, comparison.table, folder)
    left_out = {name for pair in list(comparison.recipes.items())[_PANELS:] for name in pair}
    subjects = [subject for subject in comparison.shown if subject.name not in left_out]
    runs = comparison.runs[:: -(-len(comparison.runs) // _CURVES)]
    shared = (
        similarity_matrices(subjects, folder),
        embedding_maps(subjects, folder),
        probe_curves(comparison.results, folder),
        training_curve(runs, folder),
    )
    yield from (picture for picture in shared if picture is not None)
