"""A damaged record costs its own rows and no others."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from plait.errors import InputError
from plait.pairs.layout import Refuse

DAMAGE = (AttributeError, LookupError, TypeError, ValueError, OverflowError, OSError)
"""What comes of using an entry of JSON or a table as something that it is not: null for a number, a list for names."""


@contextmanager
def refusing(what: str, refuse: Refuse) -> Generator[None]:
    """Refuse ``what`` by name where reading it in this block fails, and go on after the block."""
    try:
        yield
    except InputError as error:
        refuse(what, str(error))
    except DAMAGE as error:
        refuse(what, f"its entry is incomplete or damaged ({type(error).__name__}: {error})")
