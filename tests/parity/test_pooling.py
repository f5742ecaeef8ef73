"""Pools, `fold` and `unfold` beside PyTorch's: a random grid of settings, and what is refused."""

import random

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import tinynet as tn  # noqa: E402
from tests.parity.comparing import converted, differences, to_numpy  # noqa: E402
from tinynet.errors import TinynetError  # noqa: E402

pytestmark = pytest.mark.usefixtures("on_device")

SETTINGS = 20  # of each function
NAMES = [
    f"{name}{ndim}d"
    for name in ("max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool", "lp_pool")
    for ndim in (1, 2, 3)
]
TOLERANCES = {torch.float32: (1e-4, 1e-5), torch.float64: (1e-10, 1e-10)}


def draw(shape, dtype, seed, step=None):
    """Random numbers; with a `step`, multiples of it, so that there are ties."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    return (x if step is None else (x / step).round() * step).to(dtype)


def sizes(choice, ndim, options):
    """A number, one for all dims, or one for each."""
    if choice.random() < 0.5:
        return choice.choice(options)
    return tuple(choice.choice(options) for _ in range(ndim))


def setting_of(name, number):
    """Shape of the input, arguments and dtype number `number` of a function."""
    choice = random.Random(f"{name} {number}")
    ndim = int(name[-2])
    shape = [
        choice.randint(1, 3),
        *(choice.randint(3, 7 if ndim == 3 else 11) for _ in range(ndim)),
    ]
    if choice.random() < 0.7:
        shape.insert(0, choice.choice([1, 2, 3, 0]))
    dtype = choice.choice([torch.float32, torch.float64])
    if name.startswith("adaptive"):
        return shape, {"output_size": sizes(choice, ndim, [1, 2, 3, 4, 5, 8])}, dtype
    arguments = {"kernel_size": sizes(choice, ndim, [1, 2, 3])}
    if choice.random() < 0.7:
        arguments["stride"] = sizes(choice, ndim, [1, 2, 3])
    arguments["ceil_mode"] = choice.random() < 0.5
    kernel = arguments["kernel_size"]
    if name == "lp_pool1d" and isinstance(kernel, tuple):  # which PyTorch fails at
        arguments["kernel_size"] = kernel[0]
    smallest = min(kernel) if isinstance(kernel, tuple) else kernel
    if name.startswith("lp"):
        arguments["norm_type"] = choice.choice([2, 1, 3.0, 2.5])
        return shape, arguments, dtype
    arguments["padding"] = choice.choice([0, smallest // 2])
    if name.startswith("max"):
        arguments["dilation"] = sizes(choice, ndim, [1, 1, 2])
    if name.startswith("avg"):
        arguments["count_include_pad"] = choice.random() < 0.5
        if ndim > 1 and choice.random() < 0.3:
            arguments["divisor_override"] = choice.choice([1, 3, -2])
    return shape, arguments, dtype


def run(module, call, x, order):
    """What `call` gives, and gradients of a weighted sum up to an order."""
    found = call(module.nn.functional, x)
    results = list(found) if isinstance(found, tuple) else [found]
    y = results[0]
    for seed in range(1, order + 1):
        weights = draw(tuple(y.shape), torch.float64, seed).to(torch.float64)
        weights = weights.to(torch.float32) if y.dtype in (torch.float32, tn.float32) else weights
        weights = weights if module is torch else converted(weights)
        total = (y * y * weights).sum() if seed == 1 else (y * weights).sum()
        (y,) = module.autograd.grad(total, [x], create_graph=seed < order)
        results.append(y)
    return results


def check(call, x, order=1):
    """Both libraries do the same, errors included."""
    tolerance = TOLERANCES.get(x.dtype)
    mine = converted(x)
    try:
        expected = run(torch, call, x, order)
    except (RuntimeError, ValueError, TypeError, IndexError, ZeroDivisionError) as error:
        if "smaller than kernel size" in str(error):  # what only avg_pool3d minds
            return
        with pytest.raises((TinynetError, TypeError)):
            run(tn, call, mine, order)
        return
    got = run(tn, call, mine, order)
    assert not differences(expected, got, tolerance), differences(expected, got, tolerance)


@pytest.mark.parametrize("number", range(SETTINGS))
@pytest.mark.parametrize("name", NAMES)
def test_random_settings(name, number):
    shape, arguments, dtype = setting_of(name, number)
    x = draw(shape, dtype, number, 0.5 if number % 3 == 0 and "max" in name else None)
    x = x.abs() + 0.1 if name.startswith("lp") else x
    order = 2 if number % 2 and dtype is torch.float64 else 1
    check(lambda f, x: getattr(f, name)(x, **arguments), x.requires_grad_(), order)
    if "max" in name:
        call = lambda f, x: getattr(f, name)(x, **arguments, return_indices=True)  # noqa: E731
        check(call, x.detach(), 0)


def columns_of(number):
    choice = random.Random(f"columns {number}")
    names = ("kernel_size", "dilation", "padding", "stride")
    options = ([1, 2, 3], [1, 2], [0, 1, 2], [1, 2, 3])
    arguments = {n: sizes(choice, 2, o) for n, o in zip(names, options, strict=True)}
    size = choice.randint(4, 8), choice.randint(4, 8)
    return choice, size, arguments


@pytest.mark.parametrize("number", range(25))
def test_random_unfold_and_fold(number):
    choice, size, arguments = columns_of(number)
    batch = choice.choice([(), (2,), (0,)])
    x = draw((*batch, 2, *size), torch.float64, number).requires_grad_()
    check(lambda f, x: f.unfold(x, **arguments), x, 2)
    try:
        columns = torch.nn.functional.unfold(x.detach(), **arguments)
    except RuntimeError:
        return
    columns = draw(columns.shape, torch.float64, number).requires_grad_()
    check(lambda f, x: f.fold(x, size, **arguments), columns, 2)


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("number", range(6))
def test_random_unpooling(ndim, number):
    choice = random.Random(f"unpool {ndim} {number}")
    shape = [2, *(choice.randint(4, 7) for _ in range(ndim))]
    shape = shape if choice.random() < 0.5 else [2, *shape]
    kernel, stride = choice.choice([(2, None), (2, 2), (3, 2), ((2,) * ndim, 3)])
    padding = choice.choice([0, 1])
    size = choice.choice([None, tuple(shape), tuple(shape[-ndim:])])
    x = draw(shape, torch.float64, number)
    values, indices = getattr(torch.nn.functional, f"max_pool{ndim}d")(
        x, kernel, stride, padding, return_indices=True
    )
    positions = converted(indices)

    def call(f, y):
        index = indices if isinstance(y, torch.Tensor) else positions
        return getattr(f, f"max_unpool{ndim}d")(y, index, kernel, stride, padding, size)

    try:
        call(torch.nn.functional, values)
    except (RuntimeError, ValueError) as error:
        if "invalid max index" not in str(error) and "output_size" not in str(error):
            raise
    if len(set(indices.reshape(-1).tolist())) == indices.numel() or stride != 2:
        check(call, values.requires_grad_(), 2)


@pytest.mark.parametrize("name", ["max_pool2d", "adaptive_max_pool2d"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nan_and_infinities(name, dtype):
    generator = random.Random(1)
    x = draw((2, 2, 7, 8), dtype, 1)
    for value in (np.nan, np.inf, -np.inf):
        for _ in range(20):
            x[tuple(generator.randrange(n) for n in x.shape)] = value
    x[1, 1] = -np.inf
    arguments = (3, 2, 1) if name == "max_pool2d" else ((3, 4),)
    check(lambda f, x: getattr(f, name)(x, *arguments, return_indices=True), x, 0)
    check(lambda f, x: getattr(f, name)(x, *arguments), x, 0)


@pytest.mark.parametrize("name", ["avg_pool2d", "adaptive_avg_pool2d"])
def test_means_of_infinities(name):
    x = draw((1, 2, 7, 8), torch.float64, 1)
    x[0, 0, 2, 3], x[0, 1, 4, 4] = np.inf, np.nan
    check(lambda f, x: getattr(f, name)(x, 3), x, 0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d", "adaptive_avg_pool2d"])
def test_half_precision(name, dtype):
    x = (draw((2, 3, 9, 8), torch.float64, 1)).to(dtype)
    for arguments in [(3,), (2,)]:
        expected = getattr(torch.nn.functional, name)(x, *arguments)
        got = getattr(tn.nn.functional, name)(converted(x), *arguments)
        assert not differences(expected, got)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64])
def test_integers(dtype):
    x = (draw((2, 3, 9, 8), torch.float64, 1) * 20).abs().to(dtype)
    check(lambda f, x: f.max_pool2d(x, 3, 2, 1, return_indices=True), x, 0)
    check(lambda f, x: f.max_pool3d(x, 2), x, 0)
    if dtype is torch.int64:
        for arguments in [
            (3, 2, 1),
            (2, 2, 0, True),
            (3, 2, 1, True, False),
            (2, 2, 0, False, True, -3),
        ]:
            check(lambda f, x, a=arguments: f.avg_pool2d(x - 30, *a), x, 0)


def test_layouts_of_the_input():
    x = draw((5, 6, 7, 2), torch.float64, 1)
    for view in (lambda x: x.permute(3, 2, 0, 1), lambda x: x[:, ::2].permute(3, 0, 1, 2)):
        for name in ("max_pool2d", "avg_pool2d", "adaptive_max_pool2d", "adaptive_avg_pool2d"):
            check(lambda f, x, n=name, v=view: getattr(f, n)(v(x), 2), x.requires_grad_(), 2)


def test_gradients_of_one_for_all():
    """A sum's gradient is one number, expanded."""
    for name, arguments in [("max_pool2d", (3, 2, 1)), ("avg_pool2d", (3, 2, 1)),
                            ("adaptive_avg_pool2d", (3,))]:  # fmt: skip
        grads = []
        x = draw((2, 3, 8, 9), torch.float64, 1)
        for module, leaf in ((torch, x.requires_grad_()), (tn, converted(x))):
            y = getattr(module.nn.functional, name)(leaf, *arguments)
            grads.append(module.autograd.grad(y.sum(), [leaf])[0])
        np.testing.assert_allclose(grads[1].numpy(force=True), to_numpy(grads[0]), rtol=1e-12)


