"""Writing so that what is not whole never has the name of what is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from plait.errors import InputError


@contextmanager
def staged(out: Path) -> Generator[Path]:
    """Give a place to write what gets the name ``out`` when the block ends well, be it a file or a folder.

    The place is in a hidden folder beside ``out``, which is removed however the block ends; what a killed run left of
    it is removed by the next. What has the name is on the disk and not just in memory.

    Raises:
        InputError: where the disk is full, or nothing can be written there.
    """
    folder = out.with_name(f".{out.name}.partial")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        yield folder / out.name
        _keep(folder / out.name)
        if out.is_dir():
            out.replace(folder / "replaced")
        (folder / out.name).replace(out)
        _keep(out.parent)
    except (OSError, RasterioError, CPLE_BaseError) as error:
        raise InputError(
            f"{out} could not be written ({_reason(error)}; {_free(out)}): make room or choose another place, and run "
            "the same again."
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _keep(path: Path) -> None:
    """Have the system write a file, or a folder and all in it, to the disk."""
    for each in [*path.rglob("*"), path]:
        handle = os.open(each, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _reason(error: Exception) -> str:
    return " ".join(str(error.__cause__ or error).split())


def _free(out: Path) -> str:
    try:
        return f"{shutil.disk_usage(out.parent).free / 2**20:,.0f} MiB are free there"
    except OSError:
        return "its folder cannot be looked at"
