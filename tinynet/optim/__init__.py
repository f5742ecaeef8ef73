"""Optimisers: `optimizer` has the base class with groups and state, a file each family of rules.

`lr_scheduler` has schedules of their learning rates.
"""

from tinynet.optim import lr_scheduler
from tinynet.optim.adam import Adam, AdamW
from tinynet.optim.optimizer import Optimizer
from tinynet.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "lr_scheduler"]
