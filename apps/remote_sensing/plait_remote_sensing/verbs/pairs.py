"""The verb ``pairs``: what a pair table holds, before anyone trains."""

from __future__ import annotations

from pathlib import Path

from plait.cli import Subparsers, add_verb


def add_pairs(verbs: Subparsers) -> None:
    """Add its parser."""
    parser = add_verb(verbs, "pairs", "what the pairs of a table are worth, before anyone trains: report.html")
    parser.add_argument("--pairs", type=Path, required=True, help="the pair table")
    parser.add_argument("--out", type=Path, required=True, help="folder of report.html, pairs.csv and results.json")
    parser.add_argument("--scenes", type=int, default=48, help="pairs of scenes that are measured, drawn by seed (48)")
    parser.add_argument("--seed", type=int, default=0, help="of that draw (0)")
    parser.set_defaults(run_verb=run_pairs)


def run_pairs(pairs: Path, out: Path, scenes: int, seed: int) -> int:
    """Run ``plait remote-sensing pairs``."""
    from plait_remote_sensing import pair_report

    return pair_report.pairs(pairs, out, scenes, seed)
