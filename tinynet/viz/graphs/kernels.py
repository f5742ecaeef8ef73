"""What ran on a device, as a `Graph` to look at: kernels, and which reads what another wrote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from tinynet.backends.runs import KernelRun, rates, say_size
from tinynet.errors import ArgumentError, ArgumentTypeError
from tinynet.profiling import Profile
from tinynet.viz.graphs.model import Graph, Vertex


def kernels(source: Profile | Any) -> Graph:
    """The kernels of a profile, or of the tape of a function that `tinynet.jit` recorded.

    A kernel's label is the primitives that were fused in it, its note what it took: the time is
    known in profiles, and in tapes once they have been replayed inside of one. An edge says that a
    kernel reads memory that the other one was the last to write. On the device cpu, NumPy's calls
    stand for kernels. A profile of one step makes the best picture. Raises `ArgumentError` where
    nothing ran.

    >>> import tinynet as tn
    >>> @tn.jit
    ... def scaled(x):
    ...     return (x * 2).sum()
    >>> _ = [scaled(tn.ones(3)) for _ in range(2)]
    >>> print(kernels(scaled.tape))
    kernels: 2 kernels, 1 edge
      mul  mul  24 bytes
      sum  sum  16 bytes  mul
    """
    if isinstance(source, Profile):
        runs = list(source.kernels)
    elif hasattr(source, "runs"):
        runs = source.runs()
    else:
        raise ArgumentTypeError(
            f"kernels: expected a profile, or the tape of a jitted function, got "
            f"{'None, its tape before it is recorded' if source is None else type(source).__name__}"
        )
    if not runs:
        raise ArgumentError("kernels: nothing ran, expected at least one kernel")
    return Graph("kernels", _vertices(runs), _edges(runs))


def _vertices(runs: Sequence[KernelRun]) -> list[Vertex]:
    counts: Counter[str] = Counter()
    vertices = []
    for run in runs:
        name = run.name
        counts[run.name] += 1
        if counts[run.name] > 1:
            name = f"{run.name} {counts[run.name]}"
        ops = " ".join(run.ops) or run.name
        notes = [f"{run.duration / 1e3:,.1f} us"] * bool(run.duration) + [f"{run.nbytes:,} bytes"]
        vertices.append(Vertex(name, "kernel", ops, ", ".join(notes), tuple(_details(run).items())))
    return vertices


def _details(run: KernelRun) -> dict[str, str]:
    facts = {"kernel": run.name, "device": run.device, "operations": " ".join(run.ops)}
    facts |= {"size": say_size(run), "bytes": f"{run.nbytes:,}", "flops": f"{run.flops:,}"}
    if run.duration:
        bandwidth, speed = rates([run])
        facts |= {"time": f"{run.duration / 1e3:,.1f} us", "GB/s": bandwidth, "GFLOP/s": speed}
    return {key: value for key, value in facts.items() if value}


def _edges(runs: Sequence[KernelRun]) -> list[tuple[int, int]]:
    """From who wrote memory last to who reads it."""
    edges, writer = [], dict[int, int]()
    for i, run in enumerate(runs):
        sources = sorted({writer[buffer] for buffer in run.reads if buffer in writer})
        edges += [(a, i) for a in sources]
        writer.update(dict.fromkeys(run.writes, i))
    return edges
