"""Activations: values, gradients, kinks and extremes."""

import math

import pytest

import tinynet as tn
from tinynet import nn
from tinynet.autograd.gradcheck import check_gradient
from tinynet.errors import ArgumentError, ArgumentTypeError, DTypeError

F = nn.functional
NORMAL = 0.8413447460685429  # the normal distribution function at 1

# module, its value at -1, at 1 (by hand), and its gradient at 0
TABLE = [
    (nn.ReLU(), 0.0, 1.0, 0.0),
    (nn.LeakyReLU(), -0.01, 1.0, 0.01),
    (nn.LeakyReLU(0.3), -0.3, 1.0, 0.3),
    (nn.ELU(), math.expm1(-1), 1.0, 1.0),
    (nn.ELU(0.5), 0.5 * math.expm1(-1), 1.0, 0.5),
    (nn.SELU(), 1.7580993408473766 * math.expm1(-1), 1.0507009873554805, 1.7580993408473766),
    (nn.GELU(), NORMAL - 1, NORMAL, 0.5),
    (nn.GELU("tanh"), -0.15880800939172324, 0.8411919906082768, 0.5),
    (nn.SiLU(), -1 / (1 + math.e), math.e / (1 + math.e), 0.5),
    (nn.Sigmoid(), 1 / (1 + math.e), math.e / (1 + math.e), 0.25),
    (nn.Tanh(), -math.tanh(1), math.tanh(1), 1.0),
    (nn.Softplus(), math.log1p(math.exp(-1)), math.log1p(math.e), 0.5),
    (nn.Softplus(2.0, 1.0), math.log1p(math.exp(-2)) / 2, 1.0, 0.5),
    (nn.Hardtanh(), -1.0, 1.0, 1.0),
    (nn.Hardtanh(0.0, 0.5), 0.0, 0.5, 0.0),
]


@pytest.mark.parametrize(("module", "low", "high", "slope"), TABLE, ids=lambda x: repr(x)[:30])
def test_values_and_gradients(module, low, high, slope):
    y = module(tn.tensor([-1.0, 1.0], dtype=tn.float64))
    assert y.tolist() == pytest.approx([low, high], abs=1e-7)
    zero = tn.tensor(0.0, requires_grad=True)
    module(zero).backward()
    assert zero.grad.item() == pytest.approx(slope, abs=1e-7)
    check_gradient(module, (2, 3), low=0.1, high=0.45)
    check_gradient(module, (5,), low=-0.9, high=-0.1)
    assert module(tn.ones(0, 2)).shape == (0, 2)
    assert module(tn.ones(2, dtype=tn.float16)).dtype is tn.float16


@pytest.mark.parametrize("module", [row[0] for row in TABLE], ids=repr)
def test_gradients_at_extremes_are_numbers(module):
    x = tn.tensor([-1e4, -300.0, -100.0, 100.0, 300.0, 1e4], requires_grad=True)
    y = module(x)
    y.sum().backward()
    assert bool(y.isfinite().all())
    assert bool(x.grad.isfinite().all())
    assert module(tn.tensor(math.nan)).isnan().item()


@pytest.mark.parametrize("dtype", [tn.float16, tn.bfloat16], ids=str)
@pytest.mark.parametrize(
    "module", [nn.Softplus(), nn.Mish(), nn.GELU("tanh"), nn.SiLU(), nn.ELU(inplace=True)], ids=repr
)
def test_half_precision_is_that_of_the_result(module, dtype, on_device):
    x = tn.tensor([-400.0, -12.0, -1.0, 0.0, 11.0, 11.5, 15.0, 20.0, 300.0, 1000.0], dtype=dtype)
    wide = x.float().requires_grad_()
    half = x.requires_grad_()
    for tensor in (wide, half):
        module(tensor * 1).sum().backward()
    assert module(half * 1).tolist() == module(wide * 1).to(dtype).tolist()
    assert half.grad.tolist() == wide.grad.to(dtype).tolist()


