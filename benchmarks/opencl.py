"""How quick the OpenCL backend is, beside NumPy and, where it is installed, PyTorch.

    python benchmarks/opencl.py [--device opencl] [products streams steps start memory]

Both systems run in turn and the median of the ratios is printed (clocks drift). Run it on a quiet
machine. Times are of whole calls, from the host's side, on arrays that are on the device.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

# OpenBLAS's threads go on spinning for a tenth of a second after a product, on the cores that the
# other system's turn then lacks. NumPy's own speed is the same without.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")

import numpy as np

import tinynet as tn
from tinynet import nn

Run = Callable[[], object]


def time_in_turn(runs: list[Run], repeats: int) -> list[list[float]]:
    """Seconds of each run, taken in turn; the first two rounds warm up.

    A turn wakes the cores first, and takes some 30 ms.
    """
    times: list[list[float]] = [[] for _ in runs]
    counts = [1 for _ in runs]
    for repeat in range(repeats + 2):
        for i, run in enumerate(runs):
            time.sleep(0.01)
            for _ in range(max(2, counts[i] // 2)):
                run()
            start = time.perf_counter()
            for _ in range(counts[i]):
                run()
            seconds = (time.perf_counter() - start) / counts[i]
            if repeat >= 2:
                times[i].append(seconds)
            else:
                counts[i] = max(1, int(0.03 / seconds))
    return times


def compare(ours: Run, theirs: Run, repeats: int = 21) -> tuple[float, float, float]:
    """Median seconds of both, and the median of the ratios theirs / ours."""
    mine, other = time_in_turn([ours, theirs], repeats)
    ratios = [b / a for a, b in zip(mine, other, strict=True)]
    return statistics.median(mine), statistics.median(other), statistics.median(ratios)


def finished(tensor: tn.Tensor) -> None:
    """Compute a tensor and wait until the device is done."""
    tensor.realize()
    tn.synchronize(tensor.device)


def products(device: str) -> None:
    """Products of matrices, in all orientations."""
    print("float32 products: GFLOP/s, NumPy's, and ours / NumPy's")
    sizes = [(n, n, n) for n in (256, 512, 1024, 2048)]
    cases = [(*size, kind) for size in sizes for kind in ("NN", "NT", "TN")]
    cases += [(128, 128, 784, "NT"), (128, 784, 128, "NN"), (128, 784, 128, "TN")]
    for m, n, k, kind in cases:
        a = np.random.default_rng(0).random((k, m) if kind[0] == "T" else (m, k), np.float32)
        b = np.random.default_rng(1).random((n, k) if kind[1] == "T" else (k, n), np.float32)
        x, y = (tn.tensor(z, device=device) for z in (a, b))
        a, x = (a.T, x.T) if kind[0] == "T" else (a, x)
        b, y = (b.T, y.T) if kind[1] == "T" else (b, y)
        mine, other, ratio = compare(lambda: finished(x @ y), lambda: a @ b)  # noqa: B023
        flops = 2e-9 * m * n * k
        print(f"{m:5} {n:5} {k:5} {kind} {flops / mine:7.1f} {flops / other:7.1f} {ratio:6.2f}")


def streams(device: str) -> None:
    """What memory bounds: copies, chains, sums."""
    n = 10_000_000
    a, b = (np.random.default_rng(i).random(n, np.float32) for i in (0, 1))
    x, y = tn.tensor(a, device=device), tn.tensor(b, device=device)
    mine, _, ratio = compare(lambda: finished(x.clone()), lambda: a.copy())
    copied = 8e-9 * n / mine
    print(f"copy of 10 M floats {copied:6.1f} GB/s, {ratio:5.2f} times NumPy's")

    def chain(u, v, relu):
        return relu((u * v + u - v) * 0.5)

    before = tn.counters().launches
    finished(chain(x, y, tn.relu))
    launches = tn.counters().launches - before
    mine, _, ratio = compare(
        lambda: finished(chain(x, y, tn.relu)), lambda: chain(a, b, lambda z: np.maximum(z, 0))
    )
    rate = 12e-9 * n / mine
    print(
        f"chain of 5 operations {rate:6.1f} GB/s ({rate / copied:.0%} of copy),"
        f" {launches} kernel, {ratio:5.2f} times NumPy"
    )
    square = np.random.default_rng(0).random((4096, 4096), np.float32)
    z = tn.tensor(square, device=device)
    for name, dim in (("rows", 1), ("columns", 0), ("all", None)):
        mine, _, ratio = compare(
            lambda dim=dim: finished(z.sum(dim)), lambda dim=dim: square.sum(dim)
        )
        rate = 4e-9 * square.size / mine
        print(f"sum over {name:8} {rate:6.1f} GB/s ({rate / copied:.0%} of copy),"
              f" {ratio:5.2f} times NumPy")  # fmt: skip


def make_step(library, device: str | None = None):
    """One training step of 784-128-10, batch 128, Adam, for tinynet or PyTorch."""
    random = np.random.default_rng(0)
    images = library.tensor(random.random((128, 784), np.float32))
    labels = library.tensor(random.integers(0, 10, 128))
    linear, relu = library.nn.Linear, library.nn.ReLU
    model = library.nn.Sequential(linear(784, 128), relu(), linear(128, 10))
    if device is not None:
        images, labels, model = images.to(device), labels.to(device), model.to(device)
    optimizer = library.optim.Adam(model.parameters(), lr=1e-3)
    loss_function = library.nn.CrossEntropyLoss()

    def step():
        optimizer.zero_grad()
        loss = loss_function(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    return step


def steps(device: str) -> None:
    """Training steps, and how many kernels they are."""
    step = make_step(tn, device)

    def ours():
        for _ in range(20):
            loss = step()
        loss.item()

    for _ in range(3):
        ours()
    before = tn.counters()
    ours()
    after = tn.counters()
    print(f"784-128-10, Adam: {(after.launches - before.launches) / 20:.1f} kernels a step")
    try:
        import torch
    except ImportError:
        print("PyTorch is not installed: make parity brings it")
        return
    for threads in (1, torch.get_num_threads()):
        torch.set_num_threads(threads)
        other_step = make_step(torch)

        def theirs():
            for _ in range(20):
                loss = other_step()  # noqa: B023
            loss.item()

        mine, other, ratio = compare(ours, theirs, 15)
        print(f"  {mine / 20 * 1e6:7.0f} us a step, PyTorch on {threads} threads"
              f" {other / 20 * 1e6:7.0f} us, ours / theirs {1 / ratio:.2f}")  # fmt: skip


START = """
import sys; sys.path[:0] = [{folder!r}]
from opencl import make_step
import time, tinynet as tn
make_step(tn, {device!r})().item()
print(time.time())
"""


def start(device: str) -> None:
    """From the interpreter's start to the first step's end, with cold and with warm caches."""
    code = START.format(folder=os.path.dirname(os.path.abspath(__file__)), device=device)
    with tempfile.TemporaryDirectory() as folder:
        places = {"TINYNET_CACHE": folder, "POCL_CACHE_DIR": folder, "XDG_CACHE_HOME": folder}
        environment = {**os.environ, **places, "PYTHONPYCACHEPREFIX": f"{folder}/pyc"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        subprocess.run([sys.executable, "-c", "import tinynet, opencl"], env={
            **environment, "PYTHONPATH": os.path.dirname(os.path.abspath(__file__))
        }, check=True)  # fmt: skip
        times = []
        for _ in range(12):
            begin = time.time()
            end = subprocess.check_output([sys.executable, "-c", code], env=environment)
            times.append(float(end) - begin)
    warm = statistics.median(times[5:])
    print(
        f"from the interpreter's start to the first step's end: cold {times[0]:.2f} s,"
        f" warm {warm:.2f} s"
    )


def memory(device: str) -> None:
    """Memory of 784-512-512-10, batch 128, Adam."""
    random = np.random.default_rng(0)
    model = nn.Sequential(
        nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
    ).to(device)
    optimizer = tn.optim.Adam(model.parameters())
    images = tn.tensor(random.random((128, 784), np.float32), device=device)
    labels = tn.tensor(random.integers(0, 10, 128), device=device)
    used = []
    for i in range(1000):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        if i == 20:
            loss.item()
            tn.memory(device, empty_cache=True, reset_peak=True)
        if i % 100 == 99:
            loss.item()
            report = tn.memory(device)
            used.append(report.used + report.held)
    weights = sum(4 * p.numel() for p in model.parameters())
    activations = 4 * 128 * (784 + 512 + 512 + 10)
    needed = 4 * weights + activations
    peak = tn.memory(device).peak
    print(f"peak {peak:,} bytes, {peak / needed:.2f} of weights, moments, gradients, activations;"
          f" pool after 100, 1000 steps: {used[0]:,} {used[-1]:,}")  # fmt: skip


PARTS = {"products": products, "streams": streams, "steps": steps, "start": start, "memory": memory}


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", help=f"{' '.join(PARTS)}; default: all")
    parser.add_argument("--device", default="opencl")
    options = parser.parse_args()
    for name in options.parts or PARTS:
        PARTS[name](options.device)


if __name__ == "__main__":
    main()
