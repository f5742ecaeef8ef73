"""The command `tinynet`, also `python -m tinynet`: a file for each of its commands.

* `app`: the commands put together, and what becomes of errors
* `devices`, `train`, `predict`, `summary`, `graph`, `profile`, `bench`: the commands
* `console`: tables, for terminals and for pipes; `choices`: names, and what may have been meant
* `tasks`: what there is to learn: a data set, a folder of images, a table; `folders`, `tables`
* `recipes`: how a file becomes an input of a model, which is kept in the model's file
* `images`: picture files as a model wants them
* `settings`: optimisers, schedules and augmentations by name; `runs`: a run's folder
* `modelfiles`: models, from files, by name, from a user's own code
* `pictures`: grids of images with labels
"""

from __future__ import annotations

import sys


def main(arguments: list[str] | None = None) -> int:
    """Run the command; its exit status: 0, 1 for what went wrong, 2 for a wrong use, 130 Ctrl-C."""
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ImportError:
        print(
            "tinynet: the command needs typer and rich: pip install 'tinynet[cli]'", file=sys.stderr
        )
        return 1
    from tinynet.cli.app import run

    return run(arguments)
