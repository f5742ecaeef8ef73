"""Anomaly mode: name the operation that first made a NaN or an infinity, forward or backward.

Off by default: it reads every result, which makes everything several times slower.

>>> import tinynet as tn
>>> with tn.autograd.detect_anomaly():
...     tn.zeros(2).log()
Traceback (most recent call last):
tinynet.errors.AnomalyError: log: made -inf from finite inputs of shape (2,)
"""

from __future__ import annotations

import threading
import traceback
from types import TracebackType
from typing import TYPE_CHECKING, Any

from tinynet.errors import AnomalyError
from tinynet.frames import OURS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tinynet.autograd.graph import Node
    from tinynet.autograd.observing import Observer
    from tinynet.tensor import Tensor


class _Inside(threading.local):
    """`a_rule`: whether this thread is inside of a gradient rule that is checked as a whole."""

    a_rule = False


class _State:
    """`watches`: whether operations are looked at, by anomaly mode or by `observers` (profiles)."""

    watches = False

    def __init__(self) -> None:
        self.inside = _Inside()
        self.observers: list[Observer] = []
        self._enabled = False

    @property
    def enabled(self) -> bool:
        """Whether anomaly mode is on."""
        return self._enabled

    @enabled.setter
    def enabled(self, value: bool) -> None:
        self._enabled = value
        self.settle()

    @property
    def checks(self) -> bool:
        """Whether anomaly mode looks at what this thread does now."""
        return self._enabled and not self.inside.a_rule

    def settle(self) -> None:
        """See whether anybody looks on."""
        self.watches = self._enabled or bool(self.observers)


state = _State()


def watch(op: str, output: Tensor, inputs: Iterable[Tensor]) -> None:
    """Raise if `output` holds a NaN or infinity and no input does."""
    found = _first_bad(output)
    if found is not None and all(_first_bad(x) is None for x in inputs):
        shapes = " and ".join(str(x.shape) for x in inputs)
        raise AnomalyError(f"{op}: made {found} from finite inputs of shape {shapes}")


def where_made() -> str:
    """The calls that lead to the operation now recorded, tinynet's own left out."""
    frames = [f for f in traceback.extract_stack() if not f.filename.startswith(OURS)]
    return "".join(traceback.format_list(frames[-3:]))


def watched_rule(node: Node, gradient: Any) -> Any:
    """The node's rule. Inside, NaNs may come and be masked; what it returns is what counts."""
    state.inside.a_rule = True
    try:
        gradients = node.function.backward(node, gradient)
    finally:
        state.inside.a_rule = False
    for g in gradients if isinstance(gradients, tuple) else (gradients,):
        found = _first_bad(g) if hasattr(g, "array") else None
        if found is not None:
            where = f"; the operation was recorded at\n{node.made_at}" if node.made_at else ""
            raise AnomalyError(
                f"backward: {node.name} made a gradient with {found}, shape {g.shape}{where}"
            )
    return gradients


def _first_bad(tensor: Tensor) -> float | None:
    """The first NaN or infinity, read with the backend's own primitives."""
    if not tensor.dtype.is_floating_point:
        return None
    backend, array = tensor.backend, tensor.array
    bad = backend.elementwise("logical_not", backend.elementwise("isfinite", array))
    flat = (tensor.numel(),)
    where = backend.nonzero(backend.reshape(bad, flat))
    if where.shape[0] == 0:
        return None
    numbers = backend.to_numpy(backend.reshape(array, flat))
    return float(numbers[backend.to_numpy(where)[0, 0]])


class set_detect_anomaly:  # noqa: N801 (PyTorch's name)
    """Turn anomaly mode on or off; as a context manager, until its end."""

    def __init__(self, mode: bool) -> None:
        self.previous = state.enabled
        state.enabled = mode

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        state.enabled = self.previous


class detect_anomaly(set_detect_anomaly):  # noqa: N801
    """Context manager: anomaly mode inside."""

    def __init__(self) -> None:
        super().__init__(True)
