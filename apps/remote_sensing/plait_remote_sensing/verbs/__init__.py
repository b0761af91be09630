"""The verbs that only the remote-sensing app has; nothing heavy is imported before one runs."""

from __future__ import annotations

from plait.cli import Subparsers
from plait_remote_sensing.verbs.map import add_map
from plait_remote_sensing.verbs.pairs import add_pairs


def add_verbs(verbs: Subparsers) -> None:
    """Add their parsers."""
    add_pairs(verbs)
    add_map(verbs)
