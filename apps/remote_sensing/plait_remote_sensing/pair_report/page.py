"""The page of a pair report: one file that opens anywhere, with no network."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from importlib.metadata import version

from plait.apps import Picture


def page(title: str, sections: Iterable[str], synthetic: bool) -> str:
    """The whole page; sections are HTML, the title is text."""
    banner = "<p class=note>Synthetic data: these figures say nothing about the real world.</p>" if synthetic else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title>{_STYLE}</head><body><h1>{escape(title)}</h1>{banner}{''.join(sections)}"
        f"<footer>plait {escape(version('plait'))}</footer></body></html>\n"
    )


def section(title: str, *parts: str) -> str:
    """A part of the page under its own heading."""
    return f"<h2>{escape(title)}</h2>{''.join(parts)}"


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{escape(text)}</p>"


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
 th, td { text-align: left; padding: .25rem .7rem .25rem 0; border-bottom: 1px solid #eee; vertical-align: top; }
 .scroll { overflow-x: auto; } figure { margin: 1.5rem 0; } img { max-width: 100%; }
 figcaption, footer { color: #555; font-size: .85rem; } footer { margin-top: 3rem; }
 .note { background: #fff4d6; padding: .5rem .8rem; border-left: 4px solid #e69f00; }
</style>"""
