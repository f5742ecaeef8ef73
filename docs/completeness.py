"""A hook of mkdocs: the reference has every public name, or the build fails.

So it does where Python's types are taken for dtypes of the same names (see `reference.py`).
"""

import importlib
import inspect
from pathlib import Path

from mkdocs.exceptions import PluginError
from mkdocstrings import Inventory

from tinynet.autograd.operation import Op

MODULES = """
tinynet tinynet.autograd tinynet.autograd.functional tinynet.data tinynet.data.augmentation
tinynet.errors tinynet.inspection tinynet.io tinynet.linalg tinynet.nn tinynet.nn.functional
tinynet.nn.init tinynet.nn.utils tinynet.nn.utils.parametrizations tinynet.nn.utils.parametrize
tinynet.nn.utils.rnn tinynet.onnx tinynet.optim tinynet.optim.lr_scheduler
tinynet.optim.swa_utils tinynet.train
tinynet.train.metrics tinynet.train.search tinynet.viz
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
    for page in (Path(config.site_dir) / "api").rglob("*.html"):
        if "bool_" in page.read_text(encoding="utf-8"):
            raise PluginError(f"{page}: bool_ stands where Python's bool was meant")


def _public(path):
    """The classes and functions that a module offers, by name.

    Without `__all__` these are what it defines, but for the nodes that its functions put into a
    graph.
    """
    module = importlib.import_module(path)
    for name in getattr(module, "__all__", None) or _defined(module):
        value = getattr(module, name)
        if inspect.isroutine(value) or inspect.isclass(value):
            yield name, value


def _defined(module):
    """Names of what a module makes itself."""
    for name, value in vars(module).items():
        is_its_own = getattr(value, "__module__", None) == module.__name__
        is_node = inspect.isclass(value) and issubclass(value, Op)
        if is_its_own and not is_node and not name.startswith("_"):
            yield name
