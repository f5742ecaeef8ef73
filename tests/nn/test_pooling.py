"""Pools as modules: each does what the function of its name does."""

import pytest

import tinynet as tn
from tinynet import nn
from tinynet.nn import functional as F  # noqa: N812


def input_of(ndim):
    return tn.rand(2, 3, *(8, 7, 6)[:ndim]) + 0.1


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_pools(ndim):
    x = input_of(ndim)
    for name, arguments in [
        ("MaxPool", (3, 2, 1)), ("AvgPool", (3, 2, 1)), ("LPPool", (2, 3)),
        ("AdaptiveAvgPool", (3,)), ("AdaptiveMaxPool", (3,)),
    ]:  # fmt: skip
        module = getattr(nn, f"{name}{ndim}d")(*arguments)
        function = "".join(f"_{c.lower()}" if c.isupper() else c for c in name).strip("_")
        function = function.replace("l_p_", "lp_")
        expected = getattr(F, f"{function}{ndim}d")(x, *arguments)
        assert module(x).tolist() == expected.tolist()
        assert module(x[0]).tolist() == expected[0].tolist()


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_options_of_pools(ndim):
    x = input_of(ndim)
    largest = getattr(nn, f"MaxPool{ndim}d")(3, 2, 1, dilation=2, ceil_mode=True)
    expected = getattr(F, f"max_pool{ndim}d")(x, 3, 2, 1, 2, True)
    assert largest(x).tolist() == expected.tolist()
    mean = getattr(nn, f"AvgPool{ndim}d")(3, 2, 1, True, False)
    assert mean(x).tolist() == getattr(F, f"avg_pool{ndim}d")(x, 3, 2, 1, True, False).tolist()
    norm = getattr(nn, f"LPPool{ndim}d")(3, 2, stride=1, ceil_mode=True)
    assert norm(x).tolist() == getattr(F, f"lp_pool{ndim}d")(x, 3.0, 2, 1, True).tolist()
    if ndim > 1:
        mean = getattr(nn, f"AvgPool{ndim}d")(2, divisor_override=5)
        expected = getattr(F, f"avg_pool{ndim}d")(x, 2, divisor_override=5)
        assert mean(x).tolist() == expected.tolist()


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_unpooling_restores_the_size(ndim):
    x = input_of(ndim)
    pool = getattr(nn, f"MaxPool{ndim}d")(3, 2, return_indices=True)
    unpool = getattr(nn, f"MaxUnpool{ndim}d")(3, 2)
    y, indices = pool(x)
    back = unpool(y, indices, output_size=x.shape)
    assert back.shape == x.shape
    assert pool(back)[0].tolist() == y.tolist()


def test_adaptive_pool_with_indices():
    x = input_of(2)
    y, indices = nn.AdaptiveMaxPool2d((3, None), return_indices=True)(x)
    assert x.flatten(2).gather(2, indices.flatten(2)).tolist() == y.flatten(2).tolist()


def test_fold_and_unfold():
    x = input_of(2)
    columns = nn.Unfold((2, 3), stride=(2, 2), padding=(0, 1))(x)
    assert columns.shape == (2, 18, 16)
    back = nn.Fold((8, 7), (2, 3), stride=(2, 2), padding=(0, 1))(columns)
    counts = F.fold(
        F.unfold(tn.ones(2, 3, 8, 7), (2, 3), 1, (0, 1), 2), (8, 7), (2, 3), 1, (0, 1), 2
    )
    assert tn.allclose(back, counts * x)
    assert back.shape == x.shape


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (nn.MaxPool2d(2), "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, "
                          "ceil_mode=False)"),
        (nn.AvgPool1d(3, 2), "AvgPool1d(kernel_size=(3,), stride=(2,), padding=(0,))"),
        (nn.LPPool2d(2, 3), "LPPool2d(norm_type=2, kernel_size=3, stride=None, ceil_mode=False)"),
        (nn.AdaptiveAvgPool2d((1, None)), "AdaptiveAvgPool2d(output_size=(1, None))"),
        (nn.Unfold(3), "Unfold(kernel_size=3, dilation=1, padding=0, stride=1)"),
    ],
    ids=str,
)  # fmt: skip
def test_repr(module, text):
    assert repr(module) == text


def test_pools_have_no_state():
    layers = nn.Sequential(nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert layers.state_dict() == {}
    assert layers(input_of(2)).shape == (2, 3)
