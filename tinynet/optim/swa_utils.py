"""Averages of a model's parameters over training: SWA (Izmailov et al. 2018) and EMA."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tinynet.autograd.mode import no_grad
from tinynet.dtype import int64
from tinynet.errors import ArgumentError
from tinynet.nn.module import Module
from tinynet.nn.normalization import _BatchNorm
from tinynet.ops.arithmetic import where
from tinynet.ops.creation import zeros
from tinynet.optim.lr_scheduler import SWALR
from tinynet.tensor import Tensor

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]

Average = Callable[[Tensor, Tensor, Any], Tensor]
MultiAverage = Callable[[Sequence[Tensor], Sequence[Tensor], Any], None]


class AveragedModel(Module):
    """A copy of a model whose parameters are averages; `update_parameters(model)` takes part in.

    `avg_fn(averaged, current, n_averaged)` returns the new average of one tensor;
    `multi_avg_fn(averaged, current, n_averaged)` writes those of lists of tensors into the first.
    Without either it is the mean of all. Buffers are copied; with `use_buffers` they are averaged
    too. `module` is the copy, the buffer `n_averaged` counts updates; the first one copies.

    >>> import tinynet as tn
    >>> from tinynet.optim import swa_utils
    >>> model = tn.nn.Linear(1, 1)
    >>> averaged = swa_utils.AveragedModel(model, avg_fn=swa_utils.get_ema_avg_fn(0.5))
    >>> for value in (1.0, 2.0):
    ...     _ = tn.nn.init.constant_(model.weight, value)
    ...     averaged.update_parameters(model)
    >>> averaged.module.weight.item()
    1.5
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Average | None = None,
        multi_avg_fn: MultiAverage | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise ArgumentError("AveragedModel: expected avg_fn or multi_avg_fn, got both")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        device = next((x.device for x in self.module.parameters()), device)
        self.register_buffer("n_averaged", zeros((), dtype=int64, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the averaged model computes."""
        return self.module(*args, **kwargs)

    @no_grad()
    def update_parameters(self, model: Module) -> None:
        """Let the parameters of `model`, as they are now, take part in the averages."""
        pairs: list[tuple[Tensor, Tensor]] = [*zip(self.module.parameters(), model.parameters())]
        buffers = [*zip(self.module.buffers(), model.buffers())]
        if self.use_buffers:
            pairs += buffers
        else:
            for kept, now in buffers:
                kept.copy_(now)
        averaged = [kept.detach() for kept, _ in pairs]
        current = [now.detach().to(kept.device) for kept, now in pairs]
        average: Average = self.avg_fn or get_swa_avg_fn()
        if self.multi_avg_fn is not None:
            self.multi_avg_fn(averaged, current, self.n_averaged)
            average = _first
        for kept, now in zip(averaged, current):
            count = self.n_averaged.to(kept.device)
            new = average(kept, now, count).to(kept.dtype)
            kept.copy_(where(count == 0, now, new))  # not if: replays of jit decide it anew
        self.n_averaged.add_(1)


def _first(averaged: Tensor, current: Tensor, n_averaged: Any) -> Tensor:
    return averaged


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """An `avg_fn`: `decay * averaged + (1 - decay) * current`."""
    _check_decay("get_ema_avg_fn", decay)

    def average(ema_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:
        return ema_param * decay + current_param * (1 - decay)

    return no_grad()(average)


def get_swa_avg_fn() -> Average:
    """An `avg_fn`: the mean of all."""

    def average(averaged_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:
        change: Tensor = (current_param - averaged_param) / (num_averaged + 1)
        return averaged_param + change

    return no_grad()(average)


def get_ema_multi_avg_fn(decay: float = 0.999) -> MultiAverage:
    """A `multi_avg_fn` of `get_ema_avg_fn`."""
    _check_decay("get_ema_multi_avg_fn", decay)
    return _for_many(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> MultiAverage:
    """A `multi_avg_fn` of `get_swa_avg_fn`."""
    return _for_many(get_swa_avg_fn())


def _for_many(average: Average) -> MultiAverage:
    def update(averaged: Sequence[Tensor], current: Sequence[Tensor], num_averaged: Any) -> None:
        for kept, now in zip(averaged, current, strict=True):
            kept.copy_(average(kept, now, num_averaged))

    return no_grad()(update)


def _check_decay(op: str, decay: float) -> None:
    if not 0 <= decay <= 1:
        raise ArgumentError(f"{op}: decay must be in [0, 1], got {decay}")


@no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Compute the batch norms' running statistics anew, as means over all batches of `loader`.

    A batch is the model's input, or a list or tuple that starts with it.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    was_training = model.training
    model.train()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    for batch in loader:
        x = batch[0] if isinstance(batch, (list, tuple)) else batch
        model(x if device is None else x.to(device))
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum
    model.train(was_training)
