"""How a data set's own folder layout becomes rows of a pair table."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Self

from plait.errors import InputError

type Row = dict[str, Any]
"""One instance: ``id``, ``group``, ``split``, ``time``, modality columns, and any labels."""

type Option = int | float | str
"""What a user may set of a layout, as ``--set name=value``."""

type Refuse = Callable[[str, str], None]
"""``refuse(what, cause)``: counts and names something that could not be taken in, and goes on.

The same cause is the same sentence, so that causes can be counted; a `Remark` tells of something that was taken in.
"""


class Remark(str):
    """A cause that costs no row: what was found is told, and what it was found in is kept."""

    __slots__ = ()


@dataclass(frozen=True)
class Layout:
    """A folder layout that ``plait <app> ingest`` understands.

    Attributes:
        name: what the user types.
        about: one line for help and reports.
        modalities: modality name to the columns that hold it; a row has it where none of them is null.
        source: where the data come from, as cited in reports.
        licence: the data's licence as its source states it.
        read: ``read(root, refuse)`` yields rows. Paths in rows are relative to ``root``, with forward
            slashes. A row whose data set assigns no split leaves ``split`` out and gets one by group.
            Raises `InputError` where ``root`` is not this layout at all.
        extra: modalities beyond the pair, such as an earlier film: losing one never costs its row.
        options: what ``read`` also takes, by keyword, with the values that hold unless the user says otherwise.
    """

    name: str
    about: str
    modalities: Mapping[str, tuple[str, ...]]
    source: str
    licence: str
    read: Callable[..., Iterator[Row]]
    extra: tuple[str, ...] = ()
    options: Mapping[str, Option] = field(default_factory=dict[str, Option])

    def with_options(self, given: Sequence[str]) -> Self:
        """The layout with some options set, each given as ``name=value``.

        Raises:
            InputError: for an option that the layout does not have, or a value of another type than its default.
        """
        options = dict(self.options)
        for text in given:
            name, _, value = text.partition("=")
            if name not in options:
                near = difflib.get_close_matches(name, options, n=1)
                hint = f" (is it '{near[0]}'?)" if near else ""
                known = f"choose from {', '.join(options)}" if options else "it has none"
                raise InputError(f"The layout '{self.name}' has no option '{name}'{hint}: {known}.")
            kind = type(self.options[name])
            try:
                options[name] = kind(value)
            except ValueError as error:
                raise InputError(f"'{text}': {name} is a {_KINDS[kind]}, such as {self.options[name]}.") from error
        return replace(self, options=options, read=partial(self.read, **options)) if options else self


_KINDS = {int: "whole number", float: "number", str: "text"}
