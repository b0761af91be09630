"""A page of HTML that opens anywhere: one file, with its pictures inside it and no network."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from importlib.metadata import version

from plait.apps import Picture


def page(title: str, sections: Iterable[str], synthetic: bool) -> str:
    """The whole page; sections are HTML, the title is text."""
    said = "<p class=synthetic>Synthetic data: these figures say nothing about the real world.</p>"
    banner = said if synthetic else ""
    made = f"plait {version('plait')}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title>{_STYLE}</head><body><h1>{escape(title)}</h1>{banner}{''.join(sections)}"
        f"<footer>{escape(made)}</footer></body></html>\n"
    )


def section(title: str, *parts: str) -> str:
    """A part of the page under its own heading."""
    return f"<h2>{escape(title)}</h2>{''.join(parts)}"


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{escape(text)}</p>"


def note(text: str) -> str:
    """A paragraph of plain text that a reader should not miss."""
    return f"<p class=note>{escape(text)}</p>"


def details(title: str, *parts: str) -> str:
    """Parts that are folded away under their title."""
    return f"<details><summary>{escape(title)}</summary>{''.join(parts)}</details>"


def listed(lines: Iterable[str]) -> str:
    """A list of plain texts."""
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of plain texts, which scrolls where it is wider than the page."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class=scroll><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def figure(picture: Picture) -> str:
    """A picture, in the page itself."""
    data = base64.b64encode(picture.path.read_bytes()).decode()
    said = escape(picture.caption)
    return f'<figure><img src="data:image/png;base64,{data}" alt="{said}"><figcaption>{said}</figcaption></figure>'


_STYLE = """<style>
 body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
 h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; border-bottom: 1px solid #ddd; }
 table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
 th, td { text-align: left; padding: .25rem .7rem .25rem 0; border-bottom: 1px solid #eee; white-space: nowrap; }
 .scroll { overflow-x: auto; } figure { margin: 1.5rem 0; } img { max-width: 100%; }
 figcaption { color: #555; font-size: .85rem; } details { margin: 1rem 0; } summary { cursor: pointer; }
 .synthetic, .note { background: #fff4d6; padding: .5rem .8rem; border-left: 4px solid #e69f00; }
 footer { color: #777; font-size: .8rem; margin-top: 3rem; }
</style>"""
