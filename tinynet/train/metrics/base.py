"""`Metric`: what all metrics have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinynet.autograd.mode import no_grad
from tinynet.backends import Device, open_backend
from tinynet.errors import DeviceError, DimError, ShapeError, StateError
from tinynet.ops.operands import require_tensor
from tinynet.tensor import Tensor
from tinynet.train.metrics.sums import State


class Metric:
    """Base of metrics. A subclass has `name`, `make_state`, `add` and `compute`.

    `reset(device)` starts anew, `update(output, target)` takes a batch in, `compute()` is the
    metric of all batches since. `update` is made of Tensor operations that write into the state in
    place: it can be part of a function that `tinynet.jit` recorded. So what only values can tell,
    such as a class index out of range, is counted there, and raised by `compute`.
    """

    name: str

    def __init__(self, name: str) -> None:
        self.name = name
        self.state: State = {}
        self.kept: dict[str, State] = {}  # the state tensors on each device there was

    # What a subclass has
    def make_state(self, device: str | None) -> State:
        """New state tensors, all zeros, by name."""
        raise NotImplementedError(f"{type(self).__name__} has no make_state, expected one")

    def add(self, output: Tensor, target: Tensor) -> None:
        """Take a batch into `self.state`, in place."""
        raise NotImplementedError(f"{type(self).__name__} has no add, expected one")

    def compute(self) -> float:
        """The metric of all batches since `reset`. Raises `StateError` where there was none."""
        raise NotImplementedError(f"{type(self).__name__} has no compute, expected one")

    # What it gets
    def reset(self, device: str | None = None) -> None:
        """Forget all batches; from here on they come from `device`, or from where they came.

        The state tensors of a device are made once and zeroed in place afterwards, so recordings
        of `tinynet.jit` go on working.
        """
        if device is None and self.state:
            device = self.device
        place = str(Device(open_backend(device).name))
        if place in self.kept:
            for x in self.kept[place].values():
                x.zero_()
        else:
            self.kept[place] = self.make_state(device)
        self.state = self.kept[place]

    def update(self, output: Tensor, target: Tensor) -> None:
        """Take a batch in: what the model made of it, and what was wanted."""
        with no_grad():
            self.prepare(output, target)
            self.add(output.detach(), target.detach())

    def prepare(self, output: Tensor, *others: Tensor) -> None:
        """Check that tensors are on the state's device; make a state if there is none."""
        require_tensor(f"{self._op}.update", output, "output")
        for other in others:
            require_tensor(f"{self._op}.update", other, "target")
        if not self.state:
            self.reset(output.device)
        for x in (output, *others):
            if x.device != self.device:
                raise DeviceError(
                    f"{self._op}.update: got a tensor on {x.device}, expected {self.device}, as "
                    "before; call reset(device) first"
                )

    @property
    def device(self) -> Device:
        """Where the state is. Raises `StateError` before the first `reset` or `update`."""
        if not self.state:
            raise StateError(f"{self._op}: no state yet, expected reset() or update() before")
        return next(iter(self.state.values())).device

    def state_dict(self) -> dict[str, Tensor]:
        """A copy of the state: tensors by name; nothing before the first `reset` or `update`."""
        return {name: x.clone() for name, x in self.state.items()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned; the state is written in place.

        Raises `StateError` where names or shapes are not this metric's.
        """
        op = f"{self._op}.load_state_dict"
        if not self.state:
            self.reset(next(iter(state_dict.values())).device if state_dict else None)
        elif not state_dict:
            self.reset()
        if not state_dict:
            return
        found = {name: x.shape for name, x in state_dict.items()}
        expected = {name: x.shape for name, x in self.state.items()}
        if found != expected:
            raise StateError(f"{op}: got tensors of shapes {found}, expected {expected}")
        for name, x in self.state.items():
            x.copy_(state_dict[name].to(x.device))

    # For subclasses
    def require_updates(self, count: float) -> None:
        """Raise unless something was counted."""
        if not count:
            raise StateError(
                f"{self._op}.compute: no samples since reset(), expected an update before"
            )

    def require_valid(self, count: int, what: str) -> None:
        """Raise if anything was counted as invalid."""
        if count:
            raise DimError(f"{self._op}.compute: {count} invalid targets, expected {what}")

    def require_shape(self, what: str, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
        """Raise where shapes do not match."""
        if shape != expected:
            raise ShapeError(f"{self._op}.update: {what} has shape {shape}, expected {expected}")

    @property
    def _op(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        return f"{self._op}(name={self.name!r})"
