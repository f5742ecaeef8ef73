"""How operations are tested: values against NumPy's, gradients against differences.

`same(tensor, expected)` compares values, shape and dtype. `check_values(tn.tanh, np.tanh, (2, 3))`
draws inputs and compares what a function makes of tensors with what NumPy makes of arrays, for
contiguous inputs and for views with other strides. `check_gradient` is tinynet's own, on the
device of the test.
"""

from functools import partial

import numpy as np

import tinynet as tn
from tinynet import settings
from tinynet.autograd.gradcheck import check_gradient as check_on_devices

SHAPES = [(), (5,), (0,), (2, 3), (3, 0, 2), (2, 1, 4)]


def check_gradient(function, *inputs, **options):
    check_on_devices(function, *inputs, devices=[settings.DEVICE.get()], **options)


def array(tensor):
    """A tensor's values; bfloat16 as float32."""
    x = tensor.detach().cpu()
    return x.float().numpy() if x.dtype is tn.bfloat16 else x.numpy()


def same(tensor, expected, rtol=1e-6, atol=1e-7):
    """Assert shape, dtype and values of a tensor; tuples are compared item by item."""
    if isinstance(tensor, (tuple, list)):
        assert len(tensor) == len(expected)
        for one, other in zip(tensor, expected, strict=True):
            same(one, other, rtol, atol)
        return
    found, expected = array(tensor), np.asarray(expected)
    assert isinstance(tensor, tn.Tensor)
    assert tensor.shape == found.shape == expected.shape
    assert found.dtype == expected.dtype
    assert tensor.dtype.name in (found.dtype.name, "bfloat16")
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)


def draw(shape, low=-2.0, high=2.0, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).uniform(low, high, shape).astype(dtype)


def plain(x):
    return tn.tensor(x)


def transposed(x):
    return tn.tensor(np.array(x.T, order="C")).T


def stepped(x):
    """Every second element, from behind: gaps and negative strides in memory."""
    spread = np.zeros(tuple(2 * n for n in x.shape), x.dtype)
    spread[tuple(slice(None, None, -2) for _ in x.shape)] = x
    whole = tn.tensor(spread)
    return whole[tuple(slice(None, None, -2) for _ in x.shape)] if x.shape else whole


VIEWS = [plain, transposed, stepped]


def check_values(function, expected, *shapes, low=-2.0, high=2.0, rtol=1e-12, dtype=np.float64):
    """Compare `function` of tensors with `expected` of arrays of numbers in [low, high)."""
    arrays = [draw(shape, low, high, seed, dtype) for seed, shape in enumerate(shapes)]
    with np.errstate(all="ignore"):
        wanted = expected(*arrays)
    for view in VIEWS:
        tensors = [view(x) for x in arrays]
        same(function(*tensors), wanted, rtol, rtol)
        for tensor, x in zip(tensors, arrays, strict=True):
            same(tensor, x)  # inputs stay as they were


def gradient_of(function, *values, dtype=tn.float64):
    """Gradients of the sum of `function`'s results at given values, as lists."""
    tensors = [tn.tensor(x, dtype=dtype, requires_grad=True) for x in values]
    function(*tensors).sum().backward()
    return [tensor.grad.tolist() for tensor in tensors]


nan, inf = float("nan"), float("inf")
approximately = partial(np.testing.assert_allclose, rtol=1e-6)
