"""The verbs that only the driving app has; nothing heavy is imported before one runs."""

from __future__ import annotations

from pathlib import Path

from plait.cli import Subparsers, add_verb


def add_verbs(verbs: Subparsers) -> None:
    """Add their parsers."""
    _add_pairs(verbs)
    _add_view(verbs)
    _add_export(verbs)


def _add_pairs(verbs: Subparsers) -> None:
    parser = add_verb(verbs, "pairs", "what the pairs of a table are worth, before anyone trains: report.html")
    parser.add_argument("--pairs", type=Path, required=True, help="the pair table")
    parser.add_argument("--out", type=Path, required=True, help="folder of report.html, pairs.json and results.json")
    parser.add_argument("--max-frames", type=int, default=24, help="frames that are measured, spread evenly (24)")
    parser.add_argument("--min-depth", type=float, default=1.0, help="nearer points are the car itself [m] (1)")
    parser.add_argument("--max-range", type=float, default=float("inf"), help="farther points are left out [m] (none)")
    parser.add_argument(
        "--image-size", type=int, nargs=2, default=(224, 416), metavar=("H", "W"), help="of superpixels (224 416)"
    )
    parser.add_argument("--segments", type=int, default=150, help="superpixels asked for (150)")
    parser.add_argument("--voxel", type=float, help="side of further voxels to look at [m]")
    parser.set_defaults(run_verb=_run_pairs)


def _run_pairs(
    pairs: Path,
    out: Path,
    max_frames: int,
    min_depth: float,
    max_range: float,
    image_size: tuple[int, int],
    segments: int,
    voxel: float | None,
) -> int:
    """Run ``plait driving pairs``."""
    from plait_driving import pair_report
    from plait_driving.pair_report.filters import Limits
    from plait_driving.pair_report.measure import Chosen

    height, width = image_size
    chosen = Chosen(Limits(min_depth, max_range), (height, width), segments, voxel)
    return pair_report.pairs(pairs, out, max_frames, chosen)


def _add_view(verbs: Subparsers) -> None:
    parser = add_verb(verbs, "view", "one moment to look at: the sweep over its images, from above, as ranges")
    parser.add_argument("--pairs", type=Path, required=True, help="the pair table")
    parser.add_argument("--out", type=Path, required=True, help="folder of view.html and its pictures")
    parser.add_argument("--frame", help="the frame's name, or a row's id (the middle one)")
    parser.add_argument("--rerun", action="store_true", help="record the whole table for the rerun viewer, too")
    parser.set_defaults(run_verb=_run_view)


def _run_view(pairs: Path, out: Path, frame: str | None, rerun: bool) -> int:
    """Run ``plait driving view``."""
    from plait_driving.viewing.page import view

    return view(pairs, out, frame, rerun)


def _add_export(verbs: Subparsers) -> None:
    parser = add_verb(verbs, "export", "an encoder of a run as ONNX, which runs without torch and without Plait")
    parser.add_argument("run", metavar="RUN", type=Path, help="the run folder")
    parser.add_argument("--modality", choices=("image", "points"), default="points", help="whose encoder (points)")
    parser.add_argument("--out", type=Path, required=True, help="the .onnx file")
    parser.set_defaults(run_verb=_run_export)


def _run_export(run: Path, modality: str, out: Path) -> int:
    """Run ``plait driving export``."""
    from plait.apps import load_app
    from plait_driving.encoders.export import export_run

    export_run(run, modality, out, load_app("driving"))
    print(f"wrote {out}")
    return 0
