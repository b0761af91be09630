"""Writes the pair report: ``report.html``, ``pairs.csv``, ``results.json`` and a picture of each pair."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from plait import page
from plait.apps import Picture
from plait.errors import InputError
from plait.evaluation.measurement import Result
from plait.pairs.table import PairTable
from plait.progress import progress
from plait_remote_sensing.pair_report.measure import Figures, measure
from plait_remote_sensing.pair_report.picture import draw
from plait_remote_sensing.pair_report.scene_pairs import VIEW, ScenePair, sampled, scene_pairs
from plait_remote_sensing.pair_report.separation import MOST, Separation, separations
from plait_remote_sensing.scene import Scene

SCENES = 48
"""Pairs of acquisitions that are measured."""
PICTURES = 12
"""Pairs of acquisitions that are drawn."""
TASK = "remote-sensing/pairs"


def pairs(pairs: Path, out: Path, scenes: int = SCENES, seed: int = 0) -> int:
    """Write what a pair table holds, and whether its pairs are worth training on.

    Args:
        pairs: the pair table.
        out: the folder to write.
        scenes: how many pairs of acquisitions are measured at most.
        seed: of the draws, where there are more.

    Raises:
        InputError: for a table of another app, or a folder that cannot be written.
    """
    table = PairTable.read(pairs)
    if table.info.app != "remote-sensing":
        raise InputError(f"{pairs} was ingested by '{table.info.app}': use 'plait {table.info.app}' for it.")
    every = scene_pairs(table)
    chosen = sampled(every, scenes, seed)
    drawn = {id(pair) for pair in sampled(chosen, PICTURES, seed)}
    figures: list[Figures] = []
    pictures: list[Picture] = []
    try:
        (out / "pictures").mkdir(parents=True, exist_ok=True)
        with progress("pairs", len(chosen)) as advance:
            for number, pair in enumerate(chosen):
                measured, view = measure(pair, table.root, seed)
                figures.append(measured)
                if view is not None and id(pair) in drawn:
                    pictures.append(draw(measured, view, out / "pictures" / f"{number:03d}_{pair.kind}.png"))
                advance()
        apart = separations(table, seed)
        results = [*_measured(table, figures), *_separated(table, apart)]
        (out / "results.json").write_text(json.dumps([asdict(r) for r in results], indent=1), encoding="utf-8")
        _write_csv(figures, out / "pairs.csv")
        sections = _sections(pairs, table, every, figures, pictures, apart, seed)
        title = f"Pairs of {table.info.layout}"
        (out / "report.html").write_text(page.page(title, sections, table.info.synthetic), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error}): give another folder, or make room.") from error
    for line in _headlines(figures, apart):
        print(line)
    print(f"wrote {out / 'report.html'}, pairs.csv and results.json")
    return 0


def _measured(table: PairTable, figures: Sequence[Figures]) -> Iterator[Result]:
    """The medians over pairs of each kind."""
    for kind in dict.fromkeys(figure.pair.kind for figure in figures):
        found = [figure for figure in figures if figure.pair.kind == kind]
        shifts = [figure.shift for figure in found if figure.shift.peak]
        believed = [shift.length for shift in shifts if shift.confident]
        named = {
            "days_apart": [abs(f.days) for f in found if f.days is not None],
            "overlap": [f.overlap for f in found if f.overlap is not None],
            "observed_moving": [f.observed[0] for f in found if f.observed is not None],
            "observed_reference": [f.observed[1] for f in found if f.observed is not None],
            "cloud_share": [f.clouds for f in found if f.clouds is not None],
            "shift_pixels": believed,
            "shift_metres": [f.metres for f in found if f.metres is not None and f.shift.confident],
        }
        for metric, values in named.items():
            if values:
                yield _result(table, f"{TASK}/{kind}", metric, float(np.median(values)), len(values), "all")
        yield _result(table, f"{TASK}/{kind}", "confident_share", len(believed) / len(found), len(found), "all")
        broken = sum(bool(figure.problem) for figure in found)
        yield _result(table, f"{TASK}/{kind}", "not_measured", float(broken), len(found), "all")


def _separated(table: PairTable, apart: Sequence[Separation]) -> Iterator[Result]:
    for found in apart:
        task = f"{TASK}/separation"
        if found.metres is not None:
            yield _result(table, task, "least_distance_m", found.metres, found.looked_at, found.split)
        if found.pixels is not None:
            yield _result(table, task, "least_distance_px", found.pixels, found.looked_at, found.split)
        yield _result(table, task, "touching_train", float(found.touching), found.looked_at, found.split)
        yield _result(table, task, "straddling_groups", float(len(found.straddling)), found.looked_at, found.split)


def _result(table: PairTable, task: str, metric: str, value: float, n: int, split: str) -> Result:
    return Result(task, table.info.layout, metric, value, None, None, n, len(set(table.groups)), None, split)


def _sections(
    path: Path,
    table: PairTable,
    every: Sequence[ScenePair],
    figures: Sequence[Figures],
    pictures: Sequence[Picture],
    apart: Sequence[Separation],
    seed: int,
) -> Iterator[str]:
    info = table.info
    series = table.column("window").count(None) if "window" in table.columns else len(table)
    yield page.paragraph(f"{path.name}: layout {info.layout}, {info.source}. Licence: {info.licence}.")
    lines = list(_headlines(figures, apart))
    if len(figures) < len(every):
        lines.append(
            f"{len(figures)} of {len(every)} pairs of acquisitions were drawn (seed {seed}, by kind and split)."
        )
    if series:
        lines.append(f"{series} of {len(table)} rows are series of single points: they have no pixels to lay together.")
    yield page.section("In short", page.listed(lines))
    yield page.section("Rows", _rows(table))
    yield page.section("Splits", _separation_table(apart))
    if figures:
        rows = (list(_cells(figure).values()) for figure in figures)
        yield page.section("Pairs of acquisitions", _about_pairs(), page.table(list(_cells(figures[0])), rows))
    yield page.section("How units and offsets were decided", page.listed(_told(path)))
    if pictures:
        yield page.section("Pictures", *(page.figure(picture) for picture in pictures))


def _about_pairs() -> str:
    return page.paragraph(
        f"Each pair is measured in views of at most {VIEW} x {VIEW} pixels. Days, rows and columns say how far what is "
        "named first lies from the other: later, lower, more to the right. A shift is confident where phase "
        "correlation of edges and mutual information find the same one and its peak stands out; any other is a guess."
    )


def _rows(table: PairTable) -> str:
    splits = [split for split in ("train", "val", "test", "gap") if split in table.splits]
    lines = [["rows", *_per_split(table, splits, np.ones(len(table), dtype=bool))]]
    lines += [[name, *_per_split(table, splits, table.present(name))] for name in table.modalities]
    together = np.all([table.present(name) for name in table.modalities], axis=0)
    lines.append(["all modalities", *_per_split(table, splits, together)])
    lines.append(["groups", *(str(len(set(table.groups[table.splits == split]))) for split in splits)])
    for label in (name for name in table.columns if name.startswith("label_")):
        codes, rows = table.column(label), table.splits
        for code in sorted({code for code in codes if code is not None}, key=str):
            counted = Counter(split for split, found in zip(rows, codes, strict=True) if found == code)
            lines.append([f"{label} {code}", *(str(counted[split]) for split in splits)])
    return page.table(["", *splits], lines)


def _per_split(
    table: PairTable, splits: Sequence[str], flags: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
) -> list[str]:
    return [f"{int((flags & (table.splits == split)).sum()):,}" for split in splits]


def _separation_table(apart: Sequence[Separation]) -> str:
    header = ("split", "least distance to train", "patches that touch train", "patches looked at", "groups of both")
    rows = (
        [
            found.split,
            _distance(found),
            f"{found.touching:,}",
            f"{found.looked_at:,}",
            _some(found.straddling),
        ]
        for found in apart
    )
    note = f"At most {MOST:,} patches of a split are compared; distances are between the rims of patches."
    return page.table(header, rows) + page.paragraph(note)


def _some(names: Sequence[str]) -> str:
    """How many there are, and some of them."""
    return f"{len(names):,}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}" if names else "none"


def _distance(found: Separation) -> str:
    parts = [f"at least {found.metres:,.0f} m"] if found.metres is not None else []
    parts += [f"{found.pixels:.0f} pixels on one raster"] if found.pixels is not None else []
    return " or ".join(parts) or "not known, for want of coordinates and of rasters that have both"


def _headlines(figures: Sequence[Figures], apart: Sequence[Separation]) -> Iterator[str]:
    for kind in dict.fromkeys(figure.pair.kind for figure in figures):
        found = [figure for figure in figures if figure.pair.kind == kind]
        believed = [figure.shift.length for figure in found if figure.shift.confident]
        days = [abs(figure.days) for figure in found if figure.days is not None]
        shifts = f"median shift {np.median(believed):.2f} pixels, greatest {max(believed):.2f}" if believed else "none"
        text = f"{found[0].pair.moving} against {found[0].pair.reference}: {len(believed)} of {len(found)} shifts are "
        text += f"confident ({shifts})"
        yield text + (f"; median {np.median(days):.1f} days apart" if days else "; times are not known")
    for figure in figures:
        if figure.problem:
            yield f"{figure.pair.name} could not be measured: {figure.problem}"
    for found in apart:
        if found.straddling:
            yield f"{len(found.straddling)} groups are in train and in {found.split}, such as {found.straddling[0]}."
        if found.touching:
            yield f"{found.touching:,} of {found.looked_at:,} patches of {found.split} touch a training patch."
        yield f"From train to {found.split}: {_distance(found)}."


def _told(path: Path) -> Iterator[str]:
    """What ingest said of units, offsets and what it left out, from the report beside the table."""
    beside = path.with_suffix(".ingest.json")
    try:
        told = json.loads(beside.read_text(encoding="utf-8"))
        for entry in [*told["remarks"], *told["refusals"]]:
            yield f"{entry['what']}: {entry['cause']}"
    except (OSError, ValueError, KeyError, TypeError):
        yield f"{beside.name} is not there, or cannot be read: what ingest decided is only in the columns below."


def _write_csv(figures: Sequence[Figures], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as target:
        writer = csv.writer(target)
        for number, figure in enumerate(figures):
            cells = _cells(figure)
            if not number:
                writer.writerow(cells)
            writer.writerow(cells.values())


def _cells(figure: Figures) -> dict[str, str]:
    """A pair as text, by the names of its columns."""
    moving, reference = figure.pair.scenes
    shift = figure.shift
    estimated = bool(shift.peak)
    return {
        "place": figure.pair.name,
        "pair": f"{figure.pair.moving} / {figure.pair.reference}",
        "patches": " ".join(f"{split} {count}" for split, count in sorted(figure.pair.splits.items())),
        "days": _number(figure.days, "+.1f"),
        "placed": figure.placed,
        "overlap": _number(figure.overlap, ".2f"),
        "observed": " / ".join(f"{share:.3f}" for share in figure.observed) if figure.observed else "",
        "clouds": f"{figure.clouds:.3f} ({figure.clouds_by})" if figure.clouds is not None else "",
        "shift rows": f"{shift.rows:+.2f}" if estimated else "",
        "shift columns": f"{shift.columns:+.2f}" if estimated else "",
        "shift m": _number(figure.metres, ".1f"),
        "peak": f"{shift.peak:.1f}" if estimated else "",
        "confident": ("yes" if shift.confident else "no") if estimated else "no estimate",
        "stored as": f"{_stored(moving)} / {_stored(reference)}",
        "orbit": _orbit(moving) or _orbit(reference),
        "problem": figure.problem,
    }


def _stored(scene: Scene) -> str:
    bands = f"{len(scene.bands)} bands" if len(scene.bands) > 4 else " ".join(scene.bands)
    if scene.sensor == "sar" or scene.unit != "dn":
        return f"{bands}, {scene.unit}"
    return f"{bands}, (dn - {scene.offset:g}) / {scene.quantification:g}"


def _orbit(scene: Scene) -> str:
    parts = [scene.orbit or ""]
    parts += [f"track {scene.relative_orbit}"] if scene.relative_orbit is not None else []
    parts += [f"{scene.incidence[0]:.1f} to {scene.incidence[1]:.1f} degrees"] if scene.incidence else []
    return ", ".join(part for part in parts if part)


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
