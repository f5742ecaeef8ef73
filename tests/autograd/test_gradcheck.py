"""The checks themselves: they must find what is wrong, and say where."""

import pytest

import tinynet as tn
from tinynet.autograd import check_gradient, gradcheck, gradgradcheck
from tinynet.errors import ArgumentError, GradientError


def rule(forward, backward):
    """An operation with this gradient rule, which may be wrong."""
    return type(
        "Custom",
        (tn.autograd.Function,),
        {
            "forward": staticmethod(lambda ctx, *xs: forward(ctx.save_for_backward(*xs), *xs)),
            "backward": staticmethod(lambda ctx, grad: backward(grad, *ctx.saved_tensors)),
        },
    ).apply


square = rule(lambda _, x: x * x, lambda grad, x: 2 * grad * x)
wrong = rule(lambda _, x: x * x, lambda grad, x: 3 * grad * x)
wrong_second = rule(lambda _, x: x * x, lambda grad, x: 2 * grad * x.detach())
wrong_for_b = rule(lambda _, a, b: a * b, lambda grad, a, b: (grad * b, grad * b))
nan_rule = rule(lambda _, x: x * x, lambda grad, x: grad * float("nan"))


def inputs(*shapes):
    return [tn.rand(*shape, dtype=tn.float64, requires_grad=True) for shape in shapes]


def test_right_rules_pass():
    check_gradient(square, (2, 3))
    check_gradient(tn.matmul, (2, 3), (3, 2))
    check_gradient(lambda x, i: x[i], (3,), tn.tensor([0, 0, 2]))
    check_gradient(lambda x: (x.sum(), x.argmax(), [1]), (2, 2))
    check_gradient(lambda x: x.floor(), (3,))
    assert gradcheck(square, inputs((2, 3)))
    assert gradgradcheck(square, inputs((2, 3)))
    assert gradcheck(lambda x, n: x * n, [*inputs((2,)), tn.tensor([3, 4])])
    assert gradcheck(square, inputs((2,))[0], fast_mode=True)
    assert gradgradcheck(square, inputs((2,))[0], inputs((2,)), fast_mode=True)


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (1,)])
def test_edges_of_shape(shape):
    check_gradient(lambda x: x.exp() * x, shape)


def test_what_is_not_differentiable_is_passed_on():
    check_gradient(lambda x, n, flag: x * n.to(x.dtype) if flag.item() else x, (2,),
                   tn.tensor([1, 2]), tn.tensor(True))  # fmt: skip


def test_a_wrong_rule_is_found_and_named():
    with pytest.raises(
        GradientError,
        match=r"check_gradient: order 1 on cpu: input 0 of shape \(2, 3\), along a random "
        r"direction: numeric -?[\d.e-]+, analytic -?[\d.e-]+",
    ):
        check_gradient(wrong, (2, 3))
    with pytest.raises(GradientError, match="order 2 on cpu: input 0 of shape"):
        check_gradient(wrong_second, (2, 3))
    check_gradient(wrong_second, (2, 3), order=1)
    with pytest.raises(GradientError, match="order 1 on cpu: input 1 of shape"):
        check_gradient(wrong_for_b, (2,), (2,))


def test_nan_does_not_pass():
    with pytest.raises(GradientError, match="analytic nan"):
        check_gradient(nan_rule, (2,))
    with pytest.raises(GradientError, match="analytic nan"):
        gradcheck(nan_rule, inputs((2,)))


def test_gradcheck_says_where():
    with pytest.raises(GradientError) as caught:
        gradcheck(wrong, (tn.tensor([1.0, 2.0], dtype=tn.float64, requires_grad=True),))
    assert str(caught.value) == (
        "gradcheck: output 0, element 0, by input 0, element 0: numeric 2, analytic 3"
    )
    assert not gradcheck(wrong, inputs((2,)), raise_exception=False)
    assert not gradcheck(wrong, inputs((2,)), raise_exception=False, fast_mode=True)
    assert not gradgradcheck(wrong_second, inputs((2,)), raise_exception=False)


def test_nothing_to_check_is_an_error():
    with pytest.raises(ArgumentError, match="gradcheck: none of the inputs requires grad"):
        gradcheck(square, tn.ones(2))
    with pytest.raises(ArgumentError, match="check_gradient: expected a shape or a tensor of floa"):
        check_gradient(square, tn.tensor([1, 2]))


def test_low_and_high_bound_what_is_drawn():
    seen = []
    check_gradient(lambda x: (seen.append(x.detach()), x.log())[1], (50,), low=1, high=2)
    assert all(1 - 1e-5 < x.amin().item() <= x.amax().item() < 2 + 1e-5 for x in seen)
