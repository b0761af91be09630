"""Who does the jobs: this process, several of this machine, or the workers of a Dask cluster. All answer alike."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from plait.errors import InputError
from plait.pairs.workers import Died, each
from plait.progress import warn

if TYPE_CHECKING:
    from distributed import Client, Future

SECONDS = 6 * 3600.0
"""A process that takes longer for one job is ended."""
IN_FLIGHT = 1000
"""Jobs that a cluster is given at once: enough for hundreds of workers, and little to remember."""
PATIENCE = 20.0
"""Seconds in which a scheduler must answer."""

type Row = dict[str, Any]


class Runner(Protocol):
    """Does every job with a function of it, in any order, drawing jobs only as fast as they can be done."""

    def __call__[Job](
        self, function: Callable[[Job], Row], jobs: Iterable[Job]
    ) -> Generator[tuple[Job, Row | Died]]: ...


def processes(workers: int) -> Runner:
    """So many processes of this machine, each computing with one thread; 0 is this one, with as many as it has."""

    def run[Job](function: Callable[[Job], Row], jobs: Iterable[Job]) -> Generator[tuple[Job, Row | Died]]:
        yield from each(function, ((job, job) for job in jobs), workers, SECONDS)

    return run


def cluster(address: str) -> Runner:
    """The workers of the Dask scheduler at an address, such as ``tcp://node1:8786``.

    The workers must have Plait installed and see the files under the same paths. They are sent the plan and the names
    of jobs, and answer rows of the ledger: no pixel passes through the scheduler. A worker that dies has its jobs done
    by another.
    """

    def run[Job](function: Callable[[Job], Row], jobs: Iterable[Job]) -> Generator[tuple[Job, Row | Died]]:
        from distributed import as_completed

        with _client(address) as client:
            if not client.nthreads():
                warn(f"{address} has no worker yet, so the map waits: start some with 'dask worker {address}'.")
            running: dict[Future[Row], Job] = {}
            answered: Any = as_completed(loop=client.loop)

            def fill() -> None:
                # Asked anew each time, because an answer may be what the next job waited for.
                while len(running) < IN_FLIGHT and (job := next(iter(jobs), None)) is not None:
                    future = client.submit(function, job, pure=False)
                    running[future] = job
                    answered.add(future)

            fill()
            for future in answered:
                yield running.pop(future), _answer(future)
                fill()

    return run


@contextmanager
def _client(address: str) -> Generator[Client]:
    from distributed import Client

    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"No Dask scheduler answers at {address} ({error}): start one with 'dask scheduler', and workers with "
            "'dask worker ADDRESS --nthreads 1'."
        ) from error
    with client:
        yield client


def _answer(future: Future[Row]) -> Row | Died:
    if future.status == "finished":
        return future.result()
    return Died(f"was lost by the cluster ({future.exception() if future.status == 'error' else future.status})")
