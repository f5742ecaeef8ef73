"""Schedules of learning rates, `torch.optim.lr_scheduler` and two more.

* `scheduler`: `LRScheduler`, and `FormulaLR`, from which a new schedule is its formula
* `formulas`: StepLR, MultiStepLR, ConstantLR, LinearLR, ExponentialLR, PolynomialLR,
  CosineAnnealingLR; and not in PyTorch, InverseTimeLR and InverseSqrtLR
* `functions`: LambdaLR, MultiplicativeLR
* `annealing`: CosineAnnealingWarmRestarts, SWALR
* `cycles`: CyclicLR, OneCycleLR
* `plateau`: ReduceLROnPlateau
* `combining`: SequentialLR, ChainedScheduler

>>> import tinynet as tn
>>> optimizer = tn.optim.SGD([tn.ones(1, requires_grad=True)], lr=1.0)
>>> schedule = tn.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
>>> for epoch in range(3):
...     optimizer.step()
...     schedule.step()
>>> schedule.get_last_lr()
[0.125]
>>> print(schedule.table(3))
step       lr
   3    0.125
   4   0.0625
   5  0.03125

Not in PyTorch: `rates(steps)` and `table(steps)` look ahead, `tinynet.viz.plot_schedules` draws.
Rates live in the optimiser's groups, where replays of `tinynet.jit` read them; `step()` itself
belongs outside of a recorded function.
"""

from tinynet.optim.lr_scheduler.annealing import SWALR, CosineAnnealingWarmRestarts
from tinynet.optim.lr_scheduler.combining import ChainedScheduler, SequentialLR
from tinynet.optim.lr_scheduler.cycles import CyclicLR, OneCycleLR
from tinynet.optim.lr_scheduler.formulas import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    InverseSqrtLR,
    InverseTimeLR,
    LinearLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from tinynet.optim.lr_scheduler.functions import LambdaLR, MultiplicativeLR
from tinynet.optim.lr_scheduler.plateau import ReduceLROnPlateau
from tinynet.optim.lr_scheduler.scheduler import FormulaLR, LRScheduler

__all__ = [
    "SWALR",
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "FormulaLR",
    "InverseSqrtLR",
    "InverseTimeLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
