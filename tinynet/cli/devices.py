"""`tinynet devices`: what one can compute on, and which of it is fast."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

import tinynet as tn
from tinynet.cli.console import print_table
from tinynet.inspection import DeviceInfo

EXAMPLES = """\
  tinynet devices           every device with its driver and memory
  tinynet devices --bench   how fast each is, and which to choose
  tinynet devices --json    the same for programs
"""
FACTS = ("device", "hardware", "driver", "memory", "units", "fp16", "fp64", "host memory")
MEASURED = ("GFLOP/s", "GB/s")


def command(
    bench: Annotated[
        bool, typer.Option("--bench", help="Measure products (GFLOP/s) and copies (GB/s).")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A list in JSON.")] = False,
) -> None:
    """List the devices that tensors can live on: the CPU by NumPy, then OpenCL's, GPUs first.

    "units" are cores or compute units; "host memory" says that the device shares the host's
    memory. --device and the environment variable TINYNET_DEVICE take the names in the first
    column, or any part of the hardware's name: opencl:nvidia.
    """
    found = tn.devices()
    peaks = {x.name: measure(x.name) for x in found if bench and x.kind != "simulator"}
    if as_json:
        print(json.dumps([x._asdict() | peaks.get(x.name, {}) for x in found], indent=1))
        return
    rows = [_cells(x) + _rates(peaks.get(x.name, {})) for x in found]
    width = len(FACTS) + len(MEASURED) * bench
    print_table(
        [*FACTS, *MEASURED][:width], [row[:width] for row in rows],
        right="memory|units|GFLOP/s|GB/s",
    )  # fmt: skip
    if peaks:
        print(advice(peaks))


def measure(device: str) -> dict[str, float]:
    """What a device reaches here: products of float32 matrices in GFLOP/s, copies in GB/s."""
    peaks = tn.measure_peaks(device, again=True)
    return {"GFLOP/s": peaks.flops, "GB/s": peaks.bandwidth}


def advice(peaks: dict[str, dict[str, float]]) -> str:
    """Which device to choose: training takes products and copies, so both rates count."""
    best = max(peaks, key=lambda name: peaks[name]["GFLOP/s"] * peaks[name]["GB/s"])
    if best == "cpu":
        return "Choose cpu, the default: nothing here is faster."
    return (
        f"Choose {best} for convolutions and wide layers: --device {best}, or "
        f"TINYNET_DEVICE={best}. Small networks are often as quick on cpu: `tinynet bench` says."
    )


def _rates(peaks: dict[str, float]) -> list[str]:
    return [_number(peaks[key]) if key in peaks else "-" for key in MEASURED]


def _number(x: float) -> str:
    return f"{x:,.0f}" if x >= 10 else f"{x:.1f}"


def _cells(device: DeviceInfo) -> list[str]:
    facts: list[Any] = [
        device.name, device.hardware, f"{device.platform} {device.driver}",
        f"{device.memory / 2**30:.1f} GiB", device.compute_units,
    ]  # fmt: skip
    flags = (device.has_fp16, device.has_fp64, device.shares_host_memory)
    return [*map(str, facts), *("yes" if flag else "no" for flag in flags)]
