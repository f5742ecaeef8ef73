"""Optimisers, schedules and augmentations by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tinynet as tn
from tinynet import nn
from tinynet.cli.choices import choose, split_names
from tinynet.data import augmentation
from tinynet.data.augmentation import Compose, Transform
from tinynet.errors import ArgumentError

# LBFGS needs a function that it can call again; Muon is for matrices alone.
OPTIMIZERS = tuple(
    name
    for name in tn.optim.__all__
    if name[0].isupper() and name not in ("LBFGS", "Muon", "Optimizer")
)
RATES = {"SGD": 0.05, "ASGD": 0.05, "Adadelta": 1.0, "Lion": 1e-4}  # others: 0.001
RATE = 1e-3
MOMENTUM = 0.9
STEPS = 3  # of the schedule "step" in a run


@dataclass(frozen=True)
class Schedule:
    """A schedule, by "epoch" or "step"; one that `is_bound` is made for a number of epochs."""

    make: Callable[[Any, float, int, int], Any]  # optimizer, rate, epochs, batches in an epoch
    every: str = "epoch"
    is_bound: bool = True


SCHEDULES = {
    "none": Schedule(lambda optimizer, rate, epochs, batches: None, is_bound=False),
    "cosine": Schedule(
        lambda optimizer, rate, epochs, batches: tn.optim.lr_scheduler.CosineAnnealingLR(
            optimizer, max(epochs * batches, 1)
        ),
        every="step",
    ),
    "onecycle": Schedule(
        lambda optimizer, rate, epochs, batches: tn.optim.lr_scheduler.OneCycleLR(
            optimizer, rate, total_steps=max(epochs * batches, 1) + 1
        ),
        every="step",
    ),
    "step": Schedule(
        lambda optimizer, rate, epochs, batches: tn.optim.lr_scheduler.StepLR(
            optimizer, max(epochs // STEPS, 1)
        )
    ),
    "exponential": Schedule(
        lambda optimizer, rate, epochs, batches: tn.optim.lr_scheduler.ExponentialLR(
            optimizer, 0.9
        ),
        is_bound=False,
    ),
    "plateau": Schedule(
        lambda optimizer, rate, epochs, batches: tn.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, patience=3
        ),
        is_bound=False,
    ),
}

# What each does with images whose ground is `cval`, of that height and width.
AUGMENTATIONS: dict[str, Callable[[float, tuple[int, ...]], Transform]] = {
    "shift": lambda cval, size: augmentation.RandomTranslation((0.1, 0.1), cval=cval),
    "rotate": lambda cval, size: augmentation.RandomRotation(10, cval=cval),
    "affine": lambda cval, size: augmentation.RandomAffine(
        10, translate=(0.1, 0.1), scale=(0.9, 1.1), cval=cval
    ),
    "elastic": lambda cval, size: augmentation.ElasticDistortion(cval=cval),
    "flip": lambda cval, size: augmentation.RandomHorizontalFlip(),
    "crop": lambda cval, size: augmentation.RandomCrop(size, padding=4, cval=cval),
    "cutout": lambda cval, size: augmentation.Cutout(max(min(size) // 4, 1)),
    "noise": lambda cval, size: augmentation.GaussianNoise(0.1, limits=None),
}


def make_optimizer(
    name: str, model: nn.Module, lr: float | None, momentum: float | None,
    weight_decay: float | None,
) -> Any:  # fmt: skip
    """An optimiser of the model's parameters; what is None is its default. SGD has momentum 0.9."""
    kind = choose("--optimizer", name, OPTIMIZERS)
    options: dict[str, float] = {"lr": RATES.get(kind, RATE) if lr is None else lr}
    if kind == "SGD" or momentum is not None:
        options["momentum"] = MOMENTUM if momentum is None else momentum
    if weight_decay is not None:
        options["weight_decay"] = weight_decay
    try:
        return getattr(tn.optim, kind)(model.parameters(), **options)
    except TypeError as error:
        if isinstance(error, tn.errors.TinynetError):
            raise
        raise ArgumentError(f"--optimizer: {kind} takes no such option ({error})") from error


def find_schedule(name: str) -> Schedule:
    """The schedule with this name."""
    return SCHEDULES[choose("--schedule", name, SCHEDULES)]


def make_augmentation(text: str, cval: float, shape: tuple[int, ...]) -> Transform | None:
    """The augmentations whose names are in `text`, with commas; None for none."""
    names = [choose("--augment", name, AUGMENTATIONS) for name in split_names(text)]
    if not names:
        return None
    if len(shape) != 3:
        raise ArgumentError(f"--augment: inputs of shape {shape}, expected images")
    return Compose([AUGMENTATIONS[name](cval, shape[1:]) for name in names])