POOL_MISTAKES = [
    ((2, 2, 4, 4), {"kernel_size": 0}), ((2, 2, 4, 4), {"kernel_size": 2, "stride": 0}),
    ((2, 2, 4, 4), {"kernel_size": 2, "padding": 2}),
    ((2, 2, 4, 4), {"kernel_size": 2, "padding": -1}),
    ((2, 2, 4, 4), {"kernel_size": (2, 2, 2)}), ((2, 2, 4, 4), {"kernel_size": (2,)}),
    ((2, 2, 4, 4), {"kernel_size": 2.0}), ((2, 2, 4, 4), {"kernel_size": 5}),
    ((2, 2, 4, 4), {"kernel_size": 2, "stride": (1, 2, 3)}), ((4, 4), {"kernel_size": 2}),
    ((1, 1, 2, 4, 4), {"kernel_size": 2}), ((0, 2, 4, 4), {"kernel_size": 2}),
    ((2, 0, 4, 4), {"kernel_size": 2}), ((0, 4, 4), {"kernel_size": 2}),
    ((2, 2, 0, 4), {"kernel_size": 2}), ((2, 2, 4, 4), {"kernel_size": 2, "stride": ()}),
    ((2, 2, 1, 1), {"kernel_size": 2, "stride": 2, "ceil_mode": True}),
    ((2, 2, 2, 2), {"kernel_size": 3, "stride": 2, "ceil_mode": True}),
]  # fmt: skip


