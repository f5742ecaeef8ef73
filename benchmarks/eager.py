"""Eager overhead beside PyTorch's: both in turn, in one process, medians of repeated runs.

    python benchmarks/eager.py [--repeats 101] [--threads 2]

Needs the `parity` extra. Prints a line per case: median times of both, the median of the ratios of
runs that followed one another (clocks drift, neighbours share them), and the ratio aimed at. Run it
on a quiet machine: a busy core slows PyTorch most.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import tinynet as tn

Step = Callable[[], object]


def multiply(library: Any) -> Step:
    """A recorded multiplication of two 4x4 matrices."""
    a, b = (library.ones(4, 4, requires_grad=True) for _ in range(2))
    return lambda: a * b


def chain(library: Any) -> Step:
    """Four small operations, forward and backward."""
    a, b = (library.ones(4, 4, requires_grad=True) for _ in range(2))

    def step() -> None:
        a.grad = b.grad = None
        (a * b + b).relu().sum().backward()

    return step


def nielsen(library: Any) -> Step:
    """Nielsen's [784, 30, 10]: sigmoid, quadratic cost, batch 10, plain gradient descent."""
    rng = np.random.default_rng(0)
    x = library.from_numpy(rng.random((10, 784), dtype=np.float32))
    y = library.from_numpy(np.eye(10, dtype=np.float32))
    linear, sigmoid = library.nn.Linear, library.nn.Sigmoid
    model = library.nn.Sequential(linear(784, 30), sigmoid(), linear(30, 10), sigmoid())
    optimizer = library.optim.SGD(model.parameters(), lr=3.0)

    def step() -> None:
        optimizer.zero_grad()
        cost = ((model(x) - y) ** 2).sum() / 20
        cost.backward()
        optimizer.step()

    return step


def perceptron(library: Any) -> Step:
    """784-128-10 with ReLU and cross-entropy, batch 128, Adam."""
    rng = np.random.default_rng(0)
    x = library.from_numpy(rng.random((128, 784), dtype=np.float32))
    y = library.from_numpy(rng.integers(0, 10, 128))
    linear, relu = library.nn.Linear, library.nn.ReLU
    model = library.nn.Sequential(linear(784, 128), relu(), linear(128, 10))
    optimizer = library.optim.Adam(model.parameters(), lr=1e-3)
    loss_function = library.nn.CrossEntropyLoss()

    def step() -> None:
        optimizer.zero_grad()
        loss_function(model(x), y).backward()
        optimizer.step()

    return step


CASES = [  # case, steps in a run (some 5 ms), ratio aimed at
    (multiply, 2000, 0.9),
    (chain, 100, 0.6),
    (nielsen, 20, 0.5),
    (perceptron, 4, 1.6),
]


def compare(case: Callable[[Any], Step], count: int, repeats: int) -> tuple[float, float, float]:
    """Median microseconds of a step of ours and of PyTorch's, run in turn, and the median ratio."""
    steps = [case(library) for library in (tn, torch)]
    times: list[list[float]] = [[], []]
    for repeat in range(repeats + 3):
        for step, record in zip(steps, times, strict=True):
            start = time.perf_counter()
            for _ in range(count):
                step()
            if repeat >= 3:  # the first ones warm up
                record.append((time.perf_counter() - start) / count * 1e6)
    ratios = [ours / theirs for ours, theirs in zip(*times, strict=True)]
    return statistics.median(times[0]), statistics.median(times[1]), statistics.median(ratios)


def import_time(repeats: int) -> float:
    """Median milliseconds that `import tinynet` adds to `import numpy`, in fresh processes."""
    code = "import time, numpy; s = time.perf_counter(); import tinynet; {}"
    code = code.format("print(time.perf_counter() - s)")
    runs = [subprocess.check_output([sys.executable, "-c", code]) for _ in range(repeats)]
    return statistics.median(map(float, runs)) * 1e3


def main() -> None:
    """Run every case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=101)
    parser.add_argument("--threads", type=int, default=None, help="PyTorch's threads")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    print(f"{'case':12} {'tinynet us':>10} {'PyTorch us':>10} {'ratio':>6} {'aim':>5}")
    for case, count, aim in CASES:
        ours, theirs, ratio = compare(case, count, args.repeats)
        name = case.__name__
        print(f"{name:12} {ours:10.2f} {theirs:10.2f} {ratio:6.2f} {aim:5.2f}", flush=True)
    print(f"import       {import_time(min(args.repeats, 11)):10.1f} ms beside NumPy, aim 60")


if __name__ == "__main__":
    main()
