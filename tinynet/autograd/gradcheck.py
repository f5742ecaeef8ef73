"""Numerical checks of gradients: what `backward` says, against differences of function values.

`check_gradient` is the one-line check of an operation: random direction, first and second order,
every backend. `gradcheck` and `gradgradcheck` are PyTorch's: every element of every Jacobian.

>>> import tinynet as tn
>>> check_gradient(tn.Tensor.tanh, (2, 3))
>>> x = tn.tensor([1.0, 2.0], dtype=tn.float64, requires_grad=True)
>>> gradcheck(lambda x: x.exp() * x, (x,))
True
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import prod
from random import Random
from typing import TYPE_CHECKING, Any

from tinynet import backends
from tinynet.autograd.engine import grad
from tinynet.autograd.graph import Variable
from tinynet.autograd.mode import enable_grad, no_grad
from tinynet.dtype import float64
from tinynet.errors import ArgumentError, GradientError

if TYPE_CHECKING:
    from tinynet.tensor import Tensor


def check_gradient(
    function: Callable[..., Any],
    *inputs: Any,
    low: float = -2.0,
    high: float = 2.0,
    order: int = 2,
    eps: float = 1e-6,
    atol: float = 1e-6,
    rtol: float = 1e-5,
    seed: int = 0,
    devices: Iterable[str] | None = None,
) -> None:
    """Raise `GradientError` where a gradient of `function` is wrong, on any device.

    `inputs` are shapes, for numbers drawn from [low, high), or tensors: those of floats are
    differentiated in float64, others passed on as they are. Along a random direction in each input
    the analytic slope of a random combination of all outputs must be the numeric one, and up to
    `order` the same must hold for the gradients themselves. Stay away from kinks and poles.
    """
    for device in backends.MODULES if devices is None else devices:
        random = Random(seed)
        tensors = [_as_input(x, random, low, high, device) for x in inputs]
        if not any(x.dtype.is_floating_point for x in tensors):
            raise ArgumentError("check_gradient: expected a shape or a tensor of floats")
        checked = function
        for level in range(1, order + 1):
            try:
                _check_slopes(checked, tensors, random, eps, atol, rtol)
            except GradientError as error:
                raise GradientError(f"check_gradient: order {level} on {device}: {error}") from None
            if level < order:
                checked, tensors = _gradient_of(checked, tensors, random)


def gradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    fast_mode: bool = False,
) -> bool:
    """Whether every derivative of `func(*inputs)` agrees with differences of its values.

    Inputs that require grad are checked; they should be float64. `fast_mode` compares along one
    random direction instead. A disagreement raises `GradientError` unless `raise_exception` is
    false.
    """
    given = (inputs,) if isinstance(inputs, Variable) else tuple(inputs)
    if not any(isinstance(x, Variable) and x.requires_grad for x in given):  # type: ignore[attr-defined]
        raise ArgumentError("gradcheck: none of the inputs requires grad, expected at least one")
    try:
        if fast_mode:
            _check_slopes(func, given, Random(0), eps, atol, rtol)
        else:
            _check_jacobians(func, given, eps, atol, rtol)
    except GradientError as error:
        if raise_exception:
            raise GradientError(f"gradcheck: {error}") from None
        return False
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    grad_outputs: Tensor | Sequence[Tensor] | None = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    fast_mode: bool = False,
) -> bool:
    """`gradcheck` of the gradients of `func`, as functions of its inputs and of `grad_outputs`.

    `grad_outputs` (random if None) are what the gradients start from, one for each output.
    """
    given = [inputs] if isinstance(inputs, Variable) else list(inputs)
    seeds = [grad_outputs] if isinstance(grad_outputs, Variable) else grad_outputs
    gradients, arguments = _gradient_of(func, given, Random(0), seeds)
    return gradcheck(
        gradients, arguments, eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception,
        fast_mode=fast_mode,
    )  # fmt: skip


def _as_input(given: Any, random: Random, low: float, high: float, device: str) -> Any:
    """A tensor on `device`: of floats, a float64 leaf that requires grad."""
    if not isinstance(given, Variable):
        return _draw(tuple(given), random, device, low, high).requires_grad_()
    x: Any = given.detach().to(device)  # type: ignore[attr-defined]
    return x.to(float64, copy=True).requires_grad_() if x.is_floating_point() else x


def _draw(
    shape: tuple[int, ...], random: Random, device: str, low: float = -1.0, high: float = 1.0
) -> Tensor:
    """Uniform float64 numbers, the same on every device."""
    numbers = [random.uniform(low, high) for _ in range(prod(shape))]
    return Variable.result_class(numbers, dtype=float64, device=device).reshape(shape)


def _is_checked(x: Any) -> bool:
    return isinstance(x, Variable) and x.requires_grad  # type: ignore[attr-defined]


def _outputs(returned: Any) -> list[Tensor]:
    """The outputs that may have gradients."""
    items = returned if isinstance(returned, (tuple, list)) else (returned,)
    return [y for y in items if isinstance(y, Variable) and y.dtype.is_floating_point]  # type: ignore[misc]


def _gradient_of(
    function: Callable[..., Any],
    inputs: Sequence[Any],
    random: Random,
    seeds: Sequence[Tensor] | None = None,
) -> tuple[Callable[..., Any], list[Any]]:
    """The gradient of `function` as a function, and arguments for it: inputs, then seeds."""
    if seeds is None:
        outputs = _outputs(function(*inputs))
        seeds = [_draw(y.shape, random, y.device).to(y.dtype) for y in outputs]
    starts = [seed.detach().requires_grad_() for seed in seeds]
    checked = [i for i, x in enumerate(inputs) if _is_checked(x)]

    def gradients(*arguments: Any) -> tuple[Tensor, ...]:
        wanted = [arguments[i] for i in checked]
        outputs = _outputs(function(*arguments[: len(inputs)]))
        return _gradients(outputs, wanted, list(arguments[len(inputs) :]), create_graph=True)

    return gradients, [*inputs, *starts]


def _gradients(
    outputs: list[Tensor], wanted: list[Tensor], seeds: list[Tensor], create_graph: bool = False
) -> tuple[Tensor, ...]:
    """Gradients of all outputs that have a graph; zeros where there is nothing."""
    pairs = [(y, seed) for y, seed in zip(outputs, seeds, strict=True) if y.requires_grad]
    if not pairs:
        return tuple(x.new_zeros(x.shape) for x in wanted)
    return grad(  # type: ignore[return-value]
        [y for y, _ in pairs], wanted, [seed for _, seed in pairs], retain_graph=True,
        create_graph=create_graph, allow_unused=True, materialize_grads=True,
    )  # fmt: skip


def _check_slopes(
    function: Callable[..., Any],
    inputs: Sequence[Any],
    random: Random,
    eps: float,
    atol: float,
    rtol: float,
) -> None:
    """Compare the slope of a random combination of outputs along a direction in each input."""
    outputs = _outputs(function(*inputs))
    weights = [_draw(y.shape, random, y.device) for y in outputs]
    checked = [i for i, x in enumerate(inputs) if _is_checked(x)]
    gradients = _gradients(
        outputs, [inputs[i] for i in checked],
        [w.to(y.dtype) for w, y in zip(weights, outputs, strict=True)],
    )  # fmt: skip

    def value_at(moved: list[Any]) -> float:
        results = _outputs(function(*moved))
        pairs = zip(results, weights, strict=True)
        return float(sum((y.detach().to(float64) * w).sum().item() for y, w in pairs))

    for i, gradient in zip(checked, gradients, strict=True):
        direction = _draw(inputs[i].shape, random, inputs[i].device)
        analytic = (gradient.detach().to(float64) * direction).sum().item()
        ahead, behind = (value_at(_moved(inputs, i, direction * step)) for step in (eps, -eps))
        numeric = (ahead - behind) / (2 * eps)
        if not abs(analytic - numeric) <= atol + rtol * abs(numeric):
            raise GradientError(
                f"input {i} of shape {inputs[i].shape}, along a random direction: "
                f"numeric {numeric:.8g}, analytic {analytic:.8g}"
            )


def _moved(inputs: Sequence[Any], place: int, step: Tensor) -> list[Any]:
    """Inputs as fresh leaves, one of them moved by `step`."""
    with no_grad():
        moved = [x.detach() if _is_checked(x) else x for x in inputs]
        moved[place] = (inputs[place] + step).to(inputs[place].dtype)
    return [y.requires_grad_() if _is_checked(x) else y for x, y in zip(inputs, moved, strict=True)]


def _check_jacobians(
    function: Callable[..., Any], inputs: Sequence[Any], eps: float, atol: float, rtol: float
) -> None:
    """Compare derivatives of every element of every output by every element of every input."""
    with enable_grad():
        outputs = _outputs(function(*inputs))
    for i, x in enumerate(inputs):
        if not _is_checked(x):
            continue
        numeric = list(_numeric_columns(function, inputs, i, eps))
        for j, y in enumerate(outputs):
            for row in range(y.numel()):
                seeds = [z.new_zeros(z.numel()) for z in outputs]
                seeds[j][row] = 1
                starts = [s.reshape(z.shape) for s, z in zip(seeds, outputs, strict=True)]
                (analytic,) = _gradients(outputs, [x], starts)
                slopes = analytic.detach().reshape(-1).tolist()
                for column, slope in enumerate(slopes):
                    expected = numeric[column][j][row]
                    if not abs(slope - expected) <= atol + rtol * abs(expected):
                        raise GradientError(
                            f"output {j}, element {row}, by input {i}, element {column}: "
                            f"numeric {expected:.8g}, analytic {slope:.8g}"
                        )


def _numeric_columns(
    function: Callable[..., Any], inputs: Sequence[Any], place: int, eps: float
) -> Iterator[list[list[float]]]:
    """For each element of an input, the derivatives of each output by it."""
    x = inputs[place]
    for column in range(x.numel()):
        step = x.new_zeros(x.numel())
        step[column] = eps
        step = step.reshape(x.shape)
        ahead, behind = (_values(function, _moved(inputs, place, s)) for s in (step, -step))
        yield [
            [(b - a) / (2 * eps) for a, b in zip(low, high, strict=True)]
            for low, high in zip(behind, ahead, strict=True)
        ]


def _values(function: Callable[..., Any], inputs: list[Any]) -> list[list[float]]:
    return [y.detach().reshape(-1).tolist() for y in _outputs(function(*inputs))]