@pytest.mark.parametrize(
    ("module", "slopes"),
    [(nn.Hardswish(), [0, 1]), (nn.ELU(), [0, 1]), (nn.Softplus(), [0, 1]), (nn.ReLU6(), [0, 0])],
    ids=repr,
)
def test_gradients_at_infinity(module, slopes):
    x = tn.tensor([-math.inf, math.inf], requires_grad=True)
    module(x).sum().backward()
    assert x.grad.tolist() == slopes


@pytest.mark.parametrize("module", [nn.ELU(), nn.CELU(), nn.SELU(), nn.Softplus()], ids=repr)
def test_gradients_of_nan_are_those_of_the_line(module):
    """Not 0, which would hide that there is a NaN."""
    x = tn.tensor([math.nan, 30.0], requires_grad=True)
    module(x).sum().backward()
    assert x.grad[0] == x.grad[1]


@pytest.mark.parametrize("kind", [nn.ELU, nn.SELU, nn.CELU])
def test_small_slopes_keep_their_digits(kind, on_device):
    x = tn.tensor([-20.0, -60.0], requires_grad=True)
    kind()(x).sum().backward()
    scale = {nn.SELU: 1.0507009873554805 * 1.6732632423543772}.get(kind, 1.0)
    assert x.grad.tolist() == pytest.approx([scale * math.exp(n) for n in (-20, -60)], rel=1e-5)


@pytest.mark.parametrize("kind", [nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SELU, nn.SiLU, nn.Hardtanh])
def test_in_place(kind):
    x = tn.tensor([-2.0, 0.5, 3.0])
    expected = kind()(x).tolist()
    assert kind(inplace=True)(x) is x
    assert x.tolist() == expected
    check_gradient(lambda x: kind(inplace=True)(x * 1), (4,), low=0.1, high=0.9)


def test_softmax_and_log_softmax():
    x = tn.tensor([[0.0, math.log(3.0)], [1e4, 1e4]])
    assert nn.Softmax(dim=1)(x).reshape(4).tolist() == pytest.approx([0.25, 0.75, 0.5, 0.5])
    assert nn.LogSoftmax(dim=1)(x).exp().sum(1).tolist() == pytest.approx([1, 1])
    assert F.softmax(tn.tensor([1, 1]), 0, dtype=tn.float64).dtype is tn.float64
    x = tn.tensor([[0.0, 1.0, 3.0]])
    assert tn.equal(F.softmin(x, 1), F.softmax(-x, 1))
    check_gradient(nn.Softmax(dim=0), (3, 2))
    check_gradient(nn.LogSoftmax(dim=-1), (3, 2))


def test_softmax_without_a_dim_warns():
    for shape, dim in [((3,), 0), ((2, 3), 1), ((2, 3, 4), 0), ((2, 3, 2, 2), 1)]:
        with pytest.warns(UserWarning, match=f"^softmax: dim is left out, {dim} is taken"):
            y = nn.Softmax()(tn.ones(*shape))
        assert bool(((y.sum(dim) - 1).abs() < 1e-6).all())


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: F.gelu(tn.ones(1), approximate="erf"), ArgumentError,
         "gelu: approximate must be 'none' or 'tanh', got 'erf'"),
        (lambda: F.hardtanh(tn.ones(1), 1.0, -1.0), ArgumentError,
         "hardtanh: min_val must not be above max_val, got 1.0 and -1.0"),
        (lambda: F.elu(tn.tensor([1])), DTypeError,
         "elu: expected a floating dtype, got tinynet.int64"),
        (lambda: F.silu([1.0]), ArgumentTypeError, "silu: input must be a Tensor, got list"),
    ],
)  # fmt: skip
def test_misuse(call, kind, message):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == message


def test_reprs():
    assert repr(nn.ReLU()) == "ReLU()"
    assert repr(nn.LeakyReLU(0.2, inplace=True)) == "LeakyReLU(negative_slope=0.2, inplace=True)"
    assert repr(nn.GELU("tanh")) == "GELU(approximate='tanh')"
    assert repr(nn.Softplus()) == "Softplus(beta=1.0, threshold=20.0)"
    assert repr(nn.Hardtanh()) == "Hardtanh(min_val=-1.0, max_val=1.0)"
    assert repr(nn.Softmax(1)) == "Softmax(dim=1)"
