"""A new data set in one small file: the same weather, one JSON file a station.

It joins with one line in the app's ``ingest/__init__.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from plait.pairs.layout import Layout, Refuse, Row

COLUMNS = {name: tuple(f"{name}_{k}" for k in range(6)) for name in ("barometer", "thermometer")}


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """Read every ``*.json``: a list of days, each with ``barometer``, ``thermometer`` and ``rain``."""
    for path in sorted(root.glob("*.json")):
        try:
            days = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            refuse(path.name, f"is not valid JSON ({error})")
            continue
        for index, day in enumerate(days):
            readings = {
                column: value for name in COLUMNS for column, value in zip(COLUMNS[name], day[name], strict=True)
            }
            yield {"id": f"{path.stem}-{index}", "group": path.stem, "label_rain": day["rain"], **readings}


LAYOUT = Layout("station-json", "one JSON file a station", COLUMNS, "made up", "CC0", read)
