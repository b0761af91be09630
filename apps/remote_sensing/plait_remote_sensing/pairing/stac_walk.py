"""From one STAC document to all items that it leads to, and from their links to files and addresses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from plait.errors import InputError
from plait.pairs.layout import Refuse

type Json = dict[str, Any]

_DOWN = ("item", "child", "items", "next")
"""Relations of the links that lead to items: of catalogues, and of an API's pages."""
_STARTS = ("catalog.json", "collection.json")


@dataclass(frozen=True)
class Place:
    """Where a catalogue's files may lie.

    Attributes:
        root: the folder that holds all of a local one.
        remote: whether the user gave an address, so that the network may be used.
    """

    root: Path
    remote: bool

    def resolve(self, href: str, base: str) -> Path | str:
        """The file or the address that a link means.

        Raises:
            InputError: for a file outside the root, an address in a local catalogue, or one that is not http(s).
        """
        from pystac.utils import make_absolute_href

        absolute = make_absolute_href(href, base)
        scheme = urlsplit(absolute).scheme
        if scheme in ("http", "https"):
            if not self.remote:
                raise InputError(
                    f"{absolute} lies on the network: fetch it, or give the catalogue by --set url=ADDRESS."
                )
            return absolute
        if scheme not in ("", "file"):
            raise InputError(f"{absolute} is an address of {scheme}, and only files and http(s) are read: fetch it.")
        path = Path(unquote(urlsplit(absolute).path) if scheme else absolute).resolve()
        if not path.is_relative_to(self.root.resolve()):
            raise InputError(f"{href} leaves the catalogue's folder {self.root}: put what it names into it.")
        return path


def start_of(root: Path) -> list[str]:
    """The documents to begin with: the file itself, a folder's catalogue, or all JSON files in it.

    Raises:
        InputError: where the folder has none.
    """
    if root.is_file():
        return [str(root)]
    named = [root / name for name in _STARTS if (root / name).is_file()]
    found = named[:1] or sorted(path for path in root.rglob("*") if path.suffix in (".json", ".geojson"))
    if not found:
        raise InputError(f"{root} holds no STAC document: give a catalog.json, a collection.json, or items as JSON.")
    return [str(path) for path in found]


def documents(start: str, place: Place, refuse: Refuse) -> Iterator[tuple[str, Json]]:
    """Yield all items that a document leads to, each with where it was read; none is read twice.

    Args:
        start: a file or an address.
        place: where files may lie.
        refuse: told of each link that cannot be followed.

    Raises:
        InputError: where the first document cannot be read.
    """
    waiting, seen = [start], {start}
    while waiting:
        href = waiting.pop()
        try:
            found = _read(href)
        except InputError as error:
            if href == start:
                raise
            refuse(href, str(error))
            continue
        if found.get("type") == "Feature":
            yield href, found
        yield from ((href, item) for item in found.get("features", []) if isinstance(item, dict))
        below: list[str] = []
        for link in found.get("links", []) if found.get("type") != "Feature" else []:
            if link.get("rel") not in _DOWN or str(link.get("method", "GET")).upper() != "GET":
                continue
            try:
                target = str(place.resolve(str(link.get("href")), href))
            except InputError as error:
                refuse(str(link.get("href")), str(error))
                continue
            if target not in seen:
                seen.add(target)
                below.append(target)
        waiting += reversed(below)


def _read(href: str) -> Json:
    from pystac import StacIO

    try:
        found: Any = StacIO.default().read_json(href)
    except Exception as error:
        advice = "is there a network?" if "://" in href else "correct it, or fetch it again"
        raise InputError(f"{href} cannot be read as a STAC document ({error}): {advice}") from error
    if not isinstance(found, dict):
        raise InputError(f"{href} holds no JSON object: it is no STAC document.")
    return found
