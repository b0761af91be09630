"""What others reached, with its data, protocol and source: beside our tables, never in them."""

from __future__ import annotations

from pathlib import Path

import yaml

from plait.apps import Published


def published() -> tuple[Published, ...]:
    """The figures of ``published.yaml``, all of the answer from all modalities."""
    blocks = yaml.safe_load((Path(__file__).parent / "published.yaml").read_text(encoding="utf-8"))
    return tuple(
        Published(
            task="sentiment/prediction",
            subject=system,
            metric=metric,
            value=value,
            data=block["data"],
            protocol=block["protocol"],
            source=block["source"],
            layouts=tuple(block["layouts"]),
        )
        for block in blocks
        for system, values in block["systems"].items()
        for metric, value in zip(block["metrics"], values, strict=True)
    )
