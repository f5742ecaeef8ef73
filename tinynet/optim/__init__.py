"""Optimisers: `optimizer` has the base class with groups and state, a file each family of rules."""

from tinynet.optim.adam import Adam, AdamW
from tinynet.optim.optimizer import Optimizer
from tinynet.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer"]
