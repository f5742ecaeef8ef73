"""`python -m benchmarks` runs, and tells what goes wrong."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tinynet.benchmarks.__main__ import parse_arguments
from tinynet.benchmarks.rounds import Result, Worker, WorkerError, compare_losses

ROOT = Path(__file__).parent.parent


def test_steps(tmp_path):
    path = tmp_path / "steps.json"
    options = ["--systems", "tinynet:cpu", "--workloads", "nielsen", "--repeats", "1"]
    command = [sys.executable, "-m", "benchmarks", *options, "--json", str(path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "nielsen" in run.stdout
    result = json.loads(path.read_text())["results"]["nielsen"]["tinynet:cpu"]
    assert len(result["losses"]) == 20
    assert result["losses"][-1] < result["losses"][0] / 2
    assert len(result["times"]) == 1
    assert 0 < result["times"][0] < 1


@pytest.mark.parametrize(
    ("option", "file", "message"),
    [
        ("--json", "none/x.json", "none' is no folder, expected one to write into"),
        ("--json", ".", "is a folder, expected a file"),
        ("--plot", "none/x.png", "none' is no folder, expected one to write into"),
        ("--plot", "x.xyz", "x.xyz', expected an ending such as .png or .svg"),
    ],
)
def test_files_are_looked_at_before_the_measuring(option, file, message, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        parse_arguments([option, str(tmp_path / file)])
    assert f"error: {option}: '{tmp_path}" in (err := capsys.readouterr().err)
    assert err.endswith(f"{message}\n")


def test_a_worker_that_fails_says_why():
    with (
        Worker("tinynet:nowhere", sys.executable, threads=1) as worker,
        pytest.raises(WorkerError, match=r"DeviceError: device: no device 'nowhere'"),
    ):
        worker.ask("check_steps", workload="nielsen", count=1)


@pytest.mark.parametrize("loss", [0.502, float("nan")])
def test_wrong_losses_are_noted(loss):
    results = {"torch": Result(losses=[1.0, 0.5]), "jax": Result(losses=[1.0, loss])}
    compare_losses(results, tolerance=1e-3)
    assert results["torch"].mismatch == ""
    assert results["jax"].mismatch == f"loss 2 is {loss:.6g}, torch's is 0.5"