@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d", "max_pool1d", "avg_pool3d"])
@pytest.mark.parametrize(("shape", "arguments"), POOL_MISTAKES)
def test_pools_refuse_what_pytorch_does(name, shape, arguments):
    if name == "max_pool1d":
        arguments = {k: v[:-1] if isinstance(v, tuple) else v for k, v in arguments.items()}
        shape = shape[:-1]
    if name == "avg_pool3d":
        arguments = {k: (*v, 1) if isinstance(v, tuple) else v for k, v in arguments.items()}
        shape = (*shape, 4)
    check(lambda f, x: getattr(f, name)(x, **arguments), draw(shape, torch.float32, 1), 0)


@pytest.mark.parametrize(
    "call",
    [
        lambda f, x: f.max_pool2d(x, 2, dilation=0),
        lambda f, x: f.max_pool2d(x, 2, dilation=(1, 2, 3)),
        lambda f, x: f.max_pool2d(x > 0, 2),
        lambda f, x: f.avg_pool2d(x > 0, 2),
        lambda f, x: f.avg_pool2d(x, 2, divisor_override=0),
        lambda f, x: f.avg_pool2d(x, 2, divisor_override=1.5),
        lambda f, x: f.avg_pool1d(x[0], 2, divisor_override=2),
        lambda f, x: f.adaptive_avg_pool2d(x, -1),
        lambda f, x: f.adaptive_avg_pool2d(x, (2,)),
        lambda f, x: f.adaptive_avg_pool2d(x, (2, 2, 2)),
        lambda f, x: f.adaptive_avg_pool2d(x, (None, 3)),
        lambda f, x: f.adaptive_avg_pool2d(x, 0),
        lambda f, x: f.adaptive_avg_pool2d(x, 9),
        lambda f, x: f.adaptive_avg_pool2d(x[0, 0], 2),
        lambda f, x: f.adaptive_avg_pool2d(x[:0], 2),
        lambda f, x: f.adaptive_avg_pool2d(x[:, :0], 2),
        lambda f, x: f.adaptive_avg_pool2d(x[:, :, :0], 2),
        lambda f, x: f.adaptive_avg_pool1d(x[0], None),
        lambda f, x: f.adaptive_avg_pool1d(x[0], (None,)),
        lambda f, x: f.adaptive_avg_pool3d(x[:, :0, None], 2),
        lambda f, x: f.adaptive_max_pool2d(x[:, :0], 2),
        lambda f, x: f.adaptive_max_pool2d(x[:0], 3),
        lambda f, x: f.adaptive_max_pool2d(x, (3, None), return_indices=True),
        lambda f, x: f.adaptive_max_pool2d(x, 0, return_indices=True),
        lambda f, x: f.adaptive_max_pool1d(x[0], -1),
        lambda f, x: f.adaptive_max_pool1d_with_indices(x[0], 3),
        lambda f, x: f.lp_pool2d(x.abs(), 0, 2),
        lambda f, x: f.lp_pool2d(x, float("inf"), 2),
        lambda f, x: f.lp_pool2d(x, -float("inf"), 2),
        lambda f, x: f.unfold(x[0, 0], 2),
        lambda f, x: f.unfold(x, (2,)),
        lambda f, x: f.unfold(x, 0),
        lambda f, x: f.unfold(x, 2, padding=-1),
        lambda f, x: f.unfold(x, 2, padding=5),
        lambda f, x: f.unfold(x, 6),
        lambda f, x: f.unfold(x[:, :0], 2),
        lambda f, x: f.unfold(x[:0], 2),
        lambda f, x: f.unfold(x > 0, 2),
        lambda f, x: f.unfold(x, (4, 4)),
        lambda f, x: f.fold(x.reshape(2, 8, 4), (3, 3), 2),
        lambda f, x: f.fold(x.reshape(2, 8, 4), 3, 2),
        lambda f, x: f.fold(x.reshape(2, 8, 4), (3, 4), 2),
        lambda f, x: f.fold(x.reshape(2, 8, 4), (3, 3), (2, 3)),
        lambda f, x: f.fold(x.reshape(2, 8, 4)[:, :7], (3, 3), 2),
        lambda f, x: f.fold(x.reshape(2, 8, 4)[:0], (3, 3), 2),
        lambda f, x: f.fold(x.reshape(2, 8, 4)[:, :0], (3, 3), 2),
        lambda f, x: f.fold(x, (3, 3), 2),
        lambda f, x: f.fold(x.reshape(2, 8, 4), (-3, 3), 2),
    ],
)
def test_what_else_pytorch_refuses(call):
    check(call, draw((2, 2, 4, 4), torch.float32, 1), 0)


