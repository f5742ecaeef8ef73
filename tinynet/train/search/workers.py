"""Trials in processes of their own, which do not share memory, interpreter or OpenCL context.

Processes are spawned: a fork would copy a context whose driver's threads are not there any more.
`concurrent.futures` would lose all trials when one process is killed, and not say whose it was.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Any

from tinynet.errors import ArgumentError, ArgumentTypeError, SearchError
from tinynet.train.search.trial import FAILED, KILLED, Outcome, Trial

END_SECONDS = 5  # what a worker has to end by itself, when it is told to

Evaluate = Callable[[Trial], Outcome]
Receive = Callable[[Outcome], None]


def run_trials(
    op: str, evaluate: Evaluate, trials: Iterable[Trial], processes: int, receive: Receive
) -> None:
    """Call `receive` with the outcome of each trial, as they end.

    With one process it is this one, and trials run in order. A worker that is killed costs its
    trial and is replaced. `KeyboardInterrupt`, and what `receive` raises, ends all workers at once.
    """
    if not isinstance(processes, int) or isinstance(processes, bool) or processes < 1:
        raise ArgumentError(f"{op}: processes is {processes!r}, expected a positive int")
    waiting = deque(trials)
    if processes == 1 or not waiting:
        with _interruptible():
            for trial in waiting:
                receive(evaluate(trial))
        return
    payload = _pickled(op, evaluate, waiting)
    workers: list[_Worker] = []
    try:
        workers.extend(_Worker() for _ in range(min(processes, len(waiting))))
        for worker in workers:
            worker.send(payload)
        _serve(op, payload, workers, waiting, receive)
        for worker in workers:
            worker.dismiss()
    finally:
        for worker in workers:
            worker.end()


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C raises `KeyboardInterrupt` in a trial even while it is in `fit`.

    That would end its epoch and return, as if all were done, and the search would go on. It leaves
    SIGINT alone where a program has a handler of its own.
    """
    is_ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if is_ours:
        signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        if is_ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _serve(
    op: str, payload: bytes, workers: list[_Worker], waiting: deque[Trial], receive: Receive
) -> None:
    """Give trials to workers until there are none, and none is running."""
    while waiting or any(worker.trial for worker in workers):
        ready = {*wait([source for worker in workers for source in worker.sources])}
        for worker in [each for each in workers if not ready.isdisjoint(each.sources)]:
            outcome = worker.receive(op)
            if outcome is not None:
                receive(outcome)
            if worker.is_dead:
                workers.remove(worker)
                worker.end()
                if waiting:
                    workers.append(_Worker())
                    workers[-1].send(payload)
            elif worker.is_ready and worker.trial is None and waiting:
                worker.start(waiting.popleft())


class _Worker:
    """This process's end of a worker: what it is doing, and the way to talk to it."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_work, args=(other,), daemon=True)
        self.process.start()
        other.close()  # so that the end of the process ends the connection
        self.is_ready = False
        self.is_dead = False
        self.trial: Trial | None = None
        self.started = 0.0

    @property
    def sources(self) -> list[Any]:
        """What to wait for: news from the process, and its end."""
        return [self.connection, self.process.sentinel]

    def send(self, payload: bytes) -> None:
        """Send bytes; that nobody is there any more shows when the answer is awaited."""
        try:
            self.connection.send_bytes(payload)
        except OSError:
            self.is_dead = True

    def start(self, trial: Trial) -> None:
        """Have a trial run."""
        self.trial, self.started = trial, time.perf_counter()
        self.send(pickle.dumps(trial))

    def receive(self, op: str) -> Outcome | None:
        """The outcome that has come, a failed one if the process has ended, or None."""
        try:
            message = self.connection.recv()
        except (EOFError, OSError):
            return self._bury(op)
        if isinstance(message, str):  # it could not read the objective
            raise ArgumentTypeError(f"{op}: a worker process cannot load the objective: {message}")
        if message is True:
            self.is_ready = True
            return None
        self.trial = None
        outcome: Outcome = message
        return outcome

    def _bury(self, op: str) -> Outcome | None:
        self.process.join(END_SECONDS)
        code = self.process.exitcode
        if not self.is_ready:
            raise SearchError(
                f"{op}: a worker process ended (exit code {code}) before it could start, expected"
                " a script whose own work stands below `if __name__ == '__main__':`, since each"
                " process imports it anew; or pass processes=1"
            )
        self.is_dead = True
        if self.trial is None:
            return None
        reason = f"its process ended with exit code {code}{_signal_name(code)}"
        return Outcome(self.trial, None, time.perf_counter() - self.started, KILLED, reason)

    def dismiss(self) -> None:
        """Tell an idle worker to end."""
        self.send(b"")

    def end(self) -> None:
        """End the process, by force if it does not by itself."""
        if self.trial is not None or not self.is_ready:
            self.process.terminate()
        self.process.join(END_SECONDS)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        self.connection.close()
        self.process.close()


def _work(connection: Connection) -> None:
    """What a worker process does: load the objective, then one trial after the other."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        payload = connection.recv_bytes()
        try:
            evaluate: Evaluate = pickle.loads(payload)
        except Exception as error:  # noqa: BLE001 (unpickling runs any code; the parent raises)
            connection.send(
                f"{type(error).__name__}: {error}, expected a function at the top level of a"
                " module that can be imported, not of a notebook or a prompt; or processes=1"
            )
            return
        connection.send(True)
        while trial := connection.recv_bytes():
            connection.send_bytes(_answer(evaluate, pickle.loads(trial)))
    except (EOFError, OSError):  # the parent is gone
        return


def _end_with_parent() -> None:
    """End this process when its parent has ended, however: nobody waits for the trial any more.

    Else a trial that runs for hours would write to its folder while the search, called again,
    runs the same one anew.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _answer(evaluate: Evaluate, trial: Trial) -> bytes:
    outcome = evaluate(trial)
    try:
        return pickle.dumps(outcome)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        reason = f"the result cannot be sent to the parent process: {error}"
        return pickle.dumps(Outcome(trial, None, outcome.seconds, FAILED, reason))


def _pickled(op: str, evaluate: Evaluate, trials: Iterable[Trial]) -> bytes:
    """The objective as bytes, if it and the trials can be sent to another process."""
    try:
        payload = pickle.dumps(evaluate)
        for trial in trials:
            pickle.dumps(trial)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ArgumentTypeError(
            f"{op}: cannot send the objective or its parameters to other processes: {error};"
            " expected a function at the top level of a module (no lambda, no function within a"
            " function), or functools.partial of one, and choices that pickle can write; or"
            " processes=1, which runs it in this process"
        ) from error
    return payload


def _signal_name(code: int | None) -> str:
    """The signal that an exit code of less than 0 tells of."""
    if code is None or code >= 0:
        return ""
    name = signal.Signals(-code).name
    return f" ({name}{', out of memory?' if name == 'SIGKILL' else ''})"
