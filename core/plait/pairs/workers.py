"""Processes that may die: a decoder's crash or endless loop costs the task it met, and no other. POSIX."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any

from plait.errors import InputError

# A server that runs no threads forks the workers: forking this process could copy a lock that torch or a progress bar
# holds, and spawning would import torch anew for each worker.
_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload(["plait.pairs.examine"])


@dataclass(frozen=True)
class Died:
    """How the process that had a task ended instead of answering, as a sentence whose subject is the task."""

    cause: str


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def each[Tag, Task, Answer](
    function: Callable[[Task], Answer], tasks: Iterable[tuple[Tag, Task]], workers: int, seconds: float
) -> Generator[tuple[Tag, Answer | Died]]:
    """Answer every task, and yield in the order in which they are done.

    Args:
        function: picklable, as are its tasks and answers.
        tasks: each with a tag that comes back with its answer; drawn only as fast as there are processes for them.
        workers: how many processes answer; no more are started than there are tasks. With 0, this one does.
        seconds: a process that takes longer for a task is ended by the system, whatever it is doing.

    Raises:
        InputError: for a negative number, and where a process ends before it could take its first task.
    """
    if workers < 0:
        raise InputError(f"{workers} processes can read no row: give 1 or more, or 0 to read them in this one.")
    if workers == 0:
        yield from ((tag, function(task)) for tag, task in tasks)
        return
    tasks = iter(tasks)
    hands: list[_Hand[Tag, Task, Answer]] = []
    try:
        hands += (_Hand(function, seconds, tag, task) for tag, task in islice(tasks, workers))
        while hands:
            heard = wait([hand.fileno() for hand in hands])
            for hand in [hand for hand in hands if hand.fileno() in heard]:
                if not hand.started:
                    hand.start()
                    continue
                tag, answer = hand.tag, hand.answer()
                following = next(tasks, None)
                if following is not None and not isinstance(answer, Died):
                    hand.give(*following)
                else:
                    hands.remove(hand)
                    hand.dismiss()
                    hands += [_Hand(function, seconds, *following)] if following else []
                yield tag, answer
    finally:
        for hand in hands:
            hand.dismiss()


class _Hand[Tag, Task, Answer]:
    """A process and the task that it has, or will have once it has started."""

    def __init__(self, function: Callable[[Task], Answer], seconds: float, tag: Tag, task: Task) -> None:
        self.tag, self._task, self._seconds, self.started = tag, task, seconds, False
        self._pipe, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_serve, args=(theirs, function, seconds), daemon=True)
        self._process.start()
        theirs.close()

    def fileno(self) -> int:
        """Where the process is heard."""
        return self._pipe.fileno()

    def start(self) -> None:
        """Hear that the process has started, and give it its task."""
        if isinstance(self.answer(), Died):
            raise InputError(
                f"A process to read rows in could not start (exit code {self._process.exitcode}): start the program "
                "under 'if __name__ == \"__main__\":', or read the rows in this process, with workers 0."
            )
        self.started = True
        self.give(self.tag, self._task)

    def give(self, tag: Tag, task: Task) -> None:
        self.tag = tag
        with suppress(ConnectionError):  # a process that died meanwhile tells so when it is next listened to
            self._pipe.send(task)

    def answer(self) -> Any:
        """What the process says, or how it died."""
        try:
            return self._pipe.recv()
        except (EOFError, ConnectionError):
            self._process.join()
        code = self._process.exitcode or 0
        if code == -signal.SIGALRM:
            return Died(f"took more than {self._seconds:g} s to read: mend its files or leave it out")
        how = signal.strsignal(-code) if code < 0 else f"exit code {code}"
        return Died(f"ended the process that read it ({how}): a decoder crashed or memory ran out; leave it out")

    def dismiss(self) -> None:
        self._pipe.close()
        self._process.kill()
        self._process.join()


def _serve(pipe: Connection, function: Callable[[Any], Any], seconds: float) -> None:
    """Answer tasks until there are no more; the first message says that the process is there."""
    import torch  # the server has it already, and the process that started it need not

    torch.set_num_threads(1)  # the processes share the processors
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process even inside a decoder that never returns to Python
    with suppress(EOFError, ConnectionError):  # nobody listens any more
        pipe.send(None)
        while True:
            task = pipe.recv()
            signal.setitimer(signal.ITIMER_REAL, seconds)
            answer = function(task)
            signal.setitimer(signal.ITIMER_REAL, 0)
            pipe.send(answer)
