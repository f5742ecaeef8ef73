"""A hook of mkdocs: the reference has every public name, or the build fails."""

import importlib
import inspect
from pathlib import Path

from mkdocs.exceptions import PluginError
from mkdocstrings import Inventory

MODULES = """
tinynet tinynet.autograd tinynet.data tinynet.data.augmentation tinynet.io tinynet.nn
tinynet.nn.functional tinynet.nn.utils tinynet.onnx tinynet.optim tinynet.optim.lr_scheduler
tinynet.optim.swa_utils tinynet.train tinynet.train.search tinynet.viz
""".split()


def on_post_build(config):
    """Look up classes and functions in the inventory of what was written."""
    with (Path(config.site_dir) / "objects.inv").open("rb") as file:
        found = Inventory.parse_sphinx(file)
    missing = [
        f"{path}.{name}"
        for path in MODULES
        for name, value in _public(path)
        if f"{path}.{name}" not in found and f"{value.__module__}.{value.__qualname__}" not in found
    ]
    if missing:
        raise PluginError(f"the reference lacks {', '.join(missing)}")


def _public(path):
    """The classes and functions that a module offers, by name."""
    module = importlib.import_module(path)
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isroutine(value) or inspect.isclass(value):
            yield name, value
