"""From primitives to NumPy calls that write where they are told: `function(*args)` and no more."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from tinynet.backends import numpy_convolution, numpy_sums, numpy_windows
from tinynet.backends.numpy_calls import (
    ELEMENTWISE,
    UFUNCS,
    Array,
    as_element,
    is_for_dot,
    is_narrow,
)
from tinynet.backends.numpy_places import Place, places_in
from tinynet.numbers import Number

Step = tuple[Callable[..., Any], tuple[Any, ...]]


class Call(NamedTuple):
    """A primitive that was called, with places for arrays.

    `outs` are the arrays that it wrote, new memory if `is_new`. `moment` is when it was made.
    """

    method: str
    args: tuple[Any, ...]
    outs: tuple[Place, ...]
    is_new: bool
    moment: int

    @property
    def reads(self) -> list[Place]:
        """The arrays among the arguments."""
        return list(places_in(self.args))


def lower(
    call: Call, backend: Any, resolve: Callable[[Place], Any], cell: Callable[[Number, Any], Array]
) -> list[Step]:
    """The steps of a call; `resolve` finds what stands for a place.

    `cell` gives the 0-d array in which a number of a script comes.
    """
    given = _resolved(call.args, resolve)
    if call.method == "elementwise":
        dtype = [x for x in call.args[1:] if isinstance(x, Place)][-1].dtype
        if dtype.kind == "f":
            given = tuple([cell(x, dtype) if type(x) is Number else x for x in given])
    outs = tuple([resolve(out) for out in call.outs])
    rule = _RULES.get(call.method)
    steps = None if rule is None else rule(call, given, outs if len(outs) > 1 else outs[0])
    if steps is not None:
        return steps
    method = getattr(type(backend), call.method)
    if call.method in ("assign", "put"):
        return [(method, (backend, *given))]
    if not call.is_new:
        return [(_write_elementwise, (method, backend, given, outs[0]))]
    return [(_copy_into, (outs, method, (backend, *given)))]


def spared(args: tuple[Any, ...]) -> list[Place]:
    """The operands of an elementwise call that its result may be written over."""
    op, *operands = args
    wanted = operands[2:] if op == "where" else operands
    return [x for x in wanted if isinstance(x, Place)]


def operands(args: tuple[Any, ...]) -> list[Any]:
    """What a call is made with, for people to read."""
    return [x for x in args if x is not None and type(x) is not str]


def title(call: Call) -> str:
    """A call's name, for people to read."""
    return str(call.args[0]) if call.args and type(call.args[0]) is str else str(call.method)


def _resolved(item: Any, resolve: Callable[[Place], Any]) -> Any:
    if type(item) is tuple:
        return tuple([_resolved(part, resolve) for part in item])
    return resolve(item) if isinstance(item, Place) else item


# Each rule gives the steps of one primitive, or None where the backend's own method must do it.
def _elementwise(call: Call, given: Any, out: Any) -> list[Step] | None:
    op, *operands = given
    places = [x for x in call.args[1:] if isinstance(x, Place)]
    dtype = places[-1].dtype
    if dtype.kind == "V" and any(type(x) is Number for x in operands):
        return None
    operands = [as_element(x, dtype) if type(x) is float else x for x in operands if x is not None]
    x = operands[0]
    if op == "sigmoid" and dtype.itemsize > 2:
        one = as_element(1.0, dtype)
        return [
            (ELEMENTWISE["neg"], (x, out)),
            (np.exp, (out, out)),
            (np.add, (out, one, out)),
            (np.reciprocal, (out, out)),
        ]
    if op == "where" and call.is_new:
        return [
            (np.copyto, (out, operands[2])),
            (np.copyto, (out, operands[1], "same_kind", x)),
        ]
    if op in ("maximum", "minimum"):  # NumPy wants their `out` by name
        return [(partial(ELEMENTWISE[op], out=out), tuple(operands))]
    if op == "pow" and dtype.kind not in "biu":
        return [(np.power, (*operands, out))]
    return [(ELEMENTWISE[op], (*operands, out))]


def _cast(call: Call, given: Any, out: Any) -> list[Step]:
    return [(np.copyto, (out, given[0], "unsafe"))]


def _copy(call: Call, given: Any, out: Any) -> list[Step]:
    return [(np.copyto, (out, given[0]))]


def _reshape(call: Call, given: Any, out: Any) -> list[Step] | None:
    return [(np.copyto, (out.reshape(call.args[0].shape), given[0]))]


def _full(call: Call, given: Any, out: Any) -> list[Step]:
    return [(out.fill, (given[1],))]


def _reduce(call: Call, given: Any, out: Any) -> list[Step] | None:
    op, x, dims, keepdim = given
    dtype = call.args[1].dtype
    if op in ("sum", "prod") and is_narrow(dtype):
        return None
    if op == "sum" and dtype.kind == "f" and call.args[1].size > numpy_sums.FEWEST:
        return [(numpy_sums.add_up, (x, dims, keepdim, out))]
    return [(UFUNCS[op].reduce, (x, dims, dtype, out, keepdim))]


def _matmul(call: Call, given: Any, out: Any) -> list[Step] | None:
    a, b = call.args
    if is_narrow(a.dtype):
        return None
    x, y = given
    if not is_for_dot(a, b):
        return [(np.matmul, (x, y, out))]
    if a.ndim == 2:
        return [(np.ndarray.dot, (x, y, out))]  # np.dot's dispatch takes 0.2 us more
    if not (isinstance(x, np.ndarray) and a.is_contiguous and a.size):
        return None
    rows, result = x.reshape(-1, x.shape[-1]), out.reshape(-1, b.shape[1])
    return [(np.ndarray.dot, (rows, y, result))]


def _convolution(call: Call, given: Any, out: Any) -> list[Step] | None:
    if is_narrow(call.args[0].dtype):
        return None
    return [(getattr(numpy_convolution, call.method), (*given, out))]


def _concatenate(call: Call, given: Any, out: Any) -> list[Step]:
    arrays, dim = given
    return [(partial(_join, dim, out), tuple(arrays))]


def _assign(call: Call, given: Any, out: Any) -> list[Step] | None:
    target, source = call.args
    is_apart = target.kind in ("buffer", "own") and source.storage != target.storage
    is_apart |= source.kind in ("buffer", "own", "constant") and source.storage != target.storage
    return [(np.copyto, (given[0], given[1], "unsafe"))] if is_apart else None


def _windowed(call: Call, given: Any, out: Any) -> list[Step]:
    return [(getattr(numpy_windows, call.method), (*given, out))]


_RULES: dict[str, Callable[[Call, Any, Any], list[Step] | None]] = {
    "elementwise": _elementwise,
    "cast": _cast,
    "copy": _copy,
    "constant": _copy,
    "reshape": _reshape,
    "full": _full,
    "reduce": _reduce,
    "matmul": _matmul,
    "convolve": _convolution,
    "convolve_input": _convolution,
    "convolve_weight": _convolution,
    "concatenate": _concatenate,
    "assign": _assign,
    "pool_max": _windowed,
    "pick": _windowed,
    "spread": _windowed,
    "fold": _windowed,
}


def _join(dim: int, out: Array, *arrays: Array) -> None:
    np.concatenate(arrays, dim, out)


def _write_elementwise(method: Any, backend: Any, given: tuple[Any, ...], out: Array) -> None:
    method(backend, *given, out=out)


def _copy_into(outs: Any, method: Any, args: tuple[Any, ...]) -> None:
    results = method(*args)
    for out, result in zip(outs, results if type(results) is tuple else (results,)):
        np.copyto(out, result)
