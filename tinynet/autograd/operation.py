"""`Function`: what users subclass to write an operation, and `Op`, which the library's own are."""

from __future__ import annotations

from typing import Any, ClassVar

Gradients = Any  # a Tensor or None for one input, a tuple of these for several


class Function:
    """A differentiable operation. Subclass it to write your own.

    `forward(ctx, *args)` computes with tensors, unrecorded; `backward(ctx, *grads)` returns one
    gradient (or None) per argument of `forward`, in Tensor operations, so that it can be
    differentiated again. `ctx` is the node: it carries whatever the two want to share. With a
    `setup_context(ctx, inputs, output)`, which fills it, `forward` takes none: `forward(*args)`.
    The library's own operations are subclasses whose forward half calls `result`.

    >>> import tinynet as tn
    >>> class Cube(tn.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x * x
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         (x,) = ctx.saved_tensors
    ...         return grad * 3 * x * x
    >>> x = tn.tensor(2.0, requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad
    tensor(12.)
    """

    setup_context: ClassVar[Any] = None
    op: ClassVar[str] = ""
    saves_output: ClassVar[bool] = False
    # Whether what `backward` returns is held by nobody else, or passed through, or a view.
    makes_gradients: ClassVar[bool] = False
    # Whether saved[0] serves only input 1's gradient, and saved[1] only input 0's.
    spares_first: ClassVar[bool] = False
    spares_second: ClassVar[bool] = False

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        """Compute the result from `args`."""
        raise NotImplementedError("Function.forward: write it in the subclass")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Gradients:
        """Compute the inputs' gradients from the outputs'."""
        raise NotImplementedError("Function.backward: write it in the subclass")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run `forward` and record it."""
        from tinynet.autograd.function import apply

        return apply(cls, *args)


class Op(Function):
    """Base of the library's own operations: `backward` returns new tensors."""

    makes_gradients = True
