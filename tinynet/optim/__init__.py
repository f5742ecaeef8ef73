"""Optimisers: `optimizer` has the base class with groups and state, a file each family of rules.

`sgd`: SGD, ASGD. `adam`: Adam, AdamW, Adamax, NAdam, RAdam. `adaptive`: Adagrad, Adadelta, RMSprop.
`adafactor`, `lamb`, `lbfgs`, `lion`, `muon`, `rprop`: one each. `swa_utils`: averaged models.
`lr_scheduler`: schedules of rates.
"""

from tinynet.optim import lr_scheduler, swa_utils
from tinynet.optim.adafactor import Adafactor
from tinynet.optim.adam import Adam, Adamax, AdamW, NAdam, RAdam
from tinynet.optim.adaptive import Adadelta, Adagrad, RMSprop
from tinynet.optim.lamb import LAMB
from tinynet.optim.lbfgs import LBFGS
from tinynet.optim.lion import Lion
from tinynet.optim.muon import Muon
from tinynet.optim.optimizer import Optimizer
from tinynet.optim.rprop import Rprop
from tinynet.optim.sgd import ASGD, SGD

__all__ = [
    "ASGD",
    "LAMB",
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "lr_scheduler",
    "swa_utils",
]
