"""Users' own operations: `tn.autograd.Function`."""

import pytest

import tinynet as tn
from tinynet.autograd import check_gradient
from tinynet.errors import ArgumentTypeError, GradientError, TinynetError

Function = tn.autograd.Function


class Cube(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * 3 * x * x


class SinCos(Function):
    """Two outputs, each the other's derivative, both saved."""

    @staticmethod
    def forward(ctx, x):
        sin, cos = x.sin(), x.cos()
        ctx.save_for_backward(sin, cos)
        return sin, cos

    @staticmethod
    def backward(ctx, sin_grad, cos_grad):
        sin, cos = ctx.saved_tensors
        return sin_grad * cos - cos_grad * sin


class Scaled(Function):
    """Arguments that are no tensors."""

    @staticmethod
    def forward(ctx, x, factor, y=None):
        ctx.factor = factor
        return x * factor if y is None else x * factor + y

    @staticmethod
    def backward(ctx, grad):
        assert ctx.needs_input_grad[1] is False
        return grad * ctx.factor, None, grad if len(ctx.needs_input_grad) == 3 else None


def leaf(*values):
    return tn.tensor(values, dtype=tn.float64, requires_grad=True)


def test_gradients_to_second_order():
    check_gradient(Cube.apply, (2, 3))
    check_gradient(SinCos.apply, (3,))
    check_gradient(lambda x: SinCos.apply(x)[1], (3,))
    check_gradient(lambda x: Cube.apply(x).sum() * SinCos.apply(Cube.apply(x))[0], (2,))
    check_gradient(lambda x, y: Scaled.apply(x, 3.0, y), (2,), (2,))


def test_a_saved_output_leads_back():
    class Exp(Function):
        @staticmethod
        def forward(ctx, x):
            y = x.exp()
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, grad):
            return grad * ctx.saved_tensors[0]

    check_gradient(Exp.apply, (3,))


def test_names():
    assert repr(Cube.apply(leaf(1.0)).grad_fn) == "<CubeBackward>"


def test_forward_is_not_recorded_and_nothing_is_where_nothing_needs_it():
    assert Cube.apply(leaf(1.0)).grad_fn.edges != ()
    assert not Cube.apply(tn.ones(2)).requires_grad
    with tn.no_grad():
        assert not Cube.apply(leaf(1.0)).requires_grad


def test_forward_without_ctx():
    class Product(tn.autograd.Function):
        @staticmethod
        def forward(x, y):
            return x * y, x.exp()

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs, output[1])

        @staticmethod
        def backward(ctx, grad, exp_grad):
            x, y, exp = ctx.saved_tensors
            return grad * y + exp_grad * exp, grad * x

    check_gradient(lambda x, y: sum(Product.apply(x, y)), (3,), (3,))


def test_arguments_that_are_no_tensors():
    x, y = leaf(1.0), leaf(2.0)
    Scaled.apply(x, 3.0).sum().backward()
    Scaled.apply(x.detach(), 3.0, y).sum().backward()
    assert (x.grad.tolist(), y.grad.tolist()) == ([3.0], [1.0])


def test_needs_input_grad():
    seen = []

    class Spy(Function):
        @staticmethod
        def forward(ctx, a, b, c):
            seen.append(ctx.needs_input_grad)
            return a + b

        @staticmethod
        def backward(ctx, grad):
            seen.append(ctx.needs_input_grad)
            return grad, grad, None

    a, b = leaf(1.0), leaf(2.0)
    y = Spy.apply(a, b, 3)
    y.sum().backward(retain_graph=True)
    tn.autograd.grad(y.sum(), b)
    assert seen == [(True, True, False), (True, True, False), (False, True, False)]


def test_extra_trailing_nones_are_ignored():
    class Extra(Cube):
        @staticmethod
        def backward(ctx, grad):
            return Cube.backward(ctx, grad), None, None

    check_gradient(Extra.apply, (2,))


def test_materialize_grads():
    seen = []

    class Two(Function):
        @staticmethod
        def forward(ctx, x, is_materialized):
            ctx.set_materialize_grads(is_materialized)
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, a, b):
            seen.append(b if b is None else b.tolist())
            return a * 2, None

    for is_materialized in (True, False):
        x = leaf(1.0)
        Two.apply(x, is_materialized)[0].sum().backward()
        assert x.grad.tolist() == [2.0]
    assert seen == [[0.0], None]