@pytest.mark.parametrize(
    "call",
    [
        lambda f, y, i: f.max_unpool2d(y, i, 2, output_size=(5, 5)),
        lambda f, y, i: f.max_unpool2d(y, i, 2, output_size=(6, 5)),
        lambda f, y, i: f.max_unpool2d(y, i, 2, output_size=(2, 5)),
        lambda f, y, i: f.max_unpool2d(y, i, 2, output_size=(1, 1, 5, 5)),
        lambda f, y, i: f.max_unpool2d(y, i, 2, output_size=(1, 5, 5)),
        lambda f, y, i: f.max_unpool2d(y, i + 50, 2),
        lambda f, y, i: f.max_unpool2d(y, i - 50, 2),
        lambda f, y, i: f.max_unpool2d(y, i - 6, 2),
        lambda f, y, i: f.max_unpool2d(y, i.int(), 2),
        lambda f, y, i: f.max_unpool2d(y, i[:, :, :1], 2),
        lambda f, y, i: f.max_unpool2d(y[0, 0], i[0, 0], 2),
        lambda f, y, i: f.max_unpool2d(y[0], i[0], 2),
        lambda f, y, i: f.max_unpool2d(y, i, 2, 3, 1),
        lambda f, y, i: f.max_unpool2d(y, i, 1, 1, 1),
        lambda f, y, i: f.max_unpool2d(y[:0], i[:0], 2),
        lambda f, y, i: f.max_unpool2d(y[:, :0], i[:, :0], 2),
    ],
)
def test_unpooling_refuses_what_pytorch_does(call):
    values, indices = torch.nn.functional.max_pool2d(
        draw((1, 1, 4, 4), torch.float64, 1), 2, return_indices=True
    )
    positions = converted(indices)
    check(lambda f, y: call(f, y, indices if f is torch.nn.functional else positions), values, 0)


