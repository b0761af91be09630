"""The table on the terminal, and ``report.html``: one file that opens anywhere, with no network."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from importlib.metadata import version
from pathlib import Path

from plait.apps import App, Picture
from plait.compare import Comparison
from plait.evaluation.measurement import Result
from plait.figures import embedding_maps, probe_curves, similarity_matrices, training_curve

type Section = tuple[App, Comparison]


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
    body = "".join(_section(app, comparison, out / "pictures" / app.name) for app, comparison in sections)
    synthetic = any(comparison.table.info.synthetic for _, comparison in sections)
    banner = (
        "<p class=synthetic>Synthetic data: these figures say nothing about the real world.</p>" if synthetic else ""
    )
    made = f"plait {version('plait')}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    page = _PAGE.format(title=escape(title), banner=banner, body=body, made=made)
    (out / "report.html").write_text(page, encoding="utf-8")


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
    parts = [f"<h2>{escape(app.title)}</h2>", f"<p>{escape(_provenance(comparison))}</p>"]
    parts += [f"<p class=note>{escape(note)}</p>" for note in comparison.notes]
    header = ("task", "metric", "pretrained", "random init", "raw features", "n", "verdict")
    parts.append(_table(header, _headline(app, comparison)))
    parts += [_picture(picture) for picture in _pictures(app, comparison, folder)]
    every = ([r.task, r.metric, r.subject, figure(r), _size(r), str(r.seed), r.note] for r in comparison.results)
    rows = _table(("task", "metric", "subject", "value", "n", "seed", "note"), every)
    parts.append(f"<details><summary>Every figure</summary>{rows}</details>")
    tests = (
        [p.task, p.metric, p.subject, p.baseline, f"{p.difference.difference:+.3f}",
         f"[{p.difference.low:+.3f}, {p.difference.high:+.3f}]", f"{p.p_holm:.3f}"]
        for p in comparison.paired
    )  # fmt: skip
    header = ("task", "metric", "subject", "against", "difference", "95 % interval", "p (Holm)")
    parts.append(f"<details><summary>Every paired difference</summary>{_table(header, tests)}</details>")
    return f"<section>{''.join(parts)}</section>"


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


def _picture(picture: Picture) -> str:
    data = base64.b64encode(picture.path.read_bytes()).decode()
    caption = escape(picture.caption)
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{caption}"><figcaption>{caption}</figcaption></figure>'
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class=scroll><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
 body {{ font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }}
 h1 {{ font-size: 1.6rem; }} h2 {{ font-size: 1.25rem; margin-top: 2.5rem; border-bottom: 1px solid #ddd; }}
 table {{ border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }}
 th, td {{ text-align: left; padding: .25rem .7rem .25rem 0; border-bottom: 1px solid #eee; white-space: nowrap; }}
 .scroll {{ overflow-x: auto; }} figure {{ margin: 1.5rem 0; }} img {{ max-width: 100%; }}
 figcaption {{ color: #555; font-size: .85rem; }} details {{ margin: 1rem 0; }} summary {{ cursor: pointer; }}
 .synthetic, .note {{ background: #fff4d6; padding: .5rem .8rem; border-left: 4px solid #e69f00; }}
 footer {{ color: #777; font-size: .8rem; margin-top: 3rem; }}
</style></head><body>
<h1>{title}</h1>{banner}
<p>Each line compares a pretrained model with its randomly initialised twin and with raw features, on the same rows.
A verdict is a tie where the 95 % interval of the paired difference holds zero. Research use only.</p>
{body}
<footer>{made}</footer></body></html>
"""
