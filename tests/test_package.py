"""What a built package has: metadata, the sample, the mark that the package is typed."""

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tinynet as tn
from tinynet.cli import main

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with the package and its metadata as `setup.py` builds them."""
    folder = tmp_path_factory.mktemp("built")
    egg_info = ["egg_info", "--egg-base", str(folder)]
    build = ["build_py", "--build-lib", str(folder)]
    subprocess.run([sys.executable, "setup.py", "-q", *egg_info, *build], cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="module")
def metadata(built):
    [distribution] = importlib.metadata.distributions(name="tinynet", path=[str(built)])
    return distribution


def test_version_is_the_package_s(metadata):
    assert metadata.version == tn.__version__


def test_core_requires_numpy_and_pyopencl_alone(metadata):
    core = [line for line in metadata.requires if "extra ==" not in line]
    assert {re.match(r"[\w-]+", line)[0] for line in core} == {"numpy", "pyopencl"}


def test_only_parity_requires_pytorch(metadata):
    torch = [line for line in metadata.requires if line.startswith("torch")]
    assert torch == ['torch==2.13.0; extra == "parity"']


def test_the_command_is_installed(metadata):
    [command] = metadata.entry_points.select(group="console_scripts")
    assert (command.name, command.value) == ("tinynet", "tinynet.cli:main")
    assert command.load() is main


def test_all_brings_what_the_command_needs(metadata):
    needed = {"typer", "rich", "pillow", "matplotlib", "pooch", "tqdm"}
    for extra in ("cli", "all"):
        lines = [line for line in metadata.requires if line.endswith(f'extra == "{extra}"')]
        assert needed <= {re.match(r"[\w-]+", line)[0] for line in lines}, extra


def test_package_holds_every_file_of_the_source(built):
    def list_files(folder):
        return {
            path.relative_to(folder)
            for path in (folder / "tinynet").rglob("*")
            if path.is_file() and path.suffix != ".pyc"
        }

    assert list_files(built) == list_files(ROOT)
    assert Path("tinynet/py.typed") in list_files(built)
    assert Path("tinynet/data/sample/README.md") in list_files(built)
    assert {Path("tinynet/cli/app.py"), Path("tinynet/benchmarks/worker.py")} <= list_files(built)


def test_the_changelog_has_the_version():
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\n## [{tn.__version__}]" in changes
    assert "\n## [Unreleased]" in changes
