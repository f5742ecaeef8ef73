"""A process that trains in one system when told to: `python -m tinynet.benchmarks.worker SYSTEM`.

It reads requests from stdin and writes answers to stdout, each a line of JSON, such as
`{"do": "time_steps", "workload": "mlp", "count": 100}` and `{"seconds": 0.0421}`. What "do" names
are the functions of `REQUESTS`. Whatever goes wrong ends it, with a traceback on stderr.
"""

import functools
import importlib.metadata
import importlib.util
import json
import os
import platform
import sys
import time
from typing import Any, TextIO

import numpy as np

from tinynet.benchmarks.steps import Trainer, make_trainer
from tinynet.benchmarks.workloads import WORKLOADS

WARM_UP = 3  # steps before each block: the turn before was another process's

Answer = dict[str, Any]


def describe(system: str) -> Answer:
    """The versions of the library, of Python and of NumPy, and the library's devices.

    Of a library that is not installed, the version is None.
    """
    library = _library_of(system)
    if importlib.util.find_spec(library) is None:
        return {"version": None}
    if library == "tinynet":
        import tinynet

        version = tinynet.__version__
        found = [device for device in tinynet.devices() if device.kind != "simulator"]
        devices = {device.name: str(device) for device in found}
    else:
        version = importlib.metadata.version(library)
        devices = dict.fromkeys(_list_devices(library), "")
    return {
        "version": version,
        "devices": devices,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def check_steps(system: str, workload: str, count: int) -> Answer:
    """The losses of the first steps, at the learning rate that one would take."""
    definition = WORKLOADS[workload]
    trainer = make_trainer(system, definition, definition.checked_rate)
    images, targets = map(trainer.put, definition.make_batch())
    return {"losses": [trainer.step(images, targets).item() for _ in range(count)]}


def time_steps(system: str, workload: str, count: int) -> Answer:
    """Seconds of a block of steps on one batch, from an idle device to an idle device."""
    trainer, images, targets = _timed_trainer(system, workload)
    for _ in range(WARM_UP):
        loss = trainer.step(images, targets)
    trainer.wait(loss)
    start = time.perf_counter()
    for _ in range(count):
        loss = trainer.step(images, targets)
    trainer.wait(loss)
    return {"seconds": time.perf_counter() - start}


def save_digits(system: str, path: str) -> Answer:
    """Write MNIST's training set, as tinynet makes it, to a file that NumPy reads."""
    import tinynet as tn

    train, _ = tn.data.mnist(flatten=True, normalize=True)
    np.savez(path, images=train.images.numpy(), labels=train.labels.numpy())
    return {"count": len(train)}


def time_epoch(system: str, workload: str, path: str) -> Answer:
    """Seconds of an epoch over the digits, shuffled anew, and the mean of its losses."""
    library, trainer, loader = _epoch_trainer(system, workload, path)
    start = time.perf_counter()
    losses = [trainer.step(images, labels).detach() for images, labels in loader]
    mean = library.stack(losses).mean()
    trainer.wait(mean)
    loss = mean.item()
    return {"seconds": time.perf_counter() - start, "loss": loss}


@functools.cache
def _timed_trainer(system: str, workload: str) -> tuple[Trainer, Any, Any]:
    definition = WORKLOADS[workload]
    trainer = make_trainer(system, definition, definition.timed_rate)
    images, targets = map(trainer.put, definition.make_batch())
    return trainer, images, targets


@functools.cache
def _epoch_trainer(system: str, workload: str, path: str) -> tuple[Any, Trainer, Any]:
    """The library, a trainer, and a loader of shuffled batches: those of the library itself.

    tinynet reads the digits, others get them from the file at `path`.
    """
    definition = WORKLOADS[workload]
    trainer = make_trainer(system, definition, definition.checked_rate)
    library = importlib.import_module(_library_of(system))
    library.manual_seed(0)
    if _library_of(system) == "tinynet":
        device = system.partition(":")[2]
        dataset, _ = library.data.mnist(flatten=True, normalize=True, device=device)
        data = library.data
    else:
        data = importlib.import_module("torch.utils.data")
        with np.load(path) as digits:
            dataset = data.TensorDataset(*map(trainer.put, (digits["images"], digits["labels"])))
    return library, trainer, data.DataLoader(dataset, definition.batch, shuffle=True)


def _library_of(system: str) -> str:
    return system.partition(":")[0].partition("-")[0]


def _list_devices(library: str) -> list[str]:
    """The devices that a library but tinynet is timed on, its default one first."""
    if library == "jax":
        import jax

        return [jax.default_backend()]
    if library == "tinygrad":
        import tinygrad

        return [tinygrad.Device.DEFAULT.lower()]
    import torch

    return ["cpu", *["cuda"] * torch.cuda.is_available()]


REQUESTS = {
    function.__name__: function
    for function in (describe, check_steps, time_steps, save_digits, time_epoch)
}


def main() -> None:
    """Answer requests until there are no more."""
    system = sys.argv[1]
    answers = _take_stdout()
    for line in sys.stdin:
        request = json.loads(line)
        answer = REQUESTS[request.pop("do")](system, **request)
        print(json.dumps(answer), file=answers, flush=True)


def _take_stdout() -> TextIO:
    """Where answers go. What libraries print to stdout joins stderr from now on."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


if __name__ == "__main__":
    main()
