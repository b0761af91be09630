"""A pickle read without running anything in it.

A pickle is a program that calls what it names. Here its calls are only written down: what it would have made is a
`Made`, with the name and the arguments, and a name that is not on the caller's list ends the reading. Nothing is
imported and nothing is called, so a hostile file can at worst be refused.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from mmap import mmap
from typing import Any

STEPS = 2_000_000
"""The longest program that is followed; a sweep of a million points takes a few hundred steps."""


@dataclass(frozen=True)
class Global:
    """A function or a class that a pickle names, such as ``numpy.dtype``."""

    name: str


@dataclass(eq=False)
class Made:
    """What a pickle would have made by calling ``name`` with ``arguments``, and the ``state`` that it sets then."""

    name: str
    arguments: tuple[Any, ...]
    state: Any = None


def read_inert(data: bytes | mmap, allowed: Collection[str]) -> Any:
    """The object of a pickle: plain values, containers of them, and `Made` in the place of all others.

    Bytes in it come as views of ``data``: of a file that is mapped, nothing is read before it is used.

    Args:
        data: the pickle, of any protocol.
        allowed: names that it may hold, such as ``numpy.dtype``.

    Raises:
        ValueError: where it is damaged, names anything else, or does what no table of numbers needs.
    """
    machine = _Machine(allowed)
    try:
        for name, argument in islice(_steps(data), STEPS):
            if name == "STOP":
                return machine.stack.pop()
            machine.do(name, argument)
    except (IndexError, KeyError, TypeError) as error:
        raise ValueError(f"its pickle is damaged ({error!r})") from error
    raise ValueError(f"its pickle has more than {STEPS:,} steps")


def made(value: Any, names: Collection[str]) -> Made:
    """``value``, which is to be what one of ``names`` makes; raises `ValueError` where it is anything else."""
    if isinstance(value, Made) and value.name in names:
        return value
    found = value.name if isinstance(value, Made | Global) else type(value).__name__
    raise ValueError(f"it holds {found} where {min(names)} belongs")


def _steps(data: bytes | mmap) -> Iterator[tuple[str, Any]]:
    """The steps of a pickle by name, each with its argument."""
    whole = memoryview(data)
    tape: Any = BytesIO(data) if isinstance(data, bytes) else data
    tape.seek(0)
    while code := tape.read(1):
        step = _CODES.get(code.decode("latin-1"))
        if step is None:
            raise ValueError(f"its pickle is damaged (no step is written {code!r})")
        if step.name in _LENGTHS:
            length = int.from_bytes(tape.read(_LENGTHS[step.name]), "little")
            start = tape.tell()
            if length > len(whole) - start:
                raise ValueError(f"its pickle is cut short (expected {length:,} bytes)")
            tape.seek(start + length)
            yield step.name, whole[start : start + length]
        else:
            yield step.name, None if step.arg is None else step.arg.reader(tape)
    raise ValueError("its pickle is exhausted before its end")


class _Machine:
    """The stack of a pickle, its memo, and the stacks below a mark."""

    def __init__(self, allowed: Collection[str]) -> None:
        self.allowed = allowed
        self.stack: list[Any] = []
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def do(self, name: str, argument: Any) -> None:
        """Take one step."""
        if name in _CONSTANTS:
            self.push(_CONSTANTS[name])
        elif name in _LITERALS:
            self.push(argument)
        elif name in _EMPTY:
            self.push(_EMPTY[name]())
        elif name in _STEPS:
            _STEPS[name](self, argument)
        elif name not in _FRAMING:
            raise ValueError(f"its pickle uses {name}, which no table of numbers needs")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def mark(self, _: Any) -> None:
        self._below.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        items, self.stack = self.stack, self._below.pop()
        return items

    def tuple_(self, number: int) -> None:
        items = tuple(self.stack[-number:])
        if len(items) < number:
            raise IndexError("a tuple of more than there is")
        self.stack[-number:] = [items]

    def extend(self, items: list[Any]) -> None:
        _a(list, self.stack[-1]).extend(items)

    def set(self, items: list[Any]) -> None:
        if any(isinstance(key, tuple) for key in items[::2]):
            raise TypeError("a tuple as a key")  # the hash of tuples in tuples, a million deep, ends the process
        _a(dict, self.stack[-1]).update(zip(items[::2], items[1::2], strict=True))

    def dict_(self, items: list[Any]) -> None:
        self.push({})
        self.set(items)

    def name(self, text: str) -> None:
        if text not in self.allowed:
            raise ValueError(f"its pickle names {text[:80]}, which is not followed")
        self.push(Global(text))

    def stack_name(self, _: Any) -> None:
        name, module = _a(str, self.stack.pop()), _a(str, self.stack.pop())
        self.name(f"{module}.{name}")

    def call(self, _: Any) -> None:
        arguments, called = _a(tuple, self.stack.pop()), _a(Global, self.stack.pop())
        self.push(Made(called.name, arguments))

    def build(self, _: Any) -> None:
        state = self.stack.pop()
        _a(Made, self.stack[-1]).state = state

    def keep(self, place: int | None) -> None:
        self._memo[len(self._memo) if place is None else place] = self.stack[-1]

    def again(self, place: int) -> None:
        self.push(self._memo[place])


def _a[Kind](kind: type[Kind], value: Any) -> Kind:
    if not isinstance(value, kind):
        raise TypeError(f"{type(value).__name__} where {kind.__name__} belongs")
    return value


_CODES = {step.code: step for step in pickletools.opcodes}
_LENGTHS = {"SHORT_BINBYTES": 1, "BINBYTES": 4, "BINBYTES8": 8, "BYTEARRAY8": 8}
"""In how many bytes the length of a string of bytes is written."""
_FRAMING = {"PROTO", "FRAME"}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, Callable[[], Any]] = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple}
_LITERALS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING"),
    *_LENGTHS,
}
_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine.mark,
    "POP": lambda machine, _: machine.stack.__delitem__(-1),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.since_mark())),
    "TUPLE1": lambda machine, _: machine.tuple_(1),
    "TUPLE2": lambda machine, _: machine.tuple_(2),
    "TUPLE3": lambda machine, _: machine.tuple_(3),
    "LIST": lambda machine, _: machine.push(machine.since_mark()),
    "APPEND": lambda machine, _: machine.extend([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.extend(machine.since_mark()),
    "DICT": lambda machine, _: machine.dict_(machine.since_mark()),
    "SETITEM": lambda machine, _: machine.set([machine.stack.pop(-2), machine.stack.pop()]),
    "SETITEMS": lambda machine, _: machine.set(machine.since_mark()),
    "GLOBAL": lambda machine, text: machine.name(text.replace(" ", ".")),
    "STACK_GLOBAL": _Machine.stack_name,
    "REDUCE": _Machine.call,
    "NEWOBJ": _Machine.call,
    "BUILD": _Machine.build,
    "PUT": _Machine.keep,
    "BINPUT": _Machine.keep,
    "LONG_BINPUT": _Machine.keep,
    "MEMOIZE": _Machine.keep,
    "GET": _Machine.again,
    "BINGET": _Machine.again,
    "LONG_BINGET": _Machine.again,
}
