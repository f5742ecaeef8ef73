"""Workers, one for each system, that compute in turn; what they took, whether they agree."""

import json
import os
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent  # where tinynet lies
REFERENCE = "torch"
BLOCK = 0.05  # seconds of a block of steps
PAUSE = 0.02  # seconds between turns, in which the threads of the last one fall asleep
SETTLING = 40  # steps first: what is compiled once it has come up often, then is
CHECKED = 20  # steps whose losses are compared
SMALL = 0.01  # a loss below that has lost digits: it is compared as one of this size


class WorkerError(Exception):
    """A worker ended instead of answering; `log` is the end of what it wrote to stderr."""

    def __init__(self, message: str, log: str) -> None:
        super().__init__(message)
        self.log = log


class Worker:
    """A process for a system; it computes only while `ask` waits for its answer."""

    def __init__(self, system: str, python: str, threads: int) -> None:
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 (closed in __exit__)
        self.process = subprocess.Popen(
            [python, "-m", "tinynet.benchmarks.worker", system],
            env=make_environment(threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
        )

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """The answer to a request. Raises `WorkerError`."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = b""
        if not line:
            raise self.find_error()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def find_error(self) -> WorkerError:
        """Why it ended."""
        status = self.process.wait()
        self.log.seek(0)
        log = self.log.read().decode(errors="replace").strip()
        _, traceback, text = log.rpartition("Traceback (most recent call last):\n")
        match = re.search(r"^\S.*", text, re.MULTILINE)  # after the indented lines: the exception
        reason = f"the worker ended with status {status}"
        if traceback and match:
            reason = match[0][:200]
        return WorkerError(reason, log[-4000:])

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.communicate()
        self.log.close()


def make_environment(threads: int) -> dict[str, str]:
    """The environment of a worker: as many threads for every library, and tinynet to import."""
    count = str(threads)
    # other interpreters have no tinynet: they get this one, but not what is installed beside it
    folders = [] if ROOT.name in ("site-packages", "dist-packages") else [str(ROOT)]
    folders += filter(None, [os.environ.get("PYTHONPATH")])
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(folders),
        "OMP_NUM_THREADS": count,  # PyTorch, and NumPy's OpenBLAS
        "POCL_MAX_PTHREAD_COUNT": count,  # OpenCL on the CPU: PoCL up to 3, and since
        "POCL_CPU_MAX_CU_COUNT": count,
        "NPROC": count,  # JAX
        "NUM_CPU_THREADS": count,  # tinygrad
        # OpenBLAS's threads spin for some 0.1 s after a product, on a core that the next system's
        # turn then lacks. NumPy's own speed is the same without.
        "OPENBLAS_THREAD_TIMEOUT": "4",
    }


@dataclass
class Result:
    """What is known of a system in a workload. Times are seconds of a step, or of an epoch."""

    losses: list[float] = field(default_factory=list)
    count: int = 1  # of steps, or epochs, in a block
    times: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)  # to the reference's time in the same round
    error: str = ""
    log: str = ""
    mismatch: str = ""

    @property
    def time(self) -> float:
        """The median."""
        return statistics.median(self.times)

    @property
    def ratio(self) -> float | None:
        """The median, None where the reference was not measured."""
        return statistics.median(self.ratios) if self.ratios else None


Results = dict[str, Result]
Turn = Callable[[str, Worker], None]


class Rounds:
    """The workers of one workload, with their results. Who fails is left out from then on."""

    def __init__(self, workers: Mapping[str, Worker]) -> None:
        self.results: Results = {system: Result() for system in workers}
        self.working = dict(workers)

    def go(self, turn: Turn) -> None:
        """One turn for each worker."""
        for system, worker in list(self.working.items()):
            time.sleep(PAUSE)
            try:
                turn(system, worker)
            except WorkerError as error:
                self.results[system].error, self.results[system].log = str(error), error.log
                del self.working[system]

    def finish(self, tolerance: float) -> Results:
        """The results, with ratios to the reference, and mismatches with its losses."""
        reference = self.results.get(REFERENCE)
        if reference is not None and not reference.error:
            for system in self.working:
                pairs = zip(self.results[system].times, reference.times, strict=True)
                self.results[system].ratios = [ours / theirs for ours, theirs in pairs]
        compare_losses(self.results, tolerance)
        return self.results


def measure_steps(workload: str, workers: Mapping[str, Worker], repeats: int) -> Results:
    """Check each system's first losses, then time blocks of steps, in turn."""
    rounds = Rounds(workers)
    results = rounds.results

    def check(system: str, worker: Worker) -> None:
        answer = worker.ask("check_steps", workload=workload, count=CHECKED)
        results[system].losses = answer["losses"]
        _time(worker, workload, SETTLING)
        seconds = _time(worker, workload, SETTLING // 4)
        results[system].count = max(1, round(BLOCK / seconds))

    def time_block(system: str, worker: Worker) -> None:
        results[system].times.append(_time(worker, workload, results[system].count))

    rounds.go(check)
    for _ in range(repeats):
        rounds.go(time_block)
    return rounds.finish(tolerance=1e-3)


def measure_epochs(
    workload: str, workers: Mapping[str, Worker], repeats: int, path: str
) -> Results:
    """Time epochs over the digits in turn, after a first one that warms up.

    The loss compared is that first one's, to 10 %: systems shuffle differently.
    """
    rounds = Rounds(workers)
    results = rounds.results

    def warm_up(system: str, worker: Worker) -> None:
        results[system].losses = [worker.ask("time_epoch", workload=workload, path=path)["loss"]]

    def time_epoch(system: str, worker: Worker) -> None:
        answer = worker.ask("time_epoch", workload=workload, path=path)
        results[system].times.append(answer["seconds"])

    rounds.go(warm_up)
    for _ in range(repeats):
        rounds.go(time_epoch)
    return rounds.finish(tolerance=0.1)


def compare_losses(results: Results, tolerance: float) -> None:
    """Note where losses differ from PyTorch's, or else those of tinynet on the CPU."""
    trained = [system for system, result in results.items() if result.losses]
    judges = [name for name in (REFERENCE, "tinynet:cpu", "tinynet-jit:cpu") if name in trained]
    if not judges:
        return
    expected = judges[0]
    for system in trained:
        pairs = zip(results[system].losses, results[expected].losses, strict=True)
        for step, (loss, right) in enumerate(pairs, 1):
            # so put, NaN is wrong too
            if not abs(loss - right) <= tolerance * max(abs(right), SMALL):
                results[system].mismatch = f"loss {step} is {loss:.6g}, {expected}'s is {right:.6g}"
                break


def _time(worker: Worker, workload: str, count: int) -> float:
    """Seconds of a step."""
    return float(worker.ask("time_steps", workload=workload, count=count)["seconds"]) / count
