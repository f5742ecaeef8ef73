"""Anomaly mode: name the operation that first made a NaN or an infinity, forward or backward.

Off by default: it reads every result, which makes everything several times slower.

>>> import tinynet as tn
>>> with tn.autograd.detect_anomaly():
...     tn.zeros(2).log()
Traceback (most recent call last):
tinynet.errors.AnomalyError: log: made -inf from finite inputs of shape (2,)
"""

from __future__ import annotations

import os
import traceback
from types import TracebackType
from typing import TYPE_CHECKING, Any

from tinynet.errors import AnomalyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tinynet.tensor import Tensor


PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep  # frames in here are ours


class _State:
    enabled = False


state = _State()


def check_forward(op: str, output: Tensor, inputs: Iterable[Tensor]) -> None:
    """Raise if `output` holds a NaN or infinity and no input does."""
    found = _first_bad(output)
    if found is not None and all(_first_bad(x) is None for x in inputs):
        shapes = " and ".join(str(x.shape) for x in inputs)
        raise AnomalyError(f"{op}: made {found} from finite inputs of shape {shapes}")


def check_backward(name: str, made_at: str, grad: Tensor) -> None:
    """Raise if a gradient rule made a NaN or infinity."""
    found = _first_bad(grad)
    if found is not None:
        where = f"; the operation was recorded at\n{made_at}" if made_at else ""
        raise AnomalyError(
            f"backward: {name} made a gradient with {found}, shape {grad.shape}{where}"
        )


def unwatched(rule: Callable[..., Any], *args: Any) -> Any:
    """`rule(*args)`: inside, NaNs may come and be masked; what it returns is what counts."""
    state.enabled = False
    try:
        return rule(*args)
    finally:
        state.enabled = True


def where_made() -> str:
    """The calls that lead to the operation now recorded, tinynet's own left out."""
    frames = [f for f in traceback.extract_stack() if not f.filename.startswith(PACKAGE)]
    return "".join(traceback.format_list(frames[-3:]))


def _first_bad(tensor: Tensor) -> float | None:
    """The first NaN or infinity, read with the backend's own primitives."""
    if not tensor.dtype.is_floating_point:
        return None
    backend, array = tensor.backend, tensor.array
    bad = backend.elementwise("logical_not", backend.elementwise("isfinite", array))
    where = backend.nonzero(backend.reshape(bad, (-1,)))
    if where.shape[0] == 0:
        return None
    flat = backend.to_numpy(backend.reshape(array, (-1,)))
    return float(flat[backend.to_numpy(where)[0, 0]])


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
