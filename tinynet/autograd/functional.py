"""Jacobians, Hessians and their products with vectors, of functions of tensors.

>>> import tinynet as tn
>>> x = tn.tensor([1.0, 2.0])
>>> jacobian(lambda x: x**2, x)
tensor([[2., 0.], [0., 4.]])
>>> hessian(lambda x: (x**3).sum(), x)
tensor([[ 6.,  0.], [ 0., 12.]])
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from tinynet.autograd.engine import grad
from tinynet.autograd.graph import Node, Variable, result
from tinynet.autograd.mode import enable_grad
from tinynet.autograd.operation import Gradients, Op
from tinynet.errors import ArgumentTypeError, GradientError, ShapeError

if TYPE_CHECKING:
    from tinynet.tensor import Tensor

Tensors = Any  # a Tensor or a tuple of them: results have the form of what came
Function = Callable[..., Any]


def jacobian(
    func: Function, inputs: Tensors, create_graph: bool = False, strict: bool = False
) -> Any:
    """The derivatives of every output element by every input element.

    For one input and one output a tensor of shape `output.shape + input.shape`; for several a tuple
    (of tuples) of these, outputs first. `create_graph`: the result can be differentiated. `strict`:
    an output that does not depend on an input is an error instead of zeros.
    """
    return _jacobian("jacobian", func, inputs, create_graph, strict)


def hessian(
    func: Function, inputs: Tensors, create_graph: bool = False, strict: bool = False
) -> Any:
    """The second derivatives of a function with a single number as output.

    For one input a tensor of shape `input.shape + input.shape`, for several a tuple of tuples.
    """

    def gradients(*xs: Tensor) -> Any:
        y = _single("hessian", func(*xs))
        found = _gradients([y], xs, None, True, strict, "hessian")
        return found if isinstance(inputs, tuple) else found[0]

    return _jacobian("hessian", gradients, inputs, create_graph, strict)


def vjp(
    func: Function,
    inputs: Tensors,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """`func(*inputs)`, and the vector `v` (of the outputs' form) times its Jacobian.

    `v` may be left out where the output is a single number.
    """
    with enable_grad():
        is_tuple, xs = _as_inputs("vjp", inputs, create_graph)
        returned = func(*xs)
        outputs = _as_outputs("vjp", returned)
        vector = _as_vector("vjp", v, outputs)
        found = _gradients(outputs, xs, vector, create_graph, strict, "vjp")
    return _finished(returned, create_graph), _formed(found, is_tuple, create_graph)


def jvp(
    func: Function,
    inputs: Tensors,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """`func(*inputs)`, and its Jacobian times the vector `v` (of the inputs' form).

    Computed by differentiating twice: the vector-Jacobian product is linear in its vector, and the
    gradient of that linear function is the product wanted.
    """
    with enable_grad():
        _, xs = _as_inputs("jvp", inputs, create_graph)
        vector = _as_vector("jvp", v, xs)
        returned = func(*xs)
        outputs = _as_outputs("jvp", returned)
        dummies = [y.new_zeros(y.shape).requires_grad_() for y in outputs]
        backward = _gradients(outputs, xs, dummies, True, strict, "jvp")
        found = _gradients(backward, dummies, vector, create_graph, strict, "jvp")
    return (
        _finished(returned, create_graph),
        _formed(found, isinstance(returned, tuple), create_graph),
    )


def vhp(
    func: Function,
    inputs: Tensors,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """`func(*inputs)`, a single number, and the vector `v` times its Hessian."""
    return _hessian_product("vhp", func, inputs, v, create_graph, strict)


def hvp(
    func: Function,
    inputs: Tensors,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """`func(*inputs)`, a single number, and its Hessian times `v`: by symmetry, `vhp`."""
    return _hessian_product("hvp", func, inputs, v, create_graph, strict)


def _hessian_product(
    op: str, func: Function, inputs: Tensors, v: Tensors | None, create_graph: bool, strict: bool
) -> tuple[Any, Any]:
    with enable_grad():
        is_tuple, xs = _as_inputs(op, inputs, create_graph)
        vector = _as_vector(op, v, xs)
        returned = func(*xs)
        gradients = _gradients([_single(op, returned)], xs, None, True, strict, op)
        found = _gradients(gradients, xs, vector, create_graph, strict, op)
    return _finished(returned, create_graph), _formed(found, is_tuple, create_graph)


class Stack(Op):
    """Tensors of one shape as rows (`ops`, which has `stack`, lies above autograd)."""

    op = "stack"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Gradients:
        """Row by row."""
        return tuple(grad[i] for i in range(grad.shape[0]))


def _jacobian(op: str, func: Function, inputs: Tensors, create_graph: bool, strict: bool) -> Any:
    with enable_grad():
        is_tuple, xs = _as_inputs(op, inputs, create_graph)
        returned = func(*xs)
        outputs = _as_outputs(op, returned)
        rows = [
            _jacobian_rows(f"{op}: output {i}", y, xs, create_graph, strict)
            for i, y in enumerate(outputs)
        ]
    per_output = [row if is_tuple else row[0] for row in rows]
    return tuple(per_output) if isinstance(returned, tuple) else per_output[0]


def _jacobian_rows(
    op: str, y: Tensor, xs: Sequence[Tensor], create_graph: bool, strict: bool
) -> tuple[Tensor, ...]:
    """The derivatives of an output by each input."""
    columns: list[list[Tensor]] = [[] for _ in xs]
    for element in range(prod(y.shape)):
        seed = y.new_zeros(prod(y.shape))
        seed[element] = 1
        starts = [seed.reshape(y.shape)]
        for column, gradient in zip(
            columns, _gradients([y], xs, starts, create_graph, strict, op), strict=True
        ):
            column.append(gradient if create_graph else gradient.detach())
    return tuple(
        _stacked(column, x).reshape(*y.shape, *x.shape)
        for column, x in zip(columns, xs, strict=True)
    )


def _stacked(rows: list[Tensor], like: Tensor) -> Tensor:
    if not rows:
        return like.new_zeros((0, *like.shape))
    backend = like.backend
    arrays = [backend.reshape(row.array, (1, *like.shape)) for row in rows]
    return result(Stack, backend.concatenate(arrays, 0), like.dtype, tuple(rows))


def _as_inputs(op: str, inputs: Tensors, create_graph: bool) -> tuple[bool, tuple[Tensor, ...]]:
    """Whether a tuple came, and inputs that record: aliases in the graph, or fresh leaves."""
    is_tuple = isinstance(inputs, tuple)
    tensors = _as_tensors(f"{op}: inputs must be", inputs)
    if create_graph:
        return is_tuple, tuple(
            x.view_as(x) if x.requires_grad else x.detach().requires_grad_() for x in tensors
        )
    return is_tuple, tuple(x.detach().requires_grad_() for x in tensors)


def _as_outputs(op: str, returned: Any) -> tuple[Tensor, ...]:
    return _as_tensors(f"{op}: the function must return", returned)


def _as_tensors(what: str, given: Any) -> tuple[Tensor, ...]:
    """A tensor, or a tuple of them, as a tuple."""
    tensors = given if isinstance(given, tuple) else (given,)
    for x in tensors:
        if not isinstance(x, Variable):
            raise ArgumentTypeError(
                f"{what} a tensor or a tuple of tensors, got {type(x).__name__}"
            )
    return tensors


def _single(op: str, returned: Any) -> Tensor:
    """The only output, a single number."""
    if not isinstance(returned, Variable):
        raise ArgumentTypeError(
            f"{op}: the function must return a tensor, got {type(returned).__name__}"
        )
    y: Tensor = returned  # type: ignore[assignment]
    if y.numel() != 1:
        raise ShapeError(f"{op}: the function must return a single number, got shape {y.shape}")
    return y.reshape(())


def _as_vector(op: str, v: Tensors | None, like: Sequence[Tensor]) -> list[Tensor]:
    """`v` as a list, checked against the tensors whose form it must have."""
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise GradientError(f"{op}: v may be left out only for a single number")
        return [like[0].new_ones(like[0].shape)]
    vector = [*_as_tensors(f"{op}: v must be", v)]
    if [x.shape for x in vector] != [x.shape for x in like]:
        raise ShapeError(
            f"{op}: v has shapes {[x.shape for x in vector]}, expected {[x.shape for x in like]}"
        )
    return vector


def _gradients(
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor],
    seeds: Sequence[Tensor] | None,
    create_graph: bool,
    strict: bool,
    op: str,
) -> tuple[Tensor, ...]:
    """`grad` with zeros, or an error if `strict`, where there is no dependence."""
    starts = [None] * len(outputs) if seeds is None else seeds
    pairs = [(y, seed) for y, seed in zip(outputs, starts, strict=True) if y.requires_grad]
    if strict and len(pairs) < len(outputs):
        raise GradientError(f"{op}: an output does not depend on the inputs")
    found: tuple[Tensor | None, ...] = (None,) * len(inputs)
    if pairs:
        found = grad(
            [y for y, _ in pairs], inputs, [seed for _, seed in pairs], retain_graph=True,
            create_graph=create_graph, allow_unused=True,
        )  # fmt: skip
    if strict and any(gradient is None for gradient in found):
        place = [gradient is None for gradient in found].index(True)
        raise GradientError(f"{op}: the outputs do not depend on input {place}")
    return tuple(
        x.new_zeros(x.shape) if gradient is None else gradient
        for x, gradient in zip(inputs, found, strict=True)
    )


def _finished(returned: Any, create_graph: bool) -> Any:
    """Outputs as the caller gets them: cut off from the graph unless it is asked for."""
    if create_graph:
        return returned
    if isinstance(returned, tuple):
        return tuple(y.detach() for y in returned)
    return returned.detach()


def _formed(found: tuple[Tensor, ...], is_tuple: bool, create_graph: bool) -> Any:
    done = _finished(found, create_graph)
    return done if is_tuple else done[0]
