"""Resident memory over training steps with the garbage collector off: it must stay flat.

    python benchmarks/memory.py

Prints kilobytes after 100 and after 2,000 steps of a small network with Adam.
"""

import gc
from pathlib import Path

import tinynet as tn


def resident_kilobytes() -> int:
    """This process's resident set, from /proc (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


def main() -> None:
    """Train, and look twice."""
    gc.disable()
    tn.manual_seed(0)
    model = tn.nn.Sequential(
        tn.nn.Linear(64, 64), tn.nn.ReLU(), tn.nn.Dropout(0.5), tn.nn.Linear(64, 10)
    )
    optimizer = tn.optim.Adam(model.parameters())
    x, y = tn.randn(32, 64), tn.randint(10, (32,))
    seen = {}
    for step in range(1, 2001):
        optimizer.zero_grad()
        tn.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        if step in (100, 2000):
            seen[step] = resident_kilobytes()
    print(f"after 100 steps {seen[100]} kB, after 2000 {seen[2000]} kB")
    print(f"difference {seen[2000] - seen[100]} kB, aim below 1024")


if __name__ == "__main__":
    main()
