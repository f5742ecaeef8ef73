"""What is measured, and where: the machine, the libraries, their versions and devices."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from tinynet.benchmarks.rounds import ROOT, Worker, WorkerError

LIBRARIES = ("tinynet", "torch", "jax", "tinygrad")
QUIET = 0.3  # a load average above that is somebody else's work

Description = dict[str, Any]


def describe_machine() -> Description:
    """The processor, its cores, the load, the system, the date, and the version of the sources."""
    return {
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "cpu": _name_cpu(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "commit": _find_commit(),
    }


def describe_libraries(
    names: Iterable[str], pythons: Mapping[str, str], threads: int
) -> dict[str, Description]:
    """What a worker of each library says of it; "error" where it could not."""
    return {name: _describe(name, find_python(name, pythons), threads) for name in names}


def find_python(system: str, pythons: Mapping[str, str]) -> str:
    """The interpreter for a system: the one given for its library, else this one."""
    return pythons.get(find_library(system), sys.executable)


def find_library(system: str) -> str:
    """The library that a system is one way to use."""
    return system.partition(":")[0].partition("-")[0]


def list_systems(libraries: Mapping[str, Description]) -> dict[str, str]:
    """The systems that can be tried, on each device of a library; to each its device."""
    systems = {}
    for library, description in libraries.items():
        if description["version"] is None:
            continue
        kinds = {"tinynet": ["tinynet", "tinynet-jit"], "torch": ["torch", "torch-compile"]}
        for i, device in enumerate(description["devices"]):
            for kind in kinds.get(library, [library]):
                systems[f"{kind}:{device}" if library == "tinynet" or i else kind] = device
    return systems


def _describe(library: str, python: str, threads: int) -> Description:
    try:
        with Worker(library, python, threads) as worker:
            return worker.ask("describe")
    except WorkerError as error:
        # it is tried all the same, so that the table says what is wrong with it
        return {"version": "?", "devices": {"cpu": ""}, "error": str(error)}


def _name_cpu() -> str:
    """The processor's name: from /proc on Linux, from `platform` elsewhere."""
    path = Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _find_commit() -> str:
    """The commit that is checked out, with `-dirty` where files differ; empty without git."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