MODULES = [
    ("MaxPool1d", (2,), {}), ("MaxPool2d", (2, 3, 1, 2, True, True), {}),
    ("MaxPool3d", ((1, 2, 3),), {"stride": 2, "ceil_mode": True}), ("AvgPool1d", (2,), {}),
    ("AvgPool1d", ((2,), 1, 1), {}), ("AvgPool2d", ((2, 3),), {"padding": 1}),
    ("AvgPool3d", (2, 1, 0, True, False, 3), {}), ("LPPool1d", (2, 3), {}),
    ("LPPool2d", (1.5, (2, 3), 1, True), {}), ("LPPool3d", (2, 3), {"ceil_mode": True}),
    ("MaxUnpool1d", (2,), {}), ("MaxUnpool2d", ((2, 3), 1, 1), {}), ("MaxUnpool3d", (2, 1), {}),
    ("AdaptiveAvgPool1d", (2,), {}), ("AdaptiveAvgPool2d", ((None, 3),), {}),
    ("AdaptiveAvgPool3d", ((1, 2, 3),), {}), ("AdaptiveMaxPool1d", (2,), {}),
    ("AdaptiveMaxPool2d", ((2, 3), True), {}), ("AdaptiveMaxPool3d", (2,), {}),
    ("Fold", ((4, 5), 2), {}), ("Fold", (4, (2, 3), 2, 1, 2), {}), ("Unfold", (2,), {}),
    ("Unfold", ((2, 3), 2, 1, 2), {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "kwargs"), MODULES)
def test_modules_read_and_keep_what_pytorch_s_do(name, args, kwargs):
    expected, got = (getattr(module.nn, name)(*args, **kwargs) for module in (torch, tn))
    assert repr(got) == repr(expected)
    for attribute in getattr(expected, "__constants__", ()):
        assert getattr(got, attribute) == getattr(expected, attribute)


def test_top_level_names():
    x = draw((2, 3, 8), torch.float64, 1)
    calls = [
        lambda t, x: t.max_pool1d(x, 2),
        lambda t, x: t.avg_pool1d(x, 3, 2),
        lambda t, x: t.adaptive_avg_pool1d(x, 3),
        lambda t, x: t.adaptive_max_pool1d(x, 3),
        lambda t, x: t.max_pool2d(x, 2, ceil_mode=True),
        lambda t, x: t.max_pool3d(x[None], (1, 2, 3)),
    ]
    for call in calls:
        assert not differences(call(torch, x), call(tn, converted(x)))