def test_mark_non_differentiable_and_integers():
    class Sorted(Function):
        @staticmethod
        def forward(ctx, x):
            values, places = x.sort()
            ranks = places.to(x.dtype)
            ctx.mark_non_differentiable(ranks)
            ctx.save_for_backward(places)
            return values, ranks, places

        @staticmethod
        def backward(ctx, grad, ranks_grad, places_grad):
            (places,) = ctx.saved_tensors
            assert ranks_grad.tolist() == [0.0, 0.0, 0.0]
            return grad.new_zeros(grad.shape).scatter(0, places, grad)

    x = leaf(3.0, 1.0, 2.0)
    values, ranks, places = Sorted.apply(x)
    assert [y.requires_grad for y in (values, ranks, places)] == [True, False, False]
    (values * tn.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert x.grad.tolist() == [100.0, 1.0, 10.0]


class Double(Function):
    """Changes its input in place."""

    @staticmethod
    def forward(ctx, x):
        x.mul_(2)
        ctx.mark_dirty(x)
        return x

    @staticmethod
    def backward(ctx, grad):
        return grad * 2


def test_mark_dirty():
    x = leaf(1.0, 2.0)
    h = x * 3
    y = Double.apply(h)
    assert y is h
    (h * h).sum().backward()
    assert x.grad.tolist() == [72.0, 144.0]


def test_mark_dirty_of_a_view_changes_its_base():
    x = leaf(1.0, 2.0)
    h = x * 3
    assert Double.apply(h[:1]).tolist() == [6.0]
    h.sum().backward()
    assert x.grad.tolist() == [6.0, 3.0]


def test_mark_dirty_counts_as_a_write():
    h = leaf(1.0) * 3
    y = h.exp() * h
    Double.apply(h)
    with pytest.raises(GradientError, match="changed in place"):
        y.backward(tn.ones(1, dtype=tn.float64))
    constant = tn.ones(1)
    assert Double.apply(constant) is constant
    assert constant._version == 2


def test_a_dirty_output_that_is_saved():
    class InPlaceExp(Function):
        @staticmethod
        def forward(ctx, x):
            x.exp_()
            ctx.mark_dirty(x)
            ctx.save_for_backward(x)
            return x

        @staticmethod
        def backward(ctx, grad):
            return grad * ctx.saved_tensors[0]

    check_gradient(lambda x: InPlaceExp.apply(x * 2), (3,))


def test_returning_an_input():
    class Pass(Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, grad):
            return grad * 10

    x = leaf(1.0)
    y = Pass.apply(x)
    assert y is not x
    assert x.is_leaf
    (y + x).sum().backward()
    assert x.grad.tolist() == [11.0]


def test_a_view_from_forward_cannot_be_written():
    class First(Function):
        @staticmethod
        def forward(ctx, x):
            return x[:1]

        @staticmethod
        def backward(ctx, grad):
            return tn.cat([grad, grad * 0])

    y = First.apply(leaf(1.0, 2.0) * 1)
    with pytest.raises(GradientError, match="mul_: a view made under no_grad"):
        y.mul_(2)


def test_saved_tensors_are_checked():
    h = leaf(1.0) * 2
    y = Cube.apply(h)
    h.add_(1)
    with pytest.raises(GradientError, match="CubeBackward needs a tensor of shape \\(1,\\) that"):
        y.sum().backward()


def test_none_is_no_gradient():
    class Blocked(Function):
        @staticmethod
        def forward(ctx, x, y):
            return x * y

        @staticmethod
        def backward(ctx, grad):
            return None, grad

    x, y = leaf(1.0), leaf(2.0)
    Blocked.apply(x, y).sum().backward()
    assert x.grad is None
    assert y.grad.tolist() == [1.0]


def returning(forward, backward):
    """An operation of two arguments that returns these."""
    return type(
        "Odd",
        (Function,),
        {
            "forward": staticmethod(lambda ctx, x, y: forward(x, y)),
            "backward": staticmethod(lambda ctx, grad: backward(grad)),
        },
    ).apply


ERRORS = {
    "backward: OddBackward returned 1 gradients, expected 2, one per input": (
        lambda x, y: x + y, lambda g: g),
    "backward: OddBackward returned 3 gradients, expected 2, one per input": (
        lambda x, y: x + y, lambda g: (g, g, g)),
    "backward: OddBackward returned a gradient of shape (3,) for input 1, expected (2,)": (
        lambda x, y: x + y, lambda g: (g, tn.ones(3))),
    "Odd.backward: must return tensors or None, got float": (
        lambda x, y: x + y, lambda g: (g, 1.0)),
    "Odd.forward: must return tensors, got float": (lambda x, y: 1.0, lambda g: g),
    "Odd.forward: must return tensors, got NoneType": (lambda x, y: (x * 1, None), lambda g: g),
}  # fmt: skip


@pytest.mark.parametrize("message", ERRORS)
def test_errors(message):
    with pytest.raises(TinynetError) as caught:
        returning(*ERRORS[message])(leaf(1.0, 2.0), leaf(3.0, 4.0)).sum().backward()
    assert str(caught.value) == message


def test_save_for_backward_takes_tensors():
    class Saving(Cube):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x, 3)

    with pytest.raises(ArgumentTypeError) as caught:
        Saving.apply(leaf(1.0))
    assert str(caught.value) == (
        "save_for_backward: expected tensors, got int; keep other values as attributes of ctx"
    )


def test_a_dirty_leaf_is_an_error():
    with pytest.raises(GradientError, match="Double: a leaf tensor that requires grad"):
        Double.apply(leaf(1.0))


def test_halves_that_are_not_written():
    with pytest.raises(NotImplementedError, match=r"Function.forward: write it in the subclass"):
        Function.apply(leaf(1.0))
    with pytest.raises(NotImplementedError, match=r"Function.backward: write it in the subclass"):
        type("Half", (Function,), {"forward": staticmethod(lambda ctx, x: x * 2)}).apply(
            leaf(1.0)
        ).backward()
